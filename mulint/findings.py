"""What a rule reports: findings, and the edits that would repair them.

Plain data shared by rules, rewriting and reporting; the JSON form is described by
``reporting/schemas/check.schema.json``. Lines and columns are 1-based and count characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a departure matters, weakest first."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for a note, 1 for a warning, 2 for an error."""
        return list(Severity).index(self)


class Evidence(StrEnum):
    """Where the knowledge behind a finding comes from."""

    STATIC = "static"
    TRACE = "trace"
    BOTH = "both"


class Applicability(StrEnum):
    """What a fix does to the model at its base width."""

    BASE_IDENTICAL = "base-identical"
    CHANGES_TRAINING = "changes-training"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A range of one file; ``path`` is relative to the project root, with ``/``."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to the same fault."""

    path: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text between two positions (line, column) of one file."""

    path: str
    start: tuple[int, int]
    end: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """The edits that repair one finding; all of them or none."""

    applicability: Applicability
    title: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault at one place.

    ``severity`` is what is printed; ``severity_if_scaled`` is what it would be in a package with
    μP intent. ``subject`` names the thing at fault (one readout, one optimizer, one weight's init):
    of several findings with one subject, only the one that the precedence puts first is kept.
    """

    code: str
    name: str
    severity: Severity
    severity_if_scaled: Severity
    place: Place
    symbol: str
    message: str
    expected: str
    found: str
    subject: str
    evidence: Evidence = Evidence.STATIC
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    fingerprint: str = ""
