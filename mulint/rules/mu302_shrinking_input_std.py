"""A scale that depends on the width for weights that read something finite.

## What it does
Finds init calls that draw an embedding, a positional table or any other map from a finite size to a wide one
with a std that shrinks or grows with the width: `normal_(embedding, std=width**-0.5)`, and functions that look
at the wide fan (`xavier_*`, `orthogonal_`, `kaiming_*` with `mode="fan_out"`).

## Why is this bad?
Such a weight sums over a fixed number of inputs, so its scale must not depend on the width. With 1/√width the
embedding of a wide model starts smaller, and everything that is added to it weighs more.

## Example
```python
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        nn.init.normal_(self.embed.weight, std=width**-0.5)

    def forward(self, tokens):
        return self.mix(self.embed(tokens))
```

## Use instead
```python
class Model(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        nn.init.normal_(self.embed.weight, std=base_width**-0.5)

    def forward(self, tokens):
        return self.mix(self.embed(tokens))
```

## What it leaves alone
Scales that a multiplier on the result makes up for (Table 9), torch's own defaults, biases, maps whose input size
is a knob, and scales that could not be followed. Functions that compute the scale from both fans give a warning
only: how far they are off depends on the finite fan.

## Fix safety
`mulint fix` multiplies the std by the power of the width ratio that is missing, which is exactly 1 at the base
width.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3, 8 and 9, column of input weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import kept_right
from mulint.rules import describe, draws
from mulint.rules.draws import Draw
from mulint.rules.rule import Header
from mulint.theory import Role, law

RULE = Header("MU302", "width-dependent-std-on-input-weights")


def find(program: Program) -> Iterator[Finding]:
    """Init calls with a width-dependent scale on input weights, once for each call."""
    for call in draws.calls(_wrong(program)):
        width = describe.width_name(program, *(size for p in call.weights for size in p.weight.dims))
        shrinks = law(call.exponent, width)
        yield draws.finding(
            RULE,
            call,
            message=f"{call.init.function} draws input weights ({call.names}) with a std ∝ {shrinks}",
            expected="a std that does not depend on the width",
            found=f"std ∝ {shrinks}",
            is_explicit=any(program.growth(draw.init.std) for draw in call.draws),
        )


def _wrong(program: Program) -> Iterator[Draw]:
    right = kept_right(program.parameters, Role.INPUT, program.growth)
    for parameter in program.parameters:
        if parameter.role is not Role.INPUT or parameter.tied or parameter.key in right:
            continue
        if any(a.kind == "gain" for a in parameter.weight.applications):
            continue  # the scale of what it multiplies is part of the same product
        if parameter.weight.fan_in.constant is None:
            continue  # what it reads has a knob for its size, which may grow elsewhere
        for draw in draws.draws_of(program, parameter):
            if draw.exponent and not draws.is_balanced(program, draw, Role.INPUT, ("lookup", "linear")):
                yield draw
