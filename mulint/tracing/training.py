"""A few steps of the user's own optimizer at a small rate, and what they did to every parameter."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from mulint.theory import Optimizer as Family
from mulint.theory import lookup
from mulint.tracing import stepping
from mulint.tracing.model import Built, CannotBuild
from mulint.tracing.sharding import is_sharded, whole

# At a small rate the response is linear: nothing saturates, and faults show as whole exponents.
SMALL_RATE = {"adaptive": 1e-4, "sgd": 1e-3}
STEPS = 3
# Sums in float32 are wrong by a few of their last digits; smaller gradients than this part are nothing else.
ROUNDING = 1e-5
# The median of this many squares is within some hundredths of that of all, at a fraction of the time.
SAMPLE = 4096


Roots = Mapping[str, tuple[float, float]]
"""By parameter, the root of the median of its squared gradients, and ε."""


@dataclass(frozen=True)
class Prepared:
    """A model ready to be trained: in training mode, without dropout, with the user's optimizer if any.

    ``families``: of every parameter whose optimizer is known.
    """

    built: Built
    optimizer: Optimizer | None
    families: dict[str, Family]
    names: dict[int, str]

    @property
    def model(self) -> nn.Module:
        """The model."""
        return self.built.model

    @property
    def is_sgd(self) -> bool:
        """Whether all that learns follows its gradients."""
        return all_sgd(self.families)


@dataclass(frozen=True, slots=True)
class Rates:
    """What the optimizer's groups give to one parameter."""

    lr: float
    weight_decay: float
    epsilon: float | None


def all_sgd(families: Mapping[str, Family]) -> bool:
    """Whether the families of all parameters are SGD, and there are any."""
    return bool(families) and all(family.is_sgd for family in families.values())


