"""What the stages of a trace hand to each other: a model built at one width, and its parameters' dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
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
    """One model at one width and seed, with what is needed to train it for a few steps.

    ``precision``: in which parts of the model have to be run by themselves, as the loss runs them.
    """

    width: float
    seed: int
    model: nn.Module
    batch: Batch
    loss: Callable[[nn.Module, Batch], Tensor]
    optimizer: Callable[[nn.Module], Optimizer] | None = None
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    inference: Callable[[nn.Module, Batch], Tensor] | None = None
    precision: Callable[[], AbstractContextManager[object]] = nullcontext


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
class View:
    """A matrix, or a stack of them, whose numbers a parameter holds in fewer axes, such as a flat one.

    ``shapes``: one for every width; none where the parameter has only some of the numbers, such as one half of a
    symmetric matrix. ``contracted``: the axes of the view that are summed over.
    ``contracts`` and ``produces``: whether those, and whether the others, grow with the width.
    """

    shapes: Mapping[float, tuple[int, ...]]
    contracted: tuple[int, ...]
    contracts: bool
    produces: bool


@dataclass(frozen=True, slots=True)
class UseRole:
    """One use with the role it alone would give, and the exponent of the scalar factors on its path.

    A tied embedding has one use with role ``input`` and one with role ``output``, each with its multiplier.
    ``module``: the one whose forward it is. ``after``: exponent of what the output of that module still lacks:
    the part of the multiplier that stands outside, less a factor of an attention product in front of it.
    ``sizes``: parameters whose size at init, to some power, is a further part of the multiplier.
    """

    use: Use
    module: str
    role: Role
    multiplier: Fraction | None
    after: Fraction
    places: tuple[Use, ...] = ()
    sizes: tuple[tuple[str, Fraction], ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterDims:
    """How one parameter (with all its names) is used and how its dimensions grow.

    ``dims``: width exponent of every dimension, ``None`` where the sizes fit no affine law ``a*w**k + b``.
    ``fan_in_dims`` and ``fan_out_dims``: indices of the dimensions that the consuming operation contracts, and
    of those that it makes dimensions of its result (empty for a lookup or an elementwise use). The dimension
    along which a stack of matrices is chosen from is neither.
    ``multiplier``: exponent of the scalar factors on the path of the uses that have the parameter's role,
    ``None`` if unknown. ``use_roles`` has it use by use. ``sizes``: parameters whose size at init, to some power,
    is a further part of it, such as that of a weight that is divided by its own length.
    ``sites``: where the parameter's layers are constructed in the user's code, one for every name.
    ``rows``: (start, end, role) for packed tensors, else ``None``.
    ``shapes``: one per width; empty at a width at which the parameter does not exist.
    ``view``: what it is consumed as, where that has other axes; ``fan_in_dims`` are then those that hold it.
    """

    name: str
    aliases: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    role: Role
    dims: tuple[Fraction | None, ...]
    fan_in_dims: tuple[int, ...]
    fan_out_dims: tuple[int, ...]
    uses: tuple[Use, ...]
    multiplier: Fraction | None
    multiplier_places: tuple[Use, ...] = ()
    rows: tuple[tuple[int, int, Role], ...] | None = None
    use_roles: tuple[UseRole, ...] = ()
    sites: tuple[Use, ...] = ()
    view: View | None = None
    sizes: tuple[tuple[str, Fraction], ...] = ()


@dataclass(frozen=True, slots=True)
class Attention:
    """A product of two activations over a dimension that grows (query with key), and the factors around it.

    ``contract_exponent``: width exponent of the contracted dimension. ``scale_exponent``: exponent of all
    scalar factors on the operands and on the result up to the softmax. ``required``: what the factors must
    have, the opposite of the contraction (TP5 Definition 4.1). ``None`` where it could not be followed.
    ``parameters``: the weights whose layers made the two activations, in all layers that share the place.
    ``softmax``: whether it goes into one; a product by itself, as of two towers, does not.
    """

    path: str
    line: int
    column: int
    op: str
    contract_exponent: Fraction | None
    scale_exponent: Fraction | None
    required: Fraction | None
    ok: bool | None
    parameters: tuple[str, ...] = ()
    softmax: bool = True


class CannotBuild(Exception):
    """The user's model could not be built or run. The message is one line and says what to do."""
