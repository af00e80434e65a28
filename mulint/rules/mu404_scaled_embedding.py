"""An embedding multiplied by the root of the width.

## What it does
Finds lookups whose result is multiplied by a power of the width, as in `embed(x) * math.sqrt(d_model)`.

## Why is this bad?
Under μP an embedding's entries and their updates keep their size at every width. The factor makes both grow as
√width, at init or after the first step, depending on the init.

## Example
```python
import math

from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)

    def forward(self, tokens):
        return self.mix(self.embed(tokens) * math.sqrt(self.width))
```

## Use instead
```python
class Model(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        self.scale = math.sqrt(base_width)
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)

    def forward(self, tokens):
        return self.mix(self.embed(tokens) * self.scale)
```

## What it leaves alone
The full trio of Table 9 (factor √width, scale ∝ 1/√width, learning rate ∝ 1/√width), constant factors, and
factors that could not be followed.

## Fix safety
`mulint fix` multiplies the factor by the width ratio to the power -1/2, which is exactly 1 at the base width.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 8 and 9, column of input weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import Parameter, final_inits, init_exponent
from mulint.program.records import LookupScale
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, required_init

RULE = Header("MU404", "width-factor-on-embedding")


def find(program: Program) -> Iterator[Finding]:
    """Embeddings with a factor that grows with the width."""
    by_weight = {id(p.weight): p for p in program.parameters}
    # What divides the input of a readout is that readout's multiplier, what divides a query the attention's scale.
    multipliers = {site for a in program.seen.applications if a.returned for site in a.before_sites}
    multipliers |= {site for attention in program.seen.attentions for site in attention.factor_sites}
    seen: set[Site] = set()
    for scale in program.seen.lookup_scales:
        parameter = by_weight.get(id(scale.application.weight))
        exponent = program.growth(scale.factor)
        if parameter is None or parameter.role is not Role.INPUT or not exponent or scale.site in seen:
            continue
        if exponent < 0 and scale.site in multipliers:
            continue
        if _is_balanced(program, parameter, exponent):
            continue
        seen.add(scale.site)
        yield _finding(program, scale, parameter, exponent)


def _is_balanced(program: Program, parameter: Parameter, factor: Fraction) -> bool:
    """Whether init and learning rate make up for the factor, as in Table 9."""
    inits = {init_exponent(i, parameter.weight, program.growth) for i in final_inits(parameter.weight)} or {
        Fraction(0)
    }
    rates = {view.exponent_for(parameter) for view in program.optimizers}
    return inits == {required_init(Role.INPUT) - factor} and (not rates or rates == {-factor})


def _finding(program: Program, scale: LookupScale, parameter: Parameter, exponent: Fraction) -> Finding:
    width = describe.width_name(program, scale.factor)
    return RULE.finding(
        scale.site,
        subject=subject("embedding", scale.site),
        symbol=scale.owner,
        message=f"the output of {parameter.weight.symbol.removesuffix('.weight')} is multiplied by "
        f"{law(exponent, width)}",
        expected="a factor that does not depend on the width",
        found=f"factor {scale.factor}",
        related=describe.weights([parameter]),
    )
