"""A readout multiplier on one path only.

## What it does
Finds readouts that are applied in several places, or whose result is taken on several paths, where some carry
the width multiplier and others do not.

## Why is this bad?
Typically the training branch scales the logits and the branch for generation does not. Training is right, and
the samples come from logits that are larger by the width ratio: much too sharp, and nothing fails.

## Example
```python
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        self.ratio = width / base_width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens, targets=None):
        x = self.mix(self.embed(tokens))
        if targets is not None:
            logits = self.head(x / self.ratio)
        else:
            logits = self.head(x)
        return logits
```

## Use instead
```python
class Model(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        self.ratio = width / base_width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens, targets=None):
        x = self.mix(self.embed(tokens))
        return self.head(x / self.ratio)
```

## What it leaves alone
Factors that do not depend on the width, such as a sampling temperature, and two ways to apply a readout of which a
setting of the model takes one (`if self.use_mup:`): their author keeps both parametrizations.

## Fix safety
Left to the author for code that already has a multiplier: put it where every path passes, best inside the
readout's module.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8: the multiplier belongs to the weight, not to a branch.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules import describe
from mulint.rules.readouts import readouts
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, table_8

RULE = Header("MU403", "multiplier-on-one-path")


def find(program: Program) -> Iterator[Finding]:
    """Readouts with the multiplier on some paths and not on others."""
    due = table_8(Role.OUTPUT).multiplier
    for readout in readouts(program):
        if not {due, 0} <= readout.multipliers:
            continue
        without = [use for use in readout.uses if 0 in readout.paths[use.site]]
        with_ = [use for use in readout.uses if use not in without]
        width = describe.width_name(program, readout.parameter.weight.fan_in)
        yield RULE.finding(
            without[0].site,
            subject=subject("readout", readout.site),
            symbol=without[0].function or readout.symbol,
            message=f"{readout.name} is applied here without the multiplier it has on another path",
            expected=f"multiplier ∝ {law(due, width)} on every path",
            found="no multiplier on this path",
            related=[
                *((use.site, "the path with the multiplier") for use in with_),
                (readout.site, f"{readout.name} is built here"),
            ],
        )
