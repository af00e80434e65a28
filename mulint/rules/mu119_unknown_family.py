"""An optimizer whose family is not known.

## What it does
Names optimizers of hidden weights for which mulint has no row, in packages that use μP: classes written in the
project and rarer ones of torch.

## Why is this bad?
How a learning rate has to follow the width depends on how the update answers to the gradient. For a class that
is not in the table nothing static says so.

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


class Signed(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(p - group["lr"] * torch.sign(p.grad))


def optimizer(model: Net, lr):
    return Signed(model.parameters(), lr=lr)
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    return torch.optim.Adam([{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}])
```

## What it leaves alone
Optimizers in packages without any sign of μP, and those that hold no hidden weights or whose weights could not
be followed.

## Fix safety
Nothing is rewritten. `mulint trace` measures what the rates of any optimizer do.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8 and Appendix B.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import rates
from mulint.rules.rule import Header
from mulint.theory import Role

RULE = Header("MU119", "unknown-optimizer-family", Severity.NOTE)


def find(program: Program) -> Iterator[Finding]:
    """Optimizers of hidden weights without a row; as a note it is said only where μP is wanted."""
    for view in program.optimizers:
        if view.family is not None or view.record.hook:
            continue
        hidden = view.holding(Role.HIDDEN)
        if not hidden:
            continue
        name = view.record.type.rpartition(":")[2].rpartition(".")[2]
        yield rates.finding(
            RULE,
            view,
            name,
            message=f"how the rates of {name} have to follow the width is not known; `mulint trace` measures it",
            expected="an optimizer whose family is known, or a trace",
            found=name,
            weights=hidden,
        )
