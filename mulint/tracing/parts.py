"""The change of a layer's output taken apart: what its initial weights make of it and what their updates add.

    f(x_T; W_T) - f(x_0; W_0)  =  [f(x_T; W_0) - f(x_0; W_0)]  +  f(x_T; W_T - W_0)

The first part is what the initial weights make of a change that comes from below, the second what the layer's own
update adds. A layer that is linear in its parameters falls apart once more, into the parameters with two
dimensions that grow and all others: Tensor Programs V, Appendix B, has different laws for the two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

import torch
from torch import Tensor

from mulint.theory import Role
from mulint.tracing import training
from mulint.tracing.calls import Call, rms, tensor
from mulint.tracing.model import ParameterDims

# The parts of a layer that is linear in its parameters add up to its change, but for rounding.
INEXACT = 0.02

Key = tuple[str, str, str]
"""Call of a module, ``initial`` or ``update``, ``matrices`` or ``vectors``."""


def matrices_of(dims: Sequence[ParameterDims]) -> frozenset[str]:
    """All names of the parameters with two dimensions that grow."""
    grown = [one for one in dims if one.role in (Role.HIDDEN, Role.MIXED)]
    return frozenset(name for one in grown for name in (one.name, *one.aliases))


def parts_of(
    call: str,
    before: Call,
    after: Call,
    start: Mapping[str, Tensor],
    trained: Mapping[str, Tensor],
    matrices: Collection[str],
) -> dict[Key, float]:
    """The RMS of each part of one call's change; nothing for a layer that is not linear in its parameters.

    Args:
        call: the name of the call, ``name`` or ``name#call``.
        before: the call before the training.
        after: the call after it.
        start: the weights before it, by name.
        trained: those after it.
        matrices: the names of those with two dimensions that grow.
    """
    name = call.partition("#")[0]
    own_names = [own for own, _ in after.module.named_parameters(recurse=False)]
    if before.output.shape != after.output.shape:  # other rows, as of an expert after other choices of the router
        return {}
    if not own_names or list(after.module.children()) or any(f"{name}.{own}" not in start for own in own_names):
        return {}
    first = {own: start[f"{name}.{own}"] for own in own_names}
    updates = {own: trained[f"{name}.{own}"] - value for own, value in first.items()}
    kinds = {own: "matrices" if f"{name}.{own}" in matrices else "vectors" for own in own_names}
    parts: dict[tuple[str, str], Tensor] = {}
    for part, kind in product(("initial", "update"), dict.fromkeys(kinds.values())):
        values = {
            own: (first if part == "initial" else updates)[own] if kinds[own] == kind else torch.zeros_like(value)
            for own, value in first.items()
        }
        output = _output(after, values)
        below = _output(before, values) if part == "initial" else None
        if output is None or (part == "initial" and below is None):
            return {}
        parts[part, kind] = output if below is None else output - below
    change = after.output - before.output
    exact = rms(sum(parts.values(), -change)) <= INEXACT * rms(change)
    return {(call, *key): rms(value) for key, value in parts.items()} if exact else {}


def _output(call: Call, values: dict[str, Tensor]) -> Tensor | None:
    with torch.enable_grad(), training.weights_of(call.module, values):
        output = tensor(call.module.forward(*call.inputs, **call.keywords))
    return output if output is not None and output.shape == call.output.shape else None
