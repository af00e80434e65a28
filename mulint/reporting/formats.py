"""The output formats of a check by name: one file each, loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mulint.findings import Report

TEXT = "text"
_MODULES = {
    "concise": "concise",
    "json": "check_json",
    "sarif": "sarif",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
}
FORMATS = (TEXT, *_MODULES)


def render(name: str, report: Report, shown: Callable[[str], str]) -> str:
    """A report in one of the formats for machines; ``shown`` turns a path of the project into the one to print."""
    module = importlib.import_module(f"mulint.reporting.{_MODULES[name]}")
    text: str = module.render(report, shown)
    return text
