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
from fractions import Fraction

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import Parameter, final_inits, init_exponent, kept_right, multiplier
from mulint.program.records import InitCall
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, required_init

RULE = Header("MU302", "width-dependent-std-on-input-weights")


def find(program: Program) -> Iterator[Finding]:
    """Init calls with a width-dependent scale on input weights, once for each call."""
    calls: dict[Site, list[tuple[InitCall, Parameter, Fraction]]] = {}
    right = kept_right(program.parameters, Role.INPUT, program.growth)
    for parameter in program.parameters:
        if parameter.role is not Role.INPUT or parameter.tied or parameter.key in right:
            continue
        if any(a.kind == "gain" for a in parameter.weight.applications):
            continue  # the scale of what it multiplies is part of the same product
        if parameter.weight.fan_in.constant is None:
            continue  # what it reads has a knob for its size, which may grow elsewhere
        for init in final_inits(parameter.weight):
            exponent = init_exponent(init, parameter.weight, program.growth)
            if exponent and not _is_balanced(program, parameter, exponent):
                calls.setdefault(init.site, []).append((init, parameter, exponent))
    for site, hits in calls.items():
        yield _finding(program, site, hits)


def _is_balanced(program: Program, parameter: Parameter, exponent: Fraction) -> bool:
    """Whether a factor on the result makes up for the scale, or could."""
    uses = [a for a in parameter.weight.applications if a.kind in ("lookup", "linear")]
    factors = {e for use in uses for e in multiplier(use, program.growth)}
    return None in factors or required_init(Role.INPUT) - exponent in factors


def _finding(program: Program, site: Site, hits: list[tuple[InitCall, Parameter, Fraction]]) -> Finding:
    init, _, exponent = hits[0]
    inputs = [parameter for _, parameter, _ in hits]
    names = describe.listed(p.weight.symbol for p in inputs)
    width = describe.width_name(program, *(size for p in inputs for size in p.weight.dims))
    explicit = any(program.growth(call.std) for call, _, _ in hits) and any(call.certain for call, _, _ in hits)
    return RULE.finding(
        site,
        subject=subject("init", site),
        symbol=names,
        message=f"{init.function} draws input weights ({names}) with a std ∝ {law(exponent, width)}",
        expected="a std that does not depend on the width",
        found=f"std ∝ {law(exponent, width)}",
        related=describe.weights(inputs)[:6],
        severity=describe.severity(inputs) if explicit else Severity.WARNING,
    )
