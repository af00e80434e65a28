"""Hidden weights drawn with the wrong power of the width.

## What it does
Finds init calls on hidden weights whose scale shrinks with the width, but not as 1/√fan-in: a division by the
width multiplier where its root is due, a width that is counted twice (a draw that already looks at the fans,
times the multiplier again), or a power with the wrong sign.

## Why is this bad?
A pre-activation sums fan-in independent terms. With a scale ∝ 1/width it vanishes as 1/√width, so deep layers of
a wide model start close to zero; with one that grows it explodes.

## Example
```python
from torch import nn


class Net(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        ratio = width / base_width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        nn.init.normal_(self.mix.weight, std=0.02 / ratio)

    def forward(self, tokens):
        return self.mix(self.embed(tokens))
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, vocabulary, width, base_width):
        super().__init__()
        ratio = width / base_width
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        nn.init.normal_(self.mix.weight, std=0.02 / ratio**0.5)

    def forward(self, tokens):
        return self.mix(self.embed(tokens))
```

## What it leaves alone
Constant scales (MU301), stacks of experts (MU305), scales that a factor on the output makes up for, attention
projections that carry the head dimension in their scale, readouts, and scales that could not be followed.

## Fix safety
No automatic fix: which of the two powers was meant is not known.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8, row "Init. Var.", column of hidden weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import Parameter, kept_right
from mulint.rules import describe, draws
from mulint.rules.draws import Draw
from mulint.rules.rule import Header
from mulint.theory import Role, law, required_init

RULE = Header("MU311", "wrong-power-in-hidden-init")


def find(program: Program) -> Iterator[Finding]:
    """Init calls with the wrong power of the width on hidden weights, once for each call."""
    for call in draws.calls(_wrong(program)):
        fan_in = describe.width_name(program, *(p.weight.fan_in for p in call.weights))
        scale = law(call.exponent, fan_in)
        yield draws.finding(
            RULE,
            call,
            message=f"{call.init.function} draws hidden weights ({call.names}) with a std ∝ {scale}",
            expected=f"std ∝ {law(required_init(Role.HIDDEN), fan_in)}",
            found=f"std ∝ {scale}",
        )


def _wrong(program: Program) -> Iterator[Draw]:
    due = required_init(Role.HIDDEN)
    right = kept_right(program.parameters, Role.HIDDEN, program.growth)
    heads = {s for a in program.seen.attentions for s in a.head_dim.symbols}
    counts = heads - program.widths
    for parameter in program.parameters:
        # The fans that a function reads off a stack of matrices are another fault.
        if parameter.role is not Role.HIDDEN or parameter.key in right or not _is_matrix(program, parameter):
            continue
        for draw in draws.draws_of(program, parameter):
            folded = any(size.symbols & counts for size in draw.init.std.alternatives)
            if draw.init.function in draws.FILLS or draw.exponent in (0, due) or folded:
                continue
            if not draws.is_balanced(program, draw, Role.HIDDEN, ("linear",)):
                yield draw


def _is_matrix(program: Program, parameter: Parameter) -> bool:
    """Whether one dimension is contracted that grows as the width itself, and no other that a stack has."""
    growth = program.growth(parameter.weight.fan_in)
    return growth == 1 and all(not program.growth(size) for size in parameter.weight.dims[2:])
