"""Syntax that is newer than the Python that runs mulint, in the words of an older one.

libcst reads it whatever interpreter it runs on. The places it stands at are overwritten by something that means
the same to mulint, line by line and column by column, so that every position stays right: type parameters
(PEP 695) say nothing about sizes, nor do the insides of strings (PEP 701, PEP 750).
"""

from __future__ import annotations

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider


def in_older_words(text: str) -> str | None:
    """The same program for an older grammar; None if it is no Python at all, or is newer in another way."""
    try:
        wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        masks = _Masks(text)
        wrapper.visit(masks)
    except (cst.ParserSyntaxError, RecursionError):
        return None
    return "\n".join("".join(line) for line in masks.lines) if masks.found else None


class _Masks(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.lines = [list(line) for line in text.split("\n")]
        self.found = False

    def visit_TypeParameters(self, node: cst.TypeParameters) -> bool:  # noqa: N802
        """``class Net[T](Module)`` is ``class Net(Module)``; lines inside go on with a backslash."""
        self.overwrite(self.place(node), lambda width, last: " " * width if last else " " * (width - 1) + "\\")
        return False

    def visit_TypeAlias(self, node: cst.TypeAlias) -> bool:  # noqa: N802
        """``type Pair = tuple`` is ``Pair = tuple``."""
        start, name = self.place(node).start, node.name.value
        end = self.place(node.type_parameters or node.name).end
        if start.line == end.line:
            width = end.column - start.column
            self.lines[start.line - 1][start.column : end.column] = name.ljust(width)
            self.found = True
        return False

    def visit_FormattedString(self, node: cst.FormattedString) -> bool:  # noqa: N802
        """A string is a string, whatever stands in it."""
        return self.string(node)

    def visit_TemplatedString(self, node: cst.CSTNode) -> bool:  # noqa: N802
        """Like a formatted one."""
        return self.string(node)

    def string(self, node: cst.CSTNode) -> bool:
        place = self.place(node)
        if place.start.line == place.end.line:
            self.overwrite(place, lambda width, _: f'"{" " * (width - 2)}"')
        return False

    def place(self, node: cst.CSTNode) -> CodeRange:
        place = self.get_metadata(PositionProvider, node)
        assert isinstance(place, CodeRange)
        return place

    def overwrite(self, place: CodeRange, fill: object) -> None:
        assert callable(fill)
        for number in range(place.start.line, place.end.line + 1):
            line, last = self.lines[number - 1], number == place.end.line
            start = place.start.column if number == place.start.line else 0
            end = place.end.column if last else len(line)
            line[start:end] = fill(end - start, last)
        self.found = True
