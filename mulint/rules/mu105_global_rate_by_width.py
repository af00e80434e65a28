"""A learning rate for all weights that shrinks or grows with the width.

## What it does
Finds optimizers whose groups all get a learning rate with the same power of the width in it, although their
weights need different ones.

## Why is this bad?
With one rate divided by the width, the hidden weights are right under Adam and everything else is not:
embeddings, biases and gains need a rate that does not depend on the width, and learn less and less as the model
grows. The trunk looks perfect in a coordinate check, and the loss still gets worse than it could be.

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


def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    return torch.optim.Adam(model.parameters(), lr=lr * base_hidden / hidden)
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    groups = [{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}]
    return torch.optim.Adam(groups)
```

## What it leaves alone
Rates that could not be followed, optimizers of weights that all need the same power, and factors that do not
depend on a width (a batch size, a depth, a schedule).

## Fix safety
Left to the author: dropping the factor from some groups needs groups by role.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8 and Appendix B.3. Section 5 of the same paper
on embeddings that are not learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import Parameter
from mulint.program.rates import OptimizerView
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Optimizer, Role, law

RULE = Header("MU105", "global-rate-scaled-by-width")


def find(program: Program) -> Iterator[Finding]:
    """Optimizers all of whose rates have the same power of the width."""
    for view, family in rates.scaled(program):
        exponents = {g.exponent for g in view.groups}
        exponent = exponents.pop() if len(exponents) == 1 else None
        if not exponent:
            continue
        wrong = [
            p
            for role in (Role.HIDDEN, Role.INPUT, Role.VECTOR)
            for p in _wrong(program, view, family, role, exponent)
        ]
        if not wrong:
            continue
        width = describe.width_name(program, *(g.rate for g in view.groups))
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"every weight gets a learning rate ∝ {law(exponent, width)}, {_whom(wrong)} included",
            expected=_expected(family, width),
            found=f"learning rate ∝ {law(exponent, width)} for every role",
            weights=wrong,
            severity=rates.severity(view),
        )


def _wrong(
    program: Program, view: OptimizerView, family: Optimizer, role: Role, exponent: Fraction
) -> list[Parameter]:
    return [
        p
        for p in rates.held_or_reachable(program, view, role)
        if rates.due_rate(program, family, p) not in (None, exponent)
    ]


def _whom(wrong: list[Parameter]) -> str:
    words = {Role.HIDDEN: "hidden weights", Role.INPUT: "input weights", Role.VECTOR: "biases and gains"}
    return describe.listed(words[role] for role in words if any(p.role is role for p in wrong))


def _expected(family: Optimizer, width: str) -> str:
    hidden, others = family.rate_exponent(Role.HIDDEN), family.rate_exponent(Role.INPUT)
    of = {e: describe.proportional(e, width, "constant") for e in (hidden, others)}
    return f"learning rate {of[hidden]} for hidden weights, {of[others]} for input weights, biases and gains"
