"""What the rules about routers and low-rank maps share: inner maps from a width to a fixed size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import Parameter, multiplier
from mulint.program.rates import OptimizerView
from mulint.rules import describe, rates
from mulint.rules.rule import Header, subject
from mulint.theory import Optimizer, Role, law


@dataclass(frozen=True, slots=True)
class Insert:
    """A map from a width to a fixed size inside a model, trained with a rate that lacks a power of the width."""

    parameter: Parameter
    view: OptimizerView
    due: Fraction


def inserts(program: Program) -> Iterator[Insert]:
    """Inner maps that keep the base rate beside hidden weights with a scaled one, once for each construction."""
    seen = set()
    for view in program.optimizers:
        family = view.family
        if family is None or family.width_scaled or not _scales_hidden(view, family):
            continue
        due = rates.rate_beside(program, family, Role.OUTPUT, Fraction(0))
        for parameter in (p for group in view.groups for p in group.parameters or ()):
            known = parameter.key in seen or parameter.weight.frozen
            if not known and _is_inner(program, parameter) and view.exponent_for(parameter) == 0 != due:
                seen.add(parameter.key)
                yield Insert(parameter, view, due)


def expands(program: Program, parameter: Parameter) -> list[Parameter]:
    """The maps back to a width that take what a map to a fixed size gives."""
    return [
        p
        for p in program.parameters
        if p.role is Role.INPUT
        for use in p.weight.applications
        if use.kind == "linear" and any(source.weight is parameter.weight for source in use.sources)
    ]


def finding(rule: Header, program: Program, insert: Insert, what: str, others: list[Parameter]) -> Finding:
    """What the rules say of an inner map; ``what`` it is completes the message."""
    weight = insert.parameter.weight
    width = describe.width_name(program, weight.fan_in)
    site = weight.layer.site if weight.layer else weight.site
    return rule.finding(
        site,
        subject=subject("insert", site),
        symbol=weight.symbol,
        message=f"{what} {weight.symbol} keeps the base learning rate: its updates grow with {width}",
        expected=f"learning rate ∝ {law(insert.due, width)}",
        found="a learning rate constant in the width",
        related=[(insert.view.record.site, "the optimizer is built here"), *describe.weights(others)[:3]],
        severity=describe.severity([insert.parameter]),
    )


def _scales_hidden(view: OptimizerView, family: Optimizer) -> bool:
    due = family.rate_exponent(Role.HIDDEN)
    return any(g.exponent == due != 0 and g.holds(Role.HIDDEN) for g in view.groups)


def _is_inner(program: Program, parameter: Parameter) -> bool:
    uses = [use for use in parameter.weight.applications if use.kind == "linear"]
    return (
        parameter.role is Role.OUTPUT
        and not program.reads_out(parameter)
        and bool(uses)
        and all(multiplier(use, program.growth) == {0} for use in uses)
    )
