"""Compares two records bit by bit, and says in one line what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mulint.tracing.model import Builder
from mulint.verification.record import Groups, Numbers, Record, build, outputs


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether two records agree in one thing; None where the first has no numbers for it."""

    ok: bool | None
    note: str = ""


SAME = Outcome(True)


def compare(before: Record, after: Record) -> dict[str, Outcome]:
    """Everything that must be the same, by what it is."""
    return {
        "parameters after init": _numbers(before["parameters"], after["parameters"]),
        "random numbers drawn": _random(before["random"], after["random"]),
        "state dict keys": _state(before["state"], after["state"]),
        "forward on the training path": _numbers(before["training"], after["training"]),
        "forward on the inference path": _numbers(before["inference"], after["inference"]),
        "gradients": _numbers(before["gradients"], after["gradients"]),
        "optimizer groups": _groups(before["groups"], after["groups"]),
        "five optimizer steps": _numbers(before["steps"], after["steps"]),
    }


def compare_loaded(before: Record, builder: Builder, width: float, dtype: torch.dtype) -> Outcome:
    """Whether a new model with the weights that the original saved gives what the original gave."""
    built = build(builder, width, dtype)
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.zero_()  # so that weights which are not loaded show
    try:
        built.model.load_state_dict(before["checkpoint"])
    except RuntimeError as error:
        return Outcome(False, " ".join(str(error).split())[:300])
    return _numbers(before["trained"], outputs(built))


def _numbers(before: Numbers | str, after: Numbers | str) -> Outcome:
    if isinstance(before, str):
        return Outcome(None, before)
    if isinstance(after, str):
        return Outcome(False, after)
    if list(before) != list(after):
        return Outcome(False, _names(list(before), list(after)))
    different = [name for name, value in before.items() if not identical(value, after[name])]
    if not different:
        return SAME
    first = different[0]
    more = f", and {len(different) - 1} more" if len(different) > 1 else ""
    return Outcome(False, f"{first} differs{_by(before[first], after[first])}{more}")


def identical(one: Tensor, other: Tensor) -> bool:
    """Same shape, type and bits."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(_bits(one), _bits(other))


def _bits(value: Tensor) -> Tensor:
    return value.detach().contiguous().reshape(-1).view(torch.uint8)


def _by(one: Tensor, other: Tensor) -> str:
    if one.shape != other.shape:
        return f": shape {tuple(one.shape)} became {tuple(other.shape)}"
    if one.dtype != other.dtype:
        return f": {one.dtype} became {other.dtype}"
    largest = float((one.double() - other.double()).abs().max())
    return f" by up to {largest:.2g} where the largest is {float(one.double().abs().max()):.2g}"


def _names(before: Sequence[str], after: Sequence[str]) -> str:
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    parts = [f"{_few(gone)} missing"] if gone else []
    parts += [f"{_few(new)} new"] if new else []
    return "; ".join(parts) or "the same names in another order"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _random(before: Mapping[str, str], after: Mapping[str, str]) -> Outcome:
    other = [name for name, state in before.items() if after.get(name, state) != state]
    if not other:
        return SAME
    return Outcome(False, f"building draws other random numbers from {' and '.join(other)} than before")


def _state(before: Numbers, after: Numbers) -> Outcome:
    """Names, shapes and types; the values are among the parameters."""
    if list(before) != list(after):
        return Outcome(False, _names(list(before), list(after)))
    for name, value in before.items():
        if value.shape != after[name].shape or value.dtype != after[name].dtype:
            return Outcome(False, f"{name} differs{_by(value, after[name])}")
    return SAME


def _groups(before: Groups | str, after: Groups | str) -> Outcome:
    """Each group may have been split in place: parts of one group, in its order, with its values."""
    if isinstance(before, str):
        return Outcome(None, before)
    if isinstance(after, str):
        return Outcome(False, after)
    if before["kind"] != after["kind"]:
        return Outcome(False, f"the optimizer was {before['kind']} and is {after['kind']}")
    position = {
        name: (group, index) for group, names in enumerate(before["members"]) for index, name in enumerate(names)
    }
    if sorted(position) != sorted(name for names in after["members"] for name in names):
        return Outcome(False, _names(list(position), [name for names in after["members"] for name in names]))
    last = 0
    for number, (names, values) in enumerate(zip(after["members"], after["values"], strict=True)):
        places = [position[name] for name in names]
        if len({group for group, _ in places}) > 1:
            return Outcome(False, f"group {number} joins parameters of several groups")
        if not places:
            continue
        group = places[0][0]
        if group < last or places != sorted(places):
            return Outcome(False, f"group {number} ({names[0]}, …) is not in the order of before")
        last = group
        changed = _changed(before["values"][group], values)
        if changed:
            return Outcome(False, f"group {number} ({names[0]}, …): {changed}")
    return SAME


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The first value of a group that is not what it was; a new ``lr_scale`` must be 1."""
    for name, value in before.items():
        if after.get(name) != value:
            return f"{name} was {value} and is {after.get(name, 'missing')}"
    scale = after.get("lr_scale", "1.0")
    return "" if float(scale) == 1.0 else f"lr_scale is {scale}"


def gather(
    variants: Sequence[tuple[str, Mapping[str, Outcome]]], unsteady: Mapping[str, str]
) -> dict[str, Outcome]:
    """One outcome for every thing from all variants; the note names the first that differs or lacks numbers.

    Args:
        variants: a name each, and outcomes by what they are about; what the first lacks numbers for is open.
        unsteady: what differs between two runs of the original, and how.
    """
    found: dict[str, Outcome] = {}
    for what, first in variants[0][1].items():
        outcomes = [(name, of[what]) for name, of in variants]
        wrong = [f"{name}: {outcome.note}" for name, outcome in outcomes if outcome.ok is False]
        if what in unsteady:
            found[what] = Outcome(None, f"the original is not the same in two runs: {unsteady[what]}")
        elif wrong:
            found[what] = Outcome(False, wrong[0])
        elif first.ok is None:
            found[what] = first
        else:
            open_ = [f"not in {name}: {outcome.note}" for name, outcome in outcomes if outcome.ok is None]
            found[what] = Outcome(True, "; ".join(open_))
    return found
