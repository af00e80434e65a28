"""Spares a trace the import of torch's compiler, which takes as long as that of torch itself."""

from __future__ import annotations

import gc
import inspect
from types import FunctionType

import torch
import torch._refs


def spare() -> None:
    """Let the parts of torch that exclude themselves from compilation run without asking the compiler to.

    They import it when they are first called, only to be told to go on: nothing is compiled in a trace
    (``TORCHDYNAMO_DISABLE``). Each keeps the answer as an attribute of the function it wraps; it is given here.
    In a version of torch without that attribute the compiler is imported as before.
    """
    code = getattr(torch.optim.Optimizer.zero_grad, "__code__", None)
    for inner in gc.get_referrers(code):
        if isinstance(inner, FunctionType):
            wrapped = inspect.getclosurevars(inner).nonlocals.get("fn")
            if isinstance(wrapped, FunctionType):
                wrapped.__dict__.setdefault("__dynamo_disable", wrapped)
