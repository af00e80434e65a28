"""The state and the operations of an abstract run, as the library's functions see them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mulint.facts.spans import Span
from mulint.facts.syntax import Attribute, Expression, Function, Lambda, Name, Statement, walk
from mulint.findings import NotUnderstood
from mulint.program.dimensions import Dimension, Symbol
from mulint.program.joining import join, keep_factor
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.observations import Observations
from mulint.program.records import Moment
from mulint.program.scopes import Files, Scope
from mulint.program.values import (
    Choice,
    ClassValue,
    Constant,
    DictValue,
    GroupsValue,
    GroupValue,
    Knob,
    ListValue,
    ModuleValue,
    ObjectValue,
    Site,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)

Steps = int


class OutOfBudget(Exception):
    """One entry point took too many steps to follow."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call; ``complete`` is False after ``**unknown`` or ``*unknown``."""

    positional: tuple[Value, ...]
    keywords: dict[str, Value]
    site: Site
    owner: str = ""
    complete: bool = True

    def get(self, name: str, position: int | None = None) -> Value | None:
        """The argument by keyword, or by position if one is given."""
        if name in self.keywords:
            return self.keywords[name]
        if position is not None and position < len(self.positional):
            return self.positional[position]
        return None

    def bind(self, names: Sequence[str]) -> dict[str, Value]:
        """Positional arguments by the given names, and all keywords."""
        return {**dict(zip(names, self.positional, strict=False)), **self.keywords}

    @property
    def values(self) -> tuple[Value, ...]:
        """All argument values."""
        return (*self.positional, *self.keywords.values())


@dataclass(slots=True)
class Frame:
    """One active call of a user's function."""

    returns: list[Value] = field(default_factory=list)


class _Meanwhile:
    """Gives a part of a run's state another value for a while; entered too often for a generator."""

    __slots__ = ("_before", "_name", "_run", "_value")

    def __init__(self, run: Run, name: str, value: object) -> None:
        self._run, self._name, self._value = run, name, value

    def __enter__(self) -> None:
        self._before = getattr(self._run, self._name)
        setattr(self._run, self._name, self._value)

    def __exit__(self, *_: object) -> None:
        setattr(self._run, self._name, self._before)


