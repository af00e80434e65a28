"""A report as JSON; its form is ``schemas/check.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mulint import __version__
from mulint.findings import Finding, Fix, Report

SCHEMA = 1


def render(report: Report, shown: Callable[[str], str]) -> str:
    """The report as JSON text, ended by a newline. Its paths are relative to the project, wherever it is run."""
    del shown
    return json.dumps(as_data(report), indent=2, ensure_ascii=False) + "\n"


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain data in the order of the contract."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "intent": report.intent.value,
        "packages": [{"path": p.path, "intent": p.intent.value, "because": p.because} for p in report.packages],
        "findings": [
            {**_in_cell(report, finding_data(f)), "related": [_in_cell(report, asdict(r)) for r in f.related]}
            for f in report.findings
        ],
        "understood": asdict(report.understood),
        "not_understood": [_in_cell(report, asdict(n)) for n in report.not_understood],
        "errors": [_in_cell(report, asdict(e)) for e in (*report.errors, *report.skipped)],
    }


def _in_cell(report: Report, data: dict[str, Any]) -> dict[str, Any]:
    """Data with a path and a line, in a notebook with the cell and the line in it."""
    cell, line = report.in_cell(data["path"], data["line"])
    if cell is None:
        return data
    ends = {"end_line": data["end_line"] - data["line"] + line} if "end_line" in data else {}
    return {**data, "line": line, **ends, "cell": cell}


def finding_data(finding: Finding) -> dict[str, Any]:
    """One finding as plain data; a trace's JSON uses the same form."""
    place = finding.place
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "severity_if_scaled": finding.severity_if_scaled.value,
        "path": place.path,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "symbol": finding.symbol,
        "message": finding.message,
        "expected": finding.expected,
        "found": finding.found,
        "evidence": finding.evidence.value,
        "related": [asdict(r) for r in finding.related],
        "fix": None if finding.fix is None else _fix(finding.fix),
        "fingerprint": finding.fingerprint,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "applicability": fix.applicability.value,
        "title": fix.title,
        "edits": [{"path": e.path, "start": list(e.start), "end": list(e.end), "text": e.text} for e in fix.edits],
    }
