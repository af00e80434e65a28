"""The facts of many files: from the cache, else read from their text, in several processes where that pays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from mulint.facts import CannotParse, FileFacts, extract
from mulint.facts.coding import dumps, loads
from mulint.findings import FileError
from mulint.source.cache import Store, digest
from mulint.source.reading import SourceFile

# Below this many characters starting a process costs more than it saves.
WORTH_A_PROCESS = 2_000_000
_Read = FileFacts | FileError


def gather(
    sources: Sequence[SourceFile], store: Store | None = None, jobs: int = 1
) -> tuple[list[FileFacts], tuple[FileError, ...]]:
    """The facts of the files that can be parsed, and an error (MU901) for each other one, in order.

    Args:
        sources: the decoded files.
        store: where facts are looked for and kept; None: nowhere.
        jobs: how many processes may read; one for each ``WORTH_A_PROCESS`` is taken at most.
    """
    found: dict[str, _Read] = {}
    if store is not None:
        found.update((facts.path, facts) for facts in _kept(sources, store))
    fresh = [source for source in sources if source.path not in found]
    processes = min(jobs, sum(len(source.text) for source in fresh) // WORTH_A_PROCESS)
    for source, read in _read(fresh, processes):
        found[source.path] = read
        if store is not None and isinstance(read, FileFacts):
            with contextlib.suppress(ValueError):
                store.put(f"facts of {source.path}", digest(source.text), dumps(read))
    ordered = [found[source.path] for source in sources]
    errors = tuple(read for read in ordered if isinstance(read, FileError))
    return [read for read in ordered if isinstance(read, FileFacts)], errors


def _kept(sources: Iterable[SourceFile], store: Store) -> Iterator[FileFacts]:
    for source in sources:
        text = store.get(f"facts of {source.path}", digest(source.text))
        if text is not None:
            try:
                yield loads(source.path, text)
            except ValueError:
                continue


def _read(sources: Sequence[SourceFile], processes: int) -> Iterator[tuple[SourceFile, _Read]]:
    if processes < 2:
        yield from ((source, _facts(source)) for source in sources)
        return
    from concurrent.futures import ProcessPoolExecutor

    # The largest first, so that no process ends with one that the others wait for.
    ordered = sorted(sources, key=lambda source: -len(source.text))
    with ProcessPoolExecutor(processes) as pool:
        for source, text in zip(ordered, pool.map(_text, ordered, chunksize=8), strict=True):
            yield source, _facts(source) if text is None else loads(source.path, text)


def _facts(source: SourceFile) -> _Read:
    try:
        return extract(source.path, source.text)
    except CannotParse as error:
        return FileError("MU901", source.path, error.line, f"cannot be parsed: {error.message}")


def _text(source: SourceFile) -> str | None:
    """What a process sends back, since text is cheaper to send than nodes; None if there are no facts to send."""
    read = _facts(source)
    try:
        return dumps(read) if isinstance(read, FileFacts) else None
    except ValueError:
        return None
