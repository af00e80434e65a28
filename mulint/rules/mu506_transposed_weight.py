"""A weight stored as (in, out) under the mup package.

## What it does
Finds weights that are applied as `x @ self.weight` with a shape (in, out) in models whose base shapes the mup
package sets, where the two sizes are widths that need not grow by the same ratio.

## Why is this bad?
The package takes the last dimension that grows for the fan-in, as in `nn.Linear`. Of a transposed weight that is
the fan-out: the learning rate is divided by the width multiplier of the wrong side. While both sides grow by the
same ratio nobody notices; with another ratio of the inner width to the outer one the updates are too large or too
small.

## Example
```python
import torch
from mup import MuAdamW, MuReadout, set_base_shapes
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, inner, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.up = nn.Parameter(torch.randn(width, inner) * width**-0.5)
        self.down = nn.Linear(inner, width)
        self.head = MuReadout(width, classes)

    def forward(self, x):
        return self.head(self.down((self.first(x).relu() @ self.up).relu()))


def build(features, width, inner, classes):
    model = Net(features, width, inner, classes)
    set_base_shapes(model, Net(features, 64, 256, classes), delta=Net(features, 128, 512, classes))
    return MuAdamW(model.parameters(), lr=1e-3)
```

## Use instead
```python
def build(features, width, inner, classes):
    model = Net(features, width, inner, classes)
    set_base_shapes(model, Net(features, 64, 256, classes), delta=Net(features, 128, 512, classes))
    model.up.infshape.main_idx = 0
    model.up.infshape.main = model.up.infshape[0]
    return MuAdamW(model.parameters(), lr=1e-3)
```
`MuSGD` reads the two sides by their place: there, store the weight as (out, in) and apply its transpose.

## What it leaves alone
Weights whose sides have a constant ratio, weights with one finite side, and projects that write the shape records
of parameters themselves.

## Fix safety
There is no automatic fix: storing the weight in the other order changes checkpoints.

## References
Release 1.0.0 of the mup package: `InfShape` takes the last infinite dimension as the main one.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import Parameter
from mulint.program.values import Site
from mulint.rules.rule import Header, subject
from mulint.theory import Role

RULE = Header("MU506", "transposed-weight-with-mup", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Transposed hidden weights in reach of base shapes, once for each construction."""
    if program.seen.shape_writes:
        return
    found: dict[Site, Finding] = {}
    for place in (site for name, site in program.seen.package_calls if name == "mup.set_base_shapes"):
        for parameter in program.reachable(place.path, Role.HIDDEN):
            if parameter.weight.site not in found and _is_transposed(parameter):
                found[parameter.weight.site] = _finding(parameter, place)
    yield from found.values()


def _is_transposed(parameter: Parameter) -> bool:
    """Whether the first of two sizes is contracted, and their ratio may be another at another width."""
    weight = parameter.weight
    if len(weight.dims) != 2 or weight.contracted != (0,) or parameter.is_written:
        return False
    ratio = weight.dims[0] / weight.dims[1]
    return ratio.only is not None and ratio.constant is None


def _finding(parameter: Parameter, shapes: Site) -> Finding:
    weight = parameter.weight
    fan_in, other = weight.dims
    return RULE.finding(
        weight.site,
        subject=subject("shape", weight.site),
        symbol=weight.symbol,
        message=f"the mup package takes {other} for the fan-in of {weight.symbol}, which sums over {fan_in}",
        expected="a weight stored as (out, in), or its main dimension set by hand",
        found=f"a weight of shape ({fan_in}, {other}), applied as it is",
        related=[(shapes, "the base shapes are set here")],
    )
