"""Roles of parameters from their uses, and which parameter or attention product a scalar factor belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mulint.theory import Role, role_of
from mulint.tracing.catalogue import MULTIPLY, PLACES, SCALES
from mulint.tracing.exponents import Law, of_sizes
from mulint.tracing.ledger import Ledger, made_by_layer
from mulint.tracing.model import Attention, Use, UseRole
from mulint.tracing.values import Factor, ParameterUse, Site, Source

ZERO = Fraction(0)
Row = tuple[int, int, Role]


def role_of_use(laws: Sequence[Law], shape: Sequence[int], use: ParameterUse) -> Role:
    """The role that one use gives to a parameter whose dimensions follow ``laws`` (contracts of roles: by use)."""
    if not use.followed:
        return role_of_shape(laws)
    growing = {axis for axis, law in enumerate(laws) if law.grows}
    # A scale per channel, also one of several numbers such as A_log.
    gain = use.use.op in MULTIPLY or (use.elementwise and use.use.op in SCALES)
    extended = sum(size > 1 for size in shape) > 1 and len(growing) == 1 and not gain
    view = use.view
    return role_of(
        contracts_width=view.contracts if view else bool(use.contracted & growing),
        produces_width=view.produces if view else bool(growing - use.contracted),
        is_table=bool(use.contracted) or use.lookup or use.token or use.use.op in PLACES or extended,
    )


def role_of_shape(laws: Sequence[Law]) -> Role:
    """The likely role of a parameter that the run did not use."""
    growing = sum(2 if law.exponent == 2 else law.grows for law in laws)  # a flat matrix, or half of one
    return role_of(contracts_width=growing > 1, produces_width=growing > 0, is_table=len(laws) > 1)


def combined(roles: Sequence[Role]) -> Role:
    """The role of a parameter with several uses: a table that is also read out (tied weights) is an input."""
    found = set(roles)
    if Role.INPUT in found and found & {Role.OUTPUT, Role.INPUT} == found - {Role.VECTOR}:
        return Role.INPUT
    for role in (Role.HIDDEN, Role.OUTPUT, Role.INPUT, Role.VECTOR):
        if role in found:
            return role
    return Role.SCALAR


def rows_of(widths: Sequence[float], laws: Sequence[Law], uses: Sequence[ParameterUse]) -> tuple[Row, ...] | None:
    """Rows of several roles in one packed weight, at the smallest width; ``None`` when all rows agree."""
    for use in uses:
        contracts = any(laws[axis].grows for axis in use.contracted)
        rows = []
        for starts, ends in use.pieces:
            sizes = [end - start for start, end in zip(starts, ends, strict=True)]
            if len(sizes) != len(widths) or not sizes[0]:
                continue
            grows = of_sizes(widths, sizes).grows
            role = (Role.HIDDEN if grows else Role.OUTPUT) if contracts else Role.INPUT if grows else Role.SCALAR
            rows.append((starts[0], ends[0], role))
        finest = _finest(rows)
        if len({role for _, _, role in finest}) > 1:
            return tuple(sorted(finest))
    return None


def _finest(rows: Iterable[Row]) -> set[Row]:
    """Rows without those that others cut apart again."""
    found = set(rows)
    for row in sorted(found, key=lambda row: row[0] - row[1]):
        inside = [
            (start, end) for start, end, _ in found if (start, end) != row[:2] and row[0] <= start < end <= row[1]
        ]
        if len({i for start, end in inside for i in range(start, end)}) == row[1] - row[0]:
            found.remove(row)
    return found


def is_packed(laws: Sequence[Law], uses: Sequence[ParameterUse]) -> bool:
    """Whether produced rows follow ``a * w + b``: some grow beside some that do not."""
    return any(laws[axis].affine for use in uses if use.contracted for axis in use.produced)


def assign(
    ledger: Ledger, roles: Mapping[ParameterUse, Role]
) -> dict[ParameterUse, list[tuple[Factor, Fraction]]]:
    """Give every factor to the uses whose multiplier it is; factors of attention products stay with them."""
    assigned: dict[ParameterUse, list[tuple[Factor, Fraction]]] = {}
    for factor in ledger.factors:
        if factor.law.exponent == ZERO or factor.sites or any(isinstance(s, Site) for s in factor.producers):
            continue
        for use, degree in owners(factor, roles).items():
            assigned.setdefault(use, []).append((factor, degree))
    return assigned


def owners(factor: Factor, roles: Mapping[ParameterUse, Role]) -> dict[ParameterUse, Fraction]:
    """The uses that a factor multiplies.

    A factor between two layers could be counted with either. It goes to the layer in whose own module it
    stands; else to a readout that takes it in; else to the layers that made what it multiplies; else to those
    that take it in.
    """
    made = {
        source: degree
        for source, degree in factor.producers.items()
        if isinstance(source, ParameterUse) and degree == 1  # not a square, as in a loss
    }
    layers = {use: degree for use, degree in made.items() if made_by_layer(use)}
    for group in (factor.consumers, made):
        inside = {use: degree for use, degree in group.items() if _owner(use) == factor.module and factor.module}
        if any(made_by_layer(use) for use in inside):
            return inside
    readouts = {use: degree for use, degree in factor.consumers.items() if roles[use] is Role.OUTPUT}
    contracting = {use: degree for use, degree in factor.consumers.items() if use.contracted}
    if readouts:
        return readouts
    if layers:
        return {use: degree for use, degree in made.items() if use in layers or _owner(use) in map(_owner, layers)}
    return contracting or made or dict(factor.consumers)


def multiplier(assigned: Sequence[tuple[Factor, Fraction]]) -> tuple[Fraction | None, tuple[Use, ...]]:
    """Exponent of all factors together, and where they stand."""
    total: Fraction | None = ZERO
    for factor, degree in assigned:
        exponent = factor.law.exponent
        total = None if total is None or exponent is None else total + exponent * degree
    return total, tuple(dict.fromkeys(factor.use for factor, _ in assigned))


def use_roles(
    uses: Sequence[ParameterUse],
    roles: Mapping[ParameterUse, Role],
    assigned: Mapping[ParameterUse, list[tuple[Factor, Fraction]]],
    lent: Mapping[ParameterUse, list[tuple[Factor, Fraction]]],
) -> tuple[UseRole, ...]:
    """Every use with its role and multiplier, equal ones once."""
    found = []
    for use in uses:
        factors = assigned.get(use, ())
        after = [(f, degree) for f, degree in factors if use in f.producers and f.module != use.module]
        outside = (multiplier(after)[0] or ZERO) - (multiplier(lent.get(use, ()))[0] or ZERO)
        total, places = multiplier(factors)
        sizes = tuple(sorted(use.sizes.items()))
        found.append(UseRole(use.use, use.module, roles[use], total, outside, places, sizes))
    return tuple(dict.fromkeys(found))


def lent(ledger: Ledger) -> dict[ParameterUse, list[tuple[Factor, Fraction]]]:
    """Factors of attention products that stand in front of a projection, and so in its module's output."""
    found: dict[ParameterUse, list[tuple[Factor, Fraction]]] = {}
    for factor in ledger.factors:
        for use, degree in factor.consumers.items():
            if factor.sites and all(site.module != use.module for site in factor.sites):
                found.setdefault(use, []).append((factor, degree))
    return found


