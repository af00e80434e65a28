"""The user's schedule, stepped without training: whether every rate keeps its power of the width.

A schedule may change all rates together. One that writes an absolute rate, or has an absolute floor, brings the
rates of groups together whose ratio carries the power of the width.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import SWALR

from mulint.tracing import training
from mulint.tracing.model import Builder, Use
from mulint.tracing.places import Places
from mulint.tracing.statistics import fit

MOST_STEPS, STEPS = 10_000, 1_000
SAMPLES = 50
# Rates below this part of the largest do not move a weight any more: a floor that low is none.
SMALL = 0.01
KEPT = 0.1
# What torch's schedules call their length.
_LENGTHS = ("total_steps", "total_iters", "T_max", "T_0", "step_size")
_PARTS = ("_schedulers", "_milestones", "milestones")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rates that a schedule gives at one width, by parameter.

    The first are those of the optimizer, the second what the schedule makes of them when it is built, and then
    one after each of its steps. ``place``: where the user's code last wrote a rate; of a schedule of torch,
    where it is built.
    """

    width: float
    kind: type
    rates: Mapping[str, tuple[float, ...]]
    place: Use


@dataclass(frozen=True, slots=True)
class Drift:
    """By which power of the width a schedule takes a rate away from that of the optimizer.

    ``first``: the first step after which it is off, 0 if it is from the start; ``by``: how far at the worst.
    """

    by: float
    first: int
    kind: type
    place: Use

    @property
    def code(self) -> str:
        """The rule that is broken."""
        if issubclass(self.kind, CyclicLR | OneCycleLR | SWALR):
            return "MU202"
        if self.first > 1:
            return "MU203"
        return "MU204" if self.kind.__module__.partition(".")[0] == "torch" else "MU201"


def follow(builder: Builder, seed: int, device: torch.device, root: Path) -> tuple[Schedule, ...]:
    """Build the schedule at every width and step it to its end; nothing if there is none.

    Raises:
        CannotBuild: the optimizer or the schedule cannot be built.
    """
    found = []
    for width in builder.widths:
        built = builder.build(width, seed, device)
        if built.scheduler is None or built.optimizer is None:
            return ()
        prepared = training.prepare(built)
        assert prepared.optimizer is not None
        groups = [_Watched(group, root) for group in prepared.optimizer.param_groups]
        prepared.optimizer.param_groups[:] = groups
        before = [float(group["lr"]) for group in groups]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing is trained between the steps
            schedule = built.scheduler(prepared.optimizer)
            steps = [before, *islice(_rates(schedule, groups), length(schedule))]
        rates = {
            prepared.names[id(parameter)]: tuple(step[index] for step in steps)
            for index, group in enumerate(groups)
            for parameter in group["params"]
            if id(parameter) in prepared.names
        }
        written = [group.place for group in groups if group.place is not None]
        found.append(Schedule(width, type(schedule), rates, written[-1] if written else Use("", 0, 0, "")))
    return tuple(found)


def length(schedule: Any) -> int:
    """How many steps show all of a schedule, as far as it says so itself."""
    own = vars(schedule) if isinstance(schedule, LRScheduler) else {}
    known = [int(value) for name in _LENGTHS if isinstance(value := own.get(name), int | float)]
    parts = [part for name in _PARTS for part in own.get(name) or ()]
    known += [part if isinstance(part, int) else length(part) for part in parts]
    return min(sum(known) + 2, MOST_STEPS) if known else STEPS


def exponents(schedules: Sequence[Schedule], name: str, scales: Mapping[float, float]) -> dict[int, float]:
    """The exponent of a parameter's rate at some steps of the schedule, except where it hardly learns."""
    given = [(scales[one.width], one.rates[name]) for one in schedules if name in one.rates]
    last = min((len(rates) for _, rates in given), default=0)
    found = {}
    for step in sorted({round(i * (last - 1) / SAMPLES) for i in range(SAMPLES + 1)} | {*range(min(last, 3))}):
        if all(rates[step] >= SMALL * max(rates) for _, rates in given):
            slope = fit((scale, rates[step]) for scale, rates in given)
            if slope is not None:
                found[step] = slope.slope
    return found


def drift(schedules: Sequence[Schedule], found: Mapping[int, float]) -> Drift | None:
    """How a schedule takes a rate away from the exponent that it has in the optimizer."""
    off = {step: value - found[0] for step, value in found.items() if 0 in found}
    wrong = [step for step, by in off.items() if abs(by) > KEPT]
    if not wrong:
        return None
    by = max((off[step] for step in wrong), key=abs)
    return Drift(by, max(wrong[0] - 1, 0), schedules[0].kind, schedules[0].place)


def unseen(schedules: Sequence[Schedule]) -> tuple[str, ...]:
    """What the steps taken do not show."""
    steps = {len(rates) - 2 for one in schedules for rates in one.rates.values()}
    return tuple(f"the schedule after step {count}" for count in steps & {0, STEPS - 1, MOST_STEPS - 1})


class _Watched(dict[str, Any]):
    """A group of an optimizer that notes where the user's code writes its rate."""

    def __init__(self, group: dict[str, Any], root: Path) -> None:
        super().__init__(group)
        self.places = Places(root)
        self.place: Use | None = None

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key == "lr":
            found = self.places.find("lr")[1]
            self.place = found if found.line else self.place


def _rates(schedule: Any, groups: Sequence[Mapping[str, Any]]) -> Iterator[list[float]]:
    """The rates of all groups after every step, until the schedule refuses another."""
    while True:
        yield [float(group["lr"]) for group in groups]
        try:
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(1.0)  # a loss that never falls
            else:
                schedule.step()
        except Exception:  # it is over, or needs something of the training
            return
