"""Remembers the shapes of results on the meta device, where torch works most of them out in slow Python.

The layers of a deep model repeat the same operations on the same shapes. A remembered result has no gradient; what
needs one on meta fails there, and is traced on real numbers.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from mulint.tracing.catalogue import MAKES_NEW

Made = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]


# Products of every group of rows with its own matrix: on meta torch takes some types and sizes of them only.
GROUPED = frozenset(["_grouped_mm", "grouped_mm"])


class Memory:
    """Results of operations that make one new tensor, whose sizes follow from those of the arguments alone."""

    def __init__(self) -> None:
        self.known: dict[Hashable, Made] = {}

    def call(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What ``func`` returns, or a tensor just like it."""
        if name in GROUPED and len(args) > 1 and args[0].is_meta and (args[0].dim(), args[1].dim()) == (2, 3):
            return args[0].new_empty(args[0].shape[0], args[1].shape[2])
        if name not in MAKES_NEW or "out" in kwargs:
            return func(*args, **kwargs)
        try:
            key = (func, _signature(args), _signature(tuple(kwargs.items())))
            found = self.known.get(key)
        except TypeError:  # something that has no signature
            return func(*args, **kwargs)
        if found is not None:
            size, stride, dtype = found
            return torch.empty_strided(size, stride, dtype=dtype, device="meta")
        result = func(*args, **kwargs)
        if type(result) is Tensor and result.device.type == "meta":
            self.known[key] = tuple(result.shape), result.stride(), result.dtype
        return result


def _signature(values: tuple[Any, ...] | list[Any]) -> Hashable:
    return tuple(map(_sign, values))


def _sign(value: Any) -> Hashable:
    kind = type(value)
    if kind is Tensor or kind is nn.Parameter:
        if value.device.type != "meta":
            raise TypeError
        return value.shape, value.stride(), value.dtype
    if kind is tuple or kind is list:
        return kind, _signature(value)
    if isinstance(value, Tensor):  # a kind of its own
        raise TypeError
    return kind, value
