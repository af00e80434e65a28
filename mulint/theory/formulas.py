"""How exponents are written for people and in generated code."""

from __future__ import annotations

from fractions import Fraction

Exponent = Fraction


def law(exponent: Exponent, width: str = "width") -> str:
    """``1/width``, ``√width``, ``width^(3/2)``, … or ``constant`` for exponent 0."""
    if exponent == 0:
        return "constant"
    size = abs(exponent)
    if size == 1:
        text = width
    elif size == Fraction(1, 2):
        text = f"√{width}"
    else:
        text = f"{width}^{size}" if size.denominator == 1 else f"{width}^({size})"
    return text if exponent > 0 else f"1/{text}"


def ratio_power(exponent: Exponent, ratio: str = "ratio") -> str:
    """Python source of ``ratio`` to a power: exactly 1.0 where the ratio is, at the base width."""
    if exponent == 0:
        return "1.0"
    if exponent == 1:
        return ratio
    value = exponent.numerator if exponent.denominator == 1 else float(exponent)
    return f"{ratio} ** {value}"
