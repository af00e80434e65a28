"""The mup package, release 1.0.0: its readout, init functions and optimizers, and base shapes set by the model."""

from mulint.rewriting.targets.mup.target import TARGET

__all__ = ["TARGET"]
