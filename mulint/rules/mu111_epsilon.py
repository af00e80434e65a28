"""An ε of Adam that matters and does not follow the width.

## What it does
Finds adaptive optimizers with width factors whose ε is larger than the class's own and constant in the width.
With `epsilon = "scale"` under `[tool.mulint]` also ε that was left at its default.

## Why is this bad?
Under μP the entries of the gradients shrink as 1/width. Adam divides by the root of their mean square plus ε,
so an ε that is negligible for a narrow model takes over for a wide one, and every update shrinks.

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
    return torch.optim.Adam(groups, eps=1e-4)
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    groups = [{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}]
    return torch.optim.Adam(groups, eps=1e-12)
```

## What it leaves alone
ε at or below the default of the class, ε that is divided by the width, optimizers without any width factor, and
everything with `epsilon = "ignore"`.

## Fix safety
A smaller ε changes training: offered only with `--unsafe-fixes`.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Appendix B.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.rates import Group, OptimizerView
from mulint.program.values import Constant, Value, as_number
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import EpsilonPolicy, Optimizer, Role, law

RULE = Header("MU111", "epsilon-not-scaled", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Optimizers with width factors and an ε that has none, once for each."""
    policy = program.policies.epsilon
    for view in program.optimizers:
        family = view.family
        if (
            family is None
            or family.default_epsilon is None
            or not view.is_scaled
            or policy is EpsilonPolicy.IGNORE
        ):
            continue
        due = family.epsilon_exponent(Role.HIDDEN)
        for group in view.groups:
            given = _given(view, group, family)
            if program.growth(as_number(given)) != 0:
                continue
            if policy is EpsilonPolicy.REPORT and not rates.above(given, family.default_epsilon):
                continue
            width = describe.width_name(program, *(g.rate for g in view.groups))
            yield rates.finding(
                RULE,
                view,
                family.name,
                message=f"the ε of {family.name} stays while gradients shrink as {law(due, width)}",
                expected=f"ε ∝ {law(due, width)}, or one far below every gradient",
                found="ε constant in the width",
            )
            break


def _given(view: OptimizerView, group: Group, family: Optimizer) -> Value:
    given = group.record.options.get("eps", view.record.options.get("eps"))
    return Number.of(family.default_epsilon or 0.0) if given in (None, Constant(None)) else given
