"""A constant standard deviation for hidden weights.

## What it does
Finds init calls that draw hidden weights with a scale that does not depend on the width.

## Why is this bad?
A pre-activation sums fan-in independent terms, so its size grows as √fan-in. With a constant scale the
activations of a wide model start larger than those of the narrow one it was tuned on, more so with every layer.
Hidden weights need a scale ∝ 1/√fan-in; embeddings and readouts with a multiplier keep a constant one.

## Example
```python
from torch import nn


class Net(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens):
        return self.mix(self.embed(tokens))
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, vocabulary, width, base_width=64):
        super().__init__()
        self.ratio = width / base_width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02 * self.ratio**-0.5)

    def forward(self, tokens):
        return self.mix(self.embed(tokens))
```

## What it leaves alone
Zero fills, draws that a later one replaces, scales ∝ 1/√fan-in (torch's defaults among them), weights whose
output is divided by √width, embeddings, readouts, and weights whose role could not be followed.

## Fix safety
`mulint fix` multiplies the scale by the width ratio to the power -1/2, which is exactly 1 at the base width.
With `--target mup` it calls the function of the same name in `mup.init`, where the draw follows the base shapes.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8, row "Init. Var.", column of hidden weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import kept_right, multiplier
from mulint.rules import describe, draws
from mulint.rules.draws import Draw
from mulint.rules.rule import Header
from mulint.rules.settings import Withheld
from mulint.theory import Role, law, required_init

RULE = Header("MU301", "constant-std-on-hidden-weights")


def find(program: Program) -> Iterator[Finding]:
    """Init calls with a constant scale on hidden weights, once for each call."""
    for call in draws.calls(_wrong(program)):
        fan_in = describe.width_name(program, *(p.weight.fan_in for p in call.weights))
        drawn = f"{call.init.function} draws hidden weights ({call.names})"
        yield draws.finding(
            RULE,
            call,
            message=f"{drawn} with the same std at every {fan_in}",
            expected=f"std ∝ {law(required_init(Role.HIDDEN), fan_in)}",
            found=f"std {call.init.std}, constant in the width",
        )


def _wrong(program: Program) -> Iterator[Draw]:
    right = kept_right(program.parameters, Role.HIDDEN, program.growth)
    # Where no base is given a model is its own: what is scaled in one context is scaled.
    scaled = {(i.site, p.key) for p in program.parameters for i in p.weight.inits if program.is_relative(i.std)}
    withheld, due = Withheld.of(program), required_init(Role.HIDDEN)
    for parameter in program.parameters:
        weight = parameter.weight
        if parameter.role is not Role.HIDDEN or parameter.key in right:
            continue
        if withheld.has(weight.site.path, weight.owner, due):
            continue
        for draw in draws.draws_of(program, parameter):
            skipped = draw.init.function in draws.FILLS or (draw.init.site, parameter.key) in scaled
            if not skipped and draw.exponent == 0 and not _is_balanced(program, draw):
                yield draw


def _is_balanced(program: Program, draw: Draw) -> bool:
    """A multiplier on the output can carry the missing power: only the product counts."""
    uses = [use for use in draw.parameter.weight.applications if use.kind == "linear"]
    factors = {e for use in uses for e in multiplier(use, program.growth)}
    extra = factors.pop() if len(factors) == 1 else Fraction(0)
    return extra is None or extra == required_init(Role.HIDDEN)
