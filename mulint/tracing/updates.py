"""The size of a parameter's update as its role feels it (spectral condition, arXiv 2310.17813)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

POWER_ITERATIONS = 12


def update_norm(update: Tensor, fan_in_dims: tuple[int, ...]) -> float:
    """``‖ΔW‖₂·√(fan-in/fan-out)`` for a contracted weight, the RMS of its entries otherwise.

    Args:
        update: the change of the parameter, of its own shape.
        fan_in_dims: the dimensions that its use sums over; empty for tables and vectors.
    """
    change = update.detach().to(torch.complex64 if update.is_complex() else torch.float32)
    if not fan_in_dims:
        return float(change.abs().square().mean().sqrt())
    outer = [d for d in range(change.ndim) if d not in fan_in_dims]
    fan_in = math.prod(change.shape[d] for d in fan_in_dims)
    matrix = change.permute(*outer, *fan_in_dims).reshape(-1, fan_in)
    fan_out = matrix.shape[0]
    return _spectral(matrix) * math.sqrt(fan_in / fan_out)


def _spectral(matrix: Tensor) -> float:
    """The largest singular value by power iteration from a fixed start."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(matrix.shape[1], generator=generator).to(matrix)
    value = 0.0
    for _ in range(POWER_ITERATIONS):
        image = matrix @ vector
        value = float(image.norm() / vector.norm().clamp_min(1e-30))
        vector = matrix.mH @ image
        norm = vector.norm()
        if float(norm) == 0.0:
            return 0.0
        vector = vector / norm
    return value
