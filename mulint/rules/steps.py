"""What rules share about steps in the life of one model, such as those the mup package depends on."""

from __future__ import annotations

from collections.abc import Iterator

from mulint.program import Program
from mulint.program.library.mup_package import precedes
from mulint.program.training_records import ModelEvent


def steps(program: Program, kind: str) -> Iterator[ModelEvent]:
    """All steps of a kind, in the order of the run."""
    return (event for event in program.seen.model_events if event.kind == kind)


def remade(program: Program, by: str = "") -> frozenset[int]:
    """The identities of layers whose weights a parametrization makes, ``by`` one function or any."""
    made = (e.model for e in steps(program, "reparametrise") if by in ("", e.name))
    return frozenset(id(model.layer) for model in made if model is not None and model.layer is not None)


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