class Run(ABC):
    """One abstract run over all files of a project."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.seen = Observations()
        self.uncertainty = 0
        self.order = 0
        self.entry = 0
        self.arms: tuple[tuple[int, int], ...] = ()
        self.branch: Site | None = None
        # How often what happens now happens in all, as far as the loops around it are ranges.
        self.repeats: Number = ONE
        # The keys of parameter groups that the value of the current assignment is computed from.
        self.group_reads: set[str] = set()
        # Whether what happens now hangs on something that a condition reads from a parameter group.
        self.asks_group = False
        self.imports: set[tuple[str, str]] = set()
        # What is taken where an option is not given (``out or dim``).
        self.stand_ins: dict[Symbol, Number] = {}
        # The call of a function that makes layers by a module that is being built.
        self.helper: Arguments | None = None
        # The states of optimizers and schedulers in files, by what names the file.
        self.files_written: dict[Value, Value] = {}
        # Paths that are joined from parts which are not all known.
        self.paths: dict[tuple[Value, ...], Knob] = {}
        # What ``wandb.config`` holds, in whatever file.
        self.settings: Knob | None = None
        # What libraries hold of the options of the program, in whatever file.
        self.options: dict[str, Knob] = {}
        self._noted: set[NotUnderstood] = set()
        self._read: dict[int, dict[str, set[str]]] = {}

    @abstractmethod
    def evaluate(self, expression: Expression, scope: Scope) -> Value:
        """The abstract value of an expression."""

    @abstractmethod
    def execute(self, body: Sequence[Statement], scope: Scope, frame: Frame) -> bool:
        """Run a block; True if control cannot pass its end."""

    @abstractmethod
    def call(self, function: Value, arguments: Arguments) -> Value:
        """Call any value."""

    @abstractmethod
    def attribute(self, value: Value, name: str, site: Site) -> Value:
        """Read an attribute of any value."""

    @abstractmethod
    def set_attribute(self, value: Value, name: str, new: Value, site: Site) -> None:
        """Assign an attribute of any value."""

    @abstractmethod
    def module_scope(self, path: str) -> Scope:
        """The global names of a file, which is run when first asked for."""

    @abstractmethod
    def spend(self) -> None:
        """Count one step.

        Raises:
            OutOfBudget: the entry point has used up its steps.
        """

    def next_order(self) -> int:
        """A number that grows with every observed event."""
        self.order += 1
        return self.order

    def note(self, site: Site, what: str, because: str) -> None:
        """Say once that something was not understood."""
        item = NotUnderstood(site.path, site.line, what, because)
        if item not in self._noted:
            self._noted.add(item)
            self.seen.not_understood.append(item)

    def attributes_read(self, node: Function | Lambda) -> dict[str, set[str]]:
        """What the body of a function takes from each name: ``{"config": {"n_embd"}}``."""
        found = self._read.get(id(node))
        if found is None:
            found = self._read[id(node)] = {}
            for inner in walk(node.body):
                if isinstance(inner, Attribute) and isinstance(inner.value, Name):
                    found.setdefault(inner.value.id, set()).add(inner.name)
        return found

    def knob(self, symbol: Symbol, default: Value | None) -> Knob:
        """A knob with a default; of two numbers that the code has for one knob neither is known."""
        if isinstance(default, Number):
            known = self.seen.defaults.setdefault(symbol, default)
            if known != default:
                self.seen.defaults[symbol] = UNKNOWN_NUMBER
        return Knob(symbol, default)

    def stand_in(self, option: Symbol, value: Value) -> None:
        """Note what is taken where an option is not given."""
        known = self.stand_ins.get(option)
        self.stand_ins[option] = as_number(value if known is None else join(known, value))

    def uncertain(self) -> _Meanwhile:
        """Everything inside happens only under a condition that is not known."""
        return _Meanwhile(self, "uncertainty", self.uncertainty + 1)

    def reading_groups(self) -> _Meanwhile:
        """One assignment, apart from those in functions that its value calls."""
        return _Meanwhile(self, "group_reads", set())

    def asking_group(self) -> _Meanwhile:
        """The arms of a condition that reads something from a parameter group."""
        return _Meanwhile(self, "asks_group", True)

    def arm(self, condition: int, number: int) -> _Meanwhile:
        """Everything inside happens in one arm of an unknown condition; its other arms exclude it."""
        return _Meanwhile(self, "arms", (*self.arms, (condition, number)))

    def branching(self, site: Site) -> _Meanwhile:
        """Ways to compute one thing, of which how a model was set up takes one."""
        return _Meanwhile(self, "branch", site)

    @property
    def moment(self) -> Moment:
        """Now, as the newest event."""
        return Moment(self.next_order(), self.entry, self.arms)


def site_of(scope: Scope, span: Span) -> Site:
    """The place of a span in the file of a scope."""
    return Site(scope.path, span)


def truth(value: Value) -> bool | None:
    """Whether a value is true, if that is known."""
    match value:
        case Constant(value=known):
            return bool(known)
        case Number():
            return None if value.constant is None else bool(value.constant)
        case ListValue(items=items, complete=complete):
            return bool(items) if complete else None
        case Choice(options=several):
            outcomes = {truth(o) for o in several}
            return outcomes.pop() if len(outcomes) == 1 else None
        case ModuleValue() | ClassValue():
            return True
        case _:
            return None


def iterate(value: Value) -> tuple[list[Value], bool]:
    """The items of an iterable and whether these are surely all, in order."""
    match value:
        case ListValue(items=items, complete=complete):
            return list(items), complete
        case ModuleValue(container=container) if container:
            return list(value.attributes.values()), container != "repeated"
        case Constant(value=str(text)):
            return [Constant(c) for c in text], len(text) <= 16
        case Choice():
            merged: list[Value] = []
            for option in options(value):
                items, _ = iterate(option)
                merged.extend(items)
            return merged or [Unknown("items of an unknown value")], False
        case Tensor(dims=dims, open=is_open):
            return [Tensor(dims[1:] if not is_open else dims, is_open, sources=value.sources)], False
        case Knob():
            return [Knob(value.symbol)], False
        case GroupsValue(record=record):
            return [GroupValue(record, every=True)], False
        case _:
            return [Unknown("items of an unknown value")], False


def sources_of(values: Sequence[Value]) -> Tensor | None:
    """One tensor that carries the sources of all tensors among values, or None if there are none.

    It no longer shows the scalar factors on these: they are kept with what they scale.
    """
    tensors = [t for v in values for t in tensors_in(v)]
    if not tensors:
        return None
    for tensor in tensors:
        if tensor.factor != ONE:
            keep_factor(tensor)
    return Tensor(sources=frozenset().union(*(t.sources for t in tensors)))


def tensors_in(value: Value, depth: int = 0) -> Iterator[Tensor]:
    """All tensors inside a value."""
    if isinstance(value, Tensor):
        yield value
    elif depth < 3:
        match value:
            case ListValue(items=items):
                inner: list[Value] = items
            case Choice(options=several):
                inner = list(several)
            case DictValue(entries=entries):
                inner = list(entries.values())
            case ObjectValue(attributes=attributes):
                inner = list(attributes.values())
            case _:
                inner = []
        for item in inner:
            yield from tensors_in(item, depth + 1)


def number_argument(arguments: Arguments, name: str, position: int | None = None) -> Number | None:
    """An argument read as a number; None if it is not given or None."""
    value = arguments.get(name, position)
    if value is None or (isinstance(value, Constant) and value.value is None):
        return None
    return as_number(value)


def read_off_data(what: str, site: Site) -> Number:
    """A number that data decide (the length of a vocabulary, a largest label): like an option, it is a knob."""
    return Number((Dimension.of(Symbol(what, site.path, site.line)),))
