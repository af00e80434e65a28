"""What one model does, number by number, so that another one can be compared with it."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypedDict, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mulint.tracing import batches, cases
from mulint.tracing.model import Builder, Built, CannotBuild

SEED = 0
STEPS = 5
TRAINING = "training"
NO_OPTIMIZER = "no function that builds an optimizer was found; give a case with optimizer=..."

T = TypeVar("T")
Numbers = dict[str, Tensor]


class Groups(TypedDict):
    """An optimizer's class, and of every group the parameters by name and the other values as text."""

    kind: str
    members: list[list[str]]
    values: list[dict[str, str]]


class Record(TypedDict):
    """Everything that is compared. A text in place of numbers is the reason why they are missing."""

    parameters: Numbers
    random: dict[str, str]
    state: Numbers
    training: Numbers | str
    inference: Numbers | str
    gradients: Numbers | str
    groups: Groups | str
    steps: Numbers | str
    trained: Numbers | str
    checkpoint: Numbers


def record(builder: Builder, width: float, dtype: torch.dtype) -> Record:
    """Build a model, run and train it, each time from the same random state.

    Raises:
        CannotBuild: the model cannot be built.
    """
    built = build(builder, width, dtype)
    model = built.model
    found = Record(
        parameters=_copied({**dict(model.named_parameters()), **_saved_buffers(model)}),
        random=_random_state(),
        state=_state(model),
        training=tried(lambda: training(built)),
        inference=tried(lambda: inference(built)),
        gradients=tried(lambda: _gradients(built)),
        groups="",
        steps="",
        trained="",
        checkpoint={},
    )
    optimizer = tried(lambda: optimizer_of(built))
    if isinstance(optimizer, str):
        found["groups"] = found["steps"] = optimizer
    else:
        found["groups"] = groups(model, optimizer)
        found["steps"] = tried(lambda: _trained(built, optimizer))
    found["checkpoint"] = _state(model)
    found["trained"] = outputs(built)
    return found


def build(builder: Builder, width: float, dtype: torch.dtype) -> Built:
    """The model with parameters, buffers and batch of one floating-point type."""
    cpu = torch.device("cpu")
    built = builder.build(width, SEED, cpu)
    if dtype is torch.float32:
        return built
    return replace(built, model=built.model.to(dtype), batch=cases.moved(built.batch, cpu, dtype))


def outputs(built: Built) -> Numbers | str:
    """What both paths give, ``training …`` and ``inference …``."""
    return tried(
        lambda: {
            **{f"{TRAINING} {name}": value for name, value in training(built).items()},
            **{f"inference {name}": value for name, value in inference(built).items()},
        }
    )


def training(built: Built) -> Numbers:
    """The loss, and all that the model itself returned on the way to it, in training mode."""
    built.model.train()
    return _run(built, built.loss)


def inference(built: Built) -> Numbers:
    """What the inference path returns in evaluation mode; without one, what the loss gives there."""
    built.model.eval()
    with torch.no_grad():
        return _run(built, built.inference or built.loss)


def groups(model: nn.Module, optimizer: Optimizer) -> Groups:
    """How an optimizer was set up."""
    names = {id(p): name for name, p in model.named_parameters()}
    kind = type(optimizer)
    return Groups(
        kind=f"{kind.__module__}.{kind.__qualname__}",
        members=[[names.get(id(p), "?") for p in group["params"]] for group in optimizer.param_groups],
        values=[
            {key: _text(value) for key, value in group.items() if key not in ("params", "param_names")}
            for group in optimizer.param_groups
        ],
    )


def _text(value: object) -> str:
    """A value of a group; whole numbers and floating-point ones that are equal are the same."""
    return repr(float(value)) if type(value) is int else repr(value)


def tried(function: Callable[[], T]) -> T | str:
    """The result, or in one line why there is none."""
    try:
        return function()
    except CannotBuild as error:
        return str(error)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _run(built: Built, function: Callable[[nn.Module, Any], Tensor]) -> Numbers:
    captured: list[Tensor] = []
    handle = built.model.register_forward_hook(
        lambda _, __, output: captured.extend(t.detach().clone() for t in batches.tensors(output))
    )
    cases.seed_everything(SEED)
    try:
        result = function(built.model, built.batch)
    finally:
        handle.remove()
    return {"result": result.detach().clone(), **{f"output {i}": value for i, value in enumerate(captured)}}


def _gradients(built: Built) -> Numbers:
    _backward(built)
    found = {name: p.grad for name, p in built.model.named_parameters()}
    built.model.zero_grad(set_to_none=True)
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def _backward(built: Built) -> Tensor:
    built.model.train()
    cases.seed_everything(SEED)
    loss = built.loss(built.model, built.batch)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach().clone()


def optimizer_of(built: Built) -> Optimizer:
    """The optimizer that the user's own code builds.

    Raises:
        CannotBuild: none was found, or it cannot be built.
    """
    if built.optimizer is None:
        raise CannotBuild(NO_OPTIMIZER)
    return built.optimizer(built.model)


def _trained(built: Built, optimizer: Optimizer) -> Numbers:
    """The loss of every step, and the parameters after the last."""
    scheduler = built.scheduler(optimizer) if built.scheduler is not None else None
    found: Numbers = {}
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        found[f"loss {step + 1}"] = _backward(built)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return {**found, **_copied(dict(built.model.named_parameters()))}


def _state(model: nn.Module) -> Numbers:
    return _copied({name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)})


def _saved_buffers(model: nn.Module) -> Numbers:
    saved = model.state_dict()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


def _copied(values: Mapping[str, Tensor]) -> Numbers:
    return {name: value.detach().clone() for name, value in values.items()}


def _random_state() -> dict[str, str]:
    """Digests of the generators; of numpy's only where the code loaded it."""
    states = {"torch": repr(torch.get_rng_state().tolist()), "random": repr(random.getstate())}
    if "numpy" in sys.modules:
        states["numpy"] = repr(sys.modules["numpy"].random.get_state(legacy=True)[1].tolist())
    return {name: hashlib.sha256(state.encode()).hexdigest() for name, state in states.items()}
