"""A readout without its width multiplier.

## What it does
Finds linear layers from the width to the model's output whose result is not divided by the width and whose weight
does not get a learning rate ∝ 1/width either. Convolutions and raw parameters in that place are MU410.

## Why is this bad?
An update of the readout is correlated with the features it reads, so its effect on the logits grows in
proportion to the width. μP asks for a multiplier 1/width on the readout, or, in another gauge, for a rate and
an init that shrink with the width.

## Example
```python
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, hidden, classes, base_hidden=64):
        super().__init__()
        self.ratio = hidden / base_hidden
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu() / self.ratio)
```

## What it leaves alone
Readouts whose multiplier and rate together have the right exponent in any gauge (Tables 3, 8 and 9), maps whose
result does not reach the model's output (routers, low-rank factors), and uses that could not be followed. Nor
readouts of vectors of length one, whose entries are half of the multiplier, or of which the user's own code makes
the weight (`register_parametrization`).

## Fix safety
`mulint fix` divides the readout's input by the width ratio inside the module, so that every path has it and the
bias is not scaled; the ratio is exactly 1 at the base width. With `--target mup` a linear layer becomes a
`MuReadout`, and the model sets its base shapes.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3, 8 and 9, column of output weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules.readouts import is_layer, unscaled, unscaled_finding
from mulint.rules.rule import Header

RULE = Header("MU401", "unscaled-readout")


def find(program: Program) -> Iterator[Finding]:
    """Linear layers as readouts with neither a multiplier nor a scaled rate."""
    for readout in unscaled(program):
        if is_layer(readout):
            yield unscaled_finding(RULE, program, readout, f"the readout {readout.name}")
