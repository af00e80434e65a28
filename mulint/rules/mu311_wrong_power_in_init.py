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
from fractions import Fraction

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import Parameter, final_inits, init_exponent, kept_right, multiplier
from mulint.program.records import InitCall
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, required_init

RULE = Header("MU311", "wrong-power-in-hidden-init")

# Fills are no draws, and the fans that these read off a stack of matrices are another fault.
_FILLS = ("eye_", "dirac_", "ones_", "constant_")


def find(program: Program) -> Iterator[Finding]:
    """Init calls with the wrong power of the width on hidden weights, once for each call."""
    calls: dict[Site, list[tuple[InitCall, Parameter, Fraction]]] = {}
    right = kept_right(program.parameters, Role.HIDDEN, program.growth)
    heads = {s for a in program.seen.attentions for d in a.head_dim.alternatives for s in d.symbols}
    counts = heads - program.widths
    for parameter in program.parameters:
        if parameter.role is not Role.HIDDEN or parameter.key in right or not _is_matrix(program, parameter):
            continue
        for init in final_inits(parameter.weight):
            exponent = init_exponent(init, parameter.weight, program.growth)
            folded = any(size.symbols & counts for size in init.std.alternatives)
            if init.function in _FILLS or not exponent or folded:
                continue
            if not _is_balanced(program, parameter, exponent):
                calls.setdefault(init.site, []).append((init, parameter, exponent))
    for site, hits in calls.items():
        yield _finding(program, site, hits)


def _is_matrix(program: Program, parameter: Parameter) -> bool:
    """Whether one dimension is contracted that grows as the width itself, and no other that a stack has."""
    growth = program.growth(parameter.weight.fan_in)
    return growth == 1 and all(not program.growth(size) for size in parameter.weight.dims[2:])


def _is_balanced(program: Program, parameter: Parameter, exponent: Fraction) -> bool:
    """Whether the scale is right by itself or with a factor on the output, or may be."""
    due = required_init(Role.HIDDEN)
    uses = [use for use in parameter.weight.applications if use.kind == "linear"]
    factors = {e for use in uses for e in multiplier(use, program.growth)}
    return exponent == due or None in factors or due - exponent in factors


def _finding(program: Program, site: Site, hits: list[tuple[InitCall, Parameter, Fraction]]) -> Finding:
    init, _, exponent = hits[0]
    hidden = [parameter for _, parameter, _ in hits]
    names = describe.listed(p.weight.symbol for p in hidden)
    fan_in = describe.width_name(program, *(p.weight.fan_in for p in hidden))
    return RULE.finding(
        site,
        subject=subject("init", site),
        symbol=names,
        message=f"{init.function} draws hidden weights ({names}) with a std ∝ {law(exponent, fan_in)}",
        expected=f"std ∝ {law(required_init(Role.HIDDEN), fan_in)}",
        found=f"std ∝ {law(exponent, fan_in)}",
        related=describe.weights(hidden)[:6],
        severity=describe.severity(hidden) if any(call.certain for call, _, _ in hits) else Severity.WARNING,
    )
