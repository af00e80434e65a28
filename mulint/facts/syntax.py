"""What is kept of a Python file: its statements and expressions as plain, frozen, picklable data.

A small subset of Python's grammar: whatever can say how a model is built, initialised, applied and
optimised. Everything else becomes ``Opaque``, which keeps its place so that later rooms can say what
was not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, get_args

from mulint.facts.spans import Span


@dataclass(frozen=True, slots=True)
class Name:
    span: Span
    id: str


@dataclass(frozen=True, slots=True)
class Literal:
    span: Span
    value: int | float | complex | str | bytes | bool | None


@dataclass(frozen=True, slots=True)
class Attribute:
    span: Span
    value: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Subscript:
    span: Span
    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Slice:
    span: Span
    lower: Expression | None
    upper: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True)
class Starred:
    span: Span
    value: Expression


@dataclass(frozen=True, slots=True)
class Keyword:
    """``name=value`` in a call; ``name`` is None for ``**value``."""

    name: str | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call:
    span: Span
    function: Expression
    arguments: tuple[Expression, ...]
    keywords: tuple[Keyword, ...]

    @property
    def named(self) -> dict[str, Expression]:
        """What is given by name; without what ``**value`` holds."""
        return {k.name: k.value for k in self.keywords if k.name is not None}

    @property
    def unpacked(self) -> tuple[Expression, ...]:
        """The values of ``**value``."""
        return tuple(k.value for k in self.keywords if k.name is None)

    def argument(self, name: str, position: int | None = None) -> Expression | None:
        """What is given for a parameter, by name or by position."""
        if name in self.named or position is None:
            return self.named.get(name)
        return self.arguments[position] if position < len(self.arguments) else None


@dataclass(frozen=True, slots=True)
class Binary:
    """An arithmetic operator: ``+ - * / // % ** @`` or a bitwise one."""

    span: Span
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Unary:
    """``-``, ``+``, ``~`` or ``not``."""

    span: Span
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Boolean:
    """``and`` or ``or`` over two or more operands."""

    span: Span
    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    span: Span
    left: Expression
    operators: tuple[str, ...]
    rights: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    span: Span
    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Display:
    """A list, tuple or set written out."""

    span: Span
    kind: str
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class DictDisplay:
    """A dict written out; a None key is ``**value``."""

    span: Span
    keys: tuple[Expression | None, ...]
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Generator:
    target: Expression
    iterable: Expression
    conditions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``kind`` is list, set, generator or dict; ``key`` only for a dict."""

    span: Span
    kind: str
    key: Expression | None
    element: Expression
    generators: tuple[Generator, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function; ``kind`` is positional, keyword, ``*`` or ``**``."""

    span: Span
    name: str
    kind: str
    default: Expression | None
    annotation: Expression | None


@dataclass(frozen=True, slots=True)
class Lambda:
    span: Span
    parameters: tuple[Parameter, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Format:
    """An f-string: its literal and computed parts in order."""

    span: Span
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Walrus:
    span: Span
    target: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class Opaque:
    """Syntax that says nothing about scaling, or is not followed."""

    span: Span
    what: str


Expression = (
    Name
    | Literal
    | Attribute
    | Subscript
    | Slice
    | Starred
    | Call
    | Binary
    | Unary
    | Boolean
    | Compare
    | Conditional
    | Display
    | DictDisplay
    | Comprehension
    | Lambda
    | Format
    | Walrus
    | Opaque
)


@dataclass(frozen=True, slots=True)
class Assign:
    """``a = b = value``, or ``a: annotation = value`` (value None when only declared)."""

    span: Span
    targets: tuple[Expression, ...]
    value: Expression | None
    annotation: Expression | None = None


@dataclass(frozen=True, slots=True)
class AugmentedAssign:
    span: Span
    target: Expression
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression whose value is dropped."""

    span: Span
    value: Expression


@dataclass(frozen=True, slots=True)
class Return:
    span: Span
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Leave:
    """``raise``, ``break`` or ``continue``: what follows in this block is not reached."""

    span: Span
    how: str


@dataclass(frozen=True, slots=True)
class If:
    span: Span
    test: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class For:
    span: Span
    target: Expression
    iterable: Expression
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class While:
    span: Span
    test: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class With:
    span: Span
    items: tuple[tuple[Expression, Expression | None], ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Try:
    """``alternatives`` are the handlers' bodies; ``body`` includes the ``else`` part."""

    span: Span
    body: tuple[Statement, ...]
    alternatives: tuple[tuple[Statement, ...], ...]
    final: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """``import a.b as c`` (name None) or ``from ..a import b as c`` (level counts the dots)."""

    span: Span
    module: str
    name: str | None
    binds: str
    level: int


@dataclass(frozen=True, slots=True)
class Function:
    span: Span
    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    decorators: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Class:
    span: Span
    name: str
    bases: tuple[Expression, ...]
    keywords: tuple[Keyword, ...]
    body: tuple[Statement, ...]
    decorators: tuple[Expression, ...]


Statement = (
    Assign
    | AugmentedAssign
    | Evaluate
    | Return
    | Leave
    | If
    | For
    | While
    | With
    | Try
    | Import
    | Function
    | Class
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file: its path relative to the project root, its statements, its number of lines."""

    path: str
    body: tuple[Statement, ...]
    lines: int


def walk(node: object) -> Iterator[object]:
    """The node and everything inside it, outermost first."""
    pending = [node]
    while pending:
        current = pending.pop()
        kind = type(current)
        if kind is tuple:
            pending += current[::-1]  # type: ignore[index]
            continue
        children = _CHILDREN.get(kind)
        if children is not None:
            yield current
            pending += children(current)


def statements(body: Sequence[Statement]) -> Iterator[Statement]:
    """The statements of a block and of all blocks inside it, outermost first."""
    pending: list[Any] = list(body[::-1])
    while pending:
        current = pending.pop()
        if type(current) is tuple:
            pending += current[::-1]
            continue
        yield current
        pending += (getattr(current, name) for name in _BLOCKS.get(type(current), ()))


def _children(kind: type) -> Callable[[Any], tuple[object, ...]]:
    """What gives the fields of a node that can hold other nodes, last first."""
    leaves = {"span", "id", "operator", "kind", "what", "how", "level", "module", "binds"}
    fields: Iterable[str] = getattr(kind, "__dataclass_fields__", ())
    names = [name for name in reversed(list(fields)) if name not in leaves]
    if len(names) < 2:
        return lambda node: tuple(getattr(node, name) for name in names)
    return attrgetter(*names)


_CHILDREN = {
    kind: _children(kind)
    for kind in (*get_args(Expression), *get_args(Statement), Keyword, Generator, Parameter, FileFacts)
}
_BLOCKS: dict[type, tuple[str, ...]] = {
    If: ("otherwise", "then"),
    For: ("otherwise", "body"),
    While: ("body",),
    With: ("body",),
    Try: ("final", "alternatives", "body"),
    Function: ("body",),
    Class: ("body",),
}
