"""The parts of a project that have no influence on one another, so that each can be judged by itself.

What is said of a file hangs on the files that it imports, on those that import it, and so on: on its component of
the graph of imports. Only where something uses a μP package do rules look at files that no import connects: such
a project is one component.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mulint.facts.imports import Import
from mulint.program.scopes import MUP_PACKAGES, Modules


@dataclass(frozen=True, slots=True)
class Component:
    """Some files, sorted, and every import of one of them by another: importer and imported."""

    paths: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


def components(imports: Mapping[str, Sequence[Import]], modules: Modules) -> list[Component]:
    """The components of a project, in order of their first files.

    Args:
        imports: what each file imports, by its path.
        modules: the files of the project.
    """
    links = sorted({link for path, several in imports.items() for link in _links(path, several, modules)})
    parents = {path: path for path in imports}

    def root(path: str) -> str:
        while parents[path] != path:
            parents[path] = path = parents[parents[path]]
        return path

    for importer, imported in links:
        parents[root(imported)] = root(importer)
    whole = any(_is_mup(item) for several in imports.values() for item in several)
    paths: dict[str, list[str]] = {}
    inside: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(imports):
        paths.setdefault("" if whole else root(path), []).append(path)
    for link in links:
        inside.setdefault("" if whole else root(link[0]), []).append(link)
    return [Component(tuple(several), tuple(inside.get(key, ()))) for key, several in paths.items()]


def _links(path: str, imports: Sequence[Import], modules: Modules) -> Iterator[tuple[str, str]]:
    for module, name, level in imports:
        inner = None if name is None else f"{module}.{name}" if module else name
        for wanted in (module, inner):
            found = None if wanted is None else modules.resolve(wanted, path, level)
            if found is not None:
                yield path, found


def _is_mup(item: Import) -> bool:
    module, _, level = item
    return not level and module.partition(".")[0] in MUP_PACKAGES
