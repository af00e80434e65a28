"""A report as SARIF 2.1.0, for code scanning. Fingerprints hold no line numbers, so moved code stays known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from mulint import __version__
from mulint.findings import Finding, Report
from mulint.pages import PAGES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "mulint/v1"
Shown = Callable[[str], str]


def render(report: Report, shown: Shown) -> str:
    """The report as JSON text, ended by a newline."""
    codes = sorted({(f.code, f.name) for f in report.findings})
    errors = (*report.errors, *report.skipped)
    run = {
        "tool": {
            "driver": {
                "name": "mulint",
                "version": __version__,
                "rules": [_rule(code, name) for code, name in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not report.errors,
                "toolExecutionNotifications": [
                    {
                        "level": "error" if error in report.errors else "warning",
                        "descriptor": {"id": error.code},
                        "message": {"text": error.message},
                        "locations": [_location(shown(error.path), {"startLine": error.line})],
                    }
                    for error in errors
                ],
            }
        ],
        "results": [_result(finding, shown) for finding in report.findings],
    }
    data = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _rule(code: str, name: str) -> dict[str, Any]:
    """A rule with its page, which code scanning shows beside a finding."""
    entry = PAGES[code]
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": entry.summary},
        "help": {"text": entry.page, "markdown": entry.page},
    }


def _result(finding: Finding, shown: Shown) -> dict[str, Any]:
    place = finding.place
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    text = f"{finding.message}. Expected: {finding.expected}; found: {finding.found}."
    return {
        "ruleId": finding.code,
        "level": finding.severity.value,
        "message": {"text": text},
        "locations": [_location(shown(place.path), region)],
        "relatedLocations": [
            {"id": number, **_location(shown(r.path), {"startLine": r.line}), "message": {"text": r.what}}
            for number, r in enumerate(finding.related, 1)
        ],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
    }


def _location(path: str, region: dict[str, int]) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": quote(path)}, "region": region}}
