"""What the abstract run of a program observes of its models: layers, weights, and their uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.values import Site, as_number

if TYPE_CHECKING:
    from mulint.program.values import ClassValue, Value


@dataclass(eq=False, slots=True)
class Layer:
    """One construction of a library layer (``torch.nn.Linear``) in one context.

    ``inside`` is where the module of the user's that holds it is built. ``written`` is where the library's
    constructor is called, for a layer that a helper makes: that one is built where the helper is called.
    """

    type: str
    site: Site
    owner: str
    arguments: dict[str, Value]
    weights: dict[str, Weight] = field(default_factory=dict)
    name: str = ""
    inside: Site | None = None
    written: Site | None = None

    @property
    def symbol(self) -> str:
        """``Owner.name``, as far as known."""
        return ".".join(part for part in (self.owner, self.name) if part)


@dataclass(frozen=True, slots=True)
class Norm:
    """A norm over the last dimension, of ``size``, that an activation comes from.

    ``unit``: of length one, so that its entries shrink as the dimension grows; else by a norm layer, of root mean
    square one. ``gained``: multiplied with a weight since. ``by_hand``: by a division by its own length.
    """

    site: Site
    size: Number
    unit: bool
    gained: bool = False
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Length:
    """A tensor that holds a ``power`` of the length of an activation over its last dimension, of ``size``.

    ``of`` are the sources of that activation. Squares are not ``reduced`` yet; ``mean``: they are averaged, not
    summed.
    """

    of: frozenset[Application]
    size: Number
    power: Fraction
    reduced: bool = False
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened in the abstract run.

    ``entry`` counts the places where the run started: nothing is known of the order of two of them. ``arms``
    are the arms of unknown conditions it happened in, each as the condition's execution and the arm's number.
    """

    order: int
    entry: int
    arms: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class InitCall:
    """One call that draws a weight anew.

    ``std`` is the scale of the entries where the call gives it (0 for a zero fill); for the functions that
    compute it from the fans it is unknown and ``function`` tells (``kaiming_uniform_``). ``certain`` is
    False under a condition that is not known.
    """

    function: str
    site: Site
    std: Number
    certain: bool
    moment: Moment
    mode: str = "fan_in"
    origin: str = "torch"


@dataclass(eq=False, slots=True)
class Weight:
    """One parameter tensor.

    ``dims`` are its sizes. ``contracted`` are the indices summed over by the operation that uses it, None
    until a use shows them; ``lookup`` marks tables that are indexed. ``level`` is how many unknown conditions
    surround its construction, and ``arms`` which, as in ``Moment``: what hangs on no more happens whenever the
    weight exists. ``holder`` is where the module that holds it is built, for a weight that belongs to no layer.
    ``package`` is what brings the whole model, where it stands for all weights of its role there.
    ``made``: each use computes it from other parameters, so that a draw of it has no effect.
    """

    name: str
    site: Site
    owner: str
    dims: tuple[Number, ...]
    contracted: tuple[int, ...] | None = None
    lookup: bool = False
    layer: Layer | None = None
    inits: list[InitCall] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    ties: list[Site] = field(default_factory=list)
    frozen: bool = False
    level: int = 0
    arms: tuple[tuple[int, int], ...] = ()
    holder: Site | None = None
    package: str = ""
    made: bool = False

    @property
    def inside(self) -> Site | None:
        """Where the module of the user's that holds it is built."""
        return self.layer.inside if self.layer else self.holder

    @property
    def symbol(self) -> str:
        """``Owner.layer.weight``, as far as known."""
        place = self.layer.symbol if self.layer else self.owner
        return f"{place}.{self.name}" if place else self.name

    @property
    def fan_in(self) -> Number:
        """The product of the contracted sizes; unknown while the use is."""
        if self.contracted is None:
            return UNKNOWN_NUMBER
        product = ONE
        for index in self.contracted:
            product = product * self.dims[index]
        return product


