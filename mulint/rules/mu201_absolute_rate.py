"""An absolute learning rate written into the parameter groups.

## What it does
Finds assignments to `group["lr"]` whose value does not depend on the group.

## Why is this bad?
A schedule written by hand usually sets one number in every group each step. Whatever rates the groups were
built with are gone after the first step, so the factors that μP puts there have no effect, silently.

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


def set_rate(optimizer: torch.optim.Optimizer, step: int, warmup: int, peak: float):
    lr = peak * min(1.0, step / warmup)
    for group in optimizer.param_groups:
        group["lr"] = lr
```

## Use instead
```python
def set_rate(optimizer: torch.optim.Optimizer, step: int, warmup: int, peak: float):
    lr = peak * min(1.0, step / warmup)
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
```

## What it leaves alone
Values that contain something read from the group (`initial_lr`, `lr_scale`, its own `lr`), factors multiplied
in place, a temporary zero, writes to the first group only, and code in which no weight needs a rate of its own.
Also values looked up by the number of the group, and both branches of a condition on the group, as in
`if "lr_scale" in group`.

## Fix safety
`group["lr_scale"]` is 1 at the base width. With `--target mup` it is recorded after the optimizer is built.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8; the schedule's shape itself needs no scaling.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.training_records import RateWrite
from mulint.program.values import Site
from mulint.rules.rule import Header, subject
from mulint.theory import Role

RULE = Header("MU201", "absolute-rate-in-groups")


def find(program: Program) -> Iterator[Finding]:
    """Writes of a rate that no group has a say in, once for each place."""
    writes: dict[Site, list[RateWrite]] = {}
    for write in program.seen.rate_writes:
        writes.setdefault(write.site, []).append(write)
    for site, same in writes.items():
        scaled = program.reachable(site.path, Role.HIDDEN, Role.INPUT, Role.OUTPUT)
        if not scaled or not any(w.every for w in same) or any(_is_fine(program, w) for w in same):
            continue
        near = program.near(site.path)
        yield RULE.finding(
            site,
            subject=subject("rate", site),
            symbol=same[0].owner,
            message="every parameter group gets the same absolute learning rate here, whatever its own was",
            expected='the rate times the group\'s own factor, as in `lr * group["lr_scale"]`',
            found="one value for all groups",
            related=[
                (v.record.site, "the optimizer is built here")
                for v in program.optimizers
                if v.record.site.path in near
            ],
        )


def _is_fine(program: Program, write: RateWrite) -> bool:
    """Whether a write depends on the group, gives it a width factor of its own, or is a temporary zero."""
    is_zero = isinstance(write.value, Number) and write.value.constant == 0
    return write.relative or write.asks or is_zero or program.scales(write)
