"""One scalar rate given to a scheduler for all groups.

## What it does
Finds `OneCycleLR(max_lr=...)`, `CyclicLR(base_lr=..., max_lr=...)` and `SWALR(swa_lr=...)` with a single number.

## Why is this bad?
These schedulers write the number into every group, from the first step on. Whatever rates the groups were built
with are gone, so the factors that μP puts there have no effect, silently.

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


def schedule(model: Net, optimizer: torch.optim.Optimizer, lr: float, steps: int):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
```

## Use instead
```python
def schedule(model: Net, optimizer: torch.optim.Optimizer, lr: float, steps: int):
    rates = [lr * group["lr_scale"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rates, total_steps=steps)
```

## What it leaves alone
Lists with a rate for every group, rates that could not be followed, and code in which no weight needs a rate of
its own.

## Fix safety
`group["lr_scale"]` is 1 at the base width. With `--target mup` it is recorded after the optimizer is built.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8; the schedule's shape itself needs no scaling. PyTorch's
documentation of `torch.optim.lr_scheduler`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.numbers import Number, own_of_group
from mulint.program.values import Knob, Value, as_number
from mulint.rules import schedules
from mulint.rules.rule import Header, subject

RULE = Header("MU202", "scalar-rate-for-all-groups")


_RATES = {"OneCycleLR": ("max_lr",), "CyclicLR": ("base_lr", "max_lr"), "SWALR": ("swa_lr",)}


def find(program: Program) -> Iterator[Finding]:
    """Schedulers that set an absolute rate, once for each construction."""
    for scheduler in schedules.judged(program):
        name = scheduler.type.rpartition(".")[2]
        scalars = [a for a in _RATES.get(name, ()) if _is_one(scheduler.arguments.get(a))]
        if not scalars:
            continue
        yield RULE.finding(
            scheduler.site,
            subject=subject("rate", scheduler.site),
            symbol=scheduler.owner,
            message=f"{name} writes one {scalars[0]} into every parameter group, whatever its own rate was",
            expected=f'a list, `{scalars[0]}=[lr * g["lr_scale"] for g in optimizer.param_groups]`',
            found="one value for all groups",
            related=schedules.optimizers_of(scheduler),
        )


def _is_one(value: Value | None) -> bool:
    """Whether it is one number, and none that a group has of its own."""
    return isinstance(value, Number | Knob) and own_of_group([as_number(value)]) is None