@dataclass(eq=False, slots=True)
class Application:
    """One use of a weight on an activation.

    ``before`` is the scalar factor on its input since the last weight or norm, ``after`` those on its
    output before the next non-linear step. ``sources`` are the applications that feed it, ``linear`` those of
    which its input is a linear function. ``branch`` is the call that may apply this weight's module or another
    one, if its use hangs on such a choice. ``gated`` says that what it gives is multiplied with another activation
    inside the model: a gate, a router, attention. ``norm`` is the one that its input comes from. ``kind`` is
    linear, lookup, recurrent, attention, transformer, elementwise, or gain for an entrywise product.
    """

    weight: Weight
    layer: Layer | None
    site: Site
    function: str
    before: Number
    before_sites: tuple[Site, ...]
    sources: frozenset[Application]
    after: list[tuple[Number, tuple[Site, ...]]] = field(default_factory=list)
    returned: bool = False
    gated: bool = False
    kind: str = "linear"
    branch: Site | None = None
    norm: Norm | None = None
    linear: frozenset[Application] = frozenset()

    @property
    def contracted(self) -> tuple[int, ...]:
        """The dimensions of the weight that this use sums over; a tied table is contracted as a readout only."""
        if self.kind in ("lookup", "elementwise", "gain"):
            return ()
        if self.weight.lookup:
            return (len(self.weight.dims) - 1,)
        return self.weight.contracted or ()

    @property
    def fan_in(self) -> Number:
        """The product of the contracted sizes."""
        product = ONE
        for index in self.contracted:
            product = product * self.weight.dims[index]
        return product

    @property
    def is_channelwise(self) -> bool:
        """Whether it is a depthwise convolution, which gives the channels that it takes, or a multiple of them."""
        arguments = self.layer.arguments if self.layer else {}
        groups, channels = (as_number(arguments.get(name, ONE)) for name in ("groups", "in_channels"))
        return bool(groups.symbols) and groups == channels

    @property
    def produced(self) -> tuple[Number, ...]:
        """The sizes that it gives to its output."""
        if self.kind == "lookup":
            return self.weight.dims[-1:]
        return tuple(size for index, size in enumerate(self.weight.dims) if index not in self.contracted)


@dataclass(frozen=True, slots=True)
class Score:
    """Attention logits in flight: a product of two activations over ``contracted``.

    ``linear``: both are what weights gave, with nothing entrywise since. ``owner`` is the function that scales
    the product first, else the one that multiplies.
    """

    site: Site
    contracted: Number
    norms: tuple[Norm, ...] = ()
    linear: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class AttentionRecord:
    """Attention logits at the point where the softmax takes them.

    ``factor`` is the product of all scalar factors on them, found at ``factor_sites``; with none, the call
    at ``site`` implies it. ``norms`` are those of query and key where both have one. ``over`` is the size that
    the softmax runs over, if that was followed. ``weights`` are those that its input comes from.
    """

    site: Site
    factor_sites: tuple[Site, ...]
    head_dim: Number
    factor: Number
    owner: str
    implied: bool
    norms: tuple[Norm, ...] = ()
    over: Number = UNKNOWN_NUMBER
    weights: frozenset[Weight] = frozenset()


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product of two activations that is an output as it is, with the scalar ``factor`` on it."""

    score: Score
    factor: Number


@dataclass(frozen=True, slots=True)
class LookupScale:
    """The output of a lookup table multiplied by a scalar."""

    application: Application
    factor: Number
    site: Site
    owner: str


@dataclass(frozen=True, slots=True)
class ScaledActivation:
    """What some weights gave, times a scalar ``factor``, where something takes it whose result hangs on its scale.

    That is an activation function, a sum with what is scaled otherwise, or a weight, ``taker``. ``size`` is the
    last dimension.
    """

    linear: frozenset[Application]
    factor: Number
    sites: tuple[Site, ...]
    size: Number
    taker: Application | None


@dataclass(frozen=True, slots=True)
class Construction:
    """One instance of a user's class being built: the call, and what its parameters or fields were given.

    ``site`` is the class itself where mulint builds it from knobs.
    """

    kind: ClassValue
    site: Site
    given: dict[str, Value]
