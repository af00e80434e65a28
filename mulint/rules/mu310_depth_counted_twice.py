"""The number of layers counted twice: in the init and as a multiplier.

## What it does
Finds weights whose init shrinks with a number that is no width, such as the number of layers, and whose output is
divided by the same number again.

## Why is this bad?
`std / sqrt(2 * n_layer)` and a residual multiplier ∝ 1/n_layer answer the same question. With both, what a block
adds is too small by the root of the depth, and its learning rate does not transfer across depths.

## Example
```python
import math

from torch import nn


class Block(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.depth = depth
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        nn.init.normal_(self.up.weight, std=width**-0.5)
        nn.init.normal_(self.down.weight, std=(4 * width) ** -0.5 / math.sqrt(2 * depth))

    def forward(self, x):
        return x + self.down(self.up(x).relu()) / self.depth


class Net(nn.Module):
    def __init__(self, features, width, depth, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.blocks = nn.ModuleList([Block(width, depth) for _ in range(depth)])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)
```

## Use instead
```python
class Block(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.depth = depth
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        nn.init.normal_(self.up.weight, std=width**-0.5)
        nn.init.normal_(self.down.weight, std=(4 * width) ** -0.5)

    def forward(self, x):
        return x + self.down(self.up(x).relu()) / self.depth
```

## What it leaves alone
Either of the two alone, factors that depend on the place of a layer among the others, and numbers that are sizes
of weights, such as widths and numbers of experts.

## Fix safety
There is no automatic fix: which of the two is meant is a choice, and either changes the model.

## References
Dey et al., Don't be lazy: CompleteP enables compute-efficient deep transformers (arXiv 2505.01618); Yang et al.,
Tensor Programs VI (arXiv 2310.02244).
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.parameters import Parameter, final_inits
from mulint.program.records import InitCall
from mulint.program.values import Site
from mulint.program.widths import growth
from mulint.rules.rule import Header, subject

RULE = Header("MU310", "depth-counted-twice", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Init calls that divide by what the output is divided by as well, once for each call."""
    found: dict[Site, Finding] = {}
    for parameter in program.parameters:
        for init in final_inits(parameter.weight):
            hit = _doubled(program, init, parameter)
            if hit is None or init.site in found:
                continue
            depth, places = hit
            found[init.site] = RULE.finding(
                init.site,
                subject=subject("depth", init.site),
                symbol=parameter.weight.symbol,
                message=f"{parameter.weight.symbol} starts smaller the larger {depth.short} is, and its output is "
                f"divided by a power of {depth.short} again",
                expected=f"one factor of {depth.short}: in the init, or as a multiplier",
                found="both",
                related=[(site, "the multiplier comes from here") for site in places],
            )
    yield from found.values()


def _doubled(program: Program, init: InitCall, parameter: Parameter) -> tuple[Symbol, tuple[Site, ...]] | None:
    """What both an init and a multiplier on an output shrink with, and where that comes from."""
    for symbol in sorted(init.std.symbols - program.widths - program.sizes, key=str):
        if not _shrinks(init.std, symbol):
            continue
        for use in parameter.weight.applications:
            for factor, sites in use.after:
                if _shrinks(factor, symbol):
                    return symbol, sites
    return None


def _shrinks(number: Number, symbol: Symbol) -> bool:
    return (growth(number, frozenset({symbol})) or 0) < 0
