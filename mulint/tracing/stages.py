"""The stages of a trace in order: roles, invariants, coordinates."""

from __future__ import annotations

from collections.abc import Sequence
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
    verdict,
)
from mulint.tracing.building import Plan
from mulint.tracing.calls import ATTENTION
from mulint.tracing.invariants import Audit
from mulint.tracing.measurement import Measurement
from mulint.tracing.model import Attention, CannotBuild, Use
from mulint.tracing.request import Request
from mulint.tracing.roles import Dimensions
from mulint.tracing.sampling import Judgement, Progress, Sampler
from mulint.tracing.schedules import Schedule

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
    if not any(len(set(one.shapes)) > 1 for one in dimensions.parameters):
        widths = ", ".join(f"{width:g}" for width in plan.builder.widths)
        raise CannotBuild(f"no parameter changes with the width ({widths}); build the model with the width given")
    embedding = EmbeddingPolicy(request.embedding_lr)
    modules = _modules(dimensions, embedding)
    schedule: tuple[Schedule, ...] = ()
    if "invariants" in request.stages:
        schedule = schedules.follow(plan.builder, request.seed, torch.device(request.device), Path(request.root))

    def judge(measurements: Sequence[Measurement]) -> Judgement:
        audits = invariants.audit(dimensions.parameters, measurements, plan.builder.widths, embedding, schedule)
        found = verdict.culprits(audits, dimensions.attention) if measurements else ()
        return Judgement(audits, coordinates.check(measurements, modules), found)

    sampler = Sampler(plan.builder, dimensions.parameters, request, progress)
    measured = {"invariants", "coordinates"} & set(request.stages)
    measurements, judged = sampler.until_decided(judge) if measured else ([], judge([]))
    audits, found = judged.audits, judged.culprits
    activations = judged.activations if "coordinates" in request.stages else ()
    outcome = verdict.overall(found, audits, activations, complete=len(measured) == 2)
    contributed: tuple[traces.Contribution, ...] = ()
    if activations and outcome == "fail":
        suspicious = judged.suspicious(dimensions.parameters)
        contributed = contributions.judge(sampler.taken_apart(measurements, suspicious), suspicious, modules)
    return traces.Trace(
        model=f"{request.module or Path(request.file).name}:{request.name}",
        widths=tuple(int(width) if width.is_integer() else width for width in plan.builder.widths),
        base=plan.base,
        held=plan.held,
        device=request.device,
        dtype=request.dtype if not request.autocast else f"{request.dtype}, autocast to {request.autocast}",
        assumptions=(*_added(request.widths, plan.builder.widths), *plan.assumptions, *dimensions.assumptions),
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
        unmeasured=scope.unmeasured(
            request.stages,
            trained=any(one.trained for one in measurements),
            searching=next((one.searching for one in measurements), ""),
        ),
    )


def _added(asked: Sequence[float], widths: Sequence[float]) -> tuple[str, ...]:
    """What is said of widths that were not asked for."""
    added = [f"{width:g}" for width in widths if asked and width not in asked]
    return (f"width {' and '.join(added)} is added, as a trace takes three",) if added else ()


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
    inputs = [one for one in dimensions.parameters if one.role is Role.INPUT]
    tables = {use.module: one.name for one in inputs for use in one.use_roles}
    return coordinates.Modules(places, after, tables, embedding)


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
