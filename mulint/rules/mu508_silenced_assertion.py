"""The mup package's assertion about readouts silenced in the wrong way.

## What it does
Finds `set_base_shapes(..., do_assert=False)`, and `MuReadout` in places that are no output of the model: a router,
a gate, a projection to a low rank.

## Why is this bad?
`set_base_shapes` asserts that no `nn.Linear` maps a width to a fixed size, as it would have to be a readout. There
are such layers inside models. `MuReadout` makes them start too small and divides their input by the width
multiplier; without the assertion they, and any readout that was forgotten, keep one learning rate at every width.

## Example
```python
from mup import MuReadout, set_base_shapes
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.mix(self.first(x)).relu())


def build(features, width, classes):
    model = Net(features, width, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes), do_assert=False)
    return model
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = MuReadout(width, classes)

    def forward(self, x):
        return self.head(self.mix(self.first(x)).relu())


def build(features, width, classes):
    model = Net(features, width, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model
```

## What it leaves alone
Readouts whose result leaves the model, whatever is done with it there, and those whose use was not followed.

## Fix safety
There is no automatic fix: a layer inside a model needs a learning rate ∝ 1/width, which takes a parameter group.

## References
The package mup, release 1.0.0, `mup.shape.set_base_shapes` and `mup.layer.MuReadout`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.library.mup_package import READOUTS
from mulint.program.records import Application, Layer
from mulint.program.values import Constant, Site
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps

RULE = Header("MU508", "silenced-readout-assertion", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Calls without the assertion, and readouts inside of models, once for each place."""
    found: dict[Site, Finding] = {}
    for event in steps(program, "shapes"):
        if event.arguments.get("do_assert") == Constant(False):
            found[event.site] = RULE.finding(
                event.site,
                subject=subject("shapes", event.site),
                symbol=event.name,
                message="base shapes are set without the check that every map to a fixed size is a readout",
                expected="do_assert left at its default",
                found="do_assert=False",
            )
    for layer, use in _inside(program):
        found[layer.site] = RULE.finding(
            layer.site,
            subject=subject("readout", layer.site),
            symbol=layer.symbol,
            message=f"{layer.symbol} is no output of the model; a readout of the package starts too small there",
            expected="nn.Linear in a parameter group with a learning rate ∝ 1/width",
            found=layer.type,
            related=[(use.site, f"{layer.name or layer.type} is applied here")],
        )
    yield from found.values()


def _inside(program: Program) -> Iterator[tuple[Layer, Application]]:
    """Readouts of the package whose result only other layers or gates take, with a use of each."""
    uses = [a for a in program.seen.applications if a.kind == "linear" and a.layer is not None]
    taken = {source for a in program.seen.applications for source in a.sources}
    outputs = {a.layer.site for a in uses if a.layer is not None and a.returned and not a.gated}
    for use in uses:
        layer = use.layer
        if (
            layer is not None
            and layer.type in READOUTS
            and layer.site not in outputs
            and (use.gated or use in taken)
        ):
            yield layer, use
