"""A learning rate divided by another width than the one that the weight contracts.

## What it does
Finds hidden weights under an adaptive optimizer whose learning rate is divided by a width that is not part of
their fan-in: a down projection of an MLP with a size of its own, scaled by the model's width.

## Why is this bad?
The rate has to follow the fan-in of each weight. Dividing by another width is right only while both grow by the
same factor. When one is chosen by itself, or rounded, the weight's updates grow or shrink with the quotient.

## Example
```python
import torch
from torch import nn


class Mlp(nn.Module):
    def __init__(self, features, d_model, d_ff, classes):
        super().__init__()
        self.first = nn.Linear(features, d_model)
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)
        self.head = nn.Linear(d_model, classes)

    def forward(self, x):
        return self.head(self.down(self.up(self.first(x)).relu()))


def optimizer(features, d_model, d_ff, classes, base_d_model, lr):
    model = Mlp(features, d_model, d_ff, classes)
    hidden = [model.up.weight, model.down.weight]
    others = [model.first.weight, model.first.bias, model.up.bias, model.down.bias, model.head.bias]
    groups = [{"params": hidden, "lr": lr * base_d_model / d_model}, {"params": others, "lr": lr}]
    return torch.optim.Adam(groups)
```

## Use instead
```python
def optimizer(features, d_model, d_ff, classes, base_d_model, base_d_ff, lr):
    model = Mlp(features, d_model, d_ff, classes)
    others = [model.first.weight, model.first.bias, model.up.bias, model.down.bias, model.head.bias]
    groups = [
        {"params": [model.up.weight], "lr": lr * base_d_model / d_model},
        {"params": [model.down.weight], "lr": lr * base_d_ff / d_ff},
        {"params": others, "lr": lr},
    ]
    return torch.optim.Adam(groups)
```

## What it leaves alone
Sizes that are a multiple of the width they are divided by (an MLP of four times the width), numbers of heads
times a head dimension, and rates with another fault.

## Fix safety
Left to the author: the right divisor needs a base size of its own.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8 and Appendix B.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Role, law

RULE = Header("MU106", "rate-divided-by-another-width", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Hidden weights whose fan-in and divisor share no width, once for each optimizer."""
    for view, family in rates.scaled(program):
        if not family.is_adaptive:
            continue
        judged = [r for r in rates.rates(program, view, family) if r.parameter.role is Role.HIDDEN and r.is_right]
        wrong = [r for r in judged if _differ(program, r)]
        if not wrong:
            continue
        divisor = describe.width_name(program, wrong[0].group.rate)
        fan_in = describe.width_name(program, *(r.parameter.weight.fan_in for r in wrong))
        names = describe.listed(r.parameter.weight.symbol for r in wrong)
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"the learning rate of {names} follows {divisor}, which is not what is contracted there",
            expected=f"learning rate ∝ {law(wrong[0].due, fan_in)}",
            found=f"learning rate ∝ {law(wrong[0].found, divisor)}",
            weights=rates.symbols(wrong),
        )


def _differ(program: Program, rate: rates.Rate) -> bool:
    divisor = _widths(program, rate.group.rate)
    contracted = [_widths(program, p.weight.fan_in) for p in program.built_at(rate.parameter.key)]
    return len(divisor) == 1 and all(len(c) == 1 and c != divisor for c in contracted) and bool(contracted)


def _widths(program: Program, number: Number) -> frozenset[Symbol]:
    """The widths in a number, if all its alternatives have the same and all of them are sizes of the model."""
    found = {frozenset(s for s in size.symbols if s in program.widths) for size in number.alternatives}
    widths = found.pop() if len(found) == 1 else frozenset()
    return widths if widths <= program.sizes else frozenset()
