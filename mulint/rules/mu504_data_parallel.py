"""DataParallel around a model with base shapes.

## What it does
Finds `torch.nn.DataParallel` on a model that has a readout and base shapes of the mup package.

## Why is this bad?
The replicas on the other devices are made of plain tensors, which carry no base shapes. The readout then raises an
AssertionError as soon as there is more than one device.

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
    return nn.DataParallel(model)
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return nn.parallel.DistributedDataParallel(model)
```

## What it leaves alone
`DistributedDataParallel`, which keeps the parameters, models without a readout of the package, and models whose
base shapes are not set in sight.

## Fix safety
There is no automatic fix: `DistributedDataParallel` needs a process for each device.

## References
The documentation of the mup package, release 1.0.0, section on current limitations, and the text of its assertion.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.mup_package import has_readout
from mulint.program.values import Site
from mulint.rules.rule import Header, subject
from mulint.rules.steps import after, before, steps

RULE = Header("MU504", "data-parallel-with-mup")


def find(program: Program) -> Iterator[Finding]:
    """Models with shapes that are replicated, once for each place."""
    found: dict[Site, Finding] = {}
    for event in steps(program, "data-parallel"):
        shapes = [*before(program, "shapes", event), *after(program, "shapes", event)]
        if event.model is None or not shapes or not has_readout(event.model) or event.site in found:
            continue
        found[event.site] = RULE.finding(
            event.site,
            subject=subject("wrapper", event.site),
            symbol=event.name,
            message="DataParallel replicates the model without its base shapes",
            expected="torch.nn.parallel.DistributedDataParallel",
            found=event.name,
            related=[(shapes[-1].site, "the base shapes are set here")],
        )
    yield from found.values()
