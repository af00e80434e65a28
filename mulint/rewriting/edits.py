"""Edits on exact character ranges of a text; nothing outside the ranges changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# Code, path and line of a finding.
Cause = tuple[str, str, int]


class CannotRewrite(Exception):
    """A site cannot be rewritten with certainty: why, and what to do by hand.

    ``question``: nothing is wrong with the site, but only the user knows something that is needed.
    ``unsafe``: it could be rewritten, but that changes the base model and was not asked for.
    """

    def __init__(self, reason: str, manual: str, *, question: bool = False, unsafe: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.manual = manual
        self.question = question
        self.unsafe = unsafe


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the characters from ``start`` to ``end`` of one file; an insertion has both equal.

    ``cause``: the finding that it repairs, as (code, path, line); None for what several share. ``changing``: it
    changes the base model.
    """

    path: str
    start: int
    end: int
    text: str
    cause: Cause | None = field(default=None, compare=False)
    changing: bool = field(default=False, compare=False)


def apply(text: str, edits: Iterable[TextEdit]) -> str:
    """The text with all edits carried out; insertions at one place keep the order they are given in.

    Raises:
        CannotRewrite: two edits want the same characters.
    """
    pieces: list[str] = []
    position = 0
    for edit in sorted(dict.fromkeys(edits), key=lambda e: (e.start, e.end)):
        if edit.start < position:
            raise CannotRewrite(
                "two rewrites want the same characters", "apply them one by one with --select CODE"
            )
        pieces += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*pieces, text[position:]])
