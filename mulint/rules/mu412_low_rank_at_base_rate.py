"""A low-rank map that keeps the base learning rate.

## What it does
Finds maps from the width to a fixed rank whose result goes back to the width (adapters, the first factor of a
low-rank update, bottlenecks of a fixed size), in an optimizer that scales the rate of hidden weights but not of
these.

## Why is this bad?
The first factor sums over the width, so its updates grow with the width unless its rate shrinks as 1/width. The
second factor sums over the fixed rank and keeps the base rate. `alpha / rank` has nothing to do with either.

## Example
```python
import torch
from torch import nn


class Adapted(nn.Module):
    def __init__(self, features, width):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width, bias=False)
        self.down = nn.Linear(width, 8, bias=False)
        self.up = nn.Linear(8, width, bias=False)

    def forward(self, x):
        x = self.embed(x).relu()
        return self.mix(x + self.up(self.down(x)))


def optimizer(features, width, base_width):
    model = Adapted(features, width)
    hidden = [model.mix.weight]
    others = [model.embed.weight, model.embed.bias, model.down.weight, model.up.weight]
    rate = 1e-3 * base_width / width
    return torch.optim.Adam([{"params": hidden, "lr": rate}, {"params": others, "lr": 1e-3}])
```

## Use instead
```python
def optimizer(features, width, base_width):
    model = Adapted(features, width)
    hidden = [model.mix.weight, model.down.weight]
    others = [model.embed.weight, model.embed.bias, model.up.weight]
    rate = 1e-3 * base_width / width
    return torch.optim.Adam([{"params": hidden, "lr": rate}, {"params": others, "lr": 1e-3}])
```

## What it leaves alone
Ranks that grow with the width, optimizers with one rate for all (MU101), frozen factors, maps with a multiplier,
and weights or rates that could not be followed.

## Fix safety
Left to the author: put the first factor into the group of the hidden weights.

## References
Hayou et al., LoRA+ (arXiv 2402.12354); Yang et al., Tensor Programs V (arXiv 2203.03466), Table 3, column of
output weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules.inserts import expands, finding, inserts
from mulint.rules.rule import Header

RULE = Header("MU412", "low-rank-map-at-base-rate")


def find(program: Program) -> Iterator[Finding]:
    """Maps to a fixed rank that another map takes back to the width, at the base rate."""
    for insert in inserts(program):
        back = expands(program, insert.parameter)
        if back:
            yield finding(RULE, program, insert, "the low-rank map", back)
