"""A report as workflow commands, which GitHub shows beside the changed lines."""

from __future__ import annotations

from collections.abc import Callable

from mulint.findings import Finding, Report, Severity

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
Shown = Callable[[str], str]


def render(report: Report, shown: Shown) -> str:
    """One command a finding, lines ended by newlines."""
    lines = [_finding(finding, shown(finding.place.path)) for finding in report.findings]
    for error in (*report.errors, *report.skipped):
        level = "error" if error in report.errors else "warning"
        where = f"file={_property(shown(error.path))},line={error.line}"
        lines.append(f"::{level} title=mulint ({error.code}),{where}::{_data(error.message)}")
    return "".join(line + "\n" for line in lines)


def _finding(finding: Finding, path: str) -> str:
    place = finding.place
    where = f"file={_property(path)},line={place.line},col={place.column}"
    # GitHub refuses an end column on another line than the first.
    end = f",endLine={place.end_line}"
    end += f",endColumn={place.end_column}" if place.end_line == place.line else ""
    text = f"{finding.message}\nexpected: {finding.expected}\nfound: {finding.found}"
    return f"::{_LEVELS[finding.severity]} title=mulint ({finding.code}),{where}{end}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
