"""A router or gate that keeps the base learning rate.

## What it does
Finds maps from the width to a fixed number of scores that weigh other activations inside the model (routers of
experts, gates), in an optimizer that scales the rate of hidden weights but not of these.

## Why is this bad?
A router sums over the width as a hidden weight does, so its updates are correlated with what it reads and grow
with the width unless its rate shrinks as 1/width. Routing then changes faster in a wide model, although the trunk
looks well behaved. It is no readout of the model: a tuned output multiplier has no place on it.

## Example
```python
import torch
from torch import nn


class Experts(nn.Module):
    def __init__(self, features, width, experts):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.router = nn.Linear(width, experts, bias=False)
        self.first = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)

    def forward(self, x):
        x = self.embed(x).relu()
        share = self.router(x).softmax(dim=-1)
        return share[..., :1] * self.first(x) + share[..., 1:2] * self.second(x)


def optimizer(features, width, base_width):
    model = Experts(features, width, 2)
    hidden = [model.first.weight, model.second.weight]
    others = [model.embed.weight, model.embed.bias, model.router.weight]
    rate = 1e-3 * base_width / width
    return torch.optim.Adam([{"params": hidden, "lr": rate}, {"params": others, "lr": 1e-3}])
```

## Use instead
```python
def optimizer(features, width, base_width):
    model = Experts(features, width, 2)
    hidden = [model.first.weight, model.second.weight, model.router.weight]
    others = [model.embed.weight, model.embed.bias]
    rate = 1e-3 * base_width / width
    return torch.optim.Adam([{"params": hidden, "lr": rate}, {"params": others, "lr": 1e-3}])
```

## What it leaves alone
Optimizers with one rate for all (MU101), routers with a multiplier, readouts, the scale at init (the usual
1/√fan-in is tolerable), and weights or rates that could not be followed.

## Fix safety
Left to the author: put the weight into the group of the hidden weights.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 3, column of output weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules.inserts import expands, finding, inserts
from mulint.rules.rule import Header

RULE = Header("MU413", "router-at-base-rate")


def find(program: Program) -> Iterator[Finding]:
    """Maps to a fixed number of scores that weigh other activations, at the base rate."""
    for insert in inserts(program):
        uses = insert.parameter.weight.applications
        if all(use.gated for use in uses) and not expands(program, insert.parameter):
            yield finding(RULE, program, insert, "the router", [])
