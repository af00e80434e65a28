"""Width factors that belong to another optimizer family.

## What it does
Finds parameter groups whose learning rates follow the width as another family of optimizers needs it: SGD's
factors under Adam, Adam's under SGD, under an optimizer with relative steps, or under Muon.

## Why is this bad?
How a rate has to follow the width depends on what the optimizer does to the size of a gradient. Adam divides it
away and needs 1/fan-in for hidden weights; SGD keeps it and needs a constant there, but a growing rate for
input weights, biases and gains; steps relative to the size of a weight need 1/√fan-in, and an orthogonalised
update with the factor √max(1, fan-out/fan-in) needs none. With the factors of another family all of a role's
updates grow or vanish.

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
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    groups = [{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}]
    return torch.optim.SGD(groups, momentum=0.9)
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
Rates that fit no family, rates that do not depend on the width, readouts (their rate depends on their
multiplier), and optimizers whose family is not known.

## Fix safety
Left to the author: either the optimizer or the factors are the mistake.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8 and Appendix B.3. For orthogonalised updates
the spectral condition, Yang et al. (arXiv 2310.17813).
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Kind, Optimizer, Role, lookup

RULE = Header("MU103", "rates-of-another-optimizer-family")
_OTHERS = ("torch.optim.Adam", "torch.optim.SGD", "torch.optim.Adafactor")
_WORDS = {
    Kind.ADAPTIVE: "Adam and its kin",
    Kind.SGD: "SGD",
    Kind.RELATIVE: "optimizers with relative steps",
    Kind.ORTHOGONAL: "Muon",
}


def find(program: Program) -> Iterator[Finding]:
    """Optimizers whose rates would be right under another family."""
    for view, family in rates.scaled(program):
        judged = [r for r in rates.rates(program, view, family) if r.parameter.role is not Role.OUTPUT]
        hidden = [r for r in judged if r.parameter.role is Role.HIDDEN]
        wrong = [r for r in judged if not r.is_right]
        if not hidden or not wrong or (len(hidden) < len(judged) and len({r.found for r in judged}) < 2):
            continue
        other = _fitting(program, family, judged)
        if other is None:
            continue
        worst = next((r for r in wrong if r.parameter.role is Role.HIDDEN), wrong[0])
        width = describe.width_name(program, worst.group.rate)
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"the rates follow the width as {_WORDS[other.kind]} need it, but this is {family.name}",
            expected=f"learning rate of {worst.parameter.weight.symbol} {describe.proportional(worst.due, width)}",
            found=f"learning rate {describe.proportional(worst.found, width)}",
            weights=rates.symbols(wrong),
        )


def _fitting(program: Program, family: Optimizer, judged: list[rates.Rate]) -> Optimizer | None:
    """The family under which every rate is right."""
    for name in _OTHERS:
        other = lookup(name)
        if other is None or other.kind is family.kind:
            continue
        if all(r.found == rates.due_rate(program, other, r.parameter) for r in judged):
            return other
    return None
