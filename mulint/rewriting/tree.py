"""The files of a project as a rewriter sees them: texts, syntax, and the edits collected for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar, cast

from mulint.facts import FileFacts
from mulint.facts import syntax as s
from mulint.facts.spans import Span, contains, end_of, line_of, start_of
from mulint.program.scopes import Files
from mulint.program.values import Site
from mulint.rewriting.edits import CannotRewrite, Cause, TextEdit, apply

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
# Everything else binds more loosely than a product.
_FACTORS = (s.Name, s.Literal, s.Attribute, s.Subscript, s.Call)
_PRODUCTS = ("*", "/", "//", "%", "@", "**")
LONGEST_LINE = 100
N = TypeVar("N")


class Document:
    """One file: its text, its statements, and positions in it."""

    def __init__(self, facts: FileFacts, text: str) -> None:
        self.path = facts.path
        self.body = facts.body
        self.text = text
        ends = [m.end() for m in _LINE_END.finditer(text)]
        self._starts = [0, *ends]
        self.classes = tuple(n for n in s.walk(facts.body) if isinstance(n, s.Class))
        found = _LINE_END.search(text)
        self.newline = found.group() if found else "\n"

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
        for node in s.walk(self.body):
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
        for item in s.walk(self.body):
            if isinstance(item, s.Import) and item.binds == node.id and not item.level:
                whole = item.module if item.name is None else f"{item.module}.{item.name}"
                # `import torch.nn` binds torch.
                root = node.id if item.name is None and whole.startswith(f"{node.id}.") else whole
                return ".".join((root, *attributes))
        return None

    def around(self, span: Span) -> list[s.Expression | s.Statement]:
        """All nodes that contain a span, outermost first."""
        found = [n for n in s.walk(self.body) if hasattr(n, "span") and contains(n.span, span)]
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
        found = {n.id for n in s.walk(self.body) if isinstance(n, s.Name)}
        found |= {n.binds for n in s.walk(self.body) if isinstance(n, s.Import)}
        found |= {n.name for n in s.walk(self.body) if isinstance(n, s.Function | s.Class | s.Parameter)}
        return frozenset(found)


class Tree:
    """All files of a project, and the edits that one unit wants to make."""

    def __init__(self, facts: Sequence[FileFacts], texts: Mapping[str, str]) -> None:
        self.documents = {f.path: Document(f, texts[f.path]) for f in facts}
        self.files = Files(facts)
        self._edits: list[TextEdit] = []
        self._cause: Cause | None = None
        self._changing = False
        self._named: dict[tuple[str, Span, str], str] = {}

    def at(self, site: Site) -> Document:
        """The file of a site."""
        return self.documents[site.path]

    @contextmanager
    def because(self, cause: Cause, *, changing: bool = False) -> Iterator[None]:
        """Edits made inside repair one finding; ``changing``: and change the base model."""
        self._cause, self._changing = cause, changing
        try:
            yield
        finally:
            self._cause, self._changing = None, False

    def take_back(self, cause: Cause) -> None:
        """Drop the edits that were made for one finding alone."""
        self._edits = [e for e in self._edits if e.cause != cause]

    # What edits are made of

    def replace(self, path: str, span: Span, text: str) -> None:
        """Put a text in place of a span."""
        start, end = self.documents[path].range(span)
        self._edits.append(self._edit(path, start, end, text))

    def remove(self, path: str, start: int, end: int) -> None:
        """Remove what stands between two positions."""
        self._edits.append(self._edit(path, start, end, ""))

    def rename(self, path: str, node: s.Attribute, name: str) -> None:
        """Put another name after the dot of an attribute."""
        end = self.documents[path].range(node.span)[1]
        self._edits.append(self._edit(path, end - len(node.name), end, name))

    def insert(self, path: str, position: int, text: str) -> None:
        """Insert a text at a position."""
        edit = self._edit(path, position, position, text)
        if edit not in self._edits:
            self._edits.append(edit)

    def _edit(self, path: str, start: int, end: int, text: str) -> TextEdit:
        return TextEdit(path, start, end, text, self._cause, self._changing)

    def times(self, path: str, node: s.Expression, factor: str, *, enclosed: bool = False) -> None:
        """Multiply an expression by a factor, after what is there.

        ``enclosed`` puts the product in brackets, for an operand of something that binds as tightly.
        """
        document = self.documents[path]
        start, end = document.range(node.span)
        simple = isinstance(node, _FACTORS) or (isinstance(node, s.Binary) and node.operator in _PRODUCTS)
        if simple and not enclosed:
            self.insert(path, end, f" * {factor}")
        else:
            # What is not simple stands in brackets of its own where it is such an operand.
            self.insert(path, start, "(")
            self.insert(path, end, f" * {factor})" if simple else f") * {factor}")

    def add_line_after(self, path: str, statement: s.Statement, *lines: str) -> None:
        """Insert lines after a statement, indented as it is."""
        document = self.documents[path]
        last = end_of(statement.span)[0]
        rest = document.text[
            document.offset(*end_of(statement.span)) : document.offset(last, 1) + len(document.line(last))
        ]
        if rest.strip() and not rest.strip().startswith("#"):
            raise CannotRewrite(f"line {last} holds several statements", "put each on a line of its own")
        indent = document.indent(line_of(statement.span))
        position = document.offset(last, 1) + len(document.line(last))
        self.insert(path, position, "".join(f"{document.newline}{indent}{line}" for line in lines))

    def add_line_before(self, path: str, statement: s.Statement, *lines: str) -> None:
        """Insert lines before a statement and the comments that belong to it, indented as it is."""
        document = self.documents[path]
        first = line_of(statement.span)
        indent = document.indent(first)
        if len(indent) != start_of(statement.span)[1] - 1:
            raise CannotRewrite(f"line {first} holds several statements", "put each on a line of its own")
        while first > 1 and document.line(first - 1).strip().startswith("#"):
            first -= 1
        position = document.offset(first, 1)
        self.insert(path, position, "".join(f"{indent}{line}{document.newline}" for line in lines))

    def name_before(self, path: str, span: Span, name: str, value: str) -> str:
        """Give a value a name on a line before the statement around a span; the value itself if that cannot be."""
        document = self.documents[path]
        statement = document.statement(span)
        free = name not in document.names
        if not free or not isinstance(statement, s.Assign | s.Evaluate | s.Return | s.AugmentedAssign):
            return value
        if self._named.setdefault((path, statement.span, name), value) != value:
            return value
        self.add_line_before(path, statement, f"{name} = {value}")
        return name

    def add_decorator(self, path: str, node: s.Class, line: str) -> None:
        """Insert a decorator directly above a class."""
        document = self.documents[path]
        first = line_of(node.span)
        self.insert(path, document.offset(first, 1), f"{document.indent(first)}{line}{document.newline}")

    def add_keywords(self, path: str, call: s.Call, *texts: str) -> None:
        """Add ``name=value`` as the last arguments of a call, on lines of their own where the others have them."""
        document = self.documents[path]
        close = document.range(call.span)[1] - 1
        given = [a.span for a in call.arguments] + [k.value.span for k in call.keywords]
        if not given:
            self.insert(path, close, ", ".join(texts))
            return
        last = max(given, key=end_of)
        line, column = start_of(last)
        end = document.offset(*end_of(last))
        # A parenthesis around the last argument belongs to it.
        end += _closed(document.text[end:close])
        below = f",{document.newline}{document.indent(line)}"
        begun = document.line(line)[: column - 1].strip()
        if line_of(call.span) < line == end_of(last)[0] and (
            not begun or (begun.endswith("=") and begun.count("=") == 1)
        ):
            self.insert(path, end, "".join(f"{below}{text}" for text in texts))
            return
        added = "".join(f", {text}" for text in texts)
        wide = len(document.line(end_of(last)[0])) + len(added) > LONGEST_LINE and line > line_of(call.span)
        self.insert(path, end, below + ", ".join(texts) if wide else added)

    def add_parameter(self, path: str, function: s.Function, text: str) -> None:
        """Add ``name=default`` as the last parameter before ``**kwargs``, on a line of its own where others are."""
        document = self.documents[path]
        plain = [p for p in function.parameters if p.kind in ("positional", "keyword")]
        if any(p.kind == "*" for p in function.parameters) or not plain:
            raise CannotRewrite(
                f"{function.name} at line {line_of(function.span)} takes *args",
                f"add the parameter {text} by hand",
            )
        last = plain[-1]
        line, column = start_of(last.span)
        end = max(end_of(node.span) for node in (last, last.annotation, last.default) if node is not None)
        begins = line > line_of(function.span) and not document.line(line)[: column - 1].strip()
        alone = begins and "#" not in document.line(end[0])[end[1] - 1 :]
        below = f"{document.newline}{document.indent(line)}"
        position = document.offset(*end)
        if last.default is not None:  # brackets around it belong to it
            before = document.text[document.offset(line, column) : document.range(last.default.span)[0]]
            for _ in range(before.rpartition("=")[2].count("(")):
                position = document.text.index(")", position) + 1
        self.insert(path, position, f",{below if alone else ' '}{text}")

    # What comes out

    @property
    def edits(self) -> tuple[TextEdit, ...]:
        """All edits so far."""
        return tuple(self._edits)

    def patched(self) -> dict[str, str]:
        """The new text of every file that changes."""
        result = {}
        for path in dict.fromkeys(e.path for e in self._edits):
            result[path] = apply(self.documents[path].text, [e for e in self._edits if e.path == path])
        return result

    def imports(self) -> Iterator[tuple[str, s.Import, str]]:
        """Every import of one file of the project by another: importer, statement, imported."""
        for path, document in self.documents.items():
            for node in s.walk(document.body):
                if isinstance(node, s.Import):
                    target = self.files.resolve(node.module, path, node.level)
                    if target is not None:
                        yield path, node, target


def _closed(rest: str) -> int:
    """How many characters of what follows an expression close brackets around it."""
    depth = 0
    for index, character in enumerate(rest):
        if character == ")":
            depth = index + 1
        elif not character.isspace():
            break
    return depth


def _starts_line(document: Document, span: Span) -> bool:
    return document.line(line_of(span))[: start_of(span)[1] - 1].strip() == ""
