"""One learning rate for every role under SGD.

## What it does
Finds SGD (with or without momentum) whose groups all get a learning rate that does not depend on the width,
although they hold weights from a finite to a wide dimension, biases, gains or a readout.

## Why is this bad?
Under μP the gradients of these weights shrink as 1/width, and SGD does not undo that: input weights, biases
and gains stop learning as the model grows. They need a rate ∝ width; hidden weights keep theirs (more exactly
∝ fan-out/fan-in).

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


def optimizer(model: Net):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
```

## Use instead
```python
def optimizer(model: Net, width_ratio: float):
    hidden = [model.second.weight]
    head = [model.head.weight]
    ids = {id(p) for p in hidden + head}
    vectors = [p for p in model.parameters() if id(p) not in ids]
    return torch.optim.SGD(
        [
            {"params": hidden, "lr": 0.1},
            {"params": head, "lr": 0.1 / width_ratio},
            {"params": vectors, "lr": 0.1 * width_ratio},
        ],
        momentum=0.9,
    )
```

## What it leaves alone
Optimizers whose rates could not be followed and code in which no width can grow.

## Fix safety
`mulint fix` splits every group by role and multiplies its rate by a power of the width ratio, which is exactly
1 at the base width. With `--target mup` it writes `MuAdam`, `MuAdamW` or `MuSGD` of the mup package, and has the
model set its base shapes.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8, row "SGD LR".
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Role, law

RULE = Header("MU102", "one-sgd-rate-for-every-role")


def find(program: Program) -> Iterator[Finding]:
    """SGD with one rate and weights that need a growing one."""
    for view in program.optimizers:
        family = view.family
        if family is None or not family.is_sgd or family.width_scaled or not view.is_one_rate:
            continue
        growing = [p for role in (Role.INPUT, Role.VECTOR) for p in rates.held_or_reachable(program, view, role)]
        # Where nothing contracts a width, nothing grows with it.
        contracting = (rates.held_or_reachable(program, view, role) for role in (Role.HIDDEN, Role.OUTPUT))
        if not growing or not any(contracting):
            continue
        width = describe.width_name(program, *(p.weight.dims[-1] for p in growing), growing[0].weight.dims[0])
        due = family.rate_exponent(Role.INPUT)
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"{family.name} gives input weights, biases and gains the same learning rate at every {width}",
            expected=f"learning rate of input weights, biases and gains ∝ {law(due, width)}",
            found="one learning rate for every role, constant in the width",
            weights=growing,
            severity=describe.severity(growing) if view.roles else Severity.WARNING,
        )
