"""What a fix does to one file, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilePatch:
    """One file before and after.

    ``path`` is relative to the project root, with ``/``. ``before`` is None for a new file. Texts are as
    decoded, with their newlines and without a byte order mark. ``edits`` counts the ranges that differ.
    """

    path: str
    before: str | None
    after: str
    edits: int
