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

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules import describe, draws
from mulint.rules.draws import Draw
from mulint.rules.rule import Header
from mulint.theory import Role, law, required_init

RULE = Header("MU305", "fans-of-an-expert-stack")


def find(program: Program) -> Iterator[Finding]:
    """Stacks of wide matrices drawn by their fans, once for each call."""
    for call in draws.calls(_wrong(program)):
        width = describe.width_name(program, *(p.weight.fan_in for p in call.weights))
        scale = law(call.exponent, width)
        yield draws.finding(
            RULE,
            call,
            message=f"{call.init.function} takes the stack {call.names} for one kernel: std ∝ {scale}",
            expected=f"std ∝ {law(required_init(Role.HIDDEN), width)} for each matrix",
            found=f"std ∝ {scale}",
        )


def _wrong(program: Program) -> Iterator[Draw]:
    for parameter in program.parameters:
        weight = parameter.weight
        if weight.layer is not None or parameter.role is not Role.HIDDEN or len(weight.dims) != 3:
            continue
        count, *matrix = (program.growth(size) for size in weight.dims)
        if count != 0 or matrix != [1, 1]:
            continue
        for draw in draws.draws_of(program, parameter):
            by_fans = draw.init.function.startswith(("kaiming", "xavier", "orthogonal"))
            if by_fans and draw.exponent != required_init(Role.HIDDEN):
                yield draw
