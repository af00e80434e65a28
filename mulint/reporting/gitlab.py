"""A report in GitLab's Code Quality form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from mulint.findings import FileError, Finding, Report, Severity

_LEVELS = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}
Shown = Callable[[str], str]


def render(report: Report, shown: Shown) -> str:
    """The report as a JSON list, ended by a newline."""
    entries = [_finding(finding, shown) for finding in report.findings]
    entries += [_error(error, "blocker", shown) for error in report.errors]
    entries += [_error(error, "info", shown) for error in report.skipped]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _finding(finding: Finding, shown: Shown) -> dict[str, Any]:
    place = finding.place
    return {
        "check_name": finding.code,
        "description": f"{finding.code}: {finding.message}",
        "severity": _LEVELS[finding.severity],
        "fingerprint": finding.fingerprint,
        "location": {
            "path": shown(place.path),
            "positions": {
                "begin": {"line": place.line, "column": place.column},
                "end": {"line": place.end_line, "column": place.end_column},
            },
        },
    }


def _error(error: FileError, severity: str, shown: Shown) -> dict[str, Any]:
    content = f"{error.code}\0{error.path}\0{error.message}".encode(errors="surrogatepass")
    digest = hashlib.sha256(content).hexdigest()[:16]
    return {
        "check_name": error.code,
        "description": f"{error.code}: {error.message}",
        "severity": severity,
        "fingerprint": digest,
        "location": {"path": shown(error.path), "lines": {"begin": error.line}},
    }
