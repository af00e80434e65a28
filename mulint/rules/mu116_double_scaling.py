"""A width factor that reaches the learning rate twice.

## What it does
Finds rates that are divided by the width ratio and multiplied by it once more: groups with a scaled `lr` and a
scaled `lr_scale` whose schedule multiplies both, and groups with scaled rates given to the optimizers of the
mup package, which scale by themselves.

## Why is this bad?
The rate of hidden weights then shrinks as 1/width². They learn less and less as the model grows, and the fault
does not show at the base width, where both factors are 1.

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


from mup import MuAdamW


def optimizer(model: Net, hidden, base_hidden, lr):
    ratio = hidden / base_hidden
    wide = [model.second.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.weight, model.head.bias]
    return MuAdamW([{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}])


def build(features, hidden, classes, base_hidden):
    return optimizer(Net(features, hidden, classes), hidden, base_hidden, 1e-3)
```

## Use instead
```python
from mup import MuAdamW


def optimizer(model: Net, hidden, base_hidden, lr):
    return MuAdamW(model.parameters(), lr=lr)
```

## What it leaves alone
Groups that carry the factor in both keys while the schedule sets an absolute rate times `lr_scale`, factors
that do not depend on a width (a layer-wise decay), and rates that could not be followed.

## Fix safety
Left to the author: one of the two factors has to go.

## References
The documentation of the mup package on its optimizers; timm's schedulers, which multiply by `lr_scale`; Tensor
Programs V (arXiv 2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.rates import OptimizerView
from mulint.program.values import Site, as_number
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import law

RULE = Header("MU116", "width-factor-twice")
_OWN = ("lr", "initial_lr")


def find(program: Program) -> Iterator[Finding]:
    """Optimizers with a factor of their own, and what multiplies it once more."""
    for view in program.optimizers:
        group = next((g for g in view.groups if g.exponent), None)
        if view.family is None or group is None or not group.exponent:
            continue
        again = _again(program, view)
        if again is None:
            continue
        width = describe.width_name(program, group.rate)
        yield rates.finding(
            RULE,
            view,
            view.family.name,
            message=f"the rate ∝ {law(group.exponent, width)} of a group is scaled by the width once more",
            expected="one width factor in each rate",
            found=again[1],
            related=[again],
        )


def _again(program: Program, view: OptimizerView) -> tuple[Site, str] | None:
    """What scales the rates of an optimizer a second time, and where."""
    record = view.record
    if view.family is not None and view.family.width_scaled:
        return record.site, f"{view.family.name} divides by the width itself"
    scaled = any(
        program.growth(as_number(g.record.options["lr_scale"])) for g in view.groups if _has_both(g.record.options)
    )
    if not scaled:
        return None
    for scheduler in program.seen.schedulers:
        if scheduler.optimizer is record and scheduler.scales_groups:
            return scheduler.site, "the schedulers of timm multiply the rate by lr_scale"
    for write in program.seen.rate_writes:
        if write.record is record and "lr_scale" in write.reads and write.reads.intersection(_OWN):
            return write.site, "the group's own rate is multiplied by its lr_scale here"
    return None


def _has_both(options: object) -> bool:
    return isinstance(options, dict) and {"lr", "lr_scale"} <= options.keys()
