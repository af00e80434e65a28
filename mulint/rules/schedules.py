"""What the rules about schedulers share: which ones matter, and where their optimizers are built."""

from __future__ import annotations

from collections.abc import Iterator

from mulint.program import Program
from mulint.program.training_records import SchedulerRecord
from mulint.program.values import Site
from mulint.theory import Role


def judged(program: Program) -> Iterator[SchedulerRecord]:
    """Schedulers of code in which some weight needs a rate of its own, once for each construction."""
    found: set[Site] = set()
    for scheduler in program.seen.schedulers:
        if scheduler.site in found:
            continue
        if program.reachable(scheduler.site.path, Role.HIDDEN, Role.INPUT, Role.OUTPUT):
            found.add(scheduler.site)
            yield scheduler


def optimizers_of(scheduler: SchedulerRecord) -> list[tuple[Site, str]]:
    """Where the optimizer of a scheduler is built, if that is known."""
    return [] if scheduler.optimizer is None else [(scheduler.optimizer.site, "the optimizer is built here")]
