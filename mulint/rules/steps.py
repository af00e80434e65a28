"""What the rules about the mup package share: steps in the life of one model, in order."""

from __future__ import annotations

from collections.abc import Iterator

from mulint.program import Program
from mulint.program.library.mup_package import precedes
from mulint.program.records import ModelEvent


def steps(program: Program, kind: str) -> Iterator[ModelEvent]:
    """All steps of a kind, in the order of the run."""
    return (event for event in program.seen.model_events if event.kind == kind)


def before(program: Program, kind: str, event: ModelEvent) -> list[ModelEvent]:
    """The steps of a kind on the same model that may precede an event."""
    return [
        other
        for other in steps(program, kind)
        if other.model is event.model is not None and precedes(program.seen, other.moment, event.moment)
    ]


def after(program: Program, kind: str, event: ModelEvent) -> list[ModelEvent]:
    """The steps of a kind on the same model that may follow an event."""
    return [
        other
        for other in steps(program, kind)
        if other.model is event.model is not None and precedes(program.seen, event.moment, other.moment)
    ]
