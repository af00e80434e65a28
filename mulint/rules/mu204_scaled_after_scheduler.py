"""A rate scaled by the width where the scheduler no longer sees it.

## What it does
Finds width factors written into `group["lr"]` after a scheduler was built that has kept the rates it found
(`LambdaLR`, `OneCycleLR`, `CyclicLR`, the schedules of transformers and timm), and groups whose `initial_lr`
does not have the factor that their `lr` has.

## Why is this bad?
These schedulers compute every rate from the one that a group had when they were built, or from `initial_lr` if
the group already has one. The factor is gone after the first step, silently.

## Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    optimizer = torch.optim.Adam([{"params": wide}, {"params": others}], lr=lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 100))
    optimizer.param_groups[0]["lr"] = lr / ratio
    return optimizer, scheduler
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    optimizer = torch.optim.Adam([{"params": wide}, {"params": others}], lr=lr)
    optimizer.param_groups[0]["lr"] = lr / ratio
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 100))
    return optimizer, scheduler
```

## What it leaves alone
Schedulers that multiply the rate they find (StepLR, CosineAnnealingLR and others), writes without a width
factor, and code that also writes `initial_lr` or the scheduler's `base_lrs`.

## Fix safety
Left to the author: the two statements have to change places.

## References
PyTorch's documentation of `torch.optim.lr_scheduler`; Tensor Programs V (arXiv 2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.rates import OptimizerView
from mulint.program.training_records import RateWrite, SchedulerRecord
from mulint.program.values import as_number
from mulint.rules.rule import Header, subject

RULE = Header("MU204", "rate-scaled-after-scheduler")
_KEEPING = ("LambdaLR", "OneCycleLR", "CyclicLR")
_KEEPING_ROOTS = ("transformers.", "timm.scheduler.", "diffusers.")


def find(program: Program) -> Iterator[Finding]:
    """Scaled writes that come too late, and stale initial rates."""
    views = {id(v.record): v for v in program.optimizers}
    found = set()
    for scheduler in program.seen.schedulers:
        if scheduler.optimizer is None or not _keeps(scheduler):
            continue
        late = next((w for w in program.seen.rate_writes if _is_late(program, scheduler, w)), None)
        if late is not None and late.site not in found and not _is_told(program, late):
            found.add(late.site)
            yield RULE.finding(
                late.site,
                subject=subject("rate", late.site),
                symbol=late.owner,
                message="this width factor comes too late: the scheduler computes from the rates that it found",
                expected="rates with their factors before the scheduler is built",
                found="a rate that is lost at the next step of the scheduler",
                related=[(scheduler.site, "the scheduler is built here")],
            )
    for view in views.values():
        yield from _stale(program, view)


def _keeps(scheduler: SchedulerRecord) -> bool:
    """Whether a scheduler computes from the rates that it found when it was built."""
    return scheduler.type.rpartition(".")[2] in _KEEPING or scheduler.type.startswith(_KEEPING_ROOTS)


def _is_late(program: Program, scheduler: SchedulerRecord, write: RateWrite) -> bool:
    if write.record is not scheduler.optimizer or write.order < scheduler.order:
        return False
    return bool(program.growth(as_number(write.value)))


def _is_told(program: Program, write: RateWrite) -> bool:
    """Whether the scheduler's own memory of the rates is written too."""
    return any(
        w.key in ("initial_lr", "base_lrs") and w.site.path == write.site.path for w in program.seen.group_writes
    )


def _stale(program: Program, view: OptimizerView) -> Iterator[Finding]:
    for group in view.groups:
        first = group.record.options.get("initial_lr")
        exponent = None if first is None else program.growth(as_number(first))
        if exponent is None or group.exponent is None or exponent == group.exponent:
            continue
        yield RULE.finding(
            view.record.site,
            subject=subject("rate", view.record.site),
            symbol=view.record.owner,
            message="a group's initial_lr does not have the width factor of its lr, and schedulers start from it",
            expected="the same factor in both, or no initial_lr",
            found="an initial_lr of another power of the width",
        )
        return
