"""Ranges in a file. Every node has one, so that one number holds the four: a tuple takes twice the memory."""

from __future__ import annotations

from typing import NewType

Span = NewType("Span", int)

_BITS = 24
_LARGEST = (1 << _BITS) - 1


def span_of(line: int, column: int, end_line: int, end_column: int) -> Span:
    """A range: 1-based lines and columns in characters, the last column exclusive. Spans sort as these do."""
    if column > _LARGEST or end_column > _LARGEST:
        column, end_column = min(column, _LARGEST), min(end_column, _LARGEST)
    return Span((((line << _BITS | column) << _BITS) | end_line) << _BITS | end_column)


def whole_line(line: int) -> Span:
    """The start of a line, for what is said of all of it."""
    return span_of(line, 1, line, 1)


def line_of(span: Span) -> int:
    """The line that a range starts on."""
    return span >> 3 * _BITS


def start_of(span: Span) -> tuple[int, int]:
    """Line and column that a range starts at."""
    return span >> 3 * _BITS, (span >> 2 * _BITS) & _LARGEST


def end_of(span: Span) -> tuple[int, int]:
    """Line and column that a range ends before."""
    return (span >> _BITS) & _LARGEST, span & _LARGEST


def contains(outer: Span, inner: Span) -> bool:
    """Whether one range lies in another, or is the same."""
    return start_of(outer) <= start_of(inner) and end_of(inner) <= end_of(outer)
