"""The algebra of symbolic sizes: sums of terms ``coefficient * product of symbols to rational powers``.

Floor division and rounding are treated as exact, since only growth matters: ``n // h`` grows as ``n / h``
whatever the remainder. ``max`` and ``min`` and other operations outside the algebra give ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

Coefficient = Fraction | float
Powers = tuple[tuple["Symbol", Fraction], ...]


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """A size or number that the code takes from outside: a knob.

    ``name`` is what people read (``GPTConfig.n_embd``); ``path`` and ``line`` say where it is declared. A name
    that a file declares on several lines is one knob.
    ``kind`` is ``knob``; ``written`` for the factor by which sizes written as numbers would grow; ``group`` for
    a value read back from an optimizer's parameter group; ``size`` for an axis of an activation that nothing is
    known of, of which only equality with itself counts.
    """

    name: str
    path: str = ""
    line: int = field(default=0, compare=False)
    kind: str = "knob"

    @property
    def short(self) -> str:
        """The last part of the name, as the code spells it."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Dimension:
    """An immutable sum of terms, each a coefficient and the powers of its symbols (sorted)."""

    terms: tuple[tuple[Powers, Coefficient], ...] = field(default=())

    @staticmethod
    def constant(value: float | Fraction) -> Dimension:
        """A number without symbols."""
        exact = Fraction(value) if isinstance(value, int) else value
        if isinstance(exact, float) and math.isfinite(exact) and exact == int(exact):
            exact = Fraction(int(exact))
        return Dimension((((), exact),)) if exact else Dimension()

    @staticmethod
    def of(symbol: Symbol) -> Dimension:
        """The symbol itself."""
        return Dimension(((((symbol, Fraction(1)),), Fraction(1)),))

    @property
    def value(self) -> Coefficient | None:
        """The number, if there is no symbol in it."""
        if not self.terms:
            return Fraction(0)
        (powers, coefficient), *rest = self.terms
        return coefficient if not powers and not rest else None

    @property
    def symbols(self) -> frozenset[Symbol]:
        """All symbols that occur."""
        return frozenset(symbol for powers, _ in self.terms for symbol, _ in powers)

    def __add__(self, other: Dimension) -> Dimension:
        total: dict[Powers, Coefficient] = dict(self.terms)
        for powers, coefficient in other.terms:
            total[powers] = total.get(powers, Fraction(0)) + coefficient
        return _normal(total)

    def __neg__(self) -> Dimension:
        return Dimension(tuple((powers, -coefficient) for powers, coefficient in self.terms))

    def __sub__(self, other: Dimension) -> Dimension:
        return self + (-other)

    def __mul__(self, other: Dimension) -> Dimension:
        total: dict[Powers, Coefficient] = {}
        for left, a in self.terms:
            for right, b in other.terms:
                powers = _multiply(left, right)
                total[powers] = total.get(powers, Fraction(0)) + a * b
        return _normal(total)

    def divide(self, other: Dimension) -> Dimension | None:
        """The quotient, or None if the divisor is zero or a sum that does not cancel."""
        if len(other.terms) == 1:
            inverse = other.power(Fraction(-1))
            return None if inverse is None else self * inverse
        if self.terms and other.terms:
            ratio = Dimension((self.terms[0],)).divide(Dimension((other.terms[0],)))
            if ratio is not None and ratio * other == self:
                return ratio
        return None

    def power(self, exponent: Fraction) -> Dimension | None:
        """A power; of a sum only for small whole exponents, of a negative number only for whole ones."""
        if len(self.terms) != 1:
            return self._whole_power(exponent)
        powers, coefficient = self.terms[0]
        if exponent.denominator == 1:
            if abs(exponent) > 64:
                return None
            raised: Coefficient = coefficient ** int(exponent)
        elif coefficient < 0:
            return None
        else:
            raised = float(coefficient) ** float(exponent)
        scaled = tuple((symbol, p * exponent) for symbol, p in powers if p * exponent)
        constant = Dimension.constant(raised)
        return Dimension(tuple((scaled, c) for _, c in constant.terms))

    def _whole_power(self, exponent: Fraction) -> Dimension | None:
        if exponent.denominator != 1 or not 0 <= exponent <= 4:
            return None
        result = Dimension.constant(1)
        for _ in range(int(exponent)):
            result = result * self
        return result

    def evaluate(self, sizes: Mapping[Symbol, float]) -> float:
        """The number for given sizes of every symbol (exact arithmetic, no rounding)."""
        return float(
            sum(
                float(coefficient) * math.prod(sizes[symbol] ** float(p) for symbol, p in powers)
                for powers, coefficient in self.terms
            )
        )

    def growth(self, widths: Iterable[Symbol]) -> Fraction:
        """The exponent with which it grows when all the given symbols grow together; 0 for a constant."""
        growing = frozenset(widths)
        exponents = [
            sum((p for symbol, p in powers if symbol in growing), Fraction(0)) for powers, _ in self.terms
        ]
        return max(exponents, default=Fraction(0))

    def __str__(self) -> str:
        return " + ".join(_show(powers, coefficient) for powers, coefficient in self.terms) or "0"


def _normal(total: dict[Powers, Coefficient]) -> Dimension:
    kept = [(powers, coefficient) for powers, coefficient in total.items() if coefficient]
    # Highest degree first, so that a printed size starts with what dominates.
    kept.sort(key=lambda term: (-sum(p for _, p in term[0]), term[0]))
    return Dimension(tuple(kept))


def _multiply(left: Powers, right: Powers) -> Powers:
    total = dict(left)
    for symbol, p in right:
        total[symbol] = total.get(symbol, Fraction(0)) + p
    return tuple(sorted((symbol, p) for symbol, p in total.items() if p))


def _show(powers: Powers, coefficient: Coefficient) -> str:
    above = [_show_power(symbol.short, p) for symbol, p in powers if p > 0]
    below = [_show_power(symbol.short, -p) for symbol, p in powers if p < 0]
    number = f"{float(coefficient):.4g}"
    if number != "1" or not above:
        above.insert(0, number)
    text = "·".join(above)
    return text if not below else f"{text}/{below[0]}" if len(below) == 1 else f"{text}/({'·'.join(below)})"


def _show_power(name: str, p: Fraction) -> str:
    if p == 1:
        return name
    return f"√{name}" if p == Fraction(1, 2) else f"{name}^{p}" if p.denominator == 1 else f"{name}^({p})"
