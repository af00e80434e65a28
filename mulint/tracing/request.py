"""What the command line asks of the worker process. No torch here: both sides import it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

Stage = Literal["roles", "invariants", "coordinates"]
STAGES: tuple[Stage, ...] = ("roles", "invariants", "coordinates")


@dataclass(frozen=True, slots=True)
class Request:
    """One trace to be made.

    ``file``: an absolute path; ``module``: in its place the dotted name of an installed module. ``root``: the
    project's top folder, put on ``sys.path``. ``seeds``: how many, the first of which is ``seed``. ``settings``:
    fields or arguments with the literal value they are to have. ``follow``: fields computed from knobs, as
    expressions. ``fill_base``: give a case's model the base that the case leaves out.
    ``embedding_lr``: the declared policy for the rate of embeddings, as in the configuration.
    ``autocast``: the type that ``torch.autocast`` computes losses in, empty for none.
    """

    file: str
    name: str
    root: str
    knobs: tuple[str, ...] = ()
    follow: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    widths: tuple[float, ...] = ()
    base: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "float32"
    steps: int | None = None
    seeds: int | None = None
    seed: int = 0
    stages: tuple[str, ...] = STAGES
    fill_base: bool = False
    module: str = ""
    autocast: str = ""
    embedding_lr: str = "constant"

    def to_json(self) -> str:
        """The request as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        for name in ("knobs", "widths", "stages"):
            data[name] = tuple(data[name])
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use: seconds, bytes of memory, bytes printed."""

    seconds: float = 600.0
    memory: int = 8 << 30
    output: int = 8 << 20
