"""Plain PyTorch in the gauge of Table 8, with one generated file beside the model."""

from mulint.rewriting.targets.torch.target import TARGET

__all__ = ["TARGET"]
