"""The facts of many files: from the cache, else read from their text, in several processes where that pays."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from mulint.facts import CannotParse, FileFacts, extract
from mulint.facts.coding import dumps, loads
from mulint.facts.imports import Import, imports
from mulint.findings import FileError
from mulint.source.cache import Store, digest
from mulint.source.reading import SourceFile

# Characters. Sending facts back costs half of what reading them does: less is sooner read in one process.
LARGE = 4_000_000
_Read = FileFacts | FileError


def gather(
    sources: Sequence[SourceFile], store: Store | None = None, jobs: int = 1
) -> tuple[list[FileFacts], tuple[FileError, ...]]:
    """The facts of the files that can be parsed, and an error (MU901) for each other one, in order.

    Args:
        sources: the decoded files.
        store: where facts are looked for and kept; None: nowhere.
        jobs: how many processes read, if the files are ``LARGE`` together.
    """
    found: dict[str, _Read] = {}
    if store is not None:
        found.update((facts.path, facts) for facts in _kept(sources, store))
    fresh = [source for source in sources if source.path not in found]
    processes = jobs if sum(len(source.text) for source in fresh) >= LARGE else 1
    for source, read, text in _read(fresh, processes, written=store is not None):
        found[source.path] = read
        if store is not None and text is not None:
            store.put(f"facts of {source.path}", digest(source.text), text)
    ordered = [found[source.path] for source in sources]
    errors = tuple(read for read in ordered if isinstance(read, FileError))
    return [read for read in ordered if isinstance(read, FileFacts)], errors


class Reading:
    """The files of a project: what each imports at once, its facts when they are asked for.

    ``imports`` are those of every file that can be parsed; ``errors`` (MU901) are the others. What a file imports
    is kept for all files in one entry, so that a run in which little changed does not look into the rest.
    """

    def __init__(self, sources: Sequence[SourceFile], store: Store | None = None, jobs: int = 1) -> None:
        self.imports: dict[str, tuple[Import, ...]] = {}
        self.marks = {source.path: digest(source.text) for source in sources}
        self._sources = {source.path: source for source in sources}
        self._store, self._jobs = store, jobs
        known = _index(store.get(_INDEX, digest()) or "") if store is not None else {}
        for path, (mark, found) in known.items():
            if self.marks.get(path) == mark:
                self.imports[path] = found
        facts, self.errors = gather([s for s in sources if s.path not in self.imports], store, jobs)
        self._held = {f.path: f for f in facts}
        if self._held:
            self.imports.update((f.path, imports(f)) for f in facts)
            if store is not None:
                entry = {path: (self.marks[path], found) for path, found in self.imports.items()}
                store.put(_INDEX, digest(), json.dumps(entry, separators=(",", ":")))

    def take(self, paths: Iterable[str]) -> list[FileFacts]:
        """The facts of some files that can be parsed; they are not held any longer."""
        held = {path: self._held.pop(path) for path in paths if path in self._held}
        rest, _ = gather([self._sources[p] for p in paths if p not in held], self._store, self._jobs)
        return [*held.values(), *rest]


_INDEX = "imports"


def _index(text: str) -> dict[str, tuple[str, tuple[Import, ...]]]:
    """What was kept of the imports of files: a mark of the text of each, and what it imports."""
    try:
        entries = json.loads(text or "{}").items()
        return {path: (mark, tuple((m, n, int(k)) for m, n, k in found)) for path, (mark, found) in entries}
    except (TypeError, ValueError, AttributeError):
        return {}


def _kept(sources: Iterable[SourceFile], store: Store) -> Iterator[FileFacts]:
    for source in sources:
        text = store.get(f"facts of {source.path}", digest(source.text))
        if text is not None:
            try:
                yield loads(source.path, text)
            except ValueError:
                continue


def _read(
    sources: Sequence[SourceFile], processes: int, *, written: bool
) -> Iterator[tuple[SourceFile, _Read, str | None]]:
    """The facts of each file, and the same as text where it is wanted and can be had."""
    if processes < 2:
        for source in sources:
            read = _facts(source)
            yield source, read, _text(read) if written else None
        return
    from concurrent.futures import ProcessPoolExecutor

    # The largest first, so that no process ends with one that the others wait for.
    ordered = sorted(sources, key=lambda source: -len(source.text))
    with ProcessPoolExecutor(processes) as pool:
        for source, text in zip(ordered, pool.map(_sent, ordered, chunksize=8), strict=True):
            yield source, _facts(source) if text is None else loads(source.path, text), text


def _facts(source: SourceFile) -> _Read:
    try:
        return extract(source.path, source.text)
    except CannotParse as error:
        return FileError("MU901", source.path, error.line, f"cannot be parsed: {error.message}")


def _sent(source: SourceFile) -> str | None:
    """What a process sends back: text is cheaper to send than nodes."""
    with without_collection():
        return _text(_facts(source))


def _text(read: _Read) -> str | None:
    try:
        return dumps(read) if isinstance(read, FileFacts) else None
    except ValueError:
        return None


@contextmanager
def without_collection() -> Iterator[None]:
    """Almost nothing that is built here dies before the end: looking for it costs time and frees no memory."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
