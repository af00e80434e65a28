"""The output formats of a check by name: one file each, loaded when it is asked for."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

from mulint.findings import FileError, Finding, Place, Report

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
_LINES_OF_FILES = ("sarif", "github", "gitlab", "junit")


def render(name: str, report: Report, shown: Callable[[str], str]) -> str:
    """A report in one of the formats for machines; ``shown`` turns a path of the project into the one to print."""
    module = importlib.import_module(f"mulint.reporting.{_MODULES[name]}")
    text: str = module.render(_without_cells(report) if name in _LINES_OF_FILES else report, shown)
    return text


def _without_cells(report: Report) -> Report:
    """For formats that know lines of files only: a notebook as a whole, with the cell and its line in the text."""

    def said(path: str, line: int, text: str) -> str:
        cell, inner = report.in_cell(path, line)
        return f"cell {cell}, line {inner}: {text}"

    def finding(f: Finding) -> Finding:
        related = tuple(
            dataclasses.replace(r, line=1, what=said(r.path, r.line, r.what)) if r.path in report.cells else r
            for r in f.related
        )
        if f.place.path not in report.cells:
            return dataclasses.replace(f, related=related)
        message = said(f.place.path, f.place.line, f.message)
        return dataclasses.replace(f, place=Place(f.place.path, 1, 1, 1, 2), message=message, related=related)

    def error(e: FileError) -> FileError:
        if e.path not in report.cells:
            return e
        return dataclasses.replace(e, line=1, message=said(e.path, e.line, e.message))

    if not report.cells:
        return report
    findings, errors = tuple(map(finding, report.findings)), tuple(map(error, report.errors))
    return dataclasses.replace(report, findings=findings, errors=errors)
