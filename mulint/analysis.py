"""What the rules say of a project: facts linked, rules run, findings judged, suppressed and identified."""

from __future__ import annotations

import dataclasses
import hashlib
import textwrap
import traceback
from collections.abc import Iterable, Sequence

from mulint.configuration import Configuration, nearest, selected
from mulint.facts import FileFacts
from mulint.findings import FileError, Finding, Intent, Place, Severity
from mulint.gathering import gather, without_collection
from mulint.judgement import UNKNOWN_NAME, Judgement
from mulint.program import Failure, Named, Program, link
from mulint.rules import RULES, run
from mulint.source.cache import Store
from mulint.source.reading import SourceFile
from mulint.source.suppressions import Suppression, suppressions

UNUSED_SUPPRESSION = "MU902"
CODES = (*(rule.code for rule in RULES), UNUSED_SUPPRESSION, UNKNOWN_NAME)
OPT_IN = frozenset(rule.code for rule in RULES if not rule.default)


@dataclasses.dataclass(frozen=True, slots=True)
class Analysis:
    """What the rules say of some decoded files; ``errors`` are the files that cannot be parsed."""

    facts: tuple[FileFacts, ...]
    program: Program
    findings: tuple[Finding, ...]
    errors: tuple[FileError, ...]


def analyse(
    sources: Sequence[SourceFile], configuration: Configuration, store: Store | None = None, jobs: int = 1
) -> Analysis:
    """Run the selected rules over decoded files, wherever their text comes from.

    Args:
        sources: the decoded files.
        configuration: what is in force.
        store: where the facts of files are kept; None: nowhere.
        jobs: how many processes may read files.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    codes = selected(CODES, configuration, OPT_IN)
    with without_collection():
        facts, errors = gather(sources, store, jobs)
        program = link(facts, configuration.opts_in, _named(configuration), configuration.policies)
        findings = _suppressed(_judged(program, run(program, codes)), sources, codes)
    return Analysis(tuple(facts), program, tuple(_identified(findings, sources)), errors)


def judge(
    sources: Sequence[SourceFile], configuration: Configuration, store: Store | None = None, jobs: int = 1
) -> Judgement:
    """What is to be reported of a whole project; arguments and errors as for ``analyse``."""
    analysis = analyse(sources, configuration, store, jobs)
    program = analysis.program
    unknown = {}
    if program.understood.parameters and UNKNOWN_NAME in selected(CODES, configuration, OPT_IN):
        unknown = _named(configuration).unknown(program.seen)
    return Judgement(
        intent=program.intent,
        packages=program.packages,
        findings=analysis.findings,
        understood=program.understood,
        not_understood=program.not_understood,
        errors=analysis.errors,
        failures=tuple(map(_internal, program.failures)),
        unknown_names=tuple((name, nearest(name, known)) for name, known in unknown.items()),
    )


def _internal(failure: Failure) -> tuple[FileError, str]:
    error = failure.error
    return (
        FileError("MU905", failure.path, failure.line, f"{type(error).__name__}: {error}"),
        "".join(traceback.format_exception(error)),
    )


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
        digest = hashlib.sha256(f"{content}\0{index}".encode(errors="surrogatepass")).hexdigest()[:16]
        result.append(dataclasses.replace(finding, fingerprint=digest))
    return result
