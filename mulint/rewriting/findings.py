"""Findings as places in the code."""

from __future__ import annotations

from mulint.facts.spans import span_of
from mulint.findings import Finding
from mulint.program.values import Site


def site_of(finding: Finding) -> Site:
    """The anchor of a finding."""
    place = finding.place
    return Site(place.path, span_of(place.line, place.column, place.end_line, place.end_column))
