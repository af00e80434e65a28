"""The stages of a trace in order: roles, invariants, coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from mulint import traces
from mulint.tracing import building, roles
from mulint.tracing.model import Attention, ParameterDims, Use
from mulint.tracing.request import Request

Progress = Callable[[str, float], None]
CANNOT_SEE = (
    "schedules and learning rates written in a training script: run `mulint check` there",
    "branches of the model that this batch does not reach",
)


def run(request: Request, progress: Progress) -> traces.Trace:
    """Make the trace that was asked for.

    Raises:
        CannotBuild: the user's model cannot be built or run.
    """
    plan = building.plan(request)
    progress("roles", 0.0)
    count = len(plan.builder.widths)
    done = iter(range(1, 2 * count + 1))
    dimensions = roles.trace(
        plan.builder, Path(request.root), lambda: progress("roles", min(next(done) / count, 1.0))
    )
    return traces.Trace(
        model=f"{Path(request.file).name}:{request.name}",
        widths=tuple(int(width) if width.is_integer() else width for width in plan.builder.widths),
        base=plan.base,
        held=plan.held,
        device=request.device,
        dtype=request.dtype,
        assumptions=(*plan.assumptions, *dimensions.assumptions),
        parameters=tuple(_parameter(dims, dimensions.attention) for dims in dimensions.parameters),
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
        cannot_see=(*CANNOT_SEE, *dimensions.unseen),
    )


def _parameter(dims: ParameterDims, attention: Sequence[Attention]) -> traces.ParameterTrace:
    return traces.ParameterTrace(
        name=dims.name,
        aliases=dims.aliases,
        shapes=dims.shapes,
        role=str(dims.role),
        dims=tuple(map(_number, dims.dims)),
        rows=None if dims.rows is None else tuple(traces.Row(a, b, str(role)) for a, b, role in dims.rows),
        fan_in_dims=dims.fan_in_dims,
        uses=tuple(map(_site, dims.uses)),
        multiplier=traces.Multiplier(_number(dims.multiplier), tuple(map(_site, dims.multiplier_places))),
        invariants=tuple(
            traces.Invariant("attention", _number(site.scale_exponent), _number(site.required), site.ok)
            for site in attention
            if dims.name in site.parameters
        ),
        reason="" if dims.uses else "this batch does not use it",
    )


def _site(use: Use) -> traces.UseSite:
    return traces.UseSite(use.path, use.line, use.column, use.op)


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
