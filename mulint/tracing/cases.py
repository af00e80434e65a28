"""Builds models from a user's case function ``def gpt(width) -> mulint.Case``."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mulint.case import Case
from mulint.tracing.constants import constructing
from mulint.tracing.model import Builder, Built, CannotBuild
from mulint.tracing.stepping import as_one

T = TypeVar("T")


def from_case(function: Callable[..., Any], widths: tuple[float, ...], dtype: torch.dtype | None) -> Builder:
    """A builder that calls the case function.

    Raises (on building):
        CannotBuild: the function returned something else than a ``mulint.Case`` with a module in it.
    """

    def build(width: float, seed: int, device: torch.device) -> Built:
        case = made(lambda: function(width), seed, device)
        check(case, getattr(function, "__name__", "the case"))
        model = case.model.to(device)
        if dtype is not None:
            model = model.to(dtype)
        batch = moved(case.batch, device, dtype)
        if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
            with torch.no_grad(), device:
                case.loss(model, batch)  # which gives lazy layers their shapes
        return Built(
            width=width,
            seed=seed,
            model=model,
            batch=batch,
            loss=case.loss,
            optimizer=case.optimizer and (lambda model: as_one(case.optimizer(model), "the optimizer function")),
            scheduler=case.scheduler,
            inference=case.inference,
        )

    return Builder(widths, build)


def made(make: Callable[[], T], seed: int, device: torch.device) -> T:
    """What ``make`` returns, made from a seed with a default device.

    Where an accelerator refuses, such as for numbers drawn with a generator of the CPU, it is made where torch
    makes things by default, and has to be moved.
    """
    seed_everything(seed)
    try:
        with constructing(device):
            return make()
    except Exception:
        if device.type in ("meta", "cpu"):
            raise
        seed_everything(seed)
        return make()


def check(case: object, name: str) -> None:
    """Refuse what is not a case, naming what came instead."""
    if not isinstance(case, Case):
        raise CannotBuild(
            f"{name} returned {type(case).__name__}; "
            "return mulint.Case(model=..., batch=..., loss=lambda model, batch: ...)"
        )
    if not isinstance(case.model, nn.Module):
        raise CannotBuild(f"the model of {name} is {type(case.model).__name__}; it must be a torch.nn.Module")
    if not callable(case.loss):
        raise CannotBuild(f"the loss of {name} is {type(case.loss).__name__}; pass a function of (model, batch)")


def seed_everything(seed: int) -> None:
    """Make building repeatable: torch, the standard library, and numpy if the user's code loaded it."""
    torch.manual_seed(seed)
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)


def moved(batch: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """The batch with all its tensors on a device; other things in it as they are."""
    if isinstance(batch, Tensor):
        moving = batch.to(device)
        return moving.to(dtype) if dtype is not None and moving.is_floating_point() else moving
    if isinstance(batch, dict):
        return {key: moved(value, device, dtype) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, device, dtype) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(moved(value, device, dtype) for value in batch)
    return batch
