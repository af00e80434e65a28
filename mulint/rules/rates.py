"""What the rules about optimizers share: every weight with its rate and the one it needs, and the finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.parameters import Parameter, multiplier
from mulint.program.rates import Group, OptimizerView
from mulint.program.values import Knob, Site, Value, as_number
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Optimizer, Role, table_8

_MATRICES = (Role.HIDDEN, Role.INPUT, Role.OUTPUT)


@dataclass(frozen=True, slots=True)
class Rate:
    """One weight in one group: the width exponents of the rate it gets and of the one it needs."""

    parameter: Parameter
    group: Group
    found: Fraction
    due: Fraction

    @property
    def is_right(self) -> bool:
        """Whether the rate is the one that the weight needs."""
        return self.found == self.due


def scaled(program: Program) -> Iterator[tuple[OptimizerView, Optimizer]]:
    """Optimizers of a known family some of whose groups have a rate that depends on the width."""
    for view in program.optimizers:
        family = view.family
        if family is not None and not family.width_scaled and any(g.exponent for g in view.groups):
            yield view, family


def rates(program: Program, view: OptimizerView, family: Optimizer) -> list[Rate]:
    """The weights of an optimizer whose rates are known and can be judged; frozen ones are left out."""
    return [
        Rate(parameter, group, group.exponent, due)
        for group in view.groups
        if group.exponent is not None
        for parameter in group.parameters or ()
        if not parameter.weight.frozen
        for due in (due_rate(program, family, parameter),)
        if due is not None
    ]


def due_rate(program: Program, family: Optimizer, parameter: Parameter) -> Fraction | None:
    """The exponent of the rate that a weight needs beside the multiplier that its uses have.

    None where that is not known: weights with several multipliers, hidden weights with any (attention's scale
    may be counted to a query), weights to a finite size that are no readouts.
    """
    role = Role.INPUT if parameter.tied else parameter.role
    if role is Role.VECTOR:
        return family.rate_exponent(role, program.policies.embedding)
    if role not in _MATRICES or (role is Role.OUTPUT and not program.reads_out(parameter)):
        return None
    # Where a model is not applied in this context, its uses in others speak for it.
    contexts = [parameter] if parameter.weight.applications else program.built_at(parameter.key)
    uses = [u for p in contexts for u in (p.readouts if role is Role.OUTPUT else p.weight.applications)]
    exponents = {e for use in uses for e in multiplier(use, program.growth)}
    if parameter.tied or not uses:
        exponents = {Fraction(0)}
    found = exponents.pop() if len(exponents) == 1 else None
    if found is None or (role is Role.HIDDEN and found != 0):
        return None
    return rate_beside(program, family, role, found)


def rate_beside(program: Program, family: Optimizer, role: Role, multiplier: Fraction) -> Fraction:
    """The exponent of the rate that a role needs where its multiplier has a given exponent."""
    shift = multiplier - table_8(role).multiplier
    return family.rate_exponent(role, program.policies.embedding) - shift * family.kind.multiplier_weight


def held_or_reachable(program: Program, view: OptimizerView, role: Role) -> list[Parameter]:
    """Weights of a role in the optimizer; if its weights are not known, those of the models in reach.

    One that is given a choice of weights, or stands beside others that take the rest, may hold none of them.
    """
    held = view.holding(role)
    known = view.follows_weights or view.record.listed or view.record.hook
    if held or known or _shares(program, view):
        return held
    return program.reachable(view.record.site.path, role)


def _shares(program: Program, view: OptimizerView) -> bool:
    """Whether the same function builds another optimizer, not as an alternative to this one."""
    here = view.record
    return any(
        other.record.site != here.site
        and (other.record.site.path, other.record.owner) == (here.site.path, here.owner)
        and not (other.record.conditional and here.conditional)
        for other in program.optimizers
    )


def finding(
    rule: Header,
    view: OptimizerView,
    name: str,
    *,
    message: str,
    expected: str,
    found: str,
    weights: Sequence[Parameter] = (),
    related: Iterable[tuple[Site, str]] = (),
    severity: Severity | None = None,
) -> Finding:
    """What a rule says of an optimizer, at its construction.

    Args:
        rule: the rule.
        view: the optimizer.
        name: what it is called where no function of the user's holds it.
        message: what is wrong.
        expected: what is due.
        found: what is there.
        weights: those at fault, of which some are named.
        related: other places.
        severity: where it is not the rule's own.
    """
    site = view.record.site
    return rule.finding(
        site,
        subject=subject("optimizer", site),
        symbol=view.record.owner or name,
        message=message,
        expected=expected,
        found=found,
        related=[*related, *describe.weights(weights)[:4]],
        severity=severity,
    )


def severity(view: OptimizerView) -> Severity | None:
    """A warning where the weights of an optimizer are not known; else None, for the rule's own."""
    return None if view.roles else Severity.WARNING


def symbols(rates: Iterable[Rate]) -> list[Parameter]:
    """The parameters of some rates, each construction once."""
    return list({r.parameter.key: r.parameter for r in rates}.values())


def above(value: Value | None, bound: float = 0.0) -> bool:
    """Whether an option is surely a number above a bound; a setting counts by its default."""
    if isinstance(value, Knob):
        return value.default is not None and above(value.default, bound)
    constant = as_number(value).constant if value is not None else None
    return constant is not None and constant > bound


def may_be_positive(value: Value | None) -> bool:
    """Whether an option is not known to be zero or absent."""
    if isinstance(value, Knob):
        return value.default is None or may_be_positive(value.default)
    number = as_number(value) if value is not None else Number()
    return bool(number.alternatives) and number.constant != 0
