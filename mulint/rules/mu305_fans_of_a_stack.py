"""A stack of expert matrices drawn by a function that reads its fans.

## What it does
Finds parameters of three dimensions, one matrix for each expert, that are drawn as a whole with `kaiming_*`,
`xavier_*` or `orthogonal_`.

## Why is this bad?
These functions take the third dimension for a kernel and multiply it into the fan: for a stack of shape
`(experts, width, hidden)` they see a fan-in of `width * hidden`, so the scale shrinks as 1/width and not as
1/√width. The experts of a wide model start close to zero.

## Example
```python
import math

import torch
from torch import nn


class Experts(nn.Module):
    def __init__(self, features, experts, width):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.up = nn.Parameter(torch.empty(experts, width, 4 * width))
        self.down = nn.Linear(4 * width, width)
        nn.init.kaiming_uniform_(self.up, a=math.sqrt(5))

    def forward(self, x):
        return self.down(torch.einsum("bd,edf->ebf", self.embed(x), self.up).relu())
```

## Use instead
```python
class Experts(nn.Module):
    def __init__(self, features, experts, width):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.up = nn.Parameter(torch.empty(experts, width, 4 * width))
        self.down = nn.Linear(4 * width, width)
        nn.init.normal_(self.up, std=width**-0.5)

    def forward(self, x):
        return self.down(torch.einsum("bd,edf->ebf", self.embed(x), self.up).relu())
```

## What it leaves alone
Stacks that are drawn matrix by matrix, convolutions (their kernels do not grow), stacks of which only one
dimension grows, and sizes that could not be followed.

## Fix safety
No automatic fix: another scale changes the base model.

## References
PyTorch, `torch.nn.init._calculate_fan_in_and_fan_out`; Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import Parameter, final_inits, init_exponent
from mulint.program.records import InitCall
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, required_init

RULE = Header("MU305", "fans-of-an-expert-stack")


def find(program: Program) -> Iterator[Finding]:
    """Stacks of wide matrices drawn by their fans, once for each call."""
    calls: dict[Site, list[tuple[InitCall, Parameter, Fraction]]] = {}
    for parameter in program.parameters:
        weight = parameter.weight
        if weight.layer is not None or parameter.role is not Role.HIDDEN or len(weight.dims) != 3:
            continue
        count, *matrix = (program.growth(size) for size in weight.dims)
        if count != 0 or matrix != [1, 1]:
            continue
        for init in final_inits(weight):
            exponent = init_exponent(init, weight, program.growth)
            by_fans = init.function.startswith(("kaiming", "xavier", "orthogonal"))
            if by_fans and exponent is not None and exponent != required_init(Role.HIDDEN):
                calls.setdefault(init.site, []).append((init, parameter, exponent))
    for site, hits in calls.items():
        yield _finding(program, site, hits)


def _finding(program: Program, site: Site, hits: list[tuple[InitCall, Parameter, Fraction]]) -> Finding:
    init, _, exponent = hits[0]
    stacks = [parameter for _, parameter, _ in hits]
    names = describe.listed(p.weight.symbol for p in stacks)
    width = describe.width_name(program, *(p.weight.fan_in for p in stacks))
    return RULE.finding(
        site,
        subject=subject("init", site),
        symbol=names,
        message=f"{init.function} takes the stack {names} for one kernel: std ∝ {law(exponent, width)}",
        expected=f"std ∝ {law(required_init(Role.HIDDEN), width)} for each matrix",
        found=f"std ∝ {law(exponent, width)}",
        related=describe.weights(stacks)[:6],
        severity=describe.severity(stacks) if any(i.certain for i, _, _ in hits) else Severity.WARNING,
    )
