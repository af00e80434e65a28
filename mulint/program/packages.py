"""What intent belongs to: a top-level folder, or a model's own folders where one holds several models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from mulint.program.observations import Observations


def package_of(path: str) -> str:
    """The top-level folder that holds a file."""
    head, separator, _ = path.partition("/")
    return head if separator else "."


def enclosing(path: str) -> Iterator[str]:
    """The folders that hold a file, innermost first; ``.`` only for the files beside the top-level folders."""
    folder = _folder(path)
    if folder == ".":
        yield folder
    while folder != ".":
        yield folder
        folder = _folder(folder)


def connections(seen: Observations) -> frozenset[tuple[str, str]]:
    """Pairs of folders that hold parts of one model, or a model and an optimizer that trains it."""
    pairs = {(w.site.path, (w.inside or w.site).path) for w in seen.weights}
    for record in seen.optimizers:
        pairs |= {(record.site.path, w.site.path) for group in record.groups for w in group.weights or ()}
    return frozenset((_folder(a), _folder(b)) for a, b in pairs)


class Packages:
    """The folders of a project, connected where a model has parts in several or an optimizer trains it."""

    def __init__(self, connected: Iterable[tuple[str, str]]) -> None:
        self._parents: dict[str, str] = {}
        for a, b in connected:
            first, second = self._root(a), self._root(b)
            self._parents.setdefault(first, first)
            self._parents[second] = first

    def around(self, path: str) -> tuple[str, ...]:
        """The folders whose intent a file speaks for."""
        package = package_of(path)
        inside = [f for f in self._parents if package_of(f"{f}/") == package]
        if len({self._root(f) for f in inside}) < 2:
            return (package,)
        folder = _folder(path)
        return (folder, *(f for f in inside if self._root(f) == self._root(folder) and f != folder))

    def _root(self, folder: str) -> str:
        while (parent := self._parents.get(folder, folder)) != folder:
            folder = parent
        return folder


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)
