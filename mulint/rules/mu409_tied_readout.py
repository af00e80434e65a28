"""A tied readout without its width multiplier.

## What it does
Finds readouts that share their weight with an embedding and whose result is not divided by the width.

## Why is this bad?
The shared weight has the init and the learning rate of an embedding, constant in the width. As a readout it
then needs a multiplier 1/width on its use; zeros or a smaller rate, which would repair an untied readout, would
break the embedding.

## Example
```python
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.mix(self.embed(tokens)))
```

## Use instead
```python
class Model(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        self.ratio = width / base_width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.mix(self.embed(tokens)) / self.ratio)
```

## What it leaves alone
Tied readouts with a multiplier ∝ 1/width on every path.

## Fix safety
`mulint fix` divides the readout's input by the width ratio inside the module; the ratio is exactly 1 at the
base width. With `--target mup` the layer becomes a `MuReadout` and stays tied, where the table is drawn after the
base shapes are set.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), captions of Tables 3 and 8 on shared weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules import describe
from mulint.rules.readouts import readouts
from mulint.rules.rule import Header, subject
from mulint.rules.settings import Withheld
from mulint.theory import Role, law, table_8

RULE = Header("MU409", "unscaled-tied-readout")


def find(program: Program) -> Iterator[Finding]:
    """Tied readouts without a multiplier."""
    withheld, due = Withheld.of(program), table_8(Role.OUTPUT).multiplier
    for readout in readouts(program):
        if not readout.parameter.tied or readout.multipliers != {0}:
            continue
        if withheld.has(readout.site.path, readout.symbol, due):
            continue
        weight = readout.parameter.weight
        width = describe.width_name(program, weight.fan_in, *weight.dims)
        yield RULE.finding(
            readout.site,
            subject=subject("readout", readout.site),
            symbol=readout.symbol,
            message=f"the readout {readout.name} shares its weight with an embedding and has no width multiplier",
            expected=f"multiplier ∝ {law(due, width)} on the use as readout",
            found="no multiplier",
            related=[
                *((tie, "the weights are tied here") for tie in weight.ties),
                *((use.site, f"{readout.name} is applied here") for use in readout.uses),
                *describe.origin(program, readout.site.path, readout.sizes),
            ],
            severity=describe.severity([readout.parameter]),
        )
