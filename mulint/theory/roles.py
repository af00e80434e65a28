"""What a parameter is to the width: its role, from which of its dimensions grow and which are contracted.

Source: Yang et al., Tensor Programs V (arXiv 2203.03466), Appendix B; the op that uses a weight, not its
shape, says which dimension is contracted.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a parameter."""

    INPUT = "input"
    """A width is produced, none is contracted: embeddings, first layers, depthwise convolutions."""

    HIDDEN = "hidden"
    """A width is contracted into a width."""

    OUTPUT = "output"
    """A width is contracted into something finite: readouts, routers, low-rank factors."""

    VECTOR = "vector"
    """Biases, gains and other vectors along the width."""

    SCALAR = "scalar"
    """No dimension grows."""

    MIXED = "mixed"
    """A packed tensor whose rows have several roles."""


def role_of(*, contracts_width: bool, produces_width: bool, is_table: bool) -> Role:
    """The role of one parameter.

    Args:
        contracts_width: a dimension that the consuming operation sums over grows with the width.
        produces_width: another dimension grows with the width.
        is_table: the parameter has two dimensions or more, or is looked up; else it is a vector.
    """
    if contracts_width:
        return Role.HIDDEN if produces_width else Role.OUTPUT
    if produces_width:
        return Role.INPUT if is_table else Role.VECTOR
    return Role.SCALAR
