"""What a sweep of learning rates over widths returns, as plain data.

Rates are written as octaves: the factor ``2**octave`` by which every rate of the case is multiplied.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

SCHEMA = 1

Edge = Literal["lowest", "highest"]
Transfer = Literal["transfers", "shifted", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best rate at one width, and its loss; ``edge``: it is at an end of the sweep and may lie beyond.

    ``octave`` and ``loss`` are ``None`` where no rate gave a finite loss.
    """

    width: float
    octave: float | None
    loss: float | None
    edge: Edge | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """By how many octaves the best rate moves from the narrowest width to the widest; below zero it falls.

    ``bound``: the optimum lies beyond the sweep, so that it moves at least so far. ``ci``: 95 % confidence
    interval over seeds, ``None`` with one seed or a bound.
    """

    octaves: float
    bound: bool = False
    ci: tuple[float, float] | None = None

    @property
    def factor(self) -> float:
        """The factor by which the best rate moves."""
        return float(2.0**self.octaves)


@dataclass(frozen=True, slots=True)
class Sweep:
    """The whole answer of ``mulint transfer``.

    ``losses[width][octave][seed]`` is the mean of the last ``averaged`` losses of a run of ``steps`` steps,
    ``None`` where it diverged.
    """

    model: str
    widths: tuple[float, ...]
    octaves: tuple[float, ...]
    seeds: int
    steps: int
    averaged: int
    device: str
    dtype: str
    losses: tuple[tuple[tuple[float | None, ...], ...], ...]
    optima: tuple[Optimum, ...]
    shift: Shift | None
    verdict: Transfer
    reason: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON form, described by ``schemas/transfer.schema.json``."""
        data = asdict(self)
        if self.shift is not None:
            data["shift"]["factor"] = self.shift.factor
        return {"schema": SCHEMA, **data}
