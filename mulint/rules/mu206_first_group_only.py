"""A rate written into the first of several groups only.

## What it does
Finds assignments to `optimizer.param_groups[0]["lr"]` where the optimizer has more groups.

## Why is this bad?
The schedule moves one group and leaves the others at the rate they were built with. With the groups that μP
needs, most weights then never warm up or decay.

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


def train(model: Net, lr: float, steps: int):
    groups = [{"params": [model.second.weight, model.head.weight]}, {"params": [model.first.weight]}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
```

## Use instead
```python
def train(model: Net, lr: float, steps: int):
    groups = [{"params": [model.second.weight, model.head.weight]}, {"params": [model.first.weight]}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    for group in optimizer.param_groups:
        group["lr_scale"] = 1.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps) * group["lr_scale"]
```

## What it leaves alone
Optimizers with a single group, and optimizers whose groups could not be followed.

## Fix safety
`group["lr_scale"]` is 1 at the base width.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8; the schedule's shape itself needs no scaling. PyTorch's
documentation of `torch.optim.lr_scheduler`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.values import Site
from mulint.rules.rule import Header, subject

RULE = Header("MU206", "rate-of-first-group-only", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Writes to the first of several groups, once for each place, unless the others are written too."""
    everywhere = {id(w.record) for w in program.seen.rate_writes if w.every}
    found: set[Site] = set()
    for write in program.seen.rate_writes:
        record = write.record
        if write.every or write.site in found or record is None or id(record) in everywhere:
            continue
        if program.scales(write):  # not a schedule: the group is given its own factor
            continue
        if len(record.groups) < 2:
            continue
        found.add(write.site)
        yield RULE.finding(
            write.site,
            subject=subject("rate", write.site),
            symbol=write.owner,
            message=f"only the first of {len(record.groups)} parameter groups gets the scheduled learning rate",
            expected="every group's rate, times the group's own factor",
            found="a write to one group",
            related=[(record.site, "the optimizer is built here")],
        )
