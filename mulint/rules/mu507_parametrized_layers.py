"""Base shapes set on a model with a reparametrised linear layer.

## What it does
Finds `weight_norm`, `spectral_norm`, `orthogonal` and `register_parametrization` on the weight of a linear layer
of a model before its base shapes are set.

## Why is this bad?
These make the weight a plain tensor that is computed anew from other parameters. `set_base_shapes` asks every
linear layer for the shape record of its weight, finds none and raises an AttributeError.

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
    def normed(width):
        model = Net(features, width, classes)
        nn.utils.parametrizations.weight_norm(model.second)
        return model

    model = normed(hidden)
    set_base_shapes(model, normed(64), delta=normed(128))
    return model
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model
```

## What it leaves alone
Layers that are not part of the model whose shapes are set, layers that are not linear, and reparametrisations
after the shapes.

## Fix safety
There is no automatic fix: the μP of a reparametrised weight has to be chosen by hand.

## References
The documentation of the mup package, release 1.0.0; measured with torch 2.13.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.mup_package import holds, precedes
from mulint.program.training_records import ModelEvent
from mulint.program.values import Constant, Site
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps

RULE = Header("MU507", "parametrized-layer-with-mup")
_WEIGHT = Constant("weight")


def find(program: Program) -> Iterator[Finding]:
    """Reparametrised layers inside models that then get shapes, once for each place."""
    found: dict[Site, Finding] = {}
    for shapes in steps(program, "shapes"):
        for event in steps(program, "reparametrise"):
            part = event.model
            if part is None or part.layer is None or part.layer.type != "torch.nn.Linear" or event.site in found:
                continue
            if event.arguments.get("tensor_name", _WEIGHT) != _WEIGHT:
                continue
            if shapes.model is None or not holds(shapes.model, part):
                continue
            if precedes(program.seen, event.moment, shapes.moment):
                found[event.site] = _finding(event, shapes)
    yield from found.values()


def _finding(event: ModelEvent, shapes: ModelEvent) -> Finding:
    return RULE.finding(
        event.site,
        subject=subject("layer", event.site),
        symbol=event.name,
        message="set_base_shapes cannot read the weight of a reparametrised linear layer",
        expected="linear layers whose weight is a parameter",
        found=event.name,
        related=[(shapes.site, "the base shapes are set here")],
    )
