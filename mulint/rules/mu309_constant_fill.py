"""Hidden or readout weights filled with one number.

## What it does
Finds weights that sum over a width and that are filled with the same number everywhere, other than zero.

## Why is this bad?
The mean of weights that sum over a width has to be zero. A fill adds up what comes in and does not let it cancel:
the output grows as the width times the number, where with a draw it grows as the root of the width. All units
compute the same besides, and get the same gradient. Embeddings, biases and gains may have any mean: nothing is
summed there.

## Example
```python
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        nn.init.constant_(self.mix.weight, 0.01)

    def forward(self, x):
        return self.mix(self.embed(x).relu())
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        nn.init.normal_(self.mix.weight, std=width**-0.5)

    def forward(self, x):
        return self.mix(self.embed(x).relu())
```

## What it leaves alone
Zeros, identities, averages (a fill ∝ 1/fan-in), weights that never change, fills under a condition or that a later
draw replaces, and weights whose role could not be followed.

## Fix safety
No automatic fix: a draw changes the base model.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Appendix B: the mean of matrix-like weights is zero. The
functions of `mup.init` assert it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import describe, draws
from mulint.rules.draws import Draw
from mulint.rules.rule import Header
from mulint.theory import Role

RULE = Header("MU309", "constant-fill-of-summing-weights", Severity.WARNING)
_FILLS = frozenset({"constant_", "fill_", "ones_"})


def find(program: Program) -> Iterator[Finding]:
    """Fills of weights that sum over a width, once for each call."""
    for call in draws.calls(_wrong(program)):
        width = describe.width_name(program, *(p.weight.fan_in for p in call.weights))
        yield draws.finding(
            RULE,
            call,
            message=f"{call.init.function} gives all of {call.names} one value: what they sum grows with {width}",
            expected="a draw with mean zero",
            found=f"the constant {call.init.std}",
            is_explicit=False,
        )


def _wrong(program: Program) -> Iterator[Draw]:
    for parameter in program.parameters:
        if parameter.role not in (Role.HIDDEN, Role.OUTPUT) or parameter.tied or parameter.weight.frozen:
            continue
        for draw in draws.draws_of(program, parameter):
            if draw.init.function in _FILLS and draw.init.certain and draw.exponent == 0:
                yield draw
