"""The static pass from paths to a report: files, what the rules say of them, and what of that was asked for.

The rules and all that they need are loaded only when the answer is not in the cache.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mulint.configuration import Configuration
from mulint.findings import FileError, Finding, Place, Report
from mulint.judgement import Judgement
from mulint.notices import UNKNOWN_NAME
from mulint.source.cache import Store, digest
from mulint.source.discovery import Selection, select
from mulint.source.reading import CannotRead, SourceFile, decode, read


def check(
    paths: Sequence[Path],
    root: Path,
    configuration: Configuration,
    *,
    unsaved: Mapping[str, bytes] = MappingProxyType({}),
    accepted: frozenset[str] = frozenset(),
    verbose: bool = False,
    store: Store | None = None,
    jobs: int = 1,
) -> Report:
    """Check a project and report on the named files.

    Args:
        paths: what to report on; the facts always come from every file of the project.
        root: the project root.
        configuration: what is in force.
        unsaved: contents that stand for what is on the disk, by path relative to the root; they are named too.
        accepted: fingerprints of findings to leave out.
        verbose: put tracebacks into internal errors.
        store: where the outcome and the facts of files are kept; None: nowhere.
        jobs: how many processes may read files.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    selection = select(paths, root, configuration.exclude).with_unsaved(unsaved)
    sources, errors, skipped = load_sources(selection, configuration, unsaved)
    judgement = _judgement(sources, configuration, store, jobs, root.name)
    found = (*judgement.findings, *_unknown_widths(judgement, root, configuration))
    shown = {*selection.named, *(f.place.path for f in found if f.code == UNKNOWN_NAME.code)}
    asked_for = [f for f in found if f.place.path in shown and not _ignored(f, configuration)]
    reported = [f for f in asked_for if f.fingerprint not in accepted]
    named = [s for s in sources if s.path in selection.named]
    asked = {*selection.named, *selection.missing}
    internal = [_internal(*failure, verbose=verbose) for failure in judgement.failures]
    return Report(
        root=root,
        intent=judgement.intent,
        packages=judgement.packages,
        findings=tuple(sorted(reported, key=lambda f: (f.place, f.code))),
        understood=judgement.understood,
        not_understood=tuple(n for n in judgement.not_understood if n.path in selection.named),
        errors=tuple(e for e in (*errors, *judgement.errors, *internal) if e.path in asked),
        skipped=tuple(e for e in skipped if e.path in asked),
        excerpts=_excerpts(reported, sources),
        files=len(named),
        torch_files=sum(s.mentions_torch for s in named),
        accepted=len(asked_for) - len(reported),
        cells={s.path: s.cells for s in sources if s.cells},
    )


def load_sources(
    selection: Selection, configuration: Configuration, unsaved: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[list[SourceFile], tuple[FileError, ...], tuple[FileError, ...]]:
    """Read all files of a project: the decoded ones, those that cannot be read, and those over the size limit."""
    sources: list[SourceFile] = []
    errors = [FileError("MU904", p, 1, "no such file or directory; check the path") for p in selection.missing]
    skipped: list[FileError] = []
    for path in selection.files:
        try:
            held = unsaved.get(path)
            sources.append(
                read(selection.root, path, configuration.max_file_size) if held is None else decode(path, held)
            )
        except CannotRead as error:
            (skipped if error.too_large else errors).append(FileError("MU904", path, error.line, error.message))
    if not any(s.mentions_torch for s in sources):
        # Nothing here can build a model: only what was asked for is parsed, for its errors.
        sources = [s for s in sources if s.path in selection.named]
    return sources, tuple(errors), tuple(skipped)


def _judgement(
    sources: Sequence[SourceFile], configuration: Configuration, store: Store | None, jobs: int, folder: str
) -> Judgement:
    """What the rules say of the sources, from the cache if they said it of the same ones before."""
    name = f"judgement under {configuration!r}"
    origin = digest(*(part for s in sources for part in (s.path, s.text)))
    kept = store.get(name, origin) if store is not None else None
    if kept is not None:
        try:
            return Judgement.from_json(kept)
        except ValueError:
            pass
    from mulint.judging import judge

    judgement = judge(sources, configuration, store, jobs, folder)
    if store is not None and not judgement.failures:
        store.put(name, origin, judgement.to_json())
    return judgement


def _internal(error: FileError, trace: str, *, verbose: bool) -> FileError:
    detail = trace if verbose else error.message
    message = f"internal error: {detail.strip()}; please report it with this file (--verbose shows where)"
    return FileError(error.code, error.path, error.line, message)


def _unknown_widths(judgement: Judgement, root: Path, configuration: Configuration) -> Iterator[Finding]:
    """Names under ``[tool.mulint.widths]`` that no size of the project has."""
    if configuration.path is None or not judgement.unknown_names:
        return
    path = Path(os.path.relpath(configuration.path, root)).as_posix()
    lines = configuration.path.read_text(encoding="utf-8").splitlines()
    for name, hint in judgement.unknown_names:
        line = next((number for number, text in enumerate(lines, 1) if name in text), 1)
        column = max(lines[line - 1].find(name), 0) + 1
        yield Finding(
            code=UNKNOWN_NAME.code,
            name=UNKNOWN_NAME.name,
            severity=UNKNOWN_NAME.severity,
            severity_if_scaled=UNKNOWN_NAME.severity,
            place=Place(path, line, column, line, column + len(name)),
            symbol=name,
            message=f"no size of this project is called {name}{hint}",
            expected="the name of a size, as in model.GPTConfig.n_embd",
            found=name,
            subject=f"configuration {name}",
            fingerprint=digest(UNKNOWN_NAME.code, path, name)[:16],
        )


def _ignored(finding: Finding, configuration: Configuration) -> bool:
    return any(
        fnmatch.fnmatch(finding.place.path, pattern) and any(finding.code.startswith(c) for c in codes)
        for pattern, codes in configuration.per_file_ignores.items()
    )


def _excerpts(findings: Iterable[Finding], sources: Iterable[SourceFile]) -> dict[str, tuple[str, ...]]:
    wanted = {f.place.path for f in findings}
    return {s.path: s.lines for s in sources if s.path in wanted}
