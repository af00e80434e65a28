"""A constant standard deviation for a readout without a multiplier.

## What it does
Finds readouts that have no width multiplier, get the right learning rate (∝ 1/width), but are drawn with a
scale that does not shrink with the width.

## Why is this bad?
Without a multiplier the logits at init grow as √width: the sum over the fan-in of a constant scale. In the
gauge without multipliers the readout needs a scale ∝ 1/width, or zeros.

## Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.head = nn.Linear(hidden, classes)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, x):
        return self.head(self.first(x).relu())


def optimizer(features, hidden, classes, base_hidden):
    model = Net(features, hidden, classes)
    rate = 1e-3 / (hidden / base_hidden)
    return torch.optim.Adam(
        [
            {"params": [model.first.weight, model.first.bias, model.head.bias], "lr": 1e-3},
            {"params": [model.head.weight], "lr": rate},
        ]
    )
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.head = nn.Linear(hidden, classes)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        return self.head(self.first(x).relu())
```

## What it leaves alone
Readouts with a multiplier, zero-initialised readouts, torch's default scale (∝ 1/√fan-in keeps the forward pass
bounded), tied readouts.

## Fix safety
Another scale or zeros change the base model: offered only with `--unsafe-fixes`.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 3, column of output weights; Appendix D.2 on zero init.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import final_inits
from mulint.rules import describe
from mulint.rules.readouts import readouts
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, table_3

RULE = Header("MU304", "constant-std-on-unscaled-readout")


def find(program: Program) -> Iterator[Finding]:
    """Readouts in the gauge without multipliers whose init is left constant."""
    due = table_3(Role.OUTPUT)
    for readout in readouts(program):
        if readout.parameter.tied or readout.multipliers != {0}:
            continue
        if readout.rates != {due.rate} or readout.init != 0:
            continue
        width = describe.width_name(program, readout.parameter.weight.fan_in)
        init = final_inits(readout.parameter.weight)[-1]
        yield RULE.finding(
            init.site,
            subject=subject("readout", readout.site),
            symbol=readout.symbol,
            message=f"the readout {readout.name} has no multiplier and the same std at every {width}: "
            f"its logits grow at init",
            expected=f"std ∝ {law(due.init, width)}, or zeros",
            found=f"std {init.std}, constant in the width",
            related=[(readout.site, f"{readout.name} is built here")],
            severity=describe.severity([readout.parameter]),
        )
