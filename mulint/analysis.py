"""What the rules say of a program: facts linked, rules run, findings suppressed, identified and weighed."""

from __future__ import annotations

import dataclasses
import hashlib
import textwrap
from collections.abc import Iterable, Sequence

from mulint.configuration import Configuration, nearest, selected
from mulint.facts import FileFacts
from mulint.findings import FileError, Finding, Intent, Package, Place, Severity
from mulint.gathering import gather, without_collection
from mulint.notices import SUPPRESSION, UNKNOWN_NAME
from mulint.program import Named, Program, link
from mulint.program.intent import intent_of, packages
from mulint.rules import RULES, run
from mulint.source.reading import SourceFile
from mulint.source.suppressions import Scope, Suppression, suppressions

CODES = (*(rule.code for rule in RULES), SUPPRESSION.code, UNKNOWN_NAME.code)
OPT_IN = frozenset(rule.code for rule in RULES if not rule.default)


@dataclasses.dataclass(frozen=True, slots=True)
class Analysis:
    """What the rules say of a whole project; ``errors`` are the files that cannot be parsed."""

    facts: tuple[FileFacts, ...]
    program: Program
    findings: tuple[Finding, ...]
    errors: tuple[FileError, ...]


def analyse(sources: Sequence[SourceFile], configuration: Configuration) -> Analysis:
    """Run the selected rules over decoded files as one program, for those who change or describe it.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    codes = selected(CODES, configuration, OPT_IN)
    with without_collection():
        facts, errors = gather(sources)
        program = link(facts, named(configuration), configuration.policies)
        findings = reported(program, sources, codes)
    known = packages([program.signs], opted_in=configuration.opts_in)
    return Analysis(tuple(facts), program, tuple(weighed(findings, known)), errors)


def reported(program: Program, sources: Sequence[SourceFile], codes: frozenset[str]) -> list[Finding]:
    """What the rules say of a program, suppressions obeyed, with fingerprints, as where μP is asked for."""
    return _identified(_suppressed(run(program, codes), sources, codes), sources)


def weighed(findings: Iterable[Finding], known: Sequence[Package]) -> list[Finding]:
    """Where nobody asked for μP a departure is a note, and what is but a note elsewhere is not said."""
    result: list[Finding] = []
    for finding in findings:
        asked = finding.code == SUPPRESSION.code or intent_of(finding.place.path, known) is not Intent.NONE
        if asked:
            result.append(finding)
        elif finding.severity is not Severity.NOTE or finding.code in OPT_IN:
            result.append(dataclasses.replace(finding, severity=Severity.NOTE))
    return result


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
    if SUPPRESSION.code in codes:
        unused = [(p, c) for p, several in comments.items() for c in several if (p, c) not in used]
        kept.extend(_unused(path, comment) for path, comment in unused)
    return kept


def _unused(path: str, comment: Suppression) -> Finding:
    message, expected = (
        f"the suppression of {comment.code} silences nothing; remove it",
        "a finding of this code here",
    )
    if comment.scope is Scope.NOTHING:
        message = "this comment silences nothing: it is not written as mulint reads it"
        expected = "`# mulint: ignore[CODE] reason`, or file-ignore in place of ignore for a whole file"
    elif not any(code.startswith(comment.code) for code in CODES):
        meant = next((f"; write {rule.code}" for rule in RULES if rule.name == comment.code), None)
        hint = meant or nearest(comment.code.upper(), CODES)
        message = f"no code begins with {comment.code}, so this silences nothing{hint}"
        expected = "a code, as in `# mulint: ignore[MU401] reason`"
    return Finding(
        code=SUPPRESSION.code,
        name=SUPPRESSION.name,
        severity=SUPPRESSION.severity,
        severity_if_scaled=SUPPRESSION.severity,
        place=Place(path, comment.line, comment.column, comment.line, comment.column + 1),
        symbol=comment.code,
        message=message,
        expected=expected,
        found=comment.code if comment.scope is Scope.NOTHING else "none",
        subject=f"suppression {path}:{comment.line}:{comment.code}",
    )


def named(configuration: Configuration) -> Named:
    """The sizes that the configuration declares to be widths, or to be none."""
    return Named(configuration.widths.knobs, configuration.widths.fixed)


def _identified(findings: Sequence[Finding], sources: Iterable[SourceFile]) -> list[Finding]:
    """Give every finding a fingerprint that survives moved lines."""
    places = {finding.place.path for finding in findings}
    lines = {s.path: s.lines for s in sources if s.path in places}
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
