"""A report as JUnit XML: one suite a file, one failed case a finding."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from mulint.findings import FileError, Finding, Report, Severity

# What XML 1.0 cannot hold.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Shown = Callable[[str], str]


def render(report: Report, shown: Shown) -> str:
    """The report as XML text, ended by a newline. Notes are passed cases with their text as output."""
    root = ET.Element("testsuites", name="mulint")
    paths = dict.fromkeys(e.path for e in (*report.errors, *report.skipped))
    paths |= dict.fromkeys(f.place.path for f in report.findings)
    for path in paths:
        suite = ET.SubElement(root, "testsuite", name=_text(shown(path)))
        for finding in report.findings:
            if finding.place.path == path:
                _finding(suite, finding)
        for error in report.errors:
            if error.path == path:
                _error(suite, error, "error")
        for error in report.skipped:
            if error.path == path:
                _error(suite, error, "skipped")
        _count(suite)
    if not paths:
        suite = ET.SubElement(root, "testsuite", name="mulint")
        ET.SubElement(suite, "testcase", name="no findings", classname="mulint")
        _count(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _finding(suite: ET.Element, finding: Finding) -> None:
    place = finding.place
    case = ET.SubElement(
        suite,
        "testcase",
        name=f"{finding.code} at {place.line}:{place.column}",
        classname=suite.attrib["name"],
        line=str(place.line),
    )
    text = _text(f"{finding.message}\nexpected: {finding.expected}\nfound: {finding.found}")
    if finding.severity is Severity.NOTE:
        ET.SubElement(case, "system-out").text = text
    else:
        failure = ET.SubElement(case, "failure", message=_text(finding.message), type=finding.severity.value)
        failure.text = text


def _error(suite: ET.Element, error: FileError, kind: str) -> None:
    case = ET.SubElement(suite, "testcase", name=f"{error.code} at {error.line}", classname=suite.attrib["name"])
    ET.SubElement(case, kind, message=_text(error.message))


def _count(suite: ET.Element) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))


def _text(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