def prepare(built: Built) -> Prepared:
    """Switch off dropout and build the optimizer.

    Raises:
        CannotBuild: the user's optimizer function raises or returns something else.
    """
    model = built.model
    model.train()
    without_dropout(model)
    names = {id(p): name for name, p in model.named_parameters()}
    if built.optimizer is None:
        return Prepared(built, None, {}, names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer = built.optimizer(model)
    except CannotBuild:
        raise
    except Exception as error:
        raise CannotBuild(
            f"the optimizer cannot be built: {type(error).__name__}: {error}; give a case with its own optimizer"
        ) from error
    families: dict[str, Family] = {}
    for part in stepping.parts_of(optimizer):
        family = lookup(f"{type(part).__module__}.{type(part).__qualname__}", part.defaults)
        if family is not None:
            mine = (id(parameter) for group in part.param_groups for parameter in group["params"])
            families |= {names[one]: family for one in mine if one in names}
    return Prepared(built, optimizer, families, names)


def without_dropout(model: nn.Module) -> None:
    """Switch off dropout in layers and in attention written by hand."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            setattr(module, "dropout", 0.0)  # noqa: B010 - nn.MultiheadAttention, nn.LSTM, and attention written by hand


def rates(prepared: Prepared) -> dict[str, Rates]:
    """The rate, decay and ε of every parameter by name, as the optimizer was built."""
    found: dict[str, Rates] = {}
    if prepared.optimizer is None:
        return found
    for group in prepared.optimizer.param_groups:
        epsilon = group.get("eps")  # Adafactor has two, of another kind
        decay = float(group.get("weight_decay") or 0.0)
        given = Rates(float(group["lr"]), decay, epsilon if isinstance(epsilon, int | float) else None)
        for parameter in group["params"]:
            if id(parameter) in prepared.names:
                found[prepared.names[id(parameter)]] = given
    return found


def undamped(roots: Roots) -> dict[str, float]:
    """By parameter, the part of an adaptive update that ε leaves: the median of ``√v / (√v + ε)``.

    Left out are gradients that are rounding errors, as of the bias of attention keys, which no loss depends on.
    """
    largest = max((root for root, _ in roots.values()), default=0.0)
    return {name: root / (root + epsilon) for name, (root, epsilon) in roots.items() if root > ROUNDING * largest}


def stopped(roots: Roots) -> frozenset[str]:
    """The parameters whose gradients are smaller than ε, which then decides what their updates are.

    Behind layers that start at zero the small rate itself makes them so.
    """
    return frozenset(name for name, (root, epsilon) in roots.items() if root < epsilon)


def roots_of(prepared: Prepared) -> Roots:
    """The roots of the squares of gradients that an optimizer keeps and adds ε to, as Adam does; after a step."""
    roots: dict[str, tuple[float, float]] = {}
    parts = stepping.parts_of(prepared.optimizer)
    for optimizer, group in ((one, group) for one in parts for group in one.param_groups):
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "exp_avg_sq" in state and "betas" in group and "eps" in group and id(parameter) in prepared.names:
                squares = _sample(whole(state["exp_avg_sq"]))
                if len(squares):  # the median of what grows with √v is that of its median
                    square = float(squares.median()) / (1 - group["betas"][1] ** float(state["step"]))
                    roots[prepared.names[id(parameter)]] = math.sqrt(square), group["eps"]
    return roots


def _sample(squares: Tensor) -> Tensor:
    """Some thousand of the positive entries, in even steps; all of them where most are zero, as of rare words."""
    flat = (torch.view_as_real(squares) if squares.is_complex() else squares).flatten()
    stride = len(flat) // SAMPLE | 1  # odd, so that widths, mostly even, do not line the steps up with columns
    chosen = flat[::stride]
    chosen = chosen[chosen > 0]
    return (chosen if 2 * len(chosen) * stride > len(flat) else flat[flat > 0]).float()


def small_factor(prepared: Prepared) -> float:
    """The factor that brings the largest rate down to the small one; the same must be used at every width."""
    if prepared.optimizer is None:
        return 1.0
    largest = max(float(group["lr"]) for group in prepared.optimizer.param_groups)
    kind = "sgd" if prepared.is_sgd else "adaptive"
    return SMALL_RATE[kind] / largest if largest else 1.0


def scale_rates(prepared: Prepared, factor: float) -> None:
    """Multiply every group's rate by one factor, so that their ratios stay."""
    if prepared.optimizer is not None:
        for group in prepared.optimizer.param_groups:
            group["lr"] = group["lr"] * factor


def loss(prepared: Prepared) -> Tensor:
    """The loss on the fixed batch, with gradients: some models take one on their way."""
    return prepared.built.loss(prepared.model, prepared.built.batch)


def step(prepared: Prepared) -> float:
    """One training step on the fixed batch; returns the loss before it.

    Raises:
        CannotBuild: the loss is not one number.
    """
    return descend(prepared, loss(prepared))


def descend(prepared: Prepared, found: Tensor) -> float:
    """One step down a loss that the weights just gave; returns it as a number.

    Raises:
        CannotBuild: the loss is not one number, or the optimizer's step fails.
    """
    optimizer = prepared.optimizer
    assert optimizer is not None
    if found.numel() != 1:
        raise CannotBuild("the loss is not one number; return a scalar tensor to train on")

    def evaluated(value: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    evaluated(found)
    stepping.advance(optimizer, lambda: evaluated(loss(prepared)))
    return float(found.detach())


def settle(prepared: Prepared) -> bool:
    """Take the steps in which the optimizer is not yet what its family is; whether there are any.

    RAdam starts with plain gradients, which need other rates (Tensor Programs V, Appendix B.3). Changes are
    measured from there.
    """
    count = max((family.plain_steps for family in prepared.families.values()), default=0)
    for _ in range(count):
        step(prepared)
    return count > 0


def run(prepared: Prepared, factor: float, steps: int) -> list[float]:
    """Train with every rate multiplied by a factor, those of the schedule too; returns the loss before each step.

    The factor is taken out again after each step, so that a schedule sees its own rates, however it computes
    them. A loss that is not finite ends the training.

    Raises:
        CannotBuild: the case has no optimizer, or the schedule cannot be built or advanced.
    """
    if prepared.optimizer is None:
        raise CannotBuild("no rate can be set without an optimizer; give the case that of the training script")
    schedule = None
    if prepared.built.scheduler is not None:
        schedule = prepared.built.scheduler(prepared.optimizer)
    losses: list[float] = []
    while len(losses) < steps and all(map(math.isfinite, losses[-1:])):
        with _scaled(prepared, factor):
            losses.append(step(prepared))
        if schedule is not None:
            _advance(schedule, losses[-1])
    return losses


@contextmanager
def _scaled(prepared: Prepared, factor: float) -> Iterator[None]:
    assert prepared.optimizer is not None
    own = [group["lr"] for group in prepared.optimizer.param_groups]
    scale_rates(prepared, factor)
    try:
        yield
    finally:
        for group, rate in zip(prepared.optimizer.param_groups, own, strict=True):
            group["lr"] = rate


def _advance(schedule: Any, loss: float) -> None:
    """One step of a schedule, of one that watches the loss as well."""
    try:
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(loss)
        else:
            schedule.step()
    except Exception as error:
        raise CannotBuild(
            f"the schedule cannot be advanced: {type(error).__name__}: {error}; "
            "make it long enough, or pass fewer --steps"
        ) from error


def weights(model: nn.Module) -> dict[str, Tensor]:
    """All numbers of every parameter by each of its names."""
    once = {id(p): whole(p.detach()) for p in model.parameters()}
    return {name: once[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """The weights as they are now; tied ones share their copy."""
    copies: dict[int, Tensor] = {}
    return {name: copies.setdefault(id(w), w.clone()) for name, w in weights(model).items()}


@contextmanager
def weights_of(module: nn.Module, values: dict[str, Tensor]) -> Iterator[None]:
    """The module's own parameters replaced by other values, and put back."""
    own = dict(module.named_parameters(recurse=False))
    before = {name: parameter.data for name, parameter in own.items() if not is_sharded(parameter)}
    for name, parameter in own.items():
        if is_sharded(parameter):  # cannot be computed with outside of the model's own call
            module._parameters[name] = nn.Parameter(values[name])
        else:
            parameter.data = values[name]  # the parameter itself stays, with what other packages hang on it
    try:
        yield
    finally:
        for name, parameter in own.items():
            if name in before:
                parameter.data = before[name]
            else:
                module._parameters[name] = parameter
