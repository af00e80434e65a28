"""Parameters of which every process holds a part, as ``torch.distributed.fsdp.fully_shard`` makes them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether other processes hold the rest; told by what ``DTensor`` offers, which older torch does not have."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """All numbers of a parameter; every process has to ask for them together."""
    sharded: Any = tensor
    found: Tensor = sharded.full_tensor() if is_sharded(tensor) else tensor
    return found
