"""The files of a project as a rewriter reads them: texts, syntax, positions, and which of them imports which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeVar, cast

from mulint.facts import FileFacts
from mulint.facts import syntax as s
from mulint.facts.spans import Span, contains, end_of, line_of, start_of
from mulint.program.scopes import Files
from mulint.rewriting.edits import CannotRewrite

_LINE_END = re.compile(r"\r\n|\r|\n")
_STATEMENTS = (
    s.Assign,
    s.AugmentedAssign,
    s.Evaluate,
    s.Return,
    s.If,
    s.For,
    s.While,
    s.With,
    s.Try,
    s.Import,
    s.Function,
    s.Class,
)
N = TypeVar("N")


class Document:
    """One file: its text, its statements, and positions in it."""

    def __init__(self, facts: FileFacts, text: str) -> None:
        self.path = facts.path
        self.body = facts.body
        self.text = text
        ends = [m.end() for m in _LINE_END.finditer(text)]
        self._starts = [0, *ends]
        found = _LINE_END.search(text)
        self.newline = found.group() if found else "\n"

    @cached_property
    def nodes(self) -> tuple[object, ...]:
        """All nodes of the file, outer ones before those in them."""
        return tuple(s.walk(self.body))

    @cached_property
    def imports(self) -> tuple[s.Import, ...]:
        """All imports, wherever they stand."""
        return tuple(n for n in self.nodes if isinstance(n, s.Import))

    @cached_property
    def classes(self) -> tuple[s.Class, ...]:
        """All classes, outer ones before those in them."""
        return tuple(n for n in self.nodes if isinstance(n, s.Class))

    def offset(self, line: int, column: int) -> int:
        """The position of a 1-based line and column."""
        return self._starts[line - 1] + column - 1

    def range(self, span: Span) -> tuple[int, int]:
        """The positions of a span's start and end."""
        return self.offset(*start_of(span)), self.offset(*end_of(span))

    def source(self, node: s.Expression | s.Statement) -> str:
        """The text of a node."""
        start, end = self.range(node.span)
        return self.text[start:end]

    def line(self, number: int) -> str:
        """One line without its end."""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")

    def indent(self, number: int) -> str:
        """The white space that a line starts with."""
        line = self.line(number)
        return line[: len(line) - len(line.lstrip())]

    def step(self) -> str:
        """The white space that a block of the file is indented by."""
        for node in self.nodes:
            if isinstance(node, s.Function | s.Class | s.For) and line_of(node.body[0].span) > line_of(node.span):
                return self.indent(line_of(node.body[0].span))[len(self.indent(line_of(node.span))) :]
        return "    "

    def qualified(self, node: s.Expression) -> str | None:
        """The name that an expression has where it is imported from, ``torch.nn.Linear``; None for any other."""
        attributes: list[str] = []
        while isinstance(node, s.Attribute):
            attributes.insert(0, node.name)
            node = node.value
        if not isinstance(node, s.Name):
            return None
        for item in self.imports:
            if item.binds == node.id and not item.level:
                whole = item.module if item.name is None else f"{item.module}.{item.name}"
                # `import torch.nn` binds torch.
                root = node.id if item.name is None and whole.startswith(f"{node.id}.") else whole
                return ".".join((root, *attributes))
        return None

    def around(self, span: Span) -> list[s.Expression | s.Statement]:
        """All nodes that contain a span, outermost first."""
        found = [n for n in self.nodes if hasattr(n, "span") and contains(n.span, span)]
        return cast("list[s.Expression | s.Statement]", found)

    def class_at(self, span: Span) -> s.Class | None:
        """The innermost class around a span."""
        return next((n for n in reversed(self.classes) if contains(n.span, span)), None)

    def innermost(self, span: Span, kind: type[N]) -> N | None:
        """The innermost node of a kind around a span."""
        return next((n for n in reversed(self.around(span)) if isinstance(n, kind)), None)

    def exactly(self, span: Span, kind: type[N]) -> N | None:
        """The node of a kind with exactly this span."""
        found = [n for n in self.around(span) if isinstance(n, kind) and n.span == span]
        return found[0] if found else None

    def statement(self, span: Span) -> s.Statement:
        """The innermost statement around a span."""
        found = [n for n in self.around(span) if isinstance(n, _STATEMENTS)]
        if not found:
            raise CannotRewrite(f"line {line_of(span)} is no plain statement", "rewrite that line by hand")
        return found[-1]

    def quote(self) -> str:
        """The quote that the file uses for short strings."""
        return "'" if self.text.count("'") > self.text.count('"') else '"'

    @cached_property
    def names(self) -> frozenset[str]:
        """All names that the file binds or reads anywhere."""
        found = {n.id for n in self.nodes if isinstance(n, s.Name)}
        found |= {n.binds for n in self.imports}
        found |= {n.name for n in self.nodes if isinstance(n, s.Function | s.Class | s.Parameter)}
        return frozenset(found)


class Documents:
    """All files of a project; they are read once, whatever is planned for them."""

    def __init__(self, facts: Sequence[FileFacts], texts: Mapping[str, str]) -> None:
        self.by_path = {f.path: Document(f, texts[f.path]) for f in facts}
        self.resolve = Files(facts).resolve

    @cached_property
    def imports(self) -> tuple[tuple[str, s.Import, str], ...]:
        """Every import of one file of the project by another: importer, statement, imported."""
        return tuple(
            (path, node, target)
            for path, document in self.by_path.items()
            for node in document.imports
            if (target := self.resolve(node.module, path, node.level)) is not None
        )
