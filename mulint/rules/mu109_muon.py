"""Muon on weights that are not hidden, or with a factor that needs another rate.

## What it does
Finds Muon with a constant rate and the shape factor √max(fan-in, fan-out), and Muon on lookup tables and
readouts.

## Why is this bad?
Muon sets all singular values of an update to one. For hidden matrices that needs no factor of the width, unless
the class multiplies by 0.2·√max(fan-in, fan-out) to match Adam's size (`adjust_lr_fn="match_rms_adamw"`): the
rate then has to shrink as 1/√width. A lookup table or a readout has one wide dimension, and its updates need
another norm.

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


def optimizer(model: Net, lr):
    return torch.optim.Muon([model.second.weight], lr=lr, adjust_lr_fn="match_rms_adamw")
```

## Use instead
```python
def optimizer(model: Net, lr):
    return torch.optim.Muon([model.second.weight], lr=lr, adjust_lr_fn="original")
```

## What it leaves alone
Hidden matrices under the factor √max(1, fan-out/fan-in), projections from a finite size, and optimizers called
Muon whose class is written in the project.

## Fix safety
Left to the author: the factor is an argument of the class, and other weights need an optimizer of their own.

## References
Yang et al., A Spectral Condition for Feature Learning (arXiv 2310.17813); Jordan et al., Muon; PyTorch's
documentation of `torch.optim.Muon`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Kind, Role, law

RULE = Header("MU109", "muon-on-wrong-weights")


def find(program: Program) -> Iterator[Finding]:
    """Muon whose rate or weights do not fit it."""
    for view in program.optimizers:
        family = view.family
        if family is None or family.kind is not Kind.ORTHOGONAL:
            continue
        judged = rates.rates(program, view, family)
        wrong = [r for r in judged if r.parameter.role is Role.HIDDEN and not r.found and not r.is_right]
        if wrong:
            width = describe.width_name(program, *(r.parameter.weight.fan_in for r in wrong))
            yield rates.finding(
                RULE,
                view,
                family.name,
                message=f"{family.name} with the factor {family.shape.value} has one rate at every {width}",
                expected=f"learning rate ∝ {law(wrong[0].due, width)}, or the factor √max(1, fan-out/fan-in)",
                found="one learning rate, constant in the width",
                weights=rates.symbols(wrong),
            )
            continue
        alien = [p for p in view.holding(Role.INPUT, Role.OUTPUT) if p.weight.lookup or p.is_readout]
        if alien:
            names = describe.listed(p.weight.symbol for p in alien)
            yield rates.finding(
                RULE,
                view,
                family.name,
                message=f"{family.name} is meant for hidden matrices and also holds {names}",
                expected="lookup tables and readouts under Adam, with rates of their own",
                found=f"{names} under {family.name}",
                weights=alien,
                severity=Severity.WARNING,
            )
