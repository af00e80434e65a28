"""Abstract values: what an expression of a user's program may be, without running it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mulint.facts.spans import Span, end_of, line_of, start_of, whole_line
from mulint.facts.syntax import Class, Function, Lambda
from mulint.program.dimensions import Dimension, Symbol
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number, number_of

if TYPE_CHECKING:
    from mulint.program.records import Application, Layer, Length, Moment, Norm, Score, Weight
    from mulint.program.scopes import Scope
    from mulint.program.training_records import OptimizerRecord, SchedulerRecord


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a user's file."""

    path: str
    span: Span

    @property
    def line(self) -> int:
        """First line, 1-based."""
        return line_of(self.span)

    @property
    def ends(self) -> tuple[int, int, int, int]:
        """Line and column, 1-based, of its start and of its end."""
        return (*start_of(self.span), *end_of(self.span))

    @staticmethod
    def of_line(path: str, line: int) -> Site:
        """A whole line."""
        return Site(path, whole_line(line))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known, and why."""

    because: str = "not followed"


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, bool, None or bytes."""

    value: str | bytes | bool | None


@dataclass(eq=False, slots=True)
class Knob:
    """A value from outside whose type shows only in its use: a number, or an object with attributes.

    ``foreign``: a library that is not known, and not Python's own, made it.
    """

    symbol: Symbol
    default: Value | None = None
    foreign: bool = False
    attributes: dict[str, Value] = field(default_factory=dict)

    @property
    def number(self) -> Number:
        """The knob read as a number."""
        return Number((Dimension.of(self.symbol),))


@dataclass(eq=False, slots=True)
class ListValue:
    """A list, tuple, set or iterator; ``complete`` is False when there may be other items.

    ``fixed``: a tuple written out, which nothing extends. ``length``: how many items there are, where it is known
    of a range whose items are not kept.
    """

    items: list[Value] = field(default_factory=list)
    complete: bool = True
    fixed: bool = False
    length: Number = UNKNOWN_NUMBER


@dataclass(eq=False, slots=True)
class DictValue:
    """A dict with known string or number keys; ``complete`` is False when there may be others."""

    entries: dict[object, Value] = field(default_factory=dict)
    complete: bool = True


@dataclass(eq=False, slots=True)
class ClassValue:
    """A class of the user's code; ``scope`` holds its attributes and methods.

    ``lineage`` and ``external`` are filled by ``classes`` when they are first asked for.
    """

    name: str
    path: str
    node: Class
    bases: tuple[Value, ...]
    scope: Scope
    lineage: tuple[ClassValue, ...] = ()
    external: tuple[str, ...] | None = None


@dataclass(eq=False, slots=True)
class FunctionValue:
    """A function, method or lambda of the user's code with the scope it closes over."""

    name: str
    path: str
    node: Function | Lambda
    scope: Scope
    owner: ClassValue | None = None
    is_property: bool = False
    is_static: bool = False
    is_class: bool = False


@dataclass(eq=False, slots=True)
class Bound:
    """A user's method bound to its instance or class."""

    function: FunctionValue
    receiver: Value


@dataclass(frozen=True, slots=True)
class External:
    """Something imported from outside the project, by its qualified name."""

    name: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a built-in or torch value, not of the user's code."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Partial:
    """``functools.partial`` of something."""

    function: Value
    arguments: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class SuperValue:
    """``super()`` inside a method of ``owner``."""

    owner: ClassValue
    receiver: Value


@dataclass(eq=False, slots=True)
class ObjectValue:
    """An instance of a user's class that is no module; ``parameter`` of ``origin`` when it is a knob's object."""

    kind: ClassValue
    attributes: dict[str, Value] = field(default_factory=dict)
    level: int = 0


