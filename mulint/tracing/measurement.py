"""One model at one width and seed, trained for a few steps: everything the later stages need, as numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mulint.theory import Optimizer as Family
from mulint.tracing import stepping, training
from mulint.tracing.calls import Call, forward, rms, tensor
from mulint.tracing.model import Builder, ParameterDims
from mulint.tracing.parts import Key, matrices_of, parts_of
from mulint.tracing.training import Prepared, Rates
from mulint.tracing.updates import update_norm


@dataclass
class Measurement:
    """What one run gave.

    ``families``: of every parameter whose optimizer is known. ``searching``: the name of one that moves all
    parameters along one line, with which nothing is trained. ``init``: RMS of every parameter as built.
    ``update``: its update norm after all steps. ``undamped``: the part of it that ε leaves.
    ``stopped``: the modules of whose updates ε leaves next to nothing. ``sizes``,
    ``changes``, ``local``: by module output (``name`` or ``name#call``), the RMS at init, the RMS of the change
    after training, and the RMS of the part of it that the module's own update makes on the inputs of the trained
    model. ``potential``: mean norm of queries times mean norm of keys times the scale, by call. ``parts``: the
    RMS of the parts of a change, of the modules named in ``split``.
    """

    width: float
    seed: int
    steps: int
    split: frozenset[str]
    families: Mapping[str, Family]
    trained: bool
    searching: str = ""
    init: dict[str, float] = field(default_factory=dict)
    fill: dict[str, bool] = field(default_factory=dict)
    rates: dict[str, Rates] = field(default_factory=dict)
    update: dict[str, float] = field(default_factory=dict)
    undamped: dict[str, float] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    sizes: dict[str, float] = field(default_factory=dict)
    changes: dict[str, float] = field(default_factory=dict)
    local: dict[str, float] = field(default_factory=dict)
    potential: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    parts: dict[Key, float] = field(default_factory=dict)

    @property
    def is_sgd(self) -> bool:
        """Whether all that learns follows its gradients."""
        return training.all_sgd(self.families)


def measure(
    builder: Builder,
    dims: Sequence[ParameterDims],
    width: float,
    seed: int,
    device: torch.device,
    factor: float | None,
    steps: int = training.STEPS,
    split: Collection[str] = (),
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
        split: the modules whose changes are taken apart; those with layers inside are left out.

    Returns:
        The measurement and the factor, which must be handed on to the other widths.
    """
    prepared = training.prepare(builder.build(width, seed, device))
    model = prepared.model
    searching = stepping.searching(prepared.optimizer)
    trained = prepared.optimizer is not None and not searching
    found = Measurement(width, seed, steps, frozenset(split), prepared.families, trained, searching)
    found.rates = training.rates(prepared)
    start = training.snapshot(model)
    for name, value in start.items():
        found.init[name] = rms(value)
        found.fill[name] = bool(value.numel() > 1 and (value == value.flatten()[0]).all())
    before, loss = forward(prepared)
    found.potential = before.potential
    found.sizes = {name: rms(call.output) for name, call in before.calls.items()}
    if not found.trained:
        return found, 1.0
    factor = training.small_factor(prepared) if factor is None else factor
    training.scale_rates(prepared, factor)
    if training.settle(prepared):
        start = training.snapshot(model)
        before, loss = forward(prepared)
    found.losses = [training.descend(prepared, loss), *(training.step(prepared) for _ in range(steps - 1))]
    roots = training.roots_of(prepared)
    found.undamped, stopped = training.undamped(roots), training.stopped(roots)
    after = forward(prepared)[0]  # the loss is let go, and with it all that its gradients would need
    found.potential = after.potential
    for name, call in after.calls.items():
        if name in before.calls and before.calls[name].output.shape == call.output.shape:
            found.changes[name] = rms(call.output - before.calls[name].output)
        found.local[name] = _local(name.partition("#")[0], call, start, prepared)
    now = training.weights(model)
    for one in dims:
        if one.name in now and one.name in start:
            change, contracted = now[one.name] - start[one.name], one.fan_in_dims
            if one.view and width not in one.view.shapes:
                continue
            if one.view:
                change, contracted = change.reshape(one.view.shapes[width]), one.view.contracted
            found.update[one.name] = update_norm(change, contracted)
    found.stopped = frozenset(
        name
        for name, module in model.named_modules()
        if (own := [key for key, _ in module.named_parameters(prefix=name, recurse=False)]) and stopped >= {*own}
    )
    if split:
        matrices = matrices_of(dims)
        with prepared.built.precision():
            for name in before.calls.keys() & after.calls.keys():
                if name.partition("#")[0] in split:
                    found.parts |= parts_of(name, before.calls[name], after.calls[name], start, now, matrices)
    return found, factor


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
