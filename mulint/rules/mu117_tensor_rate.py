"""A tensor as learning rate, or named parameters, given to an optimizer of the mup package.

## What it does
Finds `MuAdam`, `MuAdamW` and `MuSGD` with `lr=torch.tensor(...)` or with `model.named_parameters()`.

## Why is this bad?
Release 1.0.0 divides the rate of each group in place. A tensor is shared by all groups, so that every group,
and the tensor itself, gets the rate of the hidden weights. Named parameters are pairs, which it cannot read: it
raises an AttributeError.

## Example
```python
import torch
from mup import MuAdamW, MuReadout, set_base_shapes
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = MuReadout(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, MuAdamW(model.parameters(), lr=torch.tensor(1e-3))
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, MuAdamW(model.parameters(), lr=1e-3)
```

## What it leaves alone
Rates that are numbers, `float(rate)` and `rate.item()`, and values that could not be followed.

## Fix safety
There is no automatic fix: give a number, and `model.parameters()`.

## References
The documentation of the mup package, release 1.0.0, `mup/optim.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.training_records import ModelEvent
from mulint.program.values import ListValue, Site, Tensor, Value
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps

RULE = Header("MU117", "tensor-rate-or-named-parameters-with-mup")


def find(program: Program) -> Iterator[Finding]:
    """Optimizers of the package with arguments that it mishandles, once for each place."""
    found: dict[Site, Finding] = {}
    for event in steps(program, "optimizer"):
        rate = event.arguments.get("lr")
        if _is_named(event.arguments.get("params")):
            found.setdefault(
                event.site,
                _finding(
                    event, "cannot read named parameters", "model.parameters()", "pairs of name and parameter"
                ),
            )
        elif isinstance(rate, Number) and rate.boxed:
            found.setdefault(
                event.site,
                _finding(
                    event, "divides a tensor rate in place, for all groups at once", "a number", "a tensor as lr"
                ),
            )
    yield from found.values()


def _finding(event: ModelEvent, what: str, expected: str, given: str) -> Finding:
    return RULE.finding(
        event.site,
        subject=subject("arguments", event.site),
        symbol=event.name,
        message=f"{event.name} {what}",
        expected=expected,
        found=given,
    )


def _is_named(params: Value | None) -> bool:
    if not isinstance(params, ListValue) or not params.items:
        return False
    return all(
        isinstance(i, ListValue) and len(i.items) == 2 and isinstance(i.items[1], Tensor) for i in params.items
    )
