"""The size of a parameter's update as its role feels it (spectral condition, arXiv 2310.17813)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mulint.theory import Role

POWER_ITERATIONS = 12


def update_norm(update: Tensor, role: Role, fan_in_dims: tuple[int, ...]) -> float:
    """``‖ΔW‖₂·√(fan-in/fan-out)`` for a contracted weight, the RMS of its entries otherwise.

    Args:
        update: the change of the parameter, of its own shape.
        role: the role by which it is judged.
        fan_in_dims: the dimensions that its use sums over; empty for tables and vectors.
    """
    change = update.detach().float()
    if not fan_in_dims or change.ndim < 2 or (role in (Role.INPUT, Role.VECTOR, Role.SCALAR) and not fan_in_dims):
        return float(change.square().mean().sqrt())
    outer = [d for d in range(change.ndim) if d not in fan_in_dims]
    fan_in = math.prod(change.shape[d] for d in fan_in_dims)
    matrix = change.permute(*outer, *fan_in_dims).reshape(-1, fan_in)
    fan_out = matrix.shape[0]
    return _spectral(matrix) * math.sqrt(fan_in / fan_out)


def _spectral(matrix: Tensor) -> float:
    """The largest singular value by power iteration from a fixed start."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(matrix.shape[1], generator=generator).to(matrix.device)
    value = 0.0
    for _ in range(POWER_ITERATIONS):
        image = matrix @ vector
        value = float(image.norm() / vector.norm().clamp_min(1e-30))
        vector = matrix.T @ image
        norm = vector.norm()
        if float(norm) == 0.0:
            return 0.0
        vector = vector / norm
    return value
