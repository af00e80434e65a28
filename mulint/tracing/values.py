"""What is known of a tensor while a recording is read: what it is made of, and which factors it carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from fractions import Fraction

from mulint.tracing.exponents import Law
from mulint.tracing.magnitudes import Magnitude
from mulint.tracing.model import Use, View


class Kind(Enum):
    """Where a tensor comes from."""

    CONSTANT = auto()
    WEIGHT = auto()
    ACTIVATION = auto()


@dataclass(eq=False, slots=True)
class ParameterUse:
    """One operation that consumes one parameter.

    ``module``: the one whose forward does it. ``contracted``: the parameter's axes that are summed over.
    ``token``: it stands in place of an activation. ``pieces``: sizes at each width of the rows into which the
    result is cut afterwards, as (starts, ends). ``view``: as what a parameter is consumed of which one axis holds
    both sides of a matrix. ``followed``: whether it is known what the operation does with the axes. ``sizes``:
    parameters whose size at init, to some power, multiplies this one, as a row's length divides it.
    """

    parameter: str
    use: Use
    module: str
    contracted: frozenset[int]
    lookup: bool = False
    token: bool = False
    produced: frozenset[int] = frozenset()
    pieces: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    view: View | None = None
    followed: bool = True
    sizes: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def elementwise(self) -> bool:
        """Neither contracted nor looked up: a bias, a gain, a token."""
        return not self.contracted and not self.lookup


@dataclass(eq=False, slots=True)
class Site:
    """A product of two activations over a growing dimension, as in attention.

    ``module``: the one whose forward does it. ``builtin``: exponent of the scale that the operation itself
    applies, ``None`` if unknown. ``makers``: the parameters whose layers made the two activations.
    ``softmax``: it goes into one, as in attention; else it is a product by itself.
    """

    use: Use
    module: str
    contracted: Law
    builtin: Fraction | None
    makers: tuple[str, ...] = ()
    softmax: bool = False


@dataclass(eq=False, slots=True)
class Factor:
    """A scalar that changes with the width, multiplied onto a tensor.

    ``producers``: what the tensor was made by, with the power in which it occurs; ``consumers``: the uses that
    take the scaled tensor in. ``spread``: the scaled tensor also goes where its powers cannot be followed, as
    into a sum with one that is not scaled.
    """

    law: Law
    use: Use
    module: str
    producers: Mapping[Source, Fraction]
    consumers: dict[ParameterUse, Fraction] = field(default_factory=dict)
    sites: dict[Site, Fraction] = field(default_factory=dict)
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of a weight that lie along an axis of what it made, counted from the end; ``starts`` at each width."""

    use: ParameterUse
    axis: int
    starts: tuple[int, ...]


Source = ParameterUse | Site | Factor
Degrees = Mapping[Source, Fraction]


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor.

    ``degrees``: the power in which it contains each weight, factor or attention product, as long as it is
    homogeneous in it (a normalisation brings it to 0, a softmax ends it). ``parameters`` and ``origins``: for a
    weight, what it is made of, and the parameter axes held by each of its axes. ``inner``: factors of the
    input of the layer that made it. ``summed``: axes that a product of weights has summed over. ``handed``: axes
    of a weight in the middle of one, ``B`` of ``A B C``, that gives them out.
    ``scales``: parameters that only scale what others hold, such as a length for every row.
    ``packed``: the weights whose rows lie along an axis. ``pending``: elementwise factors that a later sum
    contracts. ``pair``: axes, counted from the end, that two activations multiplied with each other both have.
    ``beside``: attention products that only some terms of the sums in it contain. ``magnitude``: of a weight.
    ``zero``: nothing but zeros, such as a state to begin with.
    """

    kind: Kind
    degrees: Degrees = field(default_factory=dict)
    origins: tuple[frozenset[tuple[str, int]], ...] = ()
    parameters: frozenset[str] = frozenset()
    inner: Degrees = field(default_factory=dict)
    packed: tuple[Packed, ...] = ()
    pending: tuple[tuple[frozenset[tuple[str, int]], ...], ...] = ()
    pair: frozenset[int] = frozenset()
    number: Law | None = None
    beside: frozenset[Site] = frozenset()
    magnitude: Magnitude = field(default_factory=Magnitude)
    zero: bool = False
    summed: frozenset[tuple[str, int]] = frozenset()
    handed: frozenset[tuple[str, int]] = frozenset()
    scales: frozenset[str] = frozenset()


def scaled(degrees: Degrees, power: Fraction) -> dict[Source, Fraction]:
    """Degrees of a power of a tensor."""
    return {source: degree * power for source, degree in degrees.items()}


def multiplied(parts: Iterable[Degrees]) -> dict[Source, Fraction]:
    """Degrees of a product: powers add up, and what cancels is gone."""
    total: dict[Source, Fraction] = {}
    for part in parts:
        for source, degree in part.items():
            total[source] = total.get(source, Fraction(0)) + degree
    return {source: degree for source, degree in total.items() if degree}


def added(parts: Iterable[Degrees]) -> dict[Source, Fraction]:
    """Degrees of a sum: every term's makers, but only the factors that all terms share."""
    terms = [part for part in parts if part]
    total: dict[Source, Fraction] = {}
    for part in terms:
        for source, degree in part.items():
            if not isinstance(source, Factor):
                total.setdefault(source, degree)
            elif all(other.get(source) == degree for other in terms):
                total[source] = degree
    return total
