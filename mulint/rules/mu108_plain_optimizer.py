"""A plain optimizer on a model that uses the mup package.

## What it does
Finds optimizers of torch with one rate in code that sets mup's base shapes or builds its readouts.

## Why is this bad?
Base shapes only record the widths. It is `MuAdamW`, `MuAdam` or `MuSGD` that turn them into learning rates;
a plain optimizer, including `mup.AdamW`, which is torch's own class under another name, trains every weight
with one rate, and the coordinate check of the mup package does not notice because it builds its own optimizer.

## Example
```python
import torch
from mup import MuReadout, set_base_shapes
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
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)
```

## Use instead
```python
from mup import MuAdamW


def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, MuAdamW(model.parameters(), lr=1e-3)
```

## What it leaves alone
Groups whose rates depend on the width, optimizers in packages that do not use the mup package or in files that no
import connects with its use, and optimizers of a model without a layer of it, beside other models whose base
shapes are set.

## Fix safety
Replacing the class changes nothing at the base width.

## References
The documentation of the mup package, section on optimizers; Tensor Programs V (arXiv 2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.mup_package import READOUTS, weights_of
from mulint.program.packages import package_of
from mulint.program.rates import OptimizerView
from mulint.program.values import Site
from mulint.rules import rates
from mulint.rules.rule import Header
from mulint.rules.steps import steps

RULE = Header("MU108", "plain-optimizer-with-mup")
_MARKS = {"mup.set_base_shapes", *READOUTS}


def find(program: Program) -> Iterator[Finding]:
    """Plain optimizers beside calls of the mup package."""
    uses = [(name, site) for name, site in program.seen.package_calls if name in _MARKS]
    for view in program.optimizers:
        use = _use_beside(program, view.record.site.path, uses)
        if use is None or view.family is None or view.family.width_scaled or not view.is_one_rate:
            continue
        if _is_of_another_model(program, view):
            continue
        name, place = use
        yield rates.finding(
            RULE,
            view,
            view.family.name,
            message=f"{view.family.name} ignores the base shapes that the mup package records",
            expected=f"{view.family.twin or 'an optimizer of the mup package'}",
            found=view.record.type,
            related=[(place, f"{name} is used here")],
        )


def _use_beside(program: Program, path: str, uses: list[tuple[str, Site]]) -> tuple[str, Site] | None:
    """The first use of the mup package in the package of a file that imports connect with it."""
    near, package = program.near(path), package_of(path)
    return next((use for use in uses if package_of(use[1].path) == package and use[1].path in near), None)


def _is_of_another_model(program: Program, view: OptimizerView) -> bool:
    """Whether all its weights are known, none is in a layer of mup, and only other models get base shapes."""
    package = package_of(view.record.site.path)
    shaped = [e.model for e in steps(program, "shapes") if package_of(e.site.path) == package]
    given = [weight for group in view.record.groups for weight in group.weights or (None,)]
    if not shaped or not given or None in shaped or None in given:
        return False
    theirs = frozenset().union(*(weights_of(model) for model in shaped if model))
    return not any(w and (id(w) in theirs or (w.layer and w.layer.type in READOUTS)) for w in given)
