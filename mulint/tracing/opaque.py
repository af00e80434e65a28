"""What hides operations or tensors from a recording, and how they are seen after all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch._functorch import vmap

Note = Callable[[str, tuple[Any, ...], Tensor], None]


def hooked(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules that take hooks: those compiled by ``torch.jit`` and what is in them do not."""
    return ((name, one) for name, one in model.named_modules() if not isinstance(one, torch.jit.ScriptModule))


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a tensor lives inside ``torch.vmap`` or a transform of its kind, which hides its numbers."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


@contextmanager
def transparent_functionals() -> Iterator[None]:
    """Let a ``TorchFunctionMode`` see inside ``torch.nn.functional``.

    A mode is popped while its handler runs, so ``F.multi_head_attention_forward`` and its like would be one
    opaque call. Their own checks for overrides are answered with no; the operations they are made of still
    reach the mode one by one.
    """
    names = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    before = {name: getattr(F, name) for name in names}
    try:
        for name in names:
            setattr(F, name, lambda *_: False)
        yield
    finally:
        for name, value in before.items():
            setattr(F, name, value)


@contextmanager
def transparent_batches(note: Note) -> Iterator[None]:
    """Tell of the tensors that ``torch.vmap`` wraps and unwraps: an axis selected, an axis added again.

    Args:
        note: called with the name of an operation that does the same, its arguments and its result.
    """
    names = ("_add_batch_dim", "_remove_batch_dim")
    before = {name: getattr(vmap, name) for name in names if hasattr(vmap, name)}

    def added(tensor: Tensor, axis: int, level: int) -> Tensor:
        result: Tensor = before["_add_batch_dim"](tensor, axis, level)
        note("select", (tensor, axis, 0), result)
        return result

    def removed(tensor: Tensor, level: int, size: int, axis: int) -> Tensor:
        result: Tensor = before["_remove_batch_dim"](tensor, level, size, axis)
        note("expand", (tensor,), result)
        return result

    if len(before) < len(names):  # another version of torch: what vmap does stays unseen
        yield
        return
    try:
        for name, function in zip(names, (added, removed), strict=True):
            setattr(vmap, name, function)
        yield
    finally:
        for name, value in before.items():
            setattr(vmap, name, value)
