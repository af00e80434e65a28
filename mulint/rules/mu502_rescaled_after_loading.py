"""Base shapes set after weights were loaded, with the default rescaling.

## What it does
Finds `set_base_shapes` with `rescale_params=True`, its default, on a model that has loaded a state dict.

## Why is this bad?
The call multiplies the readouts, and the biases of linear and convolutional layers, by the root of the width
multiplier. That is meant for weights as torch draws them; trained weights are changed, and no error is raised.

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


def resume(features, hidden, classes, path):
    model = Net(features, hidden, classes)
    model.load_state_dict(torch.load(path))
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model
```

## Use instead
```python
def resume(features, hidden, classes, path):
    model = Net(features, hidden, classes)
    model.load_state_dict(torch.load(path))
    base, delta = Net(features, 64, classes), Net(features, 128, classes)
    set_base_shapes(model, base, delta=delta, rescale_params=False)
    return model
```

## What it leaves alone
Loading after the base shapes were set, weights copied from another model in sight, and branches that exclude
each other.

## Fix safety
There is no automatic fix: `rescale_params=False` changes what a resumed run computes, to what was saved.

## References
The documentation of the mup package, release 1.0.0, section on checkpointing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.modules import STATE
from mulint.program.values import Constant, Site
from mulint.rules.rule import Header, subject
from mulint.rules.steps import before, steps

RULE = Header("MU502", "base-shapes-after-loading")


def find(program: Program) -> Iterator[Finding]:
    """Calls that rescale weights which were loaded."""
    found: dict[Site, Finding] = {}
    for event in steps(program, "shapes"):
        rescales = event.arguments.get("rescale_params", Constant(True)) == Constant(True)
        loads = [load for load in before(program, "load", event) if load.arguments.get("state_dict") != STATE]
        if not event.complete or not rescales or not loads or event.site in found:
            continue
        found[event.site] = RULE.finding(
            event.site,
            subject=subject("shapes", event.site),
            symbol=event.name,
            message="set_base_shapes rescales weights that were loaded before",
            expected="rescale_params=False",
            found="rescale_params=True",
            related=[(loads[-1].site, "the weights are loaded here")],
        )
    yield from found.values()
