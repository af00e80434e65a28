"""Where a trace trains, and in which precision its operations run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from mulint.tracing.model import Builder, Built, CannotBuild

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def chosen(name: str) -> str:
    """The device to use; ``auto`` is CUDA where there is one, else Apple's, else the CPU.

    Raises:
        CannotBuild: this machine, or this torch, has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except Exception as error:
        text = " ".join(str(error).split())[:160]
        raise CannotBuild(f"--device {name} cannot be used here ({text}); pass --device auto") from error
    return name


def autocast(builder: Builder, dtype: str) -> Builder:
    """The same models with their losses computed under ``torch.autocast``; parameters keep their type.

    Raises:
        CannotBuild: autocast knows no such type.
    """
    if dtype not in AUTOCAST:
        raise CannotBuild(f"--autocast {dtype} is not known; choose one of {', '.join(AUTOCAST)}")

    def build(width: float, seed: int, device: torch.device) -> Built:
        built = builder.build(width, seed, device)
        if device.type == "meta":
            return built
        precision = partial(torch.autocast, device.type, AUTOCAST[dtype])
        inference = built.inference and _under(built.inference, precision)
        return replace(built, loss=_under(built.loss, precision), inference=inference, precision=precision)

    return Builder(builder.widths, build)


def _under(function: Callable[..., Any], precision: Callable[[], torch.autocast]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        with precision():
            return function(*arguments)

    return run
