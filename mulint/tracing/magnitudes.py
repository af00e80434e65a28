"""How the size of a weight that is computed from parameters follows the sizes with which those are drawn.

A weight that is divided by its own length does not grow with its parameter; a gain scales what it multiplies.
The sizes themselves are measured later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from mulint.tracing.catalogue import ADD, DIVIDE, JOINS, KEEPS, MEANS, MULTIPLY, NORMS, POWERS, SUMS

Size = Mapping[str, Fraction]
"""By parameter, the power of its size."""

SAME = KEEPS | SUMS | NORMS | (MEANS - {"logsumexp"})
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Magnitude:
    """``size``: of the whole weight, ``None`` if unknown. ``factors``: by parameter, what scales its numbers.

    Parameters of which that is unknown are not in ``factors``.
    """

    size: Size | None = None
    factors: Mapping[str, Size] = field(default_factory=dict)


def of_parameter(name: str) -> Magnitude:
    """A parameter as it is."""
    return Magnitude({name: ONE}, {name: {}})


def of_product(parts: Sequence[Magnitude]) -> Magnitude:
    """A product of matrices: its size depends on how they are aligned; each stays a layer by itself."""
    return Magnitude(None, {name: size for part in parts for name, size in part.factors.items()})


def of_power(part: Magnitude, power: Fraction) -> Magnitude:
    """A power of a weight; the power 0 is a weight that was brought to a size of its own."""
    if part.size is None:
        return Magnitude()
    size = {name: power * own for name, own in part.size.items()}
    return Magnitude(size, {name: _times(size, {name: -ONE}) for name in part.factors if len(part.factors) == 1})


def of_elementwise(op: str, parts: Sequence[Magnitude | None]) -> Magnitude:
    """The result of an operation number by number, or of a reduction; ``None`` stands for what is no weight."""
    weights = [part for part in parts if part is not None]
    if op in MULTIPLY or op in DIVIDE:
        return _multiplied([(p, -ONE if index and op in DIVIDE else ONE) for index, p in enumerate(parts) if p])
    if op in ADD or op in JOINS:
        return _added(weights)
    if op in SAME:
        return weights[0]
    power = {"var": Fraction(2), "sign": Fraction(0), **POWERS}.get(op)
    return Magnitude() if power is None else of_power(weights[0], power)


def _multiplied(parts: Sequence[tuple[Magnitude, Fraction]]) -> Magnitude:
    factors: dict[str, Size] = {}
    for index, (part, power) in enumerate(parts):
        others = [(one.size, sign) for i, (one, sign) in enumerate(parts) if i != index]
        if power > 0 and all(size is not None for size, _ in others):
            scale = _times(*(_powered(size or {}, sign) for size, sign in others))
            factors |= {name: _times(own, scale) for name, own in part.factors.items()}
    if any(part.size is None for part, _ in parts):
        return Magnitude(None, factors)
    return Magnitude(_times(*(_powered(part.size or {}, power) for part, power in parts)), factors)


def _added(parts: Sequence[Magnitude]) -> Magnitude:
    """A sum is as large as its terms, if those whose size is known have the same."""
    sizes = [part.size for part in parts if part.size is not None]
    factors: dict[str, Size] = {}
    for name in {name for part in parts for name in part.factors}:
        found = [part.factors[name] for part in parts if name in part.factors]
        if all(one == found[0] for one in found):
            factors[name] = found[0]
    return Magnitude(sizes[0] if sizes and all(size == sizes[0] for size in sizes) else None, factors)


def _powered(size: Size, power: Fraction) -> Size:
    return {name: own * power for name, own in size.items()}


def _times(*sizes: Size) -> Size:
    total: dict[str, Fraction] = {}
    for size in sizes:
        for name, power in size.items():
            total[name] = total.get(name, Fraction(0)) + power
    return {name: power for name, power in total.items() if power}
