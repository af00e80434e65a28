"""A readout multiplier with the wrong power of the width.

## What it does
Finds readouts whose result is multiplied by a power of the width that is not the one they need, most often
1/√width, and whose learning rate does not make up for it.

## Why is this bad?
An update of the readout is correlated with the features it reads, so its effect on the logits grows in
proportion to the width. Half the power leaves logits whose changes grow as √width.

## Example
```python
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.scale = hidden**-0.5
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu()) * self.scale
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, hidden, classes, base_hidden=64):
        super().__init__()
        self.scale = base_hidden / hidden
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu()) * self.scale
```

## What it leaves alone
Multipliers whose product with the learning rate is right in any gauge (1/√width with a rate ∝ 1/√width is
Table 9), several multipliers on different paths (MU403), and factors that could not be followed. A root of the
width on vectors of length one belongs to their norm.

## Fix safety
`mulint fix` multiplies the factor by the power of the width ratio that is missing, which is exactly 1 at the base
width.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 8 and 9, column of output weights; Lemma J.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.readouts import Readout, readouts
from mulint.rules.rule import Header, subject
from mulint.theory import Kind, Role, law, required_update, table_8

RULE = Header("MU402", "wrong-power-on-readout")


def find(program: Program) -> Iterator[Finding]:
    """Readouts with one multiplier that neither the table nor the rate explains."""
    due = table_8(Role.OUTPUT).multiplier
    for readout in readouts(program):
        given = next(iter(readout.multipliers)) if len(readout.multipliers) == 1 else None
        if not given or given == due or _is_balanced(readout, given):
            continue
        width = describe.width_name(program, readout.parameter.weight.fan_in, *readout.parameter.weight.dims)
        yield RULE.finding(
            readout.site,
            subject=subject("readout", readout.site),
            symbol=readout.symbol,
            message=f"the readout {readout.name} is multiplied by {law(given, width)}",
            expected=f"multiplier ∝ {law(due, width)} on the readout",
            found=f"multiplier ∝ {law(given, width)}, and a learning rate that does not make up for it",
            related=[
                *((site, "the multiplier is here") for site in _factor_sites(readout)),
                *((use.site, f"{readout.name} is applied here") for use in readout.uses),
            ],
        )


def _factor_sites(readout: Readout) -> list[Site]:
    before = [site for use in readout.uses for site in use.before_sites]
    return [*before, *(site for use in readout.uses for _, sites in use.after for site in sites)]


def _is_balanced(readout: Readout, given: Fraction) -> bool:
    needed = required_update(Role.OUTPUT, Kind.ADAPTIVE) - Kind.ADAPTIVE.multiplier_weight * given
    return None in readout.rates or needed in readout.rates
