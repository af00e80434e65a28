"""Names and files: scopes, and which file an import means."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mulint.facts import FileFacts
from mulint.program.values import ClassValue, Value

MUP_PACKAGES = frozenset({"mup", "unit_scaling"})


@dataclass(eq=False, slots=True)
class Scope:
    """The names bound in one module, class, function or comprehension."""

    path: str
    parent: Scope | None = None
    names: dict[str, Value] = field(default_factory=dict)
    owner: ClassValue | None = None
    receiver: Value | None = None
    function: str = ""
    is_class: bool = False

    def find(self, name: str) -> Value | None:
        """The value of a name here or further out; class bodies are not seen from their methods."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or not scope.is_class):
                return scope.names[name]
            scope = scope.parent
        return None

    def outward(self) -> Iterator[Scope]:
        """This scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def symbol(self) -> str:
        """``Class.method`` or ``function``, for messages."""
        for scope in self.outward():
            if scope.function:
                return f"{scope.owner.name}.{scope.function}" if scope.owner else scope.function
        return ""


class Modules:
    """The files of a project by the module names they can be imported under.

    Args:
        paths: all files of the project.
        folder: the name of the project's folder, under which a folder that is itself a package imports its parts.
    """

    def __init__(self, paths: Iterable[str], folder: str = "") -> None:
        self._paths = frozenset(paths)
        self._own = f"{folder}." if folder and "__init__.py" in self._paths else ""
        self._by_suffix: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            parts = _module_parts(path)
            for start in range(len(parts)):
                self._by_suffix.setdefault(".".join(parts[start:]), []).append(path)

    def resolve(self, module: str, importer: str, level: int = 0) -> str | None:
        """The path of an imported module, or None if it is not part of the project.

        A relative import counts from the importer's folder. An absolute one is looked for beside the
        importer, then in the folders above it, then anywhere if only one file fits.
        """
        folder = posixpath.dirname(importer)
        inner = module.replace(".", "/")
        if level:
            for _ in range(level - 1):
                folder = posixpath.dirname(folder)
            return self._module_at(posixpath.join(folder, inner) if inner else folder)
        if not inner:
            return None
        while True:
            found = self._module_at(posixpath.join(folder, inner))
            if found is not None:
                return found
            if not folder:
                break
            folder = posixpath.dirname(folder)
        if self._own and f"{module}.".startswith(self._own):
            found = self._module_at(inner[len(self._own) :])
            if found is not None:
                return found
        candidates = self._by_suffix.get(module, [])
        return candidates[0] if len(candidates) == 1 and "." in module else None

    def _module_at(self, stem: str) -> str | None:
        for path in (f"{stem}.py", posixpath.join(stem, "__init__.py")):
            if path in self._paths:
                return path
        return None


class Files:
    """Files that are run together, and the modules of the project that they belong to.

    Args:
        files: the facts of each.
        modules: all files of the project; None: these are all.
    """

    def __init__(self, files: Sequence[FileFacts], modules: Modules | None = None) -> None:
        self.by_path = {f.path: f for f in files}
        self.resolve = (modules or Modules(self.by_path)).resolve


def _module_parts(path: str) -> list[str]:
    parts = path.removesuffix(".py").split("/")
    return parts[:-1] if parts[-1] == "__init__" else parts
