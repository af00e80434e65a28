"""A function given to LambdaLR that returns a rate, not a factor.

## What it does
Finds functions given to `LambdaLR` whose result contains the learning rate that the optimizer was built with.

## Why is this bad?
`LambdaLR` multiplies what the function returns with the rate of every group. A result that is itself a rate is
multiplied twice, so the schedule is off by the rate, and in a group with another rate by another factor.

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


def schedule(model: Net, lr: float, steps: int):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr * (1 - step / steps))
```

## Use instead
```python
def schedule(model: Net, lr: float, steps: int):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
```

## What it leaves alone
Functions that divide by the rate again, functions whose result could not be followed, and rates that are plain
numbers.

## Fix safety
Dropping the rate changes training: left to the author.

## References
PyTorch's documentation of `torch.optim.lr_scheduler.LambdaLR`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.parameters import rate_of
from mulint.rules import schedules
from mulint.rules.rule import Header, subject

RULE = Header("MU207", "rate-where-a-factor-is-due")


def find(program: Program) -> Iterator[Finding]:
    """Schedules that contain the rate of their optimizer, once for each construction."""
    for scheduler in schedules.judged(program):
        record = scheduler.optimizer
        if record is None:
            continue
        rates = {symbol for group in record.groups for symbol in rate_of(record, group).symbols}
        if not any(_grows_with(factor, rates) for factor in scheduler.factors):
            continue
        yield RULE.finding(
            scheduler.site,
            subject=subject("rate", scheduler.site),
            symbol=scheduler.owner,
            message="the function given to LambdaLR returns a rate, which then multiplies the group's rate",
            expected="a factor without the learning rate in it",
            found=f"{scheduler.factors[0]}",
            related=[(record.site, "the optimizer is built here")],
        )


def _grows_with(factor: Number, rates: set[Symbol]) -> bool:
    return any(size.growth([rate]) > 0 for size in factor.alternatives for rate in rates)
