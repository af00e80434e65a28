"""Where the change of a layer's output comes from: its initial weights or their updates, matrices or vectors.

    f(x_T; W_T) - f(x_0; W_0)  =  [f(x_T; W_0) - f(x_0; W_0)]  +  f(x_T; W_T - W_0)

The first part is what the initial weights make of a change that comes from below, the second what the layer's own
update adds. A layer that is linear in its parameters falls apart once more, into the parameters with two
dimensions that grow and all others: Tensor Programs V, Appendix B, has different laws for the two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product

import torch
from torch import Tensor

from mulint.theory import Role
from mulint.traces import Contribution
from mulint.tracing import training
from mulint.tracing.coordinates import RATE_LOW, UPDATE_GROW, Modules
from mulint.tracing.measurement import Call, forward, rms, tensor
from mulint.tracing.model import Builder, ParameterDims
from mulint.tracing.statistics import tail_slope

# The parts of a layer that is linear in its parameters add up to its change, but for rounding.
INEXACT = 0.02

Key = tuple[str, str, str]
"""Call of a module, ``initial`` or ``update``, ``matrices`` or ``vectors``."""


def split(
    builder: Builder,
    dims: Sequence[ParameterDims],
    modules: Modules,
    names: Collection[str],
    seed: int,
    device: torch.device,
    steps: int,
) -> tuple[Contribution, ...]:
    """Train once more at every width, and split the changes of some layers.

    Args:
        builder: builds the model.
        dims: what the dimension trace says of every parameter.
        modules: where modules are built and what follows them.
        names: the modules to look at; those with layers inside are left out.
        seed: of the initialisation.
        device: where to train.
        steps: as many as the measurement had.
    """
    matrices = {name for one in dims if one.role in (Role.HIDDEN, Role.MIXED) for name in (one.name, *one.aliases)}
    found: dict[Key, dict[float, float]] = {}
    factor: float | None = None
    for width in builder.widths:
        prepared = training.prepare(builder.build(width, seed, device))
        factor = training.small_factor(prepared) if factor is None else factor
        training.scale_rates(prepared, factor)
        training.settle(prepared)
        start = training.snapshot(prepared.model)
        before, _ = forward(prepared)
        for _ in range(steps):
            training.step(prepared)
        after, _ = forward(prepared)
        trained = training.weights(prepared.model)
        with torch.no_grad(), prepared.built.precision():
            for call in after.keys() & before.keys():
                name = call.partition("#")[0]
                if name in names:
                    for part, value in _parts(name, before[call], after[call], start, trained, matrices):
                        found.setdefault((call, *part), {})[width] = value * width ** modules.after.get(name, 0.0)
    slopes = {key: tail_slope([values]) for key, values in found.items()}
    return tuple(_contribution(key, fit.slope, modules) for key, fit in sorted(slopes.items()) if fit is not None)


def _contribution(key: Key, slope: float, modules: Modules) -> Contribution:
    call, part, of = key
    path, line = modules.places.get(call.partition("#")[0], ("", 0))
    tends = "grows" if slope > UPDATE_GROW else "shrinks" if part == "update" and slope < RATE_LOW else "stays"
    return Contribution(call, path, line, part, of, slope, tends)  # type: ignore[arg-type]


def _parts(
    name: str,
    before: Call,
    after: Call,
    start: Mapping[str, Tensor],
    trained: Mapping[str, Tensor],
    matrices: Collection[str],
) -> Iterator[tuple[tuple[str, str], float]]:
    """The sizes of the parts of one call's change, by part and kind of parameters."""
    own_names = [own for own, _ in after.module.named_parameters(recurse=False)]
    if before.output.shape != after.output.shape:  # other rows, as of an expert after other choices of the router
        return
    if not own_names or list(after.module.children()) or any(f"{name}.{own}" not in start for own in own_names):
        return
    first = {own: start[f"{name}.{own}"] for own in own_names}
    updates = {own: trained[f"{name}.{own}"] - value for own, value in first.items()}
    kinds = {own: "matrices" if f"{name}.{own}" in matrices else "vectors" for own in own_names}
    parts: dict[tuple[str, str], Tensor] = {}
    for part, of in product(("initial", "update"), dict.fromkeys(kinds.values())):
        values = {
            own: (first if part == "initial" else updates)[own] if kinds[own] == of else torch.zeros_like(value)
            for own, value in first.items()
        }
        output = _output(after, values)
        below = _output(before, values) if part == "initial" else None
        if output is None or (part == "initial" and below is None):
            return
        parts[part, of] = output if below is None else output - below
    change = after.output - before.output
    if rms(sum(parts.values(), -change)) <= INEXACT * rms(change):
        yield from ((key, rms(value)) for key, value in parts.items())


def _output(call: Call, values: dict[str, Tensor]) -> Tensor | None:
    with torch.enable_grad(), training.weights_of(call.module, values):
        output = tensor(call.module.forward(*call.inputs, **call.keywords))
    return output if output is not None and output.shape == call.output.shape else None
