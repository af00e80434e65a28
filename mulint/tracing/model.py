"""What the stages of a trace hand to each other: a model built at one width, and its parameters' dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mulint.theory import Role

Batch = object
"""Whatever the user's loss takes beside the model; opaque to mulint."""


@dataclass(frozen=True)
class Built:
    """One model at one width and seed, with what is needed to train it for a few steps."""

    width: float
    seed: int
    model: nn.Module
    batch: Batch
    loss: Callable[[nn.Module, Batch], Tensor]
    optimizer: Callable[[nn.Module], Optimizer] | None = None
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    inference: Callable[[nn.Module, Batch], Tensor] | None = None


@dataclass(frozen=True)
class Builder:
    """Builds the model at any width; the same seed at the same width gives the same numbers.

    ``build(width, seed, device)`` raises ``CannotBuild`` with a message that says what to pass.
    """

    widths: tuple[float, ...]
    build: Callable[[float, int, torch.device], Built]


@dataclass(frozen=True, slots=True)
class Use:
    """One operation that consumes a parameter, at its place in the user's code."""

    path: str
    line: int
    column: int
    op: str


@dataclass(frozen=True, slots=True)
class ParameterDims:
    """How one parameter (with all its names) is used and how its dimensions grow.

    ``dims``: width exponent of every dimension, ``None`` where the sizes fit no affine law ``a*w**k + b``.
    ``fan_in_dims``: indices of the dimensions that the consuming operation contracts (empty for a lookup
    or an elementwise use).
    ``multiplier``: exponent of the scalar factors on the path of the parameter's output, ``None`` if unknown.
    ``rows``: (start, end, role) for packed tensors, else ``None``.
    """

    name: str
    aliases: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    role: Role
    dims: tuple[Fraction | None, ...]
    fan_in_dims: tuple[int, ...]
    uses: tuple[Use, ...]
    multiplier: Fraction | None
    multiplier_places: tuple[Use, ...] = ()
    rows: tuple[tuple[int, int, Role], ...] | None = None
