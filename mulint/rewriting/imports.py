"""Imports that edited files need: of the generated file, in the style in which they import its neighbours."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.tree import Document, Tree


@dataclass
class Imports:
    """The names that files need from the generated module, and from the standard library.

    ``home`` is the path of the generated file.
    """

    tree: Tree
    home: str
    _names: dict[str, list[str]] = field(default_factory=dict)
    _modules: dict[str, list[str]] = field(default_factory=dict)

    def need(self, path: str, name: str) -> None:
        """Import a name of the generated module in a file."""
        if path not in self._names:
            self._module(path)  # refuses here, where the site that needs it is known
        names = self._names.setdefault(path, [])
        if name not in names:
            if name in self.tree.documents[path].names:
                raise CannotRewrite(f"the name {name} is taken in {path}", f"rename {name} in {path}")
            names.append(name)

    def need_module(self, path: str, module: str) -> None:
        """Have a module of the standard library imported in a file under its own name."""
        bound = [n for n in self.tree.documents[path].body if isinstance(n, s.Import) and n.binds == module]
        if not bound:
            modules = self._modules.setdefault(path, [])
            if module not in modules:
                modules.append(module)

    @property
    def used(self) -> bool:
        """Whether any file needs the generated module."""
        return bool(self._names)

    @property
    def names(self) -> frozenset[str]:
        """All names that files need from the generated module."""
        return frozenset(name for names in self._names.values() for name in names)

    def missing(self, defined: frozenset[str]) -> list[str]:
        """The names that files need and that an existing generated module does not define."""
        return sorted(self.names - defined)

    def emit(self) -> None:
        """Write all imports into their files."""
        for path, modules in self._modules.items():
            document = self.tree.documents[path]
            first = next((n for n in document.body if isinstance(n, s.Import) and n.module != "__future__"), None)
            if first is None:
                raise CannotRewrite(f"{path} imports nothing", f"import {', '.join(modules)} in {path}")
            start = document.offset(line_of(first.span), 1)
            self.tree.insert(path, start, "".join(f"import {m}{document.newline}" for m in modules))
        for path, names in self._names.items():
            document = self.tree.documents[path]
            last = _last_import(document)
            beside = self._is_local(path, last)
            line = f"from {self._module(path)} import {', '.join(sorted(names))}"
            self.tree.add_line_after(path, last, *([line] if beside else ["", line]))

    def _is_local(self, path: str, node: s.Import) -> bool:
        return self.tree.files.resolve(node.module, path, node.level) is not None

    def _module(self, path: str) -> str:
        """The dotted name of the generated module as a file has to write it."""
        folder, name = posixpath.split(self.home)
        stem = name.removesuffix(".py")
        for importer, node, target in self.tree.imports():
            # As this file imports a neighbour of the generated one.
            if importer == path and posixpath.dirname(target) == folder and not target.endswith("__init__.py"):
                return _sibling(node, stem)
        if posixpath.dirname(path) != folder:
            raise CannotRewrite(
                f"{path} imports nothing from the folder of {self.home}",
                f"import {stem} from {self.home} in {path}",
            )
        for importer, node, target in self.tree.imports():
            # As others import this file.
            if target == path and not node.level and posixpath.dirname(importer) != folder and "." in node.module:
                return _sibling(node, stem)
        return f".{stem}" if posixpath.join(folder, "__init__.py") in self.tree.documents else stem


def _sibling(node: s.Import, stem: str) -> str:
    package = node.module.rpartition(".")[0]
    if node.level:
        return "." * node.level + (f"{package}.{stem}" if package else stem)
    return f"{package}.{stem}" if package else stem


def _last_import(document: Document) -> s.Import:
    """The last of the imports at the top of a file."""
    last: s.Import | None = None
    for node in document.body:
        if isinstance(node, s.Import):
            last = node
        elif isinstance(node, s.Class | s.Function):
            break
    if last is None:
        raise CannotRewrite(f"{document.path} imports nothing", f"write the imports of {document.path} by hand")
    return last
