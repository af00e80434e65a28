"""Findings for people: message, place, source excerpt, expected against found, related places, a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from mulint.findings import Finding, Intent, Report, Severity

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
_MOST_NOT_UNDERSTOOD = 3
_OWN = "MU9"  # codes of mulint itself, which no rewrite and no silencing follows
Shown = Callable[[str], str]


def render(report: Report, shown: Shown, *, verbose: bool = False, quiet: bool = False) -> Text:
    """The whole report; ``shown`` turns a path of the project into the one to print."""
    result = Text()
    for finding in report.findings:
        result.append_text(_finding(finding, report, shown))
        result.append("\n")
    for line in _problems(report, shown):
        result.append(line + "\n")
    if not quiet:
        for line in summary(report, shown, verbose=verbose):
            result.append(line + "\n")
    return result


def to_terminal(text: Text) -> None:
    """Print to standard output; colours where it is a terminal and NO_COLOR is not set."""
    # Source code is no markup, and its lines are not ours to wrap.
    Console(markup=False, emoji=False, highlight=False, soft_wrap=True).print(text, end="")


def _finding(finding: Finding, report: Report, shown: Shown) -> Text:
    place = finding.place
    lines = report.excerpts.get(place.path, ())
    _, line = report.in_cell(place.path, place.line)
    number = len(str(line))
    gutter = " " * number
    result = Text()
    result.append(finding.code, style=_COLOURS[finding.severity])
    result.append(f" {finding.severity}: ", style="dim")
    result.append(f"{finding.message}\n", style="bold")
    result.append(f"{gutter}--> ", style="blue")
    result.append(f"{report.where(place.path, place.line, shown(place.path))}:{place.column}\n")
    if place.line <= len(lines):
        source = lines[place.line - 1]
        result.append(f"{gutter} |\n{line} | ", style="blue")
        result.append(f"{source.expandtabs(4)}\n")
        result.append(f"{gutter} | ", style="blue")
        result.append(f"{_underline(source, finding)}\n", style=_COLOURS[finding.severity])
    for label, value in (("expected", finding.expected), ("found", finding.found)):
        result.append(f"{gutter} = ", style="blue")
        result.append(f"{label}: ", style="dim")
        result.append(f"{value}\n")
    for related in finding.related:
        result.append(f"{gutter} = ", style="blue")
        result.append("see: ", style="dim")
        result.append(f"{report.where(related.path, related.line, shown(related.path))} {related.what}\n")
    return result


def _underline(source: str, finding: Finding) -> str:
    """Carets under the range, as far as it reaches on its first line."""
    place = finding.place
    start = len(source[: place.column - 1].expandtabs(4))
    stop = place.end_column - 1 if place.end_line == place.line else len(source.rstrip())
    end = len(source[:stop].expandtabs(4))
    return " " * start + "^" * max(1, end - start)


def _problems(report: Report, shown: Shown) -> Iterator[str]:
    for error in (*report.errors, *report.skipped):
        yield f"{report.where(error.path, error.line, shown(error.path))}: {error.code} {error.message}"


def summary(report: Report, shown: Shown, *, verbose: bool) -> Iterator[str]:
    """What was found, what was understood and what was not, and whether the code asks for μP."""
    if report.files == 0:
        if not report.errors and not report.skipped:
            yield "No Python files were found under the given paths."
        return
    yield _counts(report)
    if report.accepted:
        yield f"The baseline holds {_count(report.accepted, 'more finding')}."
    if report.torch_files == 0:
        yield f"None of {_count(report.files, 'file')} mentions torch: there was nothing to check."
        return
    seen = report.understood
    yield (
        f"Understood {_count(seen.modules, 'module class')}, {_count(seen.parameters, 'parameter')}, "
        f"{_count(seen.optimizers, 'optimizer')} and {_count(seen.schedulers, 'scheduler')} "
        f"in {_count(seen.files, 'file')}."
    )
    if seen.parameters == 0:
        yield "No parameter's size could be followed, so nothing was judged; `mulint trace` measures instead."
    yield from _not_understood(report, shown, verbose=verbose)
    yield from _intent(report)
    yield from _next(report)


def _counts(report: Report) -> str:
    if not report.findings:
        return "No findings."
    codes = Counter(f.code for f in report.findings)
    severities = Counter(f.severity for f in report.findings)
    by_severity = ", ".join(_count(severities[s], s.value) for s in reversed(Severity) if severities[s])
    by_code = ", ".join(f"{code} ×{n}" if n > 1 else code for code, n in sorted(codes.items()))
    return f"Found {by_severity}: {by_code}."


def _not_understood(report: Report, shown: Shown, *, verbose: bool) -> Iterator[str]:
    missing = report.not_understood
    if not missing:
        return
    yield f"Not understood: {_count(len(missing), 'place')}{'' if verbose else ' (all with --verbose)'}"
    for item in missing if verbose else missing[:_MOST_NOT_UNDERSTOOD]:
        yield f"  {report.where(item.path, item.line, shown(item.path))} {item.what}: {item.because}"


def _intent(report: Report) -> Iterator[str]:
    strongest = [p for p in report.packages if p.intent is report.intent]
    because = strongest[0].because if strongest else "no package"
    if report.intent is Intent.NONE:
        if report.findings:
            yield (
                "This code does not ask for μP, so these are notes. To have them as errors, "
                "add a [tool.mulint] table to pyproject.toml."
            )
        return
    yield f"μP is {'asked for' if report.intent is Intent.OPTED_IN else 'evident'}: {because}."


def _next(report: Report) -> Iterator[str]:
    """Commands that lead on from the findings."""
    codes = [f.code for f in report.findings if not f.code.startswith(_OWN)]
    if not codes:
        return
    accepting = (
        "`mulint init` writes that table"
        if report.intent is Intent.NONE
        else "`mulint check --write-baseline` accepts what is there today"
    )
    yield (
        f"Next: `mulint explain {codes[0]}` says why and how to silence one place; "
        f"`mulint fix --diff` shows what it rewrites; {accepting}."
    )


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def statistics(report: Report) -> str:
    """One line a code: how often, and its name."""
    codes = Counter((f.code, f.name) for f in report.findings)
    rows = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    return "".join(f"{number}\t{code}\t{name}\n" for (code, name), number in rows)
