"""One line a finding: ``path:line:column: CODE severity: message``."""

from __future__ import annotations

from collections.abc import Callable

from mulint.findings import Report


def render(report: Report, shown: Callable[[str], str]) -> str:
    """The whole report, lines ended by newlines."""

    def where(path: str, line: int) -> str:
        return report.where(path, line, shown(path))

    lines = [
        f"{where(f.place.path, f.place.line)}:{f.place.column}: {f.code} {f.severity}: {f.message}"
        for f in report.findings
    ]
    lines += [f"{where(e.path, e.line)}: {e.code} {e.message}" for e in (*report.errors, *report.skipped)]
    return "".join(line + "\n" for line in lines)
