"""One forward pass over the fixed batch: what every leaf module took and gave, and how large logits can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mulint.tracing import training
from mulint.tracing.opaque import hooked, is_wrapped
from mulint.tracing.training import Prepared

ATTENTION = "attention"
"""The name of fused attention among the modules; its calls are counted as ``attention#0``, …"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module that owns parameters or has no children."""

    module: nn.Module
    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    output: Tensor


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass.

    ``calls``: of all leaf modules, as ``name`` or ``name#call``. ``potential``: mean norm of queries times mean
    norm of keys times the scale, by call of fused attention.
    """

    calls: dict[str, Call]
    potential: dict[str, float]


def rms(value: Tensor) -> float:
    """The root mean square of the entries, complex ones by their size."""
    size = value.detach().abs() if value.is_complex() else value.detach()
    return float(size.float().square().mean().sqrt())


def tensor(output: Any) -> Tensor | None:
    """What counts as the output of a module: its first tensor; None if that holds no floating-point numbers."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    known = isinstance(output, Tensor) and output.is_floating_point() and not is_wrapped(output)
    return output if known else None


def forward(prepared: Prepared) -> tuple[Pass, Tensor]:
    """One pass over the fixed batch: the calls of all leaf modules and all fused attention, and the loss."""
    calls: dict[str, Call] = {}
    potential = _Potential()
    with _recorded(prepared.model, calls), potential:
        loss = training.loss(prepared)
    return Pass(calls, potential.found), loss


@contextmanager
def _recorded(model: nn.Module, calls: dict[str, Call]) -> Iterator[None]:
    count: dict[str, int] = {}

    def hook_for(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            found = tensor(output)
            if found is None or found.numel() < 2:
                return
            index = count.get(name, 0)
            count[name] = index + 1
            kept = tuple(i.detach().clone() if isinstance(i, Tensor) else i for i in inputs)
            calls[f"{name}#{index}" if index else name] = Call(module, kept, keywords, found.detach().clone())

        return hook

    handles = [
        module.register_forward_hook(hook_for(name), with_kwargs=True)
        for name, module in hooked(model)
        if name and (not list(module.children()) or list(module.parameters(recurse=False)))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Potential(TorchFunctionMode):
    """The Cauchy–Schwarz bound of attention logits, seen at the fused attention calls."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, float] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key = (args[i] if len(args) > i else keywords[n] for i, n in enumerate(("query", "key")))
            scale = keywords.get("scale") or query.shape[-1] ** -0.5
            bound = query.float().norm(dim=-1).mean() * key.float().norm(dim=-1).mean() * scale
            self.found[f"{ATTENTION}#{len(self.found)}"] = float(bound.detach())
        return func(*args, **keywords)
