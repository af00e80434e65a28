"""From audit, attention and coordinates to a verdict, the parameters at fault, and the limit the code tends to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from mulint.theory import Kind, Role, law, required_init, required_update, table
from mulint.traces import ActivationTrace, Culprit, Limit, Verdict
from mulint.tracing.invariants import EXACT, Audit, Departure
from mulint.tracing.model import Attention

_UPDATE_CODES = {Role.HIDDEN: "MU101", Role.OUTPUT: "MU401", Role.INPUT: "MU105", Role.VECTOR: "MU105"}
_OTHER_CODES = {"epsilon": "MU111", "weight_decay": "MU112"}
_INIT_CODES = {Role.HIDDEN: "MU301", Role.OUTPUT: "MU304", Role.INPUT: "MU302"}


def culprits(audits: Sequence[Audit], attention: Sequence[Attention]) -> tuple[Culprit, ...]:
    """What decides a failing verdict, each with the place in the user's code where it is built or computed."""
    found: dict[tuple[str, str], Culprit] = {}
    for audit in audits:
        for culprit in (*_of_parameter(audit, audits), *_of_schedule(audit)):
            found.setdefault((culprit.parameter, culprit.code), culprit)
    for site in attention:
        if site.ok is False:
            name = ", ".join(site.parameters) or site.op
            culprit = _attention(site, name)
            found.setdefault((f"{site.path}:{site.line}", culprit.code), culprit)
    return tuple(found.values())


def telling(audit: Audit) -> Iterator[Departure]:
    """The departures that are faults of their own."""
    update = [d for d in audit.departures if d.name == "update"]
    own = {d.by for d in update if d.role is audit.dims.role}
    for departure in audit.departures:
        if departure.role is not audit.dims.role and departure.by in own:
            continue  # the wrong rate of a table is also that of the readout tied to it
        if departure.name == "init" and departure.role is Role.OUTPUT and update:
            continue  # the missing multiplier explains both
        if departure.name == "weight_decay" and update:
            continue  # decay follows the rate, which is wrong itself
        yield departure


def _of_parameter(audit: Audit, audits: Sequence[Audit]) -> Iterator[Culprit]:
    for departure in telling(audit):
        code = _code(departure, audit, audits)
        path, line = _place(audit, code)
        yield Culprit(audit.dims.name, code, path, line, _what(departure))


def _of_schedule(audit: Audit) -> Iterator[Culprit]:
    if audit.drift is not None:
        found, place = audit.drift, audit.drift.place
        what = (
            f"{found.kind.__name__} takes learning rates off by {law(Fraction(found.by).limit_denominator(4))} "
            f"after {found.first} steps; it must change those of all groups by the same factor"
        )
        yield Culprit(audit.dims.name, found.code, place.path, place.line, what)


def _code(departure: Departure, audit: Audit, audits: Sequence[Audit]) -> str:
    role = departure.role
    if departure.name in _OTHER_CODES:
        return _OTHER_CODES[departure.name]
    tied = role is Role.OUTPUT and audit.dims.role is Role.INPUT
    if tied:
        return "MU409"
    if role is Role.INPUT and _right_without_its_factor(departure, audit):
        return "MU404"
    if departure.name == "init":
        return _INIT_CODES[role]
    if _rates_of_another_family(audits):
        return "MU103"
    if departure.kind is Kind.SGD and (role is not Role.OUTPUT or departure.by < 0):
        return "MU102"
    if role is not Role.HIDDEN and departure.by < 0:
        return "MU104" if _some_keep_their_rate(audits) else "MU105"
    if role is Role.OUTPUT and -1 < (audit.dims.multiplier or 0) < 0:
        return "MU402"
    return _UPDATE_CODES[role]


