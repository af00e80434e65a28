"""The invariants audit: for every parameter the products of exponents that its role needs, measured.

Exponents of init, learning rate, decay and ε come from the model and optimizer that the user's code builds,
those of multipliers from the dimension trace. Only the gauge-invariant products are judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mulint.theory import (
    EmbeddingPolicy,
    Gauge,
    Kind,
    Optimizer,
    Role,
    init_departure,
    required_init,
    required_update,
)
from mulint.traces import Exponent, Init, Invariant, Row, Update
from mulint.tracing import schedules
from mulint.tracing.measurement import Measurement
from mulint.tracing.model import ParameterDims
from mulint.tracing.schedules import Drift, Schedule
from mulint.tracing.statistics import Fit, fit

# A wrong exponent is off by at least 1/2 except for u-μP's choices; measured inits are good to a tenth.
EXACT, MEASURED = 0.1, 0.25
UPDATE_HIGH, UPDATE_LOW = 0.35, -0.45
DENOMINATOR = 4


@dataclass(frozen=True, slots=True)
class Departure:
    """What is off, as the invariants are called: for one role of the parameter, by which power."""

    name: str
    role: Role
    by: float
    kind: Kind


Judged = tuple[Invariant, Departure | None, str]


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found for one parameter."""

    dims: ParameterDims
    init: Init
    lr: Exponent
    weight_decay: Exponent
    epsilon: Exponent
    update: Update
    invariants: tuple[Invariant, ...]
    departures: tuple[Departure, ...]
    notes: tuple[str, ...]
    drift: Drift | None = None
    rows: tuple[Row, ...] | None = None


def audit(
    dims: Sequence[ParameterDims],
    measurements: Sequence[Measurement],
    widths: Sequence[float],
    embedding: EmbeddingPolicy = EmbeddingPolicy.CONSTANT,
    schedule: Sequence[Schedule] = (),
) -> tuple[Audit, ...]:
    """Judge every parameter from measurements at three widths or more.

    Args:
        dims: the parameters.
        measurements: one for every width and seed.
        widths: those of the shapes in ``dims``.
        embedding: the declared policy for the rate of embeddings.
        schedule: what the schedule of the case does at every width.
    """
    return tuple(
        _audit(_sized(one, measurements), measurements, _scales(one, widths), embedding, schedule) for one in dims
    )


def _sized(dims: ParameterDims, measurements: Sequence[Measurement]) -> ParameterDims:
    """The parameter with the sizes that others were drawn with as part of its multipliers."""

    def whole(multiplier: Fraction | None, sizes: Sequence[tuple[str, Fraction]]) -> Fraction | None:
        if multiplier is None:
            return None
        drawn = {name: fit((m.width, m.init[name]) for m in measurements if m.init.get(name)) for name, _ in sizes}
        return sum((power * _near(one.slope) for name, power in sizes if (one := drawn[name])), multiplier)

    uses = tuple(replace(use, multiplier=whole(use.multiplier, use.sizes)) for use in dims.use_roles)
    return replace(dims, multiplier=whole(dims.multiplier, dims.sizes), use_roles=uses)


def _scales(dims: ParameterDims, widths: Sequence[float]) -> Mapping[float, float]:
    """What init and rate are measured against at each width: the width, or a fan-in that is rounded on its way.

    Feed-forward widths are often rounded up to a multiple; the laws are those of the fan-in itself.
    """
    shapes = dict(zip(widths, dims.shapes, strict=True))
    if dims.role not in (Role.HIDDEN, Role.OUTPUT) or not dims.fan_in_dims or not all(shapes.values()):
        return {width: width for width in widths}
    fans = {width: float(math.prod(shape[d] for d in dims.fan_in_dims)) for width, shape in shapes.items()}
    growth = sum(dims.dims[d] or 0 for d in dims.fan_in_dims)
    return fans if growth == 1 and len(set(fans.values())) == len(fans) else {width: width for width in widths}


