"""What a user hands to ``mulint trace``: a model at one width, and how to run and train it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `import mulint` must stay possible, and fast, without torch
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True, slots=True)
class Case:
    """One model at one width, returned by a function of the width: ``def gpt(width) -> mulint.Case``.

    The function is called once per width and seed, after the random seed was set.

    Attributes:
        model: the model, built at this width.
        batch: whatever ``loss`` needs beside the model; opaque to mulint, moved to the device of the trace.
        loss: called with the model and the batch; returns the scalar to be minimised.
        optimizer: builds the optimizer as the training script does. Without it, learning rates are not judged.
        scheduler: builds the learning-rate schedule on that optimizer.
        inference: the model's output outside training, to be compared with the training path.
    """

    model: nn.Module
    batch: Any
    loss: Callable[[Any, Any], Tensor]
    optimizer: Callable[[Any], Optimizer] | None = None
    scheduler: Callable[[Any], LRScheduler] | None = None
    inference: Callable[[Any, Any], Tensor] | None = None
