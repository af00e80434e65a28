"""What the worker of a certificate is asked. No torch here: both sides import it."""

from __future__ import annotations

import dataclasses
import json
from typing import Literal

from mulint.tracing.request import Request

Stage = Literal["original", "patched"]


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What the worker is asked.

    ``stage`` is ``original`` or ``patched``. ``request``: how to build the model from the tree at hand.
    ``home``: the project that the tree is a copy of. ``records``: the file for what the original gave.
    ``base``: the base of the parametrization, by knob. ``exact``: compare at that base, not at a small one.
    ``invariants``: trace the patched model as well.
    """

    stage: Stage
    request: Request
    home: str
    records: str
    base: dict[str, float]
    exact: bool = False
    invariants: bool = False

    def to_json(self) -> str:
        """The task as one line of JSON."""
        return json.dumps({**dataclasses.asdict(self), "request": self.request.to_json()})

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        return cls(**{**data, "request": Request.from_json(data["request"])})