def attention_of(ledger: Ledger) -> tuple[Attention, ...]:
    """Every product of activations over a growing dimension, once per place, with its factors added up."""
    after: dict[Source, list[tuple[Factor, Fraction]]] = {}
    for factor in ledger.factors:
        for source, degree in factor.producers.items():
            if isinstance(source, Site):
                after.setdefault(source, []).append((factor, 1 / degree if degree else degree))
    before: dict[Site, list[tuple[Factor, Fraction]]] = {}
    for factor in ledger.factors:
        for site, degree in factor.sites.items():
            before.setdefault(site, []).append((factor, degree))
    scales = {
        site: _sum(multiplier([*before.get(site, ()), *after.get(site, ())])[0], site.builtin)
        for site in ledger.sites
    }
    sizes = {site: _sum(scale, site.contracted.exponent) for site, scale in scales.items()}
    # In a quotient of two that grow alike no factor is left.
    balanced = {s for pair in ledger.quotients if len({sizes[s] for s in pair}) == 1 for s in pair}
    found: dict[Attention, list[str]] = {}
    for site, scale in scales.items():
        if site in balanced:
            continue
        contract = site.contracted.exponent
        required = None if contract is None else -contract
        ok = None if scale is None or required is None else scale == required
        use = site.use
        attention = Attention(
            use.path, use.line, use.column, use.op, contract, scale, required, ok, softmax=site.softmax
        )
        found.setdefault(attention, []).extend(site.makers)
    return tuple(replace(site, parameters=tuple(dict.fromkeys(names))) for site, names in found.items())


def _sum(*exponents: Fraction | None) -> Fraction | None:
    known = [exponent for exponent in exponents if exponent is not None]
    return sum(known, ZERO) if len(known) == len(exponents) else None


def _owner(use: ParameterUse) -> str:
    return use.parameter.rpartition(".")[0]
