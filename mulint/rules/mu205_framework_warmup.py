"""A warm-up of a framework that ends at one absolute rate.

## What it does
Finds warm-ups with absolute learning rates for all groups: `WarmupLR` and `WarmupDecayLR` of DeepSpeed with a
scalar `warmup_max_lr`, also in a configuration dict, `LinearWarmupCosineAnnealingLR` with a `warmup_start_lr`
or `eta_min`, `create_lr_scheduler_with_warmup` of ignite.

## Why is this bad?
They write their numbers into every group. Whatever rates the groups were built with are gone, so the factors
that μP puts there have no effect, silently.

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


from deepspeed.runtime.lr_schedules import WarmupLR


def schedule(model: Net, optimizer: torch.optim.Optimizer, lr: float):
    return WarmupLR(optimizer, warmup_max_lr=lr, warmup_num_steps=100)
```

## Use instead
```python
from deepspeed.runtime.lr_schedules import WarmupLR


def schedule(model: Net, optimizer: torch.optim.Optimizer, lr: float):
    rates = [lr * group["lr_scale"] for group in optimizer.param_groups]
    return WarmupLR(optimizer, warmup_max_lr=rates, warmup_num_steps=100)
```

## What it leaves alone
Lists with a rate for every group, starts of zero, and code in which no weight needs a rate of its own.

## Fix safety
Left to the author: `group["lr_scale"]` is 1 at the base width.

## References
The documentation of DeepSpeed, PyTorch Lightning Bolts and ignite on these schedulers; Tensor Programs V (arXiv
2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.values import Knob
from mulint.rules import rates, schedules
from mulint.rules.rule import Header, subject

RULE = Header("MU205", "absolute-framework-warmup", Severity.WARNING)
# For each scheduler what it writes whatever its value, and what is absolute unless it is zero.
_ABSOLUTE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "WarmupLR": (("warmup_max_lr",), ("warmup_min_lr",)),
    "WarmupDecayLR": (("warmup_max_lr",), ("warmup_min_lr",)),
    "LinearWarmupCosineAnnealingLR": ((), ("warmup_start_lr", "eta_min")),
    "create_lr_scheduler_with_warmup": (("warmup_end_value",), ("warmup_start_value",)),
}


def find(program: Program) -> Iterator[Finding]:
    """Warm-ups with absolute rates, once for each construction."""
    for scheduler in schedules.judged(program):
        name = scheduler.type.rpartition(".")[2]
        always, unless_zero = _ABSOLUTE.get(name, ((), ()))
        given = scheduler.arguments
        wrong = [a for a in always if isinstance(given.get(a), Number | Knob)]
        wrong += [a for a in unless_zero if rates.above(given.get(a))]
        if not wrong:
            continue
        yield RULE.finding(
            scheduler.site,
            subject=subject("rate", scheduler.site),
            symbol=scheduler.owner,
            message=f"{name} takes every parameter group to the same absolute rate ({wrong[0]})",
            expected="a rate for every group",
            found="one value for all groups",
            related=schedules.optimizers_of(scheduler),
        )