def _rates_of_another_family(audits: Sequence[Audit]) -> bool:
    """Whether every update is off as it is when SGD is given the rates of Adam, or Adam those of SGD."""
    updates = {(a.dims.role, d.by, d.kind) for a in audits for d in a.departures if d.name == "update"}
    other = {Kind.SGD: Kind.ADAPTIVE, Kind.ADAPTIVE: Kind.SGD}
    judged = [a for a in audits if any(i.name == "update" and i.ok is not None for i in a.invariants)]
    scaled = any(abs(a.lr.exponent or 0) > EXACT for a in judged)  # else it is one rate for all
    return (
        scaled
        and len({role for role, _, _ in updates}) > 1
        and all(
            any(
                role is a.dims.role
                and kind in other
                and by == table(8, role, other[kind]).rate - table(8, role, kind).rate
                for role, by, kind in updates
            )
            for a in judged
        )
    )


def _right_without_its_factor(departure: Departure, audit: Audit) -> bool:
    multiplier = audit.dims.multiplier or Fraction(0)
    weight = 1 if departure.name == "init" else departure.kind.multiplier_weight
    return multiplier > 0 and departure.by == multiplier * weight


def _some_keep_their_rate(audits: Sequence[Audit]) -> bool:
    """Whether some table or vector learns as it should: then not every rate is scaled but a group too many."""
    return any(
        a.dims.role in (Role.INPUT, Role.VECTOR) and not any(d.name == "update" for d in a.departures)
        for a in audits
    )


def _place(audit: Audit, code: str) -> tuple[str, int]:
    """Where the parameter's layer is built; of a tied one the layer that reads it out; of a factor the factor."""
    dims = audit.dims
    sites = dims.sites[1:] if code == "MU409" and len(dims.sites) > 1 else dims.sites
    for use in (*(dims.multiplier_places if code == "MU404" else ()), *sites, *dims.uses):
        return use.path, use.line
    return "", 0


def _what(departure: Departure) -> str:
    off = law(Fraction(departure.by).limit_denominator(4))
    if departure.name == "weight_decay":
        return f"what weight decay takes away in a step grows as {off}; learning rate times decay may not grow"
    if departure.name == "epsilon":
        return f"gradients fall below ε and updates shrink as {off}; ε has to follow the gradients"
    if departure.name == "init":
        return f"init is off by {off}; {departure.role} weights need {law(required_init(departure.role))}"
    if departure.kind is Kind.ORTHOGONAL:
        return f"the measured update grows as {off}; it must not depend on the width"
    needed = required_update(departure.role, Kind.SGD if departure.kind is Kind.SGD else Kind.ADAPTIVE)
    return f"update is off by {off}; {departure.role} weights need multiplier and rate together ∝ {law(needed)}"


def _attention(site: Attention, name: str) -> Culprit:
    found = "unknown" if site.scale_exponent is None else law(site.scale_exponent)
    due = "unknown" if site.required is None else law(site.required)
    code, what = ("MU405", "attention logits are") if site.softmax else ("MU407", "the product over the width is")
    return Culprit(name, code, site.path, site.line, f"{what} scaled by {found}; the factor has to be {due}")


def overall(
    found: Sequence[Culprit], audits: Sequence[Audit], activations: Sequence[ActivationTrace], *, complete: bool
) -> Verdict:
    """Fail on any culprit or statistic beyond its threshold; pass only when all was measured and clear."""
    if found or any(row.verdict == "violates" for row in activations):
        return "fail"
    updates = [i for a in audits for i in a.invariants if i.name == "update" and i.value is not None]
    if not complete or not updates or any(row.verdict == "unknown" for row in activations):
        return "inconclusive"
    return "pass"


def limit(audits: Sequence[Audit], activations: Sequence[ActivationTrace], verdict: Verdict) -> Limit:
    """The limit that the code tends to as the width grows."""
    if verdict == "pass":
        return "feature-learning"
    if verdict == "inconclusive":
        return "unknown"
    grows = any(d.by > 0 for a in audits for d in a.departures)
    if grows or any(row.verdict == "violates" and (row.slope or 0) > 0 for row in activations):
        return "unstable"
    updates = [d for a in audits for d in a.departures if d.name == "update"]
    if any(d.role in (Role.HIDDEN, Role.OUTPUT) for d in updates):
        return "trivial" if len(updates) == len(audits) else "kernel"
    return "kernel" if updates else "unknown"
