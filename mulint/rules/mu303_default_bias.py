"""Biases that start at torch's default scale.

## What it does
Finds linear layers and convolutions over a width whose bias keeps torch's own init, U(±1/√fan-in). It says so only
where it is selected by name: `--extend-select MU303`.

## Why is this bad?
A bias is a vector along the width, so its scale must not depend on the width; torch's default shrinks as
1/√fan-in. The effect is small and training hides it: a note, not a fault.

## Example
```python
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.mix(self.embed(x).relu()).relu())
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x):
        return self.head(self.mix(self.embed(x).relu()).relu())
```

## What it leaves alone
Biases that the code draws or fills itself, biases of layers that read something finite, readouts, whose bias has
no width dimension, and projects that call `set_base_shapes`, which rescales these biases.

## Fix safety
Zeros change the base model: offered only with `--unsafe-fixes`.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8, column of input weights and all biases.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.library.layers import ROWS
from mulint.program.parameters import same_site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, init_std_exponent, law, required_init

RULE = Header("MU303", "default-init-of-biases", Severity.NOTE, default=False)


def find(program: Program) -> Iterator[Finding]:
    """Biases along a width with torch's default init, once for each construction."""
    if any(name.rpartition(".")[2] == "set_base_shapes" for name, _ in program.seen.package_calls):
        return
    biases = [p for p in program.parameters if p.role is Role.VECTOR and p.weight.name == "bias"]
    for group in same_site(biases):
        bias = group[0].weight
        layer = bias.layer
        if any(p.weight.inits for p in group) or layer is None or "weight" not in layer.weights:
            continue
        fan_in = layer.weights["weight"].fan_in
        growth = program.growth(fan_in)
        if ROWS[layer.type].behaviour not in ("linear", "conv") or not growth:
            continue
        scale = init_std_exponent("kaiming_uniform_", fan_in_exponent=growth, fan_out_exponent=growth)
        width = describe.width_name(program, fan_in)
        if scale == required_init(Role.VECTOR):
            continue
        yield RULE.finding(
            bias.site,
            subject=subject("bias", bias.site),
            symbol=bias.symbol,
            message=f"{bias.symbol} starts at torch's default, which shrinks as {law(scale, width)}",
            expected="zeros, or a scale that does not depend on the width",
            found=f"a scale ∝ {law(scale, width)}",
        )