def _audit(
    dims: ParameterDims,
    measurements: Sequence[Measurement],
    scales: Mapping[float, float],
    embedding: EmbeddingPolicy,
    schedule: Sequence[Schedule],
) -> Audit:
    measured = [m for m in measurements if dims.name in m.init]
    zero = bool(measured) and all(m.init[dims.name] == 0 for m in measured)
    drawn = None if zero else fit((scales[m.width], m.init[dims.name]) for m in measured)
    grouped = [m for m in measured if dims.name in m.rates]
    rate = fit((scales[m.width], m.rates[dims.name].lr) for m in grouped)
    decay = fit((scales[m.width], m.rates[dims.name].weight_decay) for m in grouped)
    epsilon = fit((scales[m.width], m.rates[dims.name].epsilon or 0.0) for m in grouped)
    update = fit((m.width, m.update[dims.name]) for m in measured if dims.name in m.update)
    family = measured[0].families.get(dims.name) if measured else None
    shift = Fraction(0) if family is None else family.declared_shift(dims.role, embedding)

    def judge(rate: Fit | None) -> list[Judged]:
        return [
            one
            for role, multiplier in _roles(dims)
            for one in (
                _init(role, multiplier, drawn, zero=zero),
                _update(role, multiplier, drawn, rate, update, family, shift),
            )
        ]

    scheduled = schedules.exponents(schedule, dims.name, scales)
    drift = schedules.drift(schedule, scheduled)
    judged = judge(rate)
    if drift is not None and _is_off(judged):
        # The optimizer's rates are not those of the training: the schedule brings in the powers of the width.
        given = [Fit(slope, slope, slope) for step, slope in scheduled.items() if step]
        rate, judged, drift = given[0], judge(given[0]), None
        judged = next((other for other in map(judge, given) if _is_off(other)), judged)
    judged += _damping(
        dims.role, fit((m.width, m.undamped[dims.name]) for m in measured if dims.name in m.undamped)
    )
    invariants = [invariant for invariant, _, _ in judged]
    departures = [departure for _, departure, _ in judged if departure is not None]
    if decay is not None and rate is not None and family is not None and family.decays_with_rate:
        product = rate.slope + decay.slope
        wrong = product > EXACT  # below, it is a matter of the declared policy
        invariants.append(Invariant("weight_decay", product, 0.0, False if wrong else None))
        departures += [Departure("weight_decay", dims.role, product, family.kind)] if wrong else []
    return Audit(
        dims,
        Init(None if drawn is None else drawn.slope, None if drawn is None else drawn.interval, zero),
        Exponent(None if rate is None else rate.slope),
        Exponent(None if decay is None else decay.slope),
        Exponent(None if epsilon is None else epsilon.slope),
        _shown_update(dims, update),
        tuple(invariants),
        tuple(departures),
        tuple(note for _, _, note in judged if note),
        drift,
        None if dims.rows is None else tuple(_row(dims, row, drawn, family, embedding) for row in dims.rows),
    )


def _row(
    dims: ParameterDims,
    row: tuple[int, int, Role],
    drawn: Fit | None,
    family: Optimizer | None,
    embedding: EmbeddingPolicy,
) -> Row:
    """What the role of some rows asks of init and rate."""
    start, end, role = row
    if role is Role.SCALAR or dims.multiplier is None:
        return Row(start, end, str(role))
    init = float(required_init(role) - dims.multiplier)
    if family is None or family.kind is Kind.ORTHOGONAL:
        return Row(start, end, str(role), init)
    without = Gauge(dims.multiplier, Fraction(0) if drawn is None else _near(drawn.slope), Fraction(0))
    needed = required_update(role, _rule(family.kind)) + family.declared_shift(role, embedding)
    return Row(start, end, str(role), init, float(needed - without.update_product(family.kind)))


