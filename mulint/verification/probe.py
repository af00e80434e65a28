"""The worker's side of a certificate: records of the original, and their comparison with the patched code."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mulint.source.discovery import DEFAULT_EXCLUDES
from mulint.tracing import building, stages
from mulint.tracing.building import Plan
from mulint.tracing.model import Builder, CannotBuild
from mulint.tracing.request import Request
from mulint.verification import widths
from mulint.verification.certificate import Detail
from mulint.verification.comparison import Outcome, compare, compare_loaded, gather
from mulint.verification.record import Record, record
from mulint.verification.task import Task

DTYPES = {"float32": torch.float32, "float64": torch.float64}
SEEDS = 2
LEFT_OUT, GIVEN = "base left out", "base given"
CHECKPOINT = "a checkpoint from before"
Records = dict[str, dict[str, Record]]


def answer(text: str, progress: Callable[[str, float], None]) -> dict[str, Any]:
    """Run a task in the worker.

    Raises:
        CannotBuild: the user's code cannot be built.
    """
    task = Task.from_json(text)
    progress("verification", 0.0)
    plan = building.plan(task.request)
    found = _original(task, plan) if task.stage == "original" else _patched(task, plan)
    if task.invariants:
        found["trace"] = _traced(replace(task.request, base={found["knob"]: task.request.widths[1]}), progress)
    _only_from(Path(task.request.root), Path(task.home))
    return found


def _original(task: Task, plan: Plan) -> dict[str, Any]:
    """Write down what the original does at the base, with the base left out and, where it has one, given."""
    chosen = widths.choose(plan, task.base, exact=task.exact)
    builders = _builders(plan, chosen[1])
    records = {
        mode: {name: record(builder, chosen[1], dtype) for name, dtype in DTYPES.items()}
        for mode, builder in builders.items()
    }
    first = records[LEFT_OUT]["float32"]
    again = compare(first, record(builders[LEFT_OUT], chosen[1], torch.float32))
    again[CHECKPOINT] = compare_loaded(first, builders[LEFT_OUT], chosen[1], torch.float32)
    unsteady = {what: outcome.note for what, outcome in again.items() if outcome.ok is False}
    torch.save({"records": records, "unsteady": unsteady}, task.records)
    return {"widths": chosen}


def _patched(task: Task, plan: Plan) -> dict[str, Any]:
    """Compare with what the original did, and look at the model around its base."""
    saved = torch.load(task.records, weights_only=True)
    before: Records = saved["records"]
    half, base, twice = task.request.widths
    chosen = (half, base, twice)
    builders = _builders(plan, base)
    variants: list[tuple[str, Mapping[str, Outcome]]] = []
    for mode, builder in builders.items():
        for name, dtype in DTYPES.items():
            original = before.get(mode, before[LEFT_OUT])[name]
            same = compare(original, record(builder, base, dtype))
            same[CHECKPOINT] = compare_loaded(original, builder, base, dtype)
            variants.append((f"{mode}, {name}", same))
    based = builders.get(GIVEN, builders[LEFT_OUT])
    around = {
        "training and inference paths at half and twice the base": widths.paths(based, chosen),
        "optimizer groups at half and twice the base": widths.groups_keep(based, chosen),
    }
    return {
        "base_settings": plan.base_settings(),
        "knob": next(iter(plan.base)),
        "same": _details(gather(variants, saved["unsteady"])),
        "around": _details(around),
        "ran": _loaded(Path(task.request.root)),
    }


def _traced(request: Request, progress: Callable[[str, float], None]) -> dict[str, Any] | str:
    """The invariants of the patched model around its base, or why they could not be measured."""
    request = replace(request, stages=("roles", "invariants"), seeds=SEEDS, fill_base=True)
    try:
        return stages.run(building.plan(request), request, progress).to_wire()
    except CannotBuild as error:
        return str(error)


def _builders(plan: Plan, base: float) -> dict[str, Builder]:
    """The model as its code stands, and with its base given as the model's own sizes where it can be given."""
    given = plan.based(base)
    return {LEFT_OUT: plan.based(None), **({GIVEN: given} if plan.base_settings() else {})}


def _details(outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(Detail(what, one.ok, one.note)) for what, one in outcomes.items()]


def _loaded(tree: Path) -> list[str]:
    """The files of a copy that were imported."""
    files = [Path(getattr(module, "__file__", None) or "/") for module in list(sys.modules.values())]
    return [file.relative_to(tree).as_posix() for file in files if file.is_relative_to(tree)]


def _only_from(tree: Path, home: Path) -> None:
    """Refuse to judge a copy whose code was loaded from the project itself, as an installed package would be."""
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        if file.is_relative_to(tree) or not file.is_relative_to(home) or name.partition(".")[0] == "mulint":
            continue
        inside = file.relative_to(home)
        if not set(inside.parts) & {*DEFAULT_EXCLUDES, "env"}:
            raise CannotBuild(
                f"{inside} is imported from the project, not from its patched copy; "
                "put its folder first on the path in the case, or uninstall its editable installation"
            )
