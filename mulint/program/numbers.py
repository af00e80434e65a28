"""Numbers of a user's program: sizes, factors and rates as products of powers of knobs, or one of several."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from mulint.program.dimensions import Dimension, Symbol

if TYPE_CHECKING:
    from mulint.program.values import Site

MOST_ALTERNATIVES = 4


@dataclass(frozen=True, slots=True)
class Number:
    """A number: one of a few symbolic alternatives; none at all means an unknown number.

    ``origin`` is the assignment to an attribute that it was read back from; ``computed`` marks what a division or
    a power took part in. ``boxed`` marks a tensor that holds just this number.
    """

    alternatives: tuple[Dimension, ...] = ()
    origin: Site | None = field(default=None, compare=False)
    computed: bool = field(default=False, compare=False)
    boxed: bool = field(default=False, compare=False)

    @staticmethod
    def of(value: float | Fraction) -> Number:
        """A known constant."""
        return _constant(value)

    @property
    def only(self) -> Dimension | None:
        """The one alternative, if there is exactly one."""
        return self.alternatives[0] if len(self.alternatives) == 1 else None

    @property
    def symbols(self) -> frozenset[Symbol]:
        """All symbols that occur in some alternative."""
        return frozenset(symbol for size in self.alternatives for symbol in size.symbols)

    @property
    def is_knob(self) -> bool:
        """Whether it is one knob, times a constant, and nothing else."""
        powers = self.only.terms[0][0] if self.only is not None and len(self.only.terms) == 1 else ()
        return len(powers) == 1 and powers[0][1] == 1

    @property
    def constant(self) -> Fraction | float | None:
        """The plain value, if it is one constant."""
        return None if self.only is None else self.only.value

    @property
    def whole(self) -> int | None:
        """The plain value as an int, if it is a whole constant."""
        value = self.constant
        return int(value) if value is not None and value == int(value) else None

    def combine(self, other: Number, operation: Callable[[Dimension, Dimension], Dimension | None]) -> Number:
        """Apply a binary operation to all pairs of alternatives."""
        pairs = itertools.product(self.alternatives, other.alternatives)
        result = number_of(operation(a, b) for a, b in pairs)
        return replace(result, computed=True) if self.computed or other.computed else result

    def map(self, operation: Callable[[Dimension], Dimension | None]) -> Number:
        """Apply an operation to all alternatives."""
        return number_of(operation(a) for a in self.alternatives)

    def __mul__(self, other: Number) -> Number:
        if other is ONE or self is ONE:
            return self if other is ONE else other
        return self.combine(other, lambda a, b: a * b)

    def __truediv__(self, other: Number) -> Number:
        return replace(self.combine(other, lambda a, b: a.divide(b)), computed=True)

    def power(self, exponent: Fraction) -> Number:
        """A rational power."""
        return replace(self.map(lambda a: a.power(exponent)), computed=True)

    def __str__(self) -> str:
        return " or ".join(dict.fromkeys(str(a) for a in self.alternatives)) or "?"


@lru_cache(maxsize=1024, typed=True)
def _constant(value: float | Fraction) -> Number:
    return Number((Dimension.constant(value),))


ONE = Number.of(1)
UNKNOWN_NUMBER = Number()


def product(sizes: Iterable[Number]) -> Number:
    """The product of some sizes; one for none."""
    result = ONE
    for size in sizes:
        result = result * size
    return result


def number_of(results: Iterable[Dimension | None]) -> Number:
    """A number that is one of some sizes; unknown where one of them is, or where they are too many."""
    kept = tuple(dict.fromkeys(results))
    if not kept or None in kept or len(kept) > MOST_ALTERNATIVES:
        return UNKNOWN_NUMBER
    return Number(tuple(k for k in kept if k is not None))


def own_of_group(numbers: Sequence[Number]) -> Number | None:
    """Of several numbers the one that a parameter group has of its own.

    A bound on it leaves it that, and so does what is not known of it.
    """
    return next((n for n in numbers if any(symbol.kind == "group" for symbol in n.symbols)), None)
