"""Degrees of the results of elementwise operations and reductions, and numbers computed from numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from mulint.tracing import magnitudes
from mulint.tracing.alignment import Aligned
from mulint.tracing.catalogue import (
    ADD,
    DIVIDE,
    FILLED,
    FROM_DATA,
    INVERTED,
    JOINS,
    KEEPS,
    MEANS,
    MULTIPLY,
    NORMS,
    ONE,
    POWER,
    POWERS,
    SHAPED,
    SUMS,
    WEIGHT_NORMS,
)
from mulint.tracing.exponents import CONSTANT, Law
from mulint.tracing.ledger import Ledger
from mulint.tracing.magnitudes import Magnitude
from mulint.tracing.operations import argument, reduced_axes
from mulint.tracing.recording import Ref
from mulint.tracing.values import Factor, Kind, ParameterUse, Site, Source, Value, added, multiplied, scaled


def degrees(
    ledger: Ledger, operation: Aligned, refs: tuple[Ref, ...], values: list[Value], uses: list[ParameterUse]
) -> dict[Source, Fraction]:
    """The degrees of an elementwise operation's or a reduction's result; ``uses`` are of the weights in it."""
    op = operation.event.op
    gains: dict[Source, Fraction] = dict.fromkeys(uses, ONE)
    if op in KEEPS:
        return {**values[0].degrees, **gains}
    if op in JOINS or op in ADD:
        parts = [v.degrees for v in values if v.kind is not Kind.WEIGHT or not uses]
        alpha = operation.scalar("alpha")
        if alpha is not None and alpha.exponent != 0 and parts:  # x + alpha * y
            parts[-1] = ledger.factor(operation, dict(parts[-1]), alpha)
        return {**added(parts), **gains}
    if op in MULTIPLY or op in DIVIDE:
        power = ONE if op in MULTIPLY else -ONE
        parts = [values[0].degrees, *(scaled(v.degrees, power) for v in values[1:])]
        ledger.divided((v, power if index else ONE) for index, v in enumerate(values))
        return _with_scalar(ledger, operation, multiplied([*parts, gains]), values, power)
    if op in INVERTED:
        return _with_scalar(ledger, operation, scaled(values[0].degrees, -ONE), values, ONE)
    if op in POWERS:
        return scaled(values[0].degrees, POWERS[op])
    if op in POWER:
        return scaled(values[0].degrees, _power(operation))
    if op in SUMS or op in MEANS or op in NORMS:
        return _reduced(ledger, operation, refs[0], values[0])
    if op == "var":
        return scaled(values[0].degrees, Fraction(2))
    return dict(gains)


def magnitude(operation: Aligned, values: Sequence[Value]) -> Magnitude:
    """How the size of a weight computed from weights follows theirs."""
    op = operation.event.op
    parts = [value.magnitude if value.kind is Kind.WEIGHT else None for value in values]
    if op in POWER:
        return magnitudes.of_power(values[0].magnitude, _power(operation))
    return magnitudes.of_elementwise(op, parts)


def beside(operation: Aligned, values: Sequence[Value]) -> frozenset[Site]:
    """The products of activations that only some terms of a sum scale with."""
    found = frozenset(site for value in values for site in value.beside)
    terms = [value.degrees for value in values if value.kind is not Kind.CONSTANT]
    if operation.event.op not in ADD and operation.event.op not in JOINS:
        return found
    sites = {site for term in terms for site in term if isinstance(site, Site)}
    return found | {site for site in sites if len({term.get(site) for term in terms}) > 1}


def _with_scalar(
    ledger: Ledger, operation: Aligned, degrees: dict[Source, Fraction], values: list[Value], power: Fraction
) -> dict[Source, Fraction]:
    """Add the factor that a Python number or a one-number tensor brings in."""
    laws = list(operation.scalars()) or [v.number for v in values[1:] if v.number is not None]
    if not operation.scalars() and values[0].number is not None and values[0].kind is Kind.CONSTANT:
        laws = [values[0].number]
    for law in laws[:1]:
        if law.exponent != 0:
            exponent = None if law.exponent is None else law.exponent * power
            return ledger.factor(operation, degrees, Law(exponent))
    return degrees


def _reduced(ledger: Ledger, operation: Aligned, ref: Ref, value: Value) -> dict[Source, Fraction]:
    """A sum over a growing dimension: a product with what was multiplied in before, else a factor by itself."""
    op = operation.event.op
    laws = operation.laws(ref)
    axes = reduced_axes(operation.event, ref)
    growth = sum((laws[axis].exponent or Fraction(0) for axis in axes), Fraction(0))
    degrees = dict(value.degrees)
    if not growth or (op in MEANS and op not in ("mean", "nanmean")):
        return degrees
    uses = [] if op in NORMS else _contracted(operation, value, axes)
    if uses:  # (x * w).sum(-1) is a product with w
        ledger.uses += uses
        for source, degree in degrees.items():
            if isinstance(source, Factor):
                source.consumers |= dict.fromkeys(uses, degree)
        made: dict[Source, Fraction] = dict.fromkeys(uses, ONE)
        return ledger.factor(operation, made, Law(-growth)) if op in MEANS else made
    both = sum(laws[axis].grows for axis in axes if axis - len(ref.shape) in value.pair)
    if both and op not in NORMS:
        builtin = -growth if op in MEANS else Fraction(0)
        return dict(ledger.site(operation, [value, Value(Kind.ACTIVATION)], Law(growth), builtin).degrees)
    if op in SUMS:
        return ledger.factor(operation, degrees, Law(growth))
    if op in NORMS:
        order = argument(operation.event, 1, "ord", operation.event.kwargs.get("p"))
        length = (
            growth / Fraction(order) if isinstance(order, int | float) and 0 < order < math.inf else growth / 2
        )
        return degrees if order == math.inf else ledger.factor(operation, degrees, Law(length))
    return degrees


def _contracted(operation: Aligned, value: Value, axes: tuple[int, ...]) -> list[ParameterUse]:
    """The uses of weights that were multiplied in along an axis over which the result is summed."""
    found = []
    for origins in value.pending:
        for name in sorted({name for axis in axes for name, _ in origins[axis]}):
            contracted = frozenset(i for axis in axes for other, i in origins[axis] if other == name)
            produced = frozenset(i for own in origins for other, i in own if other == name) - contracted
            found.append(ParameterUse(name, operation.event.use, operation.module, contracted, produced=produced))
    return found


def number_of(operation: Aligned, values: list[Value]) -> Law | None:
    """How a number computed from numbers changes: ``torch.sqrt(torch.tensor(d) * 2)``."""
    op = operation.event.op
    laws = [value.number for value in values if value.number is not None]
    if len(laws) != len(values):
        return None
    laws += operation.scalars()
    exponents = [law.exponent for law in laws if law.exponent is not None]
    if not any(law.exponent != 0 for law in laws):
        return CONSTANT
    if len(exponents) < len(laws):
        return Law(None)
    if op in MULTIPLY:
        return Law(sum(exponents, Fraction(0)))
    if op in DIVIDE:
        return Law(exponents[0] - sum(exponents[1:], Fraction(0)))
    if op in INVERTED:
        return Law(exponents[-1] - exponents[0])
    power = _power(operation) if op in POWER else POWERS.get(op)
    return Law(None if power is None else exponents[0] * power)


def created(operation: Aligned) -> Value:
    """A tensor made from Python numbers: ``torch.tensor(d ** -0.5)``. A range has no one number."""
    op, laws = operation.event.op, operation.scalars()
    number = CONSTANT
    if op in ("full", "full_like", "new_full"):
        number = operation.scalar("fill_value") or laws[-1]
    elif op in FROM_DATA and len(laws) == 1:
        number = laws[0]
    known = op in FILLED or op in FROM_DATA or (op not in SHAPED and all(law.exponent == 0 for law in laws))
    zero = op in ("zeros", "zeros_like", "new_zeros")
    return Value(Kind.CONSTANT, number=number if known else None, zero=zero)


def _power(operation: Aligned) -> Fraction:
    exponent = (
        operation.event.args[1] if len(operation.event.args) > 1 else operation.event.kwargs.get("exponent", 1)
    )
    return Fraction(exponent).limit_denominator(8) if isinstance(exponent, int | float) else ONE


def filled(ref: Ref) -> frozenset[int]:
    """The axes of a tensor along which it has several numbers, counted from the end."""
    return frozenset(axis - len(ref.shape) for axis, size in enumerate(ref.shape) if size > 1)


def summed_in(
    values: Iterable[Value], origins: Iterable[frozenset[tuple[str, int]]]
) -> frozenset[tuple[str, int]]:
    """The sums inside of weights, but for those of a weight that is only scaled by a product with itself."""
    return frozenset(one for value in values for one in value.summed).difference(*origins)


def gains(op: str, output: Ref, refs: Sequence[Ref], values: Sequence[Value]) -> frozenset[str]:
    """Of weights that are multiplied with each other those that are smaller than the product another one fills."""
    found = frozenset(name for value in values for name in value.scales)
    if op not in MULTIPLY and op not in DIVIDE and op not in WEIGHT_NORMS:
        return found
    size = math.prod(output.shape)
    full = parameters_of(value for ref, value in zip(refs, values, strict=True) if math.prod(ref.shape) == size)
    return found | (parameters_of(values) - full) if full else found


def parameters_of(values: Iterable[Value]) -> frozenset[str]:
    return frozenset(name for value in values for name in value.parameters)
