"""A readout that is a convolution or a raw parameter, without its width multiplier.

## What it does
Finds convolutions, transposed convolutions and raw parameters (`F.linear(x, self.weight)`, `x @ self.proj`,
einsum) that map the width to the model's output, whose result is not divided by the width and whose weight does
not get a learning rate ∝ 1/width either.

## Why is this bad?
It is the fault of MU401 in a place that is easy to miss: an update of the readout is correlated with the features
it reads, so its effect on the output grows in proportion to the width. Tools that only look at linear layers (the
mup package among them) say nothing about these heads.

## Example
```python
from torch import nn


class Segmenter(nn.Module):
    def __init__(self, channels, width, classes):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())
```

## Use instead
```python
class Segmenter(nn.Module):
    def __init__(self, channels, width, classes, base_width=64):
        super().__init__()
        self.ratio = width / base_width
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu() / self.ratio)
```

## What it leaves alone
Heads whose multiplier and rate together have the right exponent in any gauge, depthwise convolutions (they
contract no width), maps to another width, and maps whose result does not reach the model's output.

## Fix safety
`mulint fix` multiplies the input of a convolution by the inverse width ratio inside the module, that of a raw
parameter where it is applied; the ratio is exactly 1 at the base width. With `--target mup` convolutions are left:
the package has no readout made of one.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3, 8 and 9, column of output weights; Appendix J.2.1 on
convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules.readouts import Readout, is_layer, unscaled, unscaled_finding
from mulint.rules.rule import Header

RULE = Header("MU410", "unscaled-convolution-or-parameter")


def find(program: Program) -> Iterator[Finding]:
    """Convolutions and raw parameters as readouts with neither a multiplier nor a scaled rate."""
    for readout in unscaled(program):
        if not is_layer(readout):
            yield unscaled_finding(RULE, program, readout, f"the readout {readout.name}, {_kind(readout)},")


def _kind(readout: Readout) -> str:
    return "a raw parameter" if readout.parameter.weight.layer is None else "a convolution"
