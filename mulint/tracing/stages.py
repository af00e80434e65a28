"""The stages of a trace in order: roles, invariants, coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from mulint import traces
from mulint.theory import EmbeddingPolicy, Role, law
from mulint.tracing import (
    building,
    contributions,
    coordinates,
    devices,
    invariants,
    roles,
    schedules,
    scope,
    training,
    verdict,
)
from mulint.tracing.building import Plan
from mulint.tracing.invariants import Audit
from mulint.tracing.measurement import ATTENTION, Measurement, measure
from mulint.tracing.model import Attention, Builder, ParameterDims, Use
from mulint.tracing.request import Request
from mulint.tracing.roles import Dimensions
from mulint.tracing.schedules import Schedule

Progress = Callable[[str, float], None]
# Two seeds were enough for Adam on every model measured, three for SGD; more only where it is not clear.
FEW_SEEDS, FEW_SEEDS_SGD, MOST_SEEDS = 2, 3, 5
CANNOT_SEE = (
    "schedules and learning rates written in a training script: run `mulint check` there",
    "branches of the model that this batch does not reach",
)


def answer(request: str, progress: Progress) -> dict[str, Any]:
    """What the worker sends back: the trace as JSON values."""
    asked = Request.from_json(request)
    asked = replace(asked, device=devices.chosen(asked.device))
    return run(building.plan(asked), asked, progress).to_wire()


def run(plan: Plan, request: Request, progress: Progress) -> traces.Trace:
    """Make the trace that was asked for.

    Raises:
        CannotBuild: the user's model cannot be built or run.
    """
    if request.autocast:
        plan = replace(plan, builder=devices.autocast(plan.builder, request.autocast))
    progress("roles", 0.0)
    count = len(plan.builder.widths)
    done = iter(range(1, 2 * count + 1))
    dimensions = roles.trace(
        plan.builder,
        Path(request.root),
        lambda: progress("roles", min(next(done) / count, 1.0)),
        torch.device(request.device),
    )
    embedding = EmbeddingPolicy(request.embedding_lr)
    modules = _modules(dimensions, embedding)
    schedule: tuple[Schedule, ...] = ()
    if "invariants" in request.stages:
        schedule = schedules.follow(plan.builder, request.seed, torch.device(request.device), Path(request.root))
    measurements = _measure(request, plan.builder, dimensions.parameters, modules, progress)
    audits = invariants.audit(dimensions.parameters, measurements, plan.builder.widths, embedding, schedule)
    activations: tuple[traces.ActivationTrace, ...] = ()
    if "coordinates" in request.stages:
        activations = coordinates.check(measurements, modules)
    found = verdict.culprits(audits, dimensions.attention) if measurements else ()
    complete = {"invariants", "coordinates"} <= set(request.stages)
    outcome = verdict.overall(found, audits, activations, complete=complete)
    contributed: tuple[traces.Contribution, ...] = ()
    if activations and outcome == "fail" and measurements[0].trained:
        progress("training", 0.0)
        contributed = contributions.split(
            plan.builder,
            dimensions.parameters,
            modules,
            _suspicious(found, dimensions, activations),
            request.seed,
            torch.device(request.device),
            measurements[0].steps,
        )
    return traces.Trace(
        model=f"{request.module or Path(request.file).name}:{request.name}",
        widths=tuple(int(width) if width.is_integer() else width for width in plan.builder.widths),
        base=plan.base,
        held=plan.held,
        device=request.device,
        dtype=request.dtype if not request.autocast else f"{request.dtype}, autocast to {request.autocast}",
        assumptions=(*plan.assumptions, *dimensions.assumptions),
        parameters=tuple(_parameter(audit, dimensions.attention) for audit in audits),
        attention=tuple(
            traces.AttentionTrace(
                site.path,
                site.line,
                site.column,
                site.op,
                _number(site.contract_exponent),
                _number(site.scale_exponent),
                _number(site.required),
                site.ok,
            )
            for site in dimensions.attention
        ),
        steady=tuple(map(_site, dimensions.steady)),
        activations=activations,
        contributions=contributed,
        limit=verdict.limit(audits, activations, outcome),
        verdict=outcome,
        culprits=found,
        cannot_see=(*CANNOT_SEE, *schedules.unseen(schedule), *dimensions.unseen),
        unmeasured=scope.unmeasured(request.stages, trained=any(one.trained for one in measurements)),
    )


def _measure(
    request: Request,
    builder: Builder,
    dims: Sequence[ParameterDims],
    modules: coordinates.Modules,
    progress: Progress,
) -> list[Measurement]:
    """Train at every width, seed by seed, until the verdict is decided or the seeds are used up."""
    if not {"invariants", "coordinates"} & set(request.stages):
        return []
    torch.set_num_threads(1)
    device = torch.device(request.device)
    steps = max(request.steps or training.STEPS, 2)
    found: list[Measurement] = []
    factor: float | None = None
    for count in range(1, (request.seeds or MOST_SEEDS) + 1):
        for index, width in enumerate(builder.widths):
            progress("training", (index + 1) / len(builder.widths))
            measurement, factor = measure(builder, dims, width, request.seed + count - 1, device, factor, steps)
            found.append(measurement)
        few = FEW_SEEDS_SGD if found[0].family is not None and found[0].family.is_sgd else FEW_SEEDS
        if request.seeds is None and count >= few and _is_decided(coordinates.check(found, modules)):
            break
    return found


def _suspicious(
    found: Sequence[traces.Culprit], dimensions: Dimensions, activations: Sequence[traces.ActivationTrace]
) -> set[str]:
    """The modules that use a parameter at fault, and those whose outputs leave their limits."""
    named = {name for culprit in found for name in culprit.parameter.split(", ")}
    users = {use.module for one in dimensions.parameters if one.name in named for use in one.use_roles}
    return users | {row.module.partition("#")[0] for row in activations if row.verdict == "violates"}


def _is_decided(rows: Sequence[traces.ActivationTrace]) -> bool:
    """Whether more seeds cannot turn the verdict: one statistic fails beyond doubt, or all are clear."""
    return any(row.verdict == "violates" for row in rows) or coordinates.is_clear(rows)


def _modules(dimensions: Dimensions, embedding: EmbeddingPolicy) -> coordinates.Modules:
    places = {name: (site.path, site.line) for name, site in dimensions.modules.items()}
    fused = {(a.path, a.line) for a in dimensions.attention if a.op == "scaled_dot_product_attention"}
    if len(fused) == 1:
        places[ATTENTION] = fused.pop()
    after: dict[str, float] = {}
    for one in dimensions.parameters:
        for use in one.use_roles:
            if use.after and one.role is not Role.VECTOR:
                after[use.module] = float(use.after)
    tables = {use.module for one in dimensions.parameters if one.role is Role.INPUT for use in one.use_roles}
    return coordinates.Modules(places, after, frozenset(tables), embedding)


def _parameter(audit: Audit, attention: Sequence[Attention]) -> traces.ParameterTrace:
    dims = audit.dims
    return traces.ParameterTrace(
        name=dims.name,
        aliases=dims.aliases,
        shapes=dims.shapes,
        role=str(dims.role),
        dims=tuple(map(_number, dims.dims)),
        rows=audit.rows,
        fan_in_dims=dims.fan_in_dims,
        fan_out_dims=dims.fan_out_dims,
        uses=tuple(map(_site, dims.uses)),
        multiplier=traces.Multiplier(_number(dims.multiplier), tuple(map(_site, dims.multiplier_places))),
        sites=tuple(map(_site, dims.sites)),
        init=audit.init,
        lr=audit.lr,
        weight_decay=audit.weight_decay,
        epsilon=audit.epsilon,
        update=audit.update,
        invariants=(
            *audit.invariants,
            *(
                traces.Invariant("attention", _number(site.scale_exponent), _number(site.required), site.ok)
                for site in attention
                if dims.name in site.parameters
            ),
        ),
        verdict=_verdict(audit),
        reason=_reason(audit),
    )


def _verdict(audit: Audit) -> traces.ParameterVerdict:
    if audit.departures or audit.drift:
        return "violates"
    judged = [i.ok for i in audit.invariants if i.name in ("init", "update")]
    settled = audit.dims.role is Role.SCALAR or (audit.dims.role is not Role.VECTOR and all(judged) and judged)
    rates = [i.ok for i in audit.invariants if i.name == "update"]
    return "ok" if settled or (audit.dims.role is Role.VECTOR and rates and all(rates)) else "unknown"


def _reason(audit: Audit) -> str:
    if not audit.dims.uses:
        return "this batch does not use it"
    parts = [
        f"{'' if d.role is audit.dims.role else f'as {d.role} '}{d.name} off by "
        f"{law(Fraction(d.by).limit_denominator(4))}"
        for d in verdict.telling(audit)
    ]
    return "; ".join((*parts, *audit.notes))


def _site(use: Use) -> traces.UseSite:
    return traces.UseSite(use.path, use.line, use.column, use.op)


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
