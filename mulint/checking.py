"""The static pass from paths to a report: source, facts, program, rules, findings.

``check`` is the whole data flow; every step is one function of the room that owns it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import os
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mulint.configuration import Configuration, nearest, selected
from mulint.facts import CannotParse, FileFacts, extract
from mulint.findings import FileError, Finding, Intent, Place, Report, Severity
from mulint.program import Failure, Named, Program, link
from mulint.rules import RULES, run
from mulint.source.discovery import Selection, select
from mulint.source.reading import CannotRead, SourceFile, decode, read
from mulint.source.suppressions import Suppression, suppressions

UNUSED_SUPPRESSION = "MU902"
CONFIGURATION = "MU903"
CODES = (*(rule.code for rule in RULES), UNUSED_SUPPRESSION, CONFIGURATION)


def check(
    paths: Sequence[Path],
    root: Path,
    configuration: Configuration,
    *,
    unsaved: Mapping[str, bytes] = MappingProxyType({}),
    accepted: frozenset[str] = frozenset(),
    verbose: bool = False,
) -> Report:
    """Check a project and report on the named files.

    Args:
        paths: what to report on; the facts always come from every file of the project.
        root: the project root.
        configuration: what is in force.
        unsaved: contents that stand for what is on the disk, by path relative to the root; they are named too.
        accepted: fingerprints of findings to leave out.
        verbose: put tracebacks into internal errors.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    selection = select(paths, root, configuration.exclude).with_unsaved(unsaved)
    sources, errors, skipped = load_sources(selection, configuration, unsaved)
    analysis = analyse(sources, configuration)
    program, unparsed, findings = analysis.program, analysis.errors, analysis.findings
    asked_for = [f for f in findings if f.place.path in selection.named and not _ignored(f, configuration)]
    if CONFIGURATION in selected(CODES, configuration):
        asked_for += _identified(list(_unknown_widths(program, root, configuration)), ())
    reported = [f for f in asked_for if f.fingerprint not in accepted]
    named = [s for s in sources if s.path in selection.named]
    asked = {*selection.named, *selection.missing}
    internal = [_internal(failure, verbose=verbose) for failure in program.failures]
    return Report(
        root=root,
        intent=program.intent,
        packages=program.packages,
        findings=tuple(sorted(reported, key=lambda f: (f.place, f.code))),
        understood=program.understood,
        not_understood=tuple(n for n in program.not_understood if n.path in selection.named),
        errors=tuple(e for e in (*errors, *unparsed, *internal) if e.path in asked),
        skipped=skipped,
        excerpts=_excerpts(reported, sources),
        files=len(named),
        torch_files=sum(s.mentions_torch for s in named),
        accepted=len(asked_for) - len(reported),
        cells={s.path: s.cells for s in sources if s.cells},
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Analysis:
    """What the rules say of some decoded files; ``errors`` are the files that cannot be parsed."""

    facts: tuple[FileFacts, ...]
    program: Program
    findings: tuple[Finding, ...]
    errors: tuple[FileError, ...]


def analyse(sources: Sequence[SourceFile], configuration: Configuration) -> Analysis:
    """Run the selected rules over decoded files, wherever their text comes from.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    codes = selected(CODES, configuration)
    facts, errors = _facts(sources)
    program = link(facts, configuration.opts_in, _named(configuration))
    findings = _suppressed(_judged(program, run(program, codes)), sources, codes)
    return Analysis(tuple(facts), program, tuple(_identified(findings, sources)), errors)


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


def _facts(sources: Iterable[SourceFile]) -> tuple[list[FileFacts], tuple[FileError, ...]]:
    facts: list[FileFacts] = []
    errors: list[FileError] = []
    for source in sources:
        try:
            facts.append(extract(source.path, source.text))
        except CannotParse as error:
            errors.append(FileError("MU901", source.path, error.line, f"cannot be parsed: {error.message}"))
    return facts, tuple(errors)


def _internal(failure: Failure, *, verbose: bool) -> FileError:
    error = failure.error
    detail = "".join(traceback.format_exception(error)) if verbose else f"{type(error).__name__}: {error}"
    message = f"internal error: {detail.strip()}; please report it with this file (--verbose shows where)"
    return FileError("MU905", failure.path, failure.line, message)


def _judged(program: Program, findings: Iterable[Finding]) -> list[Finding]:
    """Where nobody asked for μP, a departure is a note."""
    return [
        dataclasses.replace(f, severity=Severity.NOTE) if program.intent_of(f.place.path) is Intent.NONE else f
        for f in findings
    ]


def _suppressed(
    findings: Iterable[Finding], sources: Iterable[SourceFile], codes: frozenset[str]
) -> list[Finding]:
    """Drop silenced findings, and report suppressions that silence nothing."""
    comments = {s.path: suppressions(s.text) for s in sources}
    used: set[tuple[str, Suppression]] = set()
    kept: list[Finding] = []
    for finding in findings:
        place = finding.place
        silencing = [c for c in comments.get(place.path, ()) if c.covers(finding.code, place.line, place.line)]
        used.update((place.path, c) for c in silencing)
        if not silencing:
            kept.append(finding)
    if UNUSED_SUPPRESSION in codes:
        unused = [(p, c) for p, several in comments.items() for c in several if (p, c) not in used]
        kept.extend(_unused(path, comment) for path, comment in unused)
    return kept


def _unused(path: str, comment: Suppression) -> Finding:
    return Finding(
        code=UNUSED_SUPPRESSION,
        name="unused-suppression",
        severity=Severity.WARNING,
        severity_if_scaled=Severity.WARNING,
        place=Place(path, comment.line, comment.column, comment.line, comment.column + 1),
        symbol=comment.code,
        message=f"the suppression of {comment.code} silences nothing; remove it",
        expected="a finding of this code here",
        found="none",
        subject=f"suppression {path}:{comment.line}:{comment.code}",
    )


def _named(configuration: Configuration) -> Named:
    return Named(configuration.widths.knobs, configuration.widths.fixed)


def _unknown_widths(program: Program, root: Path, configuration: Configuration) -> Iterator[Finding]:
    """Names under ``[tool.mulint.widths]`` that no size of the project has, if any size is known at all."""
    unknown = _named(configuration).unknown(program.seen)
    if configuration.path is None or program.understood.parameters == 0 or not unknown:
        return
    path = Path(os.path.relpath(configuration.path, root)).as_posix()
    lines = configuration.path.read_text(encoding="utf-8").splitlines()
    for name, known in unknown.items():
        line = next((number for number, text in enumerate(lines, 1) if name in text), 1)
        column = max(lines[line - 1].find(name), 0) + 1
        yield Finding(
            code=CONFIGURATION,
            name="unknown-name-in-configuration",
            severity=Severity.WARNING,
            severity_if_scaled=Severity.WARNING,
            place=Place(path, line, column, line, column + len(name)),
            symbol=name,
            message=f"no size of this project is called {name}{nearest(name, known)}",
            expected="the name of a size, as in model.GPTConfig.n_embd",
            found=name,
            subject=f"configuration {name}",
        )


def _identified(findings: Sequence[Finding], sources: Iterable[SourceFile]) -> list[Finding]:
    """Give every finding a fingerprint that survives moved lines."""
    lines = {s.path: s.lines for s in sources}
    count: dict[str, int] = {}
    result: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.place, f.code)):
        place = finding.place
        text = "\n".join(lines.get(place.path, ())[place.line - 1 : place.end_line])
        code = textwrap.dedent(text).partition("# mulint:")[0].strip()
        content = f"{finding.code}\0{place.path}\0{code}"
        index = count.get(content, 0)
        count[content] = index + 1
        digest = hashlib.sha256(f"{content}\0{index}".encode()).hexdigest()[:16]
        result.append(dataclasses.replace(finding, fingerprint=digest))
    return result


def _ignored(finding: Finding, configuration: Configuration) -> bool:
    return any(
        fnmatch.fnmatch(finding.place.path, pattern) and any(finding.code.startswith(c) for c in codes)
        for pattern, codes in configuration.per_file_ignores.items()
    )


def _excerpts(findings: Iterable[Finding], sources: Iterable[SourceFile]) -> dict[str, tuple[str, ...]]:
    wanted = {f.place.path for f in findings}
    return {s.path: s.lines for s in sources if s.path in wanted}
