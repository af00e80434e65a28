"""Weights that miss the group with the width factor.

## What it does
Finds optimizers that give some groups a width factor and leave weights that need it in a group with a constant
rate: hidden weights under Adam, input weights, biases and gains under SGD. Typically a filter by name was
written for the modules of the day.

## Why is this bad?
A weight that no filter names keeps the base rate, silently. Its updates then grow (Adam) or vanish (SGD) with
the width as if nothing had been scaled, and one such layer is enough to move the optimal learning rate.

## Example
```python
import torch
from torch import nn


class Wide(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.third = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.third(self.second(self.first(x).relu()).relu()).relu())


def optimizer(features, hidden, classes, base_hidden, lr):
    model = Wide(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [p for n, p in model.named_parameters() if n.endswith(("second.weight", "head.weight"))]
    others = [p for n, p in model.named_parameters() if not n.endswith(("second.weight", "head.weight"))]
    return torch.optim.Adam([{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}])
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Wide(features, hidden, classes)
    ratio = hidden / base_hidden
    matrices = ("second.weight", "third.weight", "head.weight")
    wide = [p for n, p in model.named_parameters() if n.endswith(matrices)]
    others = [p for n, p in model.named_parameters() if not n.endswith(matrices)]
    return torch.optim.Adam([{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}])
```

## What it leaves alone
Frozen weights, weights that no group holds, readouts (see MU401), groups whose rate could not be followed, and
optimizers without any width factor (see MU101, MU102).

## Fix safety
Left to the author: the filter has to name the weights, or better their fan-in.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8 and Appendix B.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Kind, Role, law

RULE = Header("MU113", "weights-missed-by-group-filter")
_SCALED = {Kind.ADAPTIVE: (Role.HIDDEN,), Kind.SGD: (Role.INPUT, Role.VECTOR)}


def find(program: Program) -> Iterator[Finding]:
    """Weights with a constant rate beside others of their role that are scaled."""
    for view, family in rates.scaled(program):
        roles = _SCALED.get(family.kind, ())
        judged = [r for r in rates.rates(program, view, family) if r.parameter.role in roles]
        missed = [r for r in judged if not r.found and not r.is_right]
        scaled = [r for r in judged if r.found and r.is_right]
        right = {r.parameter.key for r in scaled}
        missed = [r for r in missed if r.parameter.key not in right]
        if not missed or not scaled:
            continue
        names = describe.listed(r.parameter.weight.symbol for r in missed)
        width = describe.width_name(program, *(r.parameter.weight.fan_in for r in missed), scaled[0].group.rate)
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"{names} {'miss' if len(missed) > 1 else 'misses'} the group with the width factor",
            expected=f"learning rate ∝ {law(missed[0].due, width)}, as {scaled[0].parameter.weight.symbol} has it",
            found="a learning rate that is constant in the width",
            weights=rates.symbols(missed),
        )