@dataclass(eq=False, slots=True)
class ModuleValue:
    """A module: of a user's class (``kind``), a torch layer (``layer``), or a container.

    ``compiled``: this is what ``torch.compile`` makes of that module. It is the same but for the names of its
    parameters.
    """

    kind: ClassValue | None
    site: Site
    layer: Layer | None = None
    container: str = ""
    attributes: dict[str, Value] = field(default_factory=dict)
    level: int = 0
    owner: str = ""
    compiled: ModuleValue | None = None

    @property
    def itself(self) -> ModuleValue:
        """The module that was compiled, if this is what came of it."""
        return self.compiled or self

    @property
    def children(self) -> dict[str, ModuleValue]:
        """The direct submodules in order of assignment."""
        return {name: v for name, v in self.attributes.items() if isinstance(v, ModuleValue)}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An activation or a parameter.

    ``dims`` are its trailing sizes, all of them unless ``open``. ``sources`` are the applications whose
    outputs flow into it; ``linear`` those of which it is still a linear function, with the scalar
    ``factor`` collected since; ``score`` is set while it holds attention logits, ``probability`` while it holds
    what a softmax gave, ``gradient`` while it is a gradient of a weight times ``factor``. ``parameter`` marks a
    weight of a model that was not seen. ``norm`` is set while it holds what a norm gave, times a scalar,
    ``pair`` while it is an entrywise product of two activations that a sum makes a score, ``length`` while it
    holds a power of the length of an activation.
    """

    dims: tuple[Number, ...] = ()
    open: bool = True
    sources: frozenset[Application] = frozenset()
    linear: frozenset[Application] = frozenset()
    factor: Number = ONE
    factor_sites: tuple[Site, ...] = ()
    score: Score | None = None
    weight: Weight | None = None
    probability: bool = False
    gradient: bool = False
    parameter: bool = False
    norm: Norm | None = None
    pair: Score | None = None
    length: Length | None = None

    @property
    def last(self) -> Number:
        """The size of the last dimension."""
        return self.dims[-1] if self.dims else UNKNOWN_NUMBER

    def scaled(self, factor: Number, site: Site) -> Tensor:
        """The tensor times a scalar that appears at ``site``; plain numbers are not kept beside sizes."""
        sites: tuple[Site, ...] = (site,) if factor.origin is None else (factor.origin, site)
        if self.factor.symbols and factor.constant is not None:
            sites = ()
        before = () if factor.symbols and not self.factor.symbols else self.factor_sites
        return replace(
            self,
            factor=self.factor * factor,
            factor_sites=(*before, *sites),
            weight=None,
            parameter=False,
        )

    def reshaped(self, dims: tuple[Number, ...], *, open_: bool = False) -> Tensor:
        """The same numbers in another shape."""
        return replace(self, dims=dims, open=open_)


@dataclass(eq=False, slots=True)
class OptimizerValue:
    """An optimizer object."""

    record: OptimizerRecord


@dataclass(eq=False, slots=True)
class SchedulerValue:
    """A learning-rate scheduler object."""

    record: SchedulerRecord


@dataclass(eq=False, slots=True)
class SavedState:
    """What ``state_dict()`` of an optimizer or a scheduler gives; ``opened``: parts of it may be replaced."""

    source: OptimizerRecord | SchedulerRecord
    moment: Moment
    opened: bool = False


@dataclass(frozen=True, slots=True)
class GroupsValue:
    """``optimizer.param_groups``; the record is None when the optimizer's construction was not seen."""

    record: OptimizerRecord | None


@dataclass(frozen=True, slots=True)
class GroupValue:
    """One parameter group: any of them, or only the first."""

    record: OptimizerRecord | None
    every: bool


@dataclass(eq=False, slots=True)
class Choice:
    """One of several values, depending on a condition that is not known."""

    options: tuple[Value, ...]


Value = (
    Unknown
    | Constant
    | Number
    | Knob
    | ListValue
    | DictValue
    | ClassValue
    | FunctionValue
    | Bound
    | External
    | Method
    | Partial
    | SuperValue
    | ObjectValue
    | ModuleValue
    | Tensor
    | OptimizerValue
    | SchedulerValue
    | SavedState
    | GroupsValue
    | GroupValue
    | Choice
)


def options(value: Value) -> tuple[Value, ...]:
    """All values that this one may be."""
    return value.options if isinstance(value, Choice) else (value,)


def as_number(value: Value) -> Number:
    """Read a value as a number; unknown when it is none."""
    if isinstance(value, Number):
        return value
    if isinstance(value, Knob):
        return value.number
    if isinstance(value, Constant) and isinstance(value.value, bool):
        return Number.of(int(value.value))
    if isinstance(value, Choice):
        kept = [as_number(o) for o in value.options if not (isinstance(o, Constant) and o.value is None)]
        return number_of(a for n in kept for a in (n.alternatives or (None,)))
    return UNKNOWN_NUMBER
