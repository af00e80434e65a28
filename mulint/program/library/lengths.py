"""Norms written out by hand: an activation divided by its own length, or by its root mean square.

Followed from the squares over their sum or mean and its root to the division:
``x * rsqrt(x.pow(2).mean(-1) + eps)`` gives what a norm layer gives, ``x / x.norm(dim=-1)`` what ``F.normalize``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.records import Length, Norm
from mulint.program.run import Arguments, number_argument
from mulint.program.values import Constant, Site, Tensor

_HALF = Fraction(1, 2)
_ROOTS = {"sqrt": _HALF, "rsqrt": -_HALF, "reciprocal": Fraction(-1)}
_BOUNDS = frozenset("clamp clamp_ clamp_min clamp_min_ clip maximum".split())
_NORMS = frozenset(("norm", "vector_norm"))


def method(tensor: Tensor, name: str, arguments: Arguments) -> Tensor | None:
    """What a method gives if it is a step on the way to a length; else None."""
    length = tensor.length
    if name in ("pow", "square"):
        exponent = number_argument(arguments, "exponent", 0) if name == "pow" else Number.of(2)
        return power(tensor, exponent or UNKNOWN_NUMBER)
    if name in _NORMS:
        order = number_argument(arguments, "p", 0) or number_argument(arguments, "ord", 0)
        euclidean = order is None or order.whole == 2
        squares = _squares(tensor) if euclidean and tensor.weight is None else None
        summed = _reduced(squares, "sum", arguments, 1) if squares is not None else None
        return None if summed is None else _rooted(summed, _HALF)
    if length is None:
        return None
    if name in ("sum", "mean"):
        return _reduced(tensor, name, arguments, 0)
    if name in _BOUNDS or (name in ("add", "add_") and not isinstance(arguments.get("other", 0), Tensor)):
        return tensor
    return _rooted(tensor, _ROOTS[name]) if name in _ROOTS else None


def power(tensor: Tensor, exponent: Number) -> Tensor | None:
    """``x ** 2``, or a root of a sum of squares; else None."""
    if tensor.length is None:
        return _squares(tensor) if exponent.whole == 2 else None
    return None if exponent.constant is None else _rooted(tensor, Fraction(exponent.constant).limit_denominator(2))


def divided(operator: str, left: Tensor, right: Tensor, site: Site) -> Tensor | None:
    """An activation over its own length; None if that is not what is computed."""
    pairs = ((left, right), (right, left)) if operator == "*" else ((left, right),)
    due = Fraction(-1) if operator == "*" else Fraction(1)
    for tensor, divisor in pairs:
        length = divisor.length
        if length is None or not length.reduced or length.power != due or length.of != tensor.sources:
            continue
        factor = divisor.factor if operator == "*" else ONE / divisor.factor
        norm = Norm(site, length.size, unit=not length.mean, by_hand=True)
        normed = Tensor(tensor.dims, tensor.open, tensor.sources, norm=norm)
        return of_root(replace(normed, factor=factor, factor_sites=divisor.factor_sites))
    return None


def of_root(tensor: Tensor) -> Tensor:
    """A vector of length one times the root of its size is what a norm layer gives: entries of size one."""
    if tensor.norm is None or not tensor.norm.unit:
        return tensor
    root = tensor.norm.size.power(_HALF)
    rest = tensor.factor / root
    if rest.constant is None or (root.constant is not None and not math.isclose(rest.constant, 1)):
        return tensor
    return replace(tensor, norm=replace(tensor.norm, unit=False), factor=rest, factor_sites=())


def size_along(tensor: Tensor, dim: Number) -> Number | None:
    """The size of the vectors along a dimension: the last one, or unknown for one that may be the channels.

    None where the dimension is another one.
    """
    place = dim.whole
    if place == -1 or (not tensor.open and place == len(tensor.dims) - 1):
        return tensor.last
    return UNKNOWN_NUMBER if place is not None and place > 0 else None


def _squares(tensor: Tensor) -> Tensor | None:
    if tensor.weight is not None or not tensor.sources:
        return None
    length = Length(tensor.sources, tensor.last, Fraction(2))
    return Tensor(tensor.dims, tensor.open, tensor.sources, length=length)


def _reduced(tensor: Tensor, name: str, arguments: Arguments, position: int) -> Tensor | None:
    """The sum or mean of squares over a dimension."""
    dim = number_argument(arguments, "dim", position)
    size = None if dim is None else size_along(tensor, dim)
    if tensor.length is None or tensor.length.reduced or dim is None or size is None:
        return None
    if dim.whole != -1 and name == "mean":
        return None
    keep = arguments.get("keepdim", position + 1) == Constant(True)
    dims = (*tensor.dims[:-1], ONE) if keep else tensor.dims[:-1]
    length = replace(tensor.length, size=size, reduced=True, mean=name == "mean")
    return Tensor(dims if dim.whole == -1 else (), tensor.open, tensor.sources, length=length)


def _rooted(tensor: Tensor, exponent: Fraction) -> Tensor | None:
    """A power of a sum of squares."""
    length = tensor.length
    if length is None or not length.reduced:
        return None
    factor = tensor.factor.power(exponent)
    return replace(tensor, factor=factor, length=replace(length, power=length.power * exponent))
