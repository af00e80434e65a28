"""The user's optimizer as one, whatever the training script holds, and a step of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from mulint.tracing.model import CannotBuild

Closure = Callable[[], Tensor]
MISSING = object()


class Together(Optimizer):
    """Several optimizers, such as Muon beside AdamW, that take their steps one after the other.

    The groups are those of the parts, so what is written to them counts there.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = tuple(parts)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of each."""
        for part in self.parts:
            advance(part, closure)


def parts_of(optimizer: Optimizer | None) -> tuple[Optimizer, ...]:
    """The optimizers that one is made of."""
    if optimizer is None:
        return ()
    return optimizer.parts if isinstance(optimizer, Together) else (optimizer,)


def searching(optimizer: Optimizer | None) -> str:
    """The name of an optimizer that evaluates the loss along one line for all parameters, as LBFGS does.

    Its steps follow no power of the width.
    """
    found = (part for part in parts_of(optimizer) if _closure(part) is inspect.Parameter.empty)
    return next((type(part).__name__ for part in found), "")


def as_one(made: object, name: str) -> Optimizer:
    """What a function returned as one optimizer: also a list of several, or a dictionary that holds schedules too.

    Raises:
        CannotBuild: there is no optimizer of torch in it, or a group has no learning rate.
    """
    found = list(_optimizers_in(made))
    if not found:
        inner = next((key for key, value in _attributes(made) if isinstance(value, Optimizer)), None)
        hint = f"return its {inner}, and as scheduler=... what changes the rates" if inner else ""
        raise CannotBuild(
            f"{name} returned {type(made).__name__}, which is no torch optimizer; "
            + (hint or "write a case with optimizer=...")
        )
    for optimizer in found:
        if any(group.get("lr") is None for group in optimizer.param_groups):
            raise CannotBuild(
                f"{type(optimizer).__name__} has no learning rate in its groups (lr); give it one, "
                "or leave the optimizer out of the case: roles and init need none"
            )
    return found[0] if len(found) == 1 else Together(found)


def advance(optimizer: Optimizer, closure: Closure) -> None:
    """One step down gradients that are there; with the closure where the optimizer evaluates the loss itself.

    Raises:
        CannotBuild: the step fails.
    """
    try:
        if _closure(optimizer) is not inspect.Parameter.empty:
            optimizer.step()
            return
    except Exception as error:
        if _closure(optimizer) is MISSING:
            raise _failed(optimizer, error) from error
    try:  # the optimizer evaluates the loss itself
        optimizer.step(closure)  # type: ignore[arg-type]
    except Exception as error:
        raise _failed(optimizer, error) from error


def _closure(optimizer: Optimizer) -> object:
    """The default of a step's closure."""
    given = inspect.signature(optimizer.step).parameters.get("closure")
    return MISSING if given is None else given.default


def _failed(optimizer: Optimizer, error: Exception) -> CannotBuild:
    return CannotBuild(f"{type(optimizer).__name__} cannot take a step: {type(error).__name__}: {error}")


def _optimizers_in(made: object) -> Iterator[Optimizer]:
    if isinstance(made, Optimizer):
        yield made
    elif isinstance(made, tuple | list):
        for one in made:
            yield from _optimizers_in(one)
    elif isinstance(made, dict):
        for one in made.values():
            yield from _optimizers_in(one)


def _attributes(made: object) -> list[tuple[str, object]]:
    return list(vars(made).items()) if hasattr(made, "__dict__") else []
