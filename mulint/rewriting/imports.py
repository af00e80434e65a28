"""Imports that edited files need: of the generated file, in the style in which they import its neighbours."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from mulint.facts import syntax as s
from mulint.facts.spans import end_of, line_of
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.tree import Tree


@dataclass
class Imports:
    """The names that files need from the generated module, the modules they need, and what is not needed any more.

    ``home`` is the path of the generated file; empty where the target has none.
    """

    tree: Tree
    home: str
    _names: dict[str, list[str]] = field(default_factory=dict)
    _modules: dict[str, list[str]] = field(default_factory=dict)
    _packages: dict[str, list[str]] = field(default_factory=dict)
    _replaced: dict[str, list[str]] = field(default_factory=dict)

    def need(self, path: str, name: str) -> None:
        """Import a name of the generated module in a file."""
        if path not in self._names:
            self._module(path)  # refuses here, where the site that needs it is known
        names = self._names.setdefault(path, [])
        if name not in names:
            if name in self.tree.documents[path].names:
                raise CannotRewrite(f"the name {name} is taken in {path}", f"rename {name} in {path}")
            names.append(name)

    def put(self, path: str, name: str, node: s.Expression) -> None:
        """Put a name of the generated module in place of an expression, and import it."""
        self.need(path, name)
        self._put(path, name, node)

    def put_from_package(self, path: str, name: str, node: s.Expression) -> None:
        """Put a name with its package, ``mup.MuReadout``, in place of an expression, and import the package."""
        self.need_package(path, name.partition(".")[0])
        self._put(path, name, node)

    def _put(self, path: str, text: str, node: s.Expression) -> None:
        self.tree.replace(path, node.span, text)
        if isinstance(node, s.Name):
            self._replaced.setdefault(path, []).append(node.id)

    def need_package(self, path: str, package: str) -> None:
        """Have an installed package imported in a file under its own name."""
        document = self.tree.documents[path]
        if any(isinstance(n, s.Import) and n.module == package and n.name is None for n in document.body):
            return
        if package in document.names or self.tree.resolve(package, path, 0) is not None:
            raise CannotRewrite(f"the name {package} is taken in {path}", f"rename {package} in {path}")
        packages = self._packages.setdefault(path, [])
        if package not in packages:
            packages.append(package)

    def need_module(self, path: str, module: str) -> None:
        """Have a module of the standard library imported in a file under its own name."""
        bound = [n for n in self.tree.documents[path].body if isinstance(n, s.Import) and n.binds == module]
        if not bound:
            modules = self._modules.setdefault(path, [])
            if module not in modules:
                modules.append(module)

    def is_home(self, path: str) -> bool:
        """Whether a file has the name of the generated one."""
        return bool(self.home) and posixpath.basename(path) == posixpath.basename(self.home)

    @property
    def used(self) -> bool:
        """Whether any file needs the generated module."""
        return bool(self._names)

    @property
    def names(self) -> frozenset[str]:
        """All names that files need from the generated module."""
        return frozenset(name for names in self._names.values() for name in names)

    @property
    def packages(self) -> frozenset[str]:
        """The installed packages that files need and did not import."""
        return frozenset(package for packages in self._packages.values() for package in packages)

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
        for path, packages in self._packages.items():
            document = self.tree.documents[path]
            first = next(
                (n for n in document.body if isinstance(n, s.Import) and _is_torch(n)), _last_import(document)
            )
            start = document.offset(line_of(first.span), 1)
            self.tree.insert(path, start, "".join(f"import {p}{document.newline}" for p in sorted(packages)))
        for path, names in self._names.items():
            document = self.tree.documents[path]
            last = _last_import(document)
            beside = self._is_local(path, last)
            line = f"from {self._module(path)} import {', '.join(sorted(names))}"
            self.tree.add_line_after(path, last, *([line] if beside else ["", line]))
        for path, replaced in self._replaced.items():
            for name in dict.fromkeys(replaced):
                self._remove(path, name, replaced.count(name))

    def _remove(self, path: str, name: str, uses: int) -> None:
        """Remove an import whose every use was replaced; one that is mentioned anywhere else stays."""
        document = self.tree.documents[path]
        node = next((n for n in document.body if isinstance(n, s.Import) and n.binds == name), None)
        # Strings and comments count too: annotations and __all__ may be written in them.
        mentions = len(re.findall(rf"\b{re.escape(name)}\b", document.text))
        if node is None or node.name != name or mentions != uses + 1 or self._is_shared(path, name):
            return
        beside = [n for n in document.body if isinstance(n, s.Import) and n.span == node.span]
        removed = _listed(document, node, name) if len(beside) > 1 else _lines(document, node)
        if removed is None or any(e.path == path and removed[0] < e.start < removed[1] for e in self.tree.edits):
            return
        self.tree.remove(path, *removed)

    def _is_shared(self, path: str, name: str) -> bool:
        """Whether a file may offer a name that it imports to others."""
        stem = posixpath.basename(path).removesuffix(".py")
        imported = any(target == path and n.name in (name, "*") for _, n, target in self.tree.imports)
        return (
            imported or stem == "__init__" or any(f"{stem}.{name}" in d.text for d in self.tree.documents.values())
        )

    def _is_local(self, path: str, node: s.Import) -> bool:
        return self.tree.resolve(node.module, path, node.level) is not None

    def _module(self, path: str) -> str:
        """The dotted name of the generated module as a file has to write it."""
        folder, name = posixpath.split(self.home)
        stem = name.removesuffix(".py")
        for importer, node, target in self.tree.imports:
            # As this file imports a neighbour of the generated one.
            if importer == path and posixpath.dirname(target) == folder and not target.endswith("__init__.py"):
                return _sibling(node, stem)
        if posixpath.dirname(path) != folder:
            raise CannotRewrite(
                f"{path} imports nothing from the folder of {self.home}",
                f"import {stem} from {self.home} in {path}",
            )
        for importer, node, target in self.tree.imports:
            # As others import this file.
            if target == path and not node.level and posixpath.dirname(importer) != folder and "." in node.module:
                return _sibling(node, stem)
        return f".{stem}" if posixpath.join(folder, "__init__.py") in self.tree.documents else stem


def _is_torch(node: s.Import) -> bool:
    return not node.level and node.module.partition(".")[0] == "torch"


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


def _listed(document: Document, node: s.Import, name: str) -> tuple[int, int] | None:
    """The range of one name in an import of several, with its comma."""
    start, end = document.range(node.span)
    statement = document.text[start:end]
    # A name after others goes with the comma before it, so that a line of its own goes whole.
    found = re.search(rf",\s*{name}\b", statement) or re.search(rf"\b{name}\s*,\s*", statement)
    if found is None or "#" in statement:
        return None
    return start + found.start(), start + found.end()


def _lines(document: Document, node: s.Import) -> tuple[int, int] | None:
    """The range of an import that stands alone on its lines, from the end of the line before it."""
    first, last = line_of(node.span), end_of(node.span)[0]
    start, end = document.range(node.span)
    alone = "".join(document.line(n) for n in range(first, last + 1))
    if first == 1 or alone.strip() != re.sub(r"[\r\n]", "", document.text[start:end]) or "#" in alone:
        return None
    before = first - 1
    if before > 1 and not document.line(before).strip() and not document.line(last + 1).strip():
        before -= 1  # one of the empty lines around it is enough
    return document.offset(before, 1) + len(document.line(before)), end
