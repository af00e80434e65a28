"""Fits sizes and numbers over widths to the laws ``a * w**k`` and ``a * w**k + b``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

CANDIDATES = tuple(
    Fraction(n, d)
    for n, d in ((0, 1), (1, 1), (-1, 1), (1, 2), (-1, 2), (2, 1), (-2, 1), (3, 2), (-3, 2), (1, 4), (-1, 4))
)


@dataclass(frozen=True, slots=True)
class Law:
    """``a * w**exponent``, plus a constant when ``affine``. ``exponent`` is ``None`` when nothing fits."""

    exponent: Fraction | None
    affine: bool = False
    rising: bool = False

    @property
    def grows(self) -> bool:
        """Whether the size is infinite in the limit; sizes without a law count when they only rise."""
        return self.rising if self.exponent is None else self.exponent > 0


CONSTANT = Law(Fraction(0))


def of_sizes(widths: Sequence[float], sizes: Sequence[int]) -> Law:
    """The law of one dimension: exact, affine (rows that grow beside rows that do not), or rounded."""
    if len(set(sizes)) <= 1:
        return CONSTANT
    exact = _power(widths, sizes, 1e-9)
    if exact is not None:
        return Law(exact)
    if len(sizes) >= 3:
        slopes = {
            Fraction(sizes[i + 1] - sizes[i]) / (Fraction(widths[i + 1]) - Fraction(widths[i]))
            for i in range(len(sizes) - 1)
        }
        slope = slopes.pop()
        if not slopes and slope > 0:
            rest = sizes[0] - slope * Fraction(widths[0])
            # Rounding down gives a rest below zero, rounding up one below 1; rows that do not grow are whole.
            return Law(Fraction(1), affine=rest >= 1)
        if _is_square(widths, sizes):
            return Law(Fraction(2))
    if _is_rounded(widths, sizes):
        return Law(Fraction(1))
    return Law(None, rising=all(before <= after for before, after in pairwise(sizes)))


def of_numbers(widths: Sequence[float], numbers: Sequence[float], tolerance: float = 1e-4) -> Law:
    """The law of a scalar factor such as ``d ** -0.5``; signs are ignored."""
    if all(number == numbers[0] for number in numbers):  # never true of numbers that could not be read
        return CONSTANT
    if any(number == 0 or not math.isfinite(number) for number in numbers):
        return Law(None)
    return Law(_power(widths, [abs(number) for number in numbers], tolerance))


def _is_square(widths: Sequence[float], sizes: Sequence[int]) -> bool:
    """Whether sizes are ``a * w**2 + b * w + c`` with most in the square, as the numbers of half a matrix are."""
    points = list(zip(map(Fraction, widths), sizes, strict=True))
    slopes = [((w + v) / 2, (t - s) / (v - w)) for (w, s), (v, t) in pairwise(points)]
    curves = {(t - s) / (v - w) / 2 for (w, s), (v, t) in pairwise(slopes)}
    return len(curves) == 1 and curves.pop() * points[-1][0] ** 2 > Fraction(sizes[-1], 2)


def _is_rounded(widths: Sequence[float], sizes: Sequence[int]) -> bool:
    """Whether one ``a`` brings all sizes within one step of ``a * w``, the step being what divides all sizes."""
    step = math.gcd(*sizes)
    low = max((size - step) / width for size, width in zip(sizes, widths, strict=True))
    high = min((size + step) / width for size, width in zip(sizes, widths, strict=True))
    return 0 < low <= high


def _power(widths: Sequence[float], values: Sequence[float], tolerance: float) -> Fraction | None:
    for exponent in CANDIDATES:
        ratios = [value / width ** float(exponent) for value, width in zip(values, widths, strict=True)]
        if max(ratios) <= min(ratios) * (1 + tolerance):
            return exponent
    return None
