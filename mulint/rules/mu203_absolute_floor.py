"""An absolute floor or start of a schedule.

## What it does
Finds schedulers with a learning rate other than zero that all groups decay to or start from:
`CosineAnnealingLR(eta_min=...)`, `ReduceLROnPlateau(min_lr=...)`, `lr_min` and `warmup_lr_init` of timm.

## Why is this bad?
The schedule starts or ends with the same rate in every group, so the ratios between groups that μP needs shrink
towards 1 on the way.

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


def schedule(model: Net, optimizer: torch.optim.Optimizer, steps: int):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=1e-5)
```

## Use instead
```python
def schedule(model: Net, optimizer: torch.optim.Optimizer, steps: int):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
```

## What it leaves alone
A floor of zero, lists with one floor for every group, factors, and code in which no weight needs a rate of its
own.

## Fix safety
`mulint fix` gives lists to schedulers that take them, and a class that scales the floor by group in place of
`CosineAnnealingLR` and `CosineAnnealingWarmRestarts`; others are left. `group["lr_scale"]` is 1 at the base width.
With `--target mup` only the lists are written.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8; the schedule's shape itself needs no scaling. PyTorch's
documentation of `torch.optim.lr_scheduler`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import rates, schedules
from mulint.rules.rule import Header, subject

RULE = Header("MU203", "absolute-floor-of-schedule", Severity.WARNING)


_FLOORS = ("eta_min", "min_lr", "lr_min", "warmup_lr_init")


def find(program: Program) -> Iterator[Finding]:
    """Schedulers with an absolute rate at one of their ends, once for each construction."""
    for scheduler in schedules.judged(program):
        name = scheduler.type.rpartition(".")[2]
        floors = [a for a in _FLOORS if a in scheduler.arguments and rates.above(scheduler.arguments[a])]
        if not floors:
            continue
        yield RULE.finding(
            scheduler.site,
            subject=subject("rate", scheduler.site),
            symbol=scheduler.owner,
            message=f"{name} takes every parameter group to the same absolute rate ({floors[0]})",
            expected="a floor of zero, or one for every group",
            found="one value for all groups",
            related=schedules.optimizers_of(scheduler),
        )
