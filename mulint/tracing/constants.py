"""Lets a model that is built on the meta device read numbers that it made of nothing but Python numbers.

Rates of dropped paths, say, are often read off a ``torch.linspace``. On meta no tensor has numbers; of such small
constants, and of what is computed from them alone, real copies are kept beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mulint.tracing.catalogue import writes

MADE = frozenset(["linspace", "logspace", "arange", "tensor", "as_tensor"])
READ = frozenset(["item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__index__", "__array__"])
LARGEST = 1 << 16


@contextmanager
def constructing(device: torch.device | str) -> Iterator[None]:
    """Build on a device; on meta with its constants known."""
    device = torch.device(device)
    with ExitStack() as stack:
        stack.enter_context(device)
        if device.type == "meta":
            stack.enter_context(_Constants())
        yield


class _Constants(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.real: dict[int, Tensor] = {}
        self.keep: list[Tensor] = []  # identities stay unique only while the tensors live

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = str(getattr(func, "__name__", ""))
        given = list(tensors_in((args, kwargs)))
        known = bool(given) and all(id(tensor) in self.real for tensor in given)
        if known and name in READ:
            return func(*self.copies(args), **self.copies(kwargs))
        result = func(*args, **kwargs)
        made = list(tensors_in(result))
        if given and not known and writes(name):
            self.real.pop(id(given[0]), None)
        if made and all(tensor.is_meta and tensor.numel() <= LARGEST for tensor in made):
            with suppress(Exception):  # then it is not known
                if known:
                    self.add(made, func(*self.copies(args), **self.copies(kwargs)))
                elif name in MADE and not given:
                    self.add(made, func(*args, **{**kwargs, "device": "cpu"}))
        return result

    def add(self, made: list[Tensor], real: object) -> None:
        for tensor, copy in zip(made, tensors_in(real), strict=True):
            self.real[id(tensor)] = copy
            self.keep.append(tensor)

    def copies(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.real[id(value)]
        if isinstance(value, tuple | list):
            return type(value)(map(self.copies, value))
        if isinstance(value, dict):
            return {key: self.copies(item) for key, item in value.items()}
        return torch.device("cpu") if isinstance(value, torch.device) else value


def tensors_in(value: object) -> Iterator[Tensor]:
    """Every tensor in a nested argument or result."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
