"""What a check reports: findings, the edits that would repair them, and how much was understood.

Plain data shared by program, rules, rewriting and reporting; the JSON form is described by
``reporting/schemas/check.schema.json``. Lines and columns are 1-based and count characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

# Of a notebook, the number of each cell with code and its first line in the text of all of them.
Cells = tuple[tuple[int, int], ...]


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


class Intent(StrEnum):
    """Whether departures from μP are faults in a package, weakest first."""

    NONE = "none"
    EVIDENT = "evident"
    OPTED_IN = "opted-in"


@dataclass(frozen=True, slots=True)
class Package:
    """A folder of the project (``.`` for the files beside the top-level ones), and why it has its intent."""

    path: str
    intent: Intent
    because: str


@dataclass(frozen=True, slots=True)
class Signs:
    """What some files say of the intent of the packages that hold them, before all of these are known.

    ``connected``: pairs of folders with parts of one model, or with a model and its optimizer. ``evidence``: how
    directly it speaks (0 first), a path, a line, and the reason in words.
    """

    files: tuple[str, ...]
    connected: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[int, str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """How much of a project the analysis could follow."""

    files: int
    modules: int
    parameters: int
    optimizers: int
    schedulers: int


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Something that could not be followed, and the reason."""

    path: str
    line: int
    what: str
    because: str


@dataclass(frozen=True, slots=True)
class FileError:
    """A file that could not be checked: MU901 not parsed, MU904 not read, MU905 internal error."""

    code: str
    path: str
    line: int
    message: str


def in_cell(cells: Cells, line: int) -> tuple[int | None, int]:
    """The cell of a notebook that holds a line, and the line in that cell; None and the line elsewhere."""
    before = [(number, first) for number, first in cells if first <= line]
    if not before:
        return None, line
    number, first = before[-1]
    return number, line - first + 1


def where(shown: str, line: int, cells: Cells) -> str:
    """``path:line`` as people read it, ``path:cell 3:line`` in a notebook."""
    cell, inner = in_cell(cells, line)
    return f"{shown}:{inner}" if cell is None else f"{shown}:cell {cell}:{inner}"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run of ``check`` has to say.

    ``excerpts`` holds the lines of files with findings, by path; ``skipped`` the files over the size limit;
    ``files`` and ``torch_files`` how many files were named and how many of them mention torch; ``accepted``
    how many findings are left out because the baseline holds them. ``cells`` are, for each notebook, the number of
    each cell and the line at which it starts; all lines of a notebook count from the start of its first cell.
    """

    root: Path
    intent: Intent
    packages: tuple[Package, ...]
    findings: tuple[Finding, ...]
    understood: Understood
    not_understood: tuple[NotUnderstood, ...]
    errors: tuple[FileError, ...]
    skipped: tuple[FileError, ...]
    excerpts: Mapping[str, tuple[str, ...]]
    files: int
    torch_files: int
    accepted: int = 0
    cells: Mapping[str, Cells] = field(default_factory=dict)

    def in_cell(self, path: str, line: int) -> tuple[int | None, int]:
        """The cell of a notebook that holds a line, and the line in that cell; None and the line elsewhere."""
        return in_cell(self.cells.get(path, ()), line)

    def where(self, path: str, line: int, shown: str) -> str:
        """``path:line`` as people read it, ``path:cell 3:line`` in a notebook."""
        return where(shown, line, self.cells.get(path, ()))
