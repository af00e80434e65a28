"""A product of two activations over the width as an output.

## What it does
Finds dot products of two embeddings or projections over a width (two towers, matrix factorisation, prototypes)
that are an output of the model or go into a loss, without a factor 1/width.

## Why is this bad?
After some training the two vectors are correlated, so the product grows in proportion to the width, as attention
logits do. It needs 1/width: a mean in place of the sum, times a constant.

## Example
```python
from torch import nn


class Towers(nn.Module):
    def __init__(self, users, items, width):
        super().__init__()
        self.user = nn.Embedding(users, width)
        self.item = nn.Embedding(items, width)
        self.mix = nn.Linear(width, width)

    def forward(self, user, item):
        return (self.mix(self.user(user)) * self.item(item)).sum(dim=-1)
```

## Use instead
```python
class Towers(nn.Module):
    def __init__(self, users, items, width):
        super().__init__()
        self.user = nn.Embedding(users, width)
        self.item = nn.Embedding(items, width)
        self.mix = nn.Linear(width, width)

    def forward(self, user, item):
        return (self.mix(self.user(user)) * self.item(item)).mean(dim=-1)
```

## What it leaves alone
Attention (MU405), vectors that went through a norm or any other function first (cosine similarity), products with
a factor of the width, products inside the model, and sizes that are not known to be widths.

## Fix safety
A mean in place of a sum changes the base model: offered only with `--unsafe-fixes`.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Definition 4.1: the same law of large numbers as in attention.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.records import Score
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import attention_scale_exponent, law

RULE = Header("MU407", "unscaled-product-over-width")


def find(program: Program) -> Iterator[Finding]:
    """Products of two activations over a width that are outputs as they are, once for each place."""
    # What a softmax takes somewhere is attention; what has a factor of the width in one context is scaled there.
    apart = {a.site for a in program.seen.attentions}
    apart |= {p.score.site for p in program.seen.products if program.growth(p.factor) != 0}
    found: dict[Site, Score] = {}
    for product in program.seen.products:
        score = product.score
        if score.linear and not score.norms and score.site not in apart and program.growth(score.contracted):
            found.setdefault(score.site, score)
    for site, score in found.items():
        width = describe.width_name(program, score.contracted)
        growth = program.growth(score.contracted)
        assert growth is not None
        yield RULE.finding(
            site,
            subject=subject("product", site),
            symbol=width,
            message=f"two activations are multiplied and summed over {score.contracted}, which grows",
            expected=f"a factor ∝ {law(attention_scale_exponent(growth), width)}",
            found="no factor of the width",
            related=describe.origin(program, site.path, [score.contracted]),
        )
