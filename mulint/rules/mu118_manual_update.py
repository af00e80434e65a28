"""One learning rate for every role in an update written by hand.

## What it does
Finds gradients that the code itself subtracts from the weights, times a rate that does not depend on the width:
`p.data.add_(p.grad, alpha=-lr)`, `p -= lr * p.grad`, inner loops with `torch.autograd.grad`.

## Why is this bad?
This is SGD without an optimizer object. Under μP the gradients of input weights, biases and gains shrink as
1/width, so with one rate they stop learning as the model grows, and there are no parameter groups that could
carry other rates.

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


def step(model: Net, loss: torch.Tensor, lr: float):
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= lr * p.grad
```

## Use instead
```python
def step(model: Net, loss: torch.Tensor, lr: float, width_ratio: float):
    loss.backward()
    rates = {model.first.weight: lr * width_ratio, model.second.weight: lr, model.head.weight: lr / width_ratio}
    with torch.no_grad():
        for p, rate in rates.items():
            p -= rate * p.grad
```

## What it leaves alone
Rates that depend on the width or could not be followed, steps inside optimizer classes, averages of weights,
gradient ascent on inputs, and code in which no width can grow.

## Fix safety
Left to the author: the loop needs a rate for every role, or an optimizer.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8, row "SGD LR".
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, lookup

RULE = Header("MU118", "manual-update-with-one-rate")


def find(program: Program) -> Iterator[Finding]:
    """Updates by hand with a constant rate, once for each place."""
    sgd = lookup("torch.optim.SGD")
    assert sgd is not None
    due = sgd.rate_exponent(Role.INPUT)
    found: set[Site] = set()
    for update in program.seen.manual_updates:
        growing = program.reachable(update.site.path, Role.INPUT, Role.VECTOR)
        wide = program.reachable(update.site.path, Role.HIDDEN, Role.OUTPUT)
        if update.site in found or not growing or not wide or program.growth(update.rate) != 0:
            continue
        found.add(update.site)
        width = describe.width_name(program, *(p.weight.dims[-1] for p in growing), growing[0].weight.dims[0])
        yield RULE.finding(
            update.site,
            subject=subject("update", update.site),
            symbol=update.owner,
            message=f"this update gives every weight the same SGD learning rate at every {width}",
            expected=f"learning rate of input weights, biases and gains ∝ {law(due, width)}",
            found="one learning rate for every role, constant in the width",
            related=describe.weights(growing)[:4],
            severity=describe.severity(growing),
        )
