"""The edits that one unit wants to make in the files of a project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mulint.facts import syntax as s
from mulint.facts.spans import Span, end_of, line_of, start_of
from mulint.program.values import Site
from mulint.rewriting.documents import Document, Documents
from mulint.rewriting.edits import CannotRewrite, Cause, TextEdit, apply

# Everything else binds more loosely than a product.
_FACTORS = (s.Name, s.Literal, s.Attribute, s.Subscript, s.Call)
_PRODUCTS = ("*", "/", "//", "%", "@", "**")
LONGEST_LINE = 100


class Tree:
    """All files of a project, and the edits that one unit wants to make."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents.by_path
        self.imports = documents.imports
        self.resolve = documents.resolve
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
        """Insert lines before a statement, its decorators and the comments above it, indented as it is."""
        document = self.documents[path]
        first = line_of(statement.span)
        indent = document.indent(first)
        if len(indent) != start_of(statement.span)[1] - 1:
            raise CannotRewrite(f"line {first} holds several statements", "put each on a line of its own")
        if isinstance(statement, s.Class | s.Function):
            first = min([first, *(line_of(d.span) for d in statement.decorators)])
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
        """Add ``name=default`` as the last before ``**kwargs``, on a line of its own where the others are."""
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


def _closed(rest: str) -> int:
    """How many characters of what follows an expression close brackets around it."""
    depth = 0
    for index, character in enumerate(rest):
        if character == ")":
            depth = index + 1
        elif not character.isspace():
            break
    return depth
