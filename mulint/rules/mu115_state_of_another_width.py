"""The state of an optimizer or a scheduler is loaded into one for a model of another width.

## What it does
Finds calls of `load_state_dict` of an optimizer whose rates depend on the width, or of a scheduler of one, that
are given what `state_dict()` of another one returned, for a model of another width: directly, under a name, out of
a dict, or by way of a file that the same run writes and reads back.

## Why is this bad?
The state of an optimizer holds the rates of its groups, and those of some schedulers the rates to start from
(`base_lrs`). Both replace what was computed for the wide model by what is right for the small one. An Adam that
has made a step stops at the next one, as its moments have other shapes; a fresh optimizer, SGD without momentum
and schedulers go on silently.

## Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def build(width, lr):
    model = Net(8, width, 4)
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, *(p for p in model.parameters() if p.ndim < 2)]
    return model, torch.optim.SGD([{"params": wide, "lr": lr * 64 / width}, {"params": others}], lr=lr)


def grown(width, lr):
    small, small_optimizer = build(64, lr)
    model, optimizer = build(width, lr)
    optimizer.load_state_dict(small_optimizer.state_dict())
    return model, optimizer
```

## Use instead
```python
def grown(width, lr):
    small, small_optimizer = build(64, lr)
    model, optimizer = build(width, lr)
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(small_optimizer.state_dict())
    for group, rate in zip(optimizer.param_groups, rates):
        group["lr"] = rate
    return model, optimizer
```

## What it leaves alone
States of which parts were read or replaced before, rates that are written again afterwards or kept by a
scheduler, files that another run wrote, models of one width or of one that is not known, and schedulers that
multiply the rate that they find.

## Fix safety
There is no automatic fix: write the rates, and `initial_lr`, again after loading.

## References
The documentation of `torch.optim.Optimizer.load_state_dict` and of `torch.optim.lr_scheduler`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.comparing import differ
from mulint.program.library.mup_package import precedes
from mulint.program.numbers import Number
from mulint.program.records import Weight
from mulint.program.training_records import OptimizerRecord, RateWrite, SchedulerRecord, StateLoad
from mulint.program.values import SavedState, Site, options
from mulint.rules.rule import Header, subject

RULE = Header("MU115", "state-of-another-width", Severity.WARNING)
# Schedulers whose state holds rates that they compute from, and those that set all rates when they are built.
_STARTS_FROM_STATE = re.compile(
    r".*\.(LambdaLR|CosineAnnealingWarmRestarts|CyclicLR)"
    r"|(transformers|diffusers)\.(optimization\.)?get_(constant|cosine|inverse|linear|polynomial|wsd)_\w+"
)
_SETS_RATES = ("OneCycleLR", "CyclicLR")
_RATES = ("lr", "initial_lr", "base_lrs")


def find(program: Program) -> Iterator[Finding]:
    """States of another width, one finding for each call that loads one."""
    scaled = {view.record.site for view in program.optimizers if view.is_scaled or view.rewritten}
    found: dict[Site, Finding] = {}
    for load in program.seen.state_loads:
        optimizer = _optimizer(load.holder)
        if optimizer is None or optimizer.site not in scaled or load.site in found:
            continue
        hit = _other_width(program, load, optimizer)
        if hit is None or not _is_lasting(program, load, optimizer):
            continue
        weight, saved, own = hit
        found[load.site] = RULE.finding(
            load.site,
            subject=subject("state", load.site),
            symbol=load.owner,
            message="the rates that come with this state are for a model of another width, which has "
            f"{saved} where {weight.symbol} has {own}",
            expected="the state of a model of this width, or rates that are written again",
            found="the rates of a model of another width",
            related=[(optimizer.site, "the optimizer is built here")],
        )
    yield from found.values()


def _optimizer(record: OptimizerRecord | SchedulerRecord) -> OptimizerRecord | None:
    """The optimizer whose rates a state holds, if it holds any that are used."""
    if isinstance(record, OptimizerRecord):
        return record
    return record.optimizer if _STARTS_FROM_STATE.fullmatch(record.type) else None


def _other_width(
    program: Program, load: StateLoad, optimizer: OptimizerRecord
) -> tuple[Weight, Number, Number] | None:
    """A weight with a width that all states that may be loaded are for another size of, and both sizes."""
    hits = []
    for state in options(load.state):
        if not isinstance(state, SavedState) or state.opened or type(state.source) is not type(load.holder):
            return None
        saved = _optimizer(state.source)
        if saved is None or not precedes(program.seen, state.moment, load.moment):
            return None
        hits.append(_differing(program, saved, optimizer, load.owner.partition(".")[0]))
    return None if None in hits else hits[0]


def _differing(
    program: Program, saved: OptimizerRecord, own: OptimizerRecord, owner: str
) -> tuple[Weight, Number, Number] | None:
    theirs, mine = _weights(saved), _weights(own)
    if theirs is None or mine is None or list(map(len, theirs)) != list(map(len, mine)):
        return None
    for there, here in zip(sum(theirs, ()), sum(mine, ()), strict=True):
        for index, (a, b) in enumerate(zip(there.dims, here.dims, strict=False)):
            if program.is_width(here, index) and differ(a, b, program.seen.defaults, owner):
                return here, a, b
    return None


def _weights(record: OptimizerRecord) -> list[tuple[Weight, ...]] | None:
    """The weights of each group; None if some are not known."""
    known = [group.weights for group in record.groups if group.weights is not None]
    return known if record.complete and len(known) == len(record.groups) else None


def _is_lasting(program: Program, load: StateLoad, optimizer: OptimizerRecord) -> bool:
    """Whether nothing sets the rates anew after the state was loaded."""
    after, path = load.moment.order, load.site.path
    if any(
        write.order > after and write.key in _RATES and _is_of(write, optimizer, path)
        for write in program.seen.group_writes
    ):
        return False
    schedulers = [s for s in program.seen.schedulers if s.optimizer is optimizer]
    if any(s.order > after and s.type.endswith(_SETS_RATES) for s in schedulers):
        return False
    # One that was built before goes on with the rates that it found.
    kept = any(s.order < after and _STARTS_FROM_STATE.fullmatch(s.type) for s in schedulers)
    return isinstance(load.holder, SchedulerRecord) or not kept


def _is_of(write: RateWrite, optimizer: OptimizerRecord, path: str) -> bool:
    """Whether a write is to the groups of an optimizer, or of one that is not known, in the same file."""
    return write.record is optimizer or (write.record is None and write.site.path == path)
