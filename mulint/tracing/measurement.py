"""One model at one width and seed, trained for a few steps: everything the later stages need, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mulint.theory import Optimizer as Family
from mulint.tracing import training
from mulint.tracing.model import Builder, ParameterDims
from mulint.tracing.opaque import hooked, is_wrapped
from mulint.tracing.training import Prepared, Rates
from mulint.tracing.updates import update_norm

ATTENTION = "attention"
"""The name of fused attention among the modules; its calls are counted as ``attention#0``, …"""


@dataclass
class Measurement:
    """What one run gave.

    ``init``: RMS of every parameter as built. ``update``: its update norm after all steps. ``undamped``: the
    part of it that ε leaves. ``sizes``,
    ``changes``, ``local``: by module output (``name`` or ``name#call``), the RMS at init, the RMS of the
    change after training, and the RMS of the part of it that the module's own update makes on the inputs of
    the trained model. ``potential``: mean norm of queries times mean norm of keys times the scale, by call.
    """

    width: float
    seed: int
    steps: int
    family: Family | None
    trained: bool
    init: dict[str, float] = field(default_factory=dict)
    fill: dict[str, bool] = field(default_factory=dict)
    rates: dict[str, Rates] = field(default_factory=dict)
    update: dict[str, float] = field(default_factory=dict)
    undamped: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    changes: dict[str, float] = field(default_factory=dict)
    local: dict[str, float] = field(default_factory=dict)
    potential: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module that owns parameters or has no children."""

    module: nn.Module
    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    output: Tensor


def measure(
    builder: Builder,
    dims: Sequence[ParameterDims],
    width: float,
    seed: int,
    device: torch.device,
    factor: float | None,
    steps: int = training.STEPS,
) -> tuple[Measurement, float]:
    """Build, train for a few small steps, and measure.

    Args:
        builder: builds the model.
        dims: what the dimension trace says of every parameter.
        width: the width to build at.
        seed: of the initialisation and the batch.
        device: where to train.
        factor: what all learning rates are multiplied with; None finds the one that makes the largest small.
        steps: number of steps; at least two, since below a zero readout nothing moves in the first.

    Returns:
        The measurement and the factor, which must be handed on to the other widths.
    """
    prepared = training.prepare(builder.build(width, seed, device))
    model = prepared.model
    found = Measurement(width, seed, steps, prepared.family, prepared.optimizer is not None)
    found.rates = training.rates(prepared)
    start = training.snapshot(model)
    for name, value in start.items():
        found.init[name] = float(value.float().square().mean().sqrt())
        found.fill[name] = bool(value.numel() > 1 and (value == value.flatten()[0]).all())
    before, found.potential = forward(prepared)
    found.sizes = {name: rms(call.output) for name, call in before.items()}
    if prepared.optimizer is None:
        return found, 1.0
    factor = training.small_factor(prepared) if factor is None else factor
    training.scale_rates(prepared, factor)
    if training.settle(prepared):
        start = training.snapshot(model)
        before, _ = forward(prepared)
    found.losses = [training.step(prepared) for _ in range(steps)]
    found.undamped = training.undamped(prepared)
    after, found.potential = forward(prepared)
    for name, call in after.items():
        if name in before and before[name].output.shape == call.output.shape:
            found.changes[name] = rms(call.output - before[name].output)
        found.local[name] = _local(name.partition("#")[0], call, start, prepared)
    now = training.weights(model)
    for one in dims:
        if one.name in now and one.name in start:
            change, contracted = now[one.name] - start[one.name], one.fan_in_dims
            if one.view and width not in one.view.shapes:
                continue
            if one.view:
                change, contracted = change.reshape(one.view.shapes[width]), one.view.contracted
            found.update[one.name] = update_norm(change, one.role, contracted)
    return found, factor


def rms(value: Tensor) -> float:
    """The root mean square of the entries."""
    return float(value.detach().float().square().mean().sqrt())


def _local(name: str, call: Call, start: dict[str, Tensor], prepared: Prepared) -> float:
    """RMS of ``f(x; W) - f(x; W0)`` on the inputs of the trained model; 0 for modules without weights."""
    module = call.module
    own = dict(module.named_parameters(recurse=False))
    initial = {key: start[f"{name}.{key}"] for key in own if f"{name}.{key}" in start}
    if not own or len(initial) != len(own):
        return 0.0
    with prepared.built.precision(), training.weights_of(module, initial):
        output = tensor(module.forward(*call.inputs, **call.keywords))
    if output is None or output.shape != call.output.shape:
        return 0.0
    return rms(call.output - output)


def tensor(output: Any) -> Tensor | None:
    """What counts as the output of a module: its first tensor; None if that holds no floating-point numbers."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    known = isinstance(output, Tensor) and output.is_floating_point() and not is_wrapped(output)
    return output if known else None


def forward(prepared: Prepared) -> tuple[dict[str, Call], dict[str, float]]:
    """One pass over the fixed batch, recording the calls of all leaf modules and all fused attention."""
    calls: dict[str, Call] = {}
    potential = _Potential()
    with _recorded(prepared.model, calls), potential:  # with gradients: some models take one on their way
        prepared.built.loss(prepared.model, prepared.built.batch)
    return calls, potential.found


@contextmanager
def _recorded(model: nn.Module, calls: dict[str, Call]) -> Iterator[None]:
    count: dict[str, int] = {}

    def hook_for(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            found = tensor(output)
            if found is None or found.numel() < 2:
                return
            index = count.get(name, 0)
            count[name] = index + 1
            kept = tuple(i.detach().clone() if isinstance(i, Tensor) else i for i in inputs)
            calls[f"{name}#{index}" if index else name] = Call(module, kept, keywords, found.detach().clone())

        return hook

    handles = [
        module.register_forward_hook(hook_for(name), with_kwargs=True)
        for name, module in hooked(model)
        if name and (not list(module.children()) or list(module.parameters(recurse=False)))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Potential(TorchFunctionMode):
    """The Cauchy–Schwarz bound of attention logits, seen at the fused attention calls."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, float] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key = (args[i] if len(args) > i else keywords[n] for i, n in enumerate(("query", "key")))
            scale = keywords.get("scale") or query.shape[-1] ** -0.5
            bound = query.float().norm(dim=-1).mean() * key.float().norm(dim=-1).mean() * scale
            self.found[f"{ATTENTION}#{len(self.found)}"] = float(bound.detach())
        return func(*args, **keywords)
