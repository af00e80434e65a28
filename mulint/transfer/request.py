"""What a sweep asks for, and the single runs that it is made of. No torch here."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from mulint import __version__
from mulint.source.cache import digest
from mulint.source.discovery import select
from mulint.tracing.request import Request

Key = tuple[float, float, int]
"""Width, octave and seed of one run."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run: a model of one width, trained with all rates multiplied by ``2**octave``."""

    request: Request
    width: float
    octave: float
    seed: int
    steps: int

    @property
    def key(self) -> Key:
        """What tells it from the other runs of its sweep."""
        return (self.width, self.octave, self.seed)

    def to_json(self) -> str:
        """The point as one line of JSON."""
        return json.dumps({**dataclasses.asdict(self), "request": self.request.to_json()})

    @classmethod
    def from_json(cls, text: str) -> Point:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        return cls(**{**data, "request": Request.from_json(data["request"])})


@dataclass(frozen=True, slots=True)
class Job:
    """One sweep. ``request``: how to build the model, with the widths in ascending order and the first seed."""

    request: Request
    octaves: tuple[float, ...]
    seeds: int
    steps: int

    @property
    def averaged(self) -> int:
        """How many of the last losses are averaged: a third, at least one."""
        return max(self.steps // 3, 1)

    def points(self) -> list[Point]:
        """All runs, seed by seed, so that an interrupted sweep has whole ones first."""
        first = self.request.seed
        return [
            Point(self.request, width, octave, seed, self.steps)
            for seed in range(first, first + self.seeds)
            for width in self.request.widths
            for octave in self.octaves
        ]

    def origin(self) -> str:
        """A mark of all that a run's loss depends on beside its key: the project's code and the settings."""
        root = Path(self.request.root)
        settings = dataclasses.replace(self.request, widths=self.request.widths[:1], seed=0, seeds=None)
        files = select([Path(self.request.file)], root, ()).files
        texts = (path.read_text(encoding="utf-8", errors="replace") for path in map(root.joinpath, files))
        return digest(__version__, settings.to_json(), str(self.steps), *files, *texts)
