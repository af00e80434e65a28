"""States of optimizers and schedulers: taken, written to files, read back, and loaded into others."""

from __future__ import annotations

from collections.abc import Callable

from mulint.program.joining import join
from mulint.program.library import tensors
from mulint.program.run import Arguments, Run
from mulint.program.training_records import OptimizerRecord, SchedulerRecord, StateLoad
from mulint.program.values import Constant, DictValue, Knob, SavedState, Unknown, Value

Holder = OptimizerRecord | SchedulerRecord


def _taken(run: Run, holder: Holder, arguments: Arguments) -> Value:
    del arguments
    return SavedState(holder, run.moment)


def _loaded(run: Run, holder: Holder, arguments: Arguments) -> Value:
    state = arguments.get("state_dict", 0) or Unknown("no state given")
    run.seen.state_loads.append(StateLoad(arguments.site, arguments.owner, holder, state, run.moment))
    return Constant(None)


METHODS: dict[str, Callable[[Run, Holder, Arguments], Value]] = {"state_dict": _taken, "load_state_dict": _loaded}


def save(run: Run, arguments: Arguments) -> Value:
    """``torch.save(state, path)``: one that is written to a file may be read back from it."""
    tensors.settle(arguments.values)
    states, path = _states(arguments.get("obj", 0)), arguments.get("f", 1)
    if states is not None and isinstance(path, Constant | Knob):
        before = run.files_written.get(path)
        run.files_written[path] = states if before is None else join(before, states)
    return Constant(None)


def load(run: Run, arguments: Arguments) -> Value:
    """``torch.load(path)``: what the same run wrote there, or what is not known."""
    path = arguments.get("f", 0)
    known = run.files_written.get(path) if isinstance(path, Constant | Knob) else None
    return known or Unknown("torch's load")


def _states(value: Value | None) -> Value | None:
    """The states in what is written, alone or under names."""
    if isinstance(value, SavedState):
        return value
    if not isinstance(value, DictValue):
        return None
    states: dict[object, Value] = {
        name: entry for name, entry in value.entries.items() if isinstance(entry, SavedState)
    }
    return DictValue(states, complete=False) if states else None
