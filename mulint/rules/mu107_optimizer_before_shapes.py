"""An optimizer of the mup package built before the base shapes are set.

## What it does
Finds `MuAdam`, `MuAdamW` and `MuSGD` on a model whose base shapes are set only later.

## Why is this bad?
These functions read the base shapes once, when they make their groups. Without shapes they raise an
AssertionError, in release 1.0.0 for the first parameter already.

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
    optimizer = MuAdamW(model.parameters(), lr=1e-3)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, optimizer
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, MuAdamW(model.parameters(), lr=1e-3)
```

## What it leaves alone
Models whose shapes were set before as well, optimizers in another branch than the shapes, and plain optimizers,
which read no shapes (MU108 is about them).

## Fix safety
There is no automatic fix: move the construction of the optimizer below `set_base_shapes`.

## References
The documentation of the mup package, release 1.0.0, section on basic usage.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.mup_package import precedes, weights_given, weights_of
from mulint.program.values import Site
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps

RULE = Header("MU107", "optimizer-before-base-shapes")


def find(program: Program) -> Iterator[Finding]:
    """Optimizers whose weights get their shapes only afterwards."""
    seen = program.seen
    reported: set[Site] = set()
    for event in steps(program, "optimizer"):
        given = weights_given(event.arguments.get("params"))
        shapes = [s for s in steps(program, "shapes") if s.model is not None and given & weights_of(s.model)]
        if any(precedes(seen, s.moment, event.moment) or s.moment.entry != event.moment.entry for s in shapes):
            continue
        late = [s for s in shapes if precedes(seen, event.moment, s.moment)]
        if late and event.site not in reported:
            reported.add(event.site)
            yield RULE.finding(
                event.site,
                subject=subject("order", event.site),
                symbol=event.name,
                message=f"{event.name} reads the base shapes, which are set only later",
                expected="set_base_shapes before the optimizer",
                found="the optimizer first",
                related=[(late[0].site, "the base shapes are set here")],
            )
