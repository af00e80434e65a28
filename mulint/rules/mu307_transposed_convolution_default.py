"""A transposed convolution from a fixed number of channels with torch's default initialisation.

## What it does
Finds transposed convolutions that map a fixed number of channels to a width and keep the initialisation that torch
gives them.

## Why is this bad?
torch reads the fan-in off the second dimension of the weight, which is the output of a transposed convolution. The
default is therefore drawn with a scale ∝ 1/√width although nothing that grows is summed: a wide model starts with
smaller features than the narrow one that it was tuned on.

## Example
```python
from torch import nn


class Generator(nn.Module):
    def __init__(self, width, noise=100):
        super().__init__()
        self.first = nn.ConvTranspose2d(noise, 8 * width, 4)
        self.mix = nn.Conv2d(8 * width, 8 * width, 3)

    def forward(self, z):
        return self.mix(self.first(z).relu())
```

## Use instead
```python
class Generator(nn.Module):
    def __init__(self, width, noise=100):
        super().__init__()
        self.first = nn.ConvTranspose2d(noise, 8 * width, 4)
        self.mix = nn.Conv2d(8 * width, 8 * width, 3)
        nn.init.normal_(self.first.weight, std=0.02)

    def forward(self, z):
        return self.mix(self.first(z).relu())
```

## What it leaves alone
Transposed convolutions from a width to a width, whose two fans grow alike, those to a fixed number of channels,
and any that the code draws anew.

## Fix safety
No automatic fix: another scale changes the base model.

## References
PyTorch, `torch.nn.init._calculate_fan_in_and_fan_out`; Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8,
column of input weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import same_site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, init_std_exponent, law, required_init

RULE = Header("MU307", "default-init-of-transposed-convolution", Severity.WARNING)
_TRANSPOSED = ".ConvTranspose"


def find(program: Program) -> Iterator[Finding]:
    """Transposed convolutions into a width that nothing draws, once for each construction."""
    inputs = [p for p in program.parameters if p.role is Role.INPUT and p.weight.name == "weight"]
    for group in same_site([p for p in inputs if p.weight.layer and _TRANSPOSED in p.weight.layer.type]):
        weight = group[0].weight
        growth = program.growth(weight.dims[1])
        if not growth or any(p.weight.inits for p in group):
            continue
        # torch takes the second dimension for the fan-in, whatever is contracted.
        scale = init_std_exponent("kaiming_uniform_", fan_in_exponent=growth, fan_out_exponent=growth)
        width = describe.width_name(program, weight.dims[1])
        yield RULE.finding(
            weight.site,
            subject=subject("init", weight.site),
            symbol=weight.symbol,
            message=f"{weight.symbol} reads a fixed size but starts ∝ {law(scale, width)}, torch's default",
            expected=f"std ∝ {law(required_init(Role.INPUT), width)}",
            found=f"std ∝ {law(scale, width)}",
        )
