"""Comments that silence findings: ``# mulint: ignore[MU102] reason`` and ``# mulint: file-ignore[MU1] reason``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_COMMENT = re.compile(r"#\s*mulint:\s*(?:(?P<kind>file-ignore|ignore)\[(?P<codes>[^\]]*)\])?")
_MARK = "mulint:"


class Scope(Enum):
    """What a comment silences; nothing, where it is addressed to mulint and written in a way that is not read."""

    STATEMENT = auto()
    FILE = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Suppression:
    """One code of one comment, or the text of a comment that silences nothing.

    ``line`` is where the comment stands; it covers lines ``first`` to ``last``, or the whole file.
    """

    code: str
    line: int
    column: int
    first: int
    last: int
    scope: Scope

    def covers(self, code: str, line: int, end_line: int) -> bool:
        """Whether a finding of a code on some lines is silenced."""
        if self.scope is Scope.NOTHING or not code.startswith(self.code):
            return False
        return self.scope is Scope.FILE or (line <= self.last and end_line >= self.first)


def suppressions(text: str) -> tuple[Suppression, ...]:
    """All suppressions of a file; strings that merely look like comments are none."""
    if _MARK not in text:
        return ()
    try:
        return tuple(_read(text))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return ()


def _read(text: str) -> Iterator[Suppression]:
    waiting: list[tuple[re.Match[str], tokenize.TokenInfo]] = []
    start = 1
    trailing: list[tuple[re.Match[str], tokenize.TokenInfo]] = []
    fresh = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            match = _COMMENT.search(token.string)
            if match is not None:
                own_line = not token.line[: token.start[1]].strip()
                (waiting if own_line and fresh else trailing).append((match, token))
        elif token.type == tokenize.NEWLINE:
            for match, comment in [*waiting, *trailing]:
                yield from _codes(match, comment, start, token.end[0])
            waiting, trailing, fresh = [], [], True
        elif fresh and token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            start, fresh = token.start[0], False
    for match, comment in [*waiting, *trailing]:
        yield from _codes(match, comment, comment.start[0], comment.start[0])


def _codes(match: re.Match[str], comment: tokenize.TokenInfo, first: int, last: int) -> Iterator[Suppression]:
    line, column = comment.start[0], comment.start[1] + 1
    scope = Scope.FILE if match["kind"] == "file-ignore" else Scope.STATEMENT
    codes = [code.strip() for code in (match["codes"] or "").split(",") if code.strip()]
    for code in codes:
        yield Suppression(code, line, column, first, last, scope)
    if not codes:
        yield Suppression(comment.string[match.start() :].strip(), line, column, first, last, Scope.NOTHING)