def _is_off(judged: Iterable[Judged]) -> bool:
    return any(departure is not None and departure.name == "update" for _, departure, _ in judged)


def _roles(dims: ParameterDims) -> list[tuple[Role, Fraction | None]]:
    """The roles to judge: of a tied table both that of the table and that of the readout."""
    tied = dims.role is Role.INPUT
    readouts = [(use.role, use.multiplier) for use in dims.use_roles if tied and use.role is Role.OUTPUT]
    return list(dict.fromkeys([(dims.role, dims.multiplier), *readouts]))


def _init(role: Role, multiplier: Fraction | None, drawn: Fit | None, *, zero: bool) -> Judged:
    if role in (Role.SCALAR, Role.MIXED):
        return Invariant("init", None, None, None), None, ""
    expected = float(required_init(role))
    if zero:
        return Invariant("init", None, expected, True), None, ""
    if drawn is None or multiplier is None:
        return Invariant("init", None, expected, None), None, ""
    value = drawn.slope + float(multiplier)
    off = float(init_departure(role, Gauge(multiplier, _near(drawn.slope), Fraction(0))))
    wrong = abs(off) > MEASURED
    if role is Role.VECTOR:
        note = "drawn with a size that depends on the width (torch's default for biases)" if wrong else ""
        return Invariant("init", value, expected, None if wrong else True), None, note
    departure = Departure("init", role, off, Kind.ADAPTIVE) if wrong else None
    return Invariant("init", value, expected, not wrong), departure, ""


def _update(
    role: Role,
    multiplier: Fraction | None,
    drawn: Fit | None,
    rate: Fit | None,
    update: Fit | None,
    family: Optimizer | None,
    shift: Fraction,
) -> Judged:
    if role in (Role.SCALAR, Role.MIXED) or multiplier is None or rate is None:
        return Invariant("update", None, None, None), None, ""
    if family is None or family.kind is Kind.ORTHOGONAL:
        return _measured_update(role, multiplier, update)
    gauge = Gauge(multiplier, Fraction(0) if drawn is None else _near(drawn.slope), _near(rate.slope))
    value, expected = gauge.update_product(family.kind), required_update(role, _rule(family.kind)) + shift
    off = float(value - expected)
    wrong = abs(off) > EXACT
    departure = Departure("update", role, off, family.kind) if wrong else None
    return Invariant("update", float(value), float(expected), not wrong), departure, ""


def _rule(kind: Kind) -> Kind:
    return Kind.SGD if kind is Kind.SGD else Kind.ADAPTIVE


def _damping(role: Role, left: Fit | None) -> list[Judged]:
    """Whether gradients fall below ε as the model gets wider, and the updates with them."""
    if left is None or left.slope >= -MEASURED:
        return []
    return [
        (Invariant("epsilon", left.slope, 0.0, False), Departure("epsilon", role, left.slope, Kind.ADAPTIVE), "")
    ]


def _measured_update(role: Role, multiplier: Fraction, update: Fit | None) -> Judged:
    """For families that no table knows: multiplier times update norm must not depend on the width."""
    if update is None:
        return Invariant("update", None, 0.0, None), None, ""
    value = update.slope + float(multiplier)
    wrong = value > UPDATE_HIGH or value < UPDATE_LOW
    departure = Departure("update", role, value, Kind.ORTHOGONAL) if wrong else None
    return Invariant("update", value, 0.0, not wrong), departure, ""


def _shown_update(dims: ParameterDims, update: Fit | None) -> Update:
    if update is None:
        return Update(None)
    shift = float(dims.multiplier or 0)
    return Update(update.slope + shift, (update.low + shift, update.high + shift))


def _near(slope: float) -> Fraction:
    """The simple fraction that a slope means, or the slope itself to two digits."""
    simple = Fraction(round(slope * DENOMINATOR), DENOMINATOR)
    return simple if abs(float(simple) - slope) < EXACT else Fraction(slope).limit_denominator(100)
