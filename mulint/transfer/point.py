"""The worker's side of a sweep: one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from mulint.tracing import building, cases, devices, training
from mulint.transfer.request import Point


def answer(text: str, progress: Callable[[str, float], None]) -> dict[str, Any]:
    """Train one model and send back its losses.

    Raises:
        CannotBuild: the user's code cannot be built or run.
    """
    point = Point.from_json(text)
    progress("building", 0.0)
    request = replace(point.request, device=devices.chosen(point.request.device))
    builder = building.plan(request).builder
    prepared = training.prepare(builder.build(point.width, point.seed, torch.device(request.device)))
    # How much randomness building takes depends on the width; the data must not.
    cases.seed_everything(point.seed)
    return {"losses": training.run(prepared, 2.0**point.octave, point.steps)}
