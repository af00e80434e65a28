"""Features of unit length that a hidden layer reads.

## What it does
Finds `F.normalize(x, dim=-1)` over a width whose result goes straight into a hidden linear map, without a factor
√d.

## Why is this bad?
A vector of length one has entries of size 1/√d, so what the next layer gives shrinks as 1/√d at every such place.
Norm layers (RMSNorm, LayerNorm) multiply by √d for this reason.

## Example
```python
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.back = nn.Linear(width, width)

    def forward(self, x):
        x = F.normalize(self.embed(x), dim=-1)
        return self.back(self.mix(x).relu())
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.width = width
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.back = nn.Linear(width, width)

    def forward(self, x):
        x = F.normalize(self.embed(x), dim=-1) * self.width**0.5
        return self.back(self.mix(x).relu())
```

## What it leaves alone
Unit vectors that are compared (cosine similarity), that a learned gain scales first, that a readout takes, or that
the code divides by their length itself, as models do that keep every vector on the sphere; norms over other
dimensions.

## Fix safety
A factor changes the base model: offered only with `--unsafe-fixes`.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Desiderata of Appendix J.2: activations of size one.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import multiplier
from mulint.program.records import Application, Norm
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, law, required_init, root_scale_exponent

RULE = Header("MU408", "unit-length-features", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Normalisations to length one that hidden maps read, once for each."""
    seen: set[Site] = set()
    for parameter in program.parameters:
        if parameter.role is not Role.HIDDEN:
            continue
        for use in parameter.weight.applications:
            norm = use.norm
            if norm is None or norm.site in seen or not _shrinks(program, use, norm):
                continue
            seen.add(norm.site)
            yield _finding(program, use, norm)


def _shrinks(program: Program, use: Application, norm: Norm) -> bool:
    """Whether a linear map contracts just what was brought to length one, with no factor of the width."""
    return (
        use.kind == "linear"
        and norm.unit
        and not norm.by_hand
        and not norm.gained
        and norm.size == use.fan_in
        and bool(program.growth(norm.size))
        and multiplier(use, program.growth) == {0}
    )


def _finding(program: Program, use: Application, norm: Norm) -> Finding:
    width = describe.width_name(program, norm.size)
    growth = program.growth(norm.size) or required_init(Role.INPUT)
    shrinks = law(root_scale_exponent(growth), width)
    return RULE.finding(
        norm.site,
        subject=subject("norm", norm.site),
        symbol=use.weight.symbol,
        message=f"{use.weight.symbol} reads vectors of length one: their entries shrink as {shrinks}",
        expected=f"a factor √{width} after the norm",
        found="no factor",
        related=[(use.site, f"{use.weight.symbol} is applied here")],
    )
