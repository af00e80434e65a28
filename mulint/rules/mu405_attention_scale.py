"""Attention logits scaled by one over the root of a head dimension that grows.

## What it does
Finds attention (a product of two activations that a softmax takes, `scaled_dot_product_attention`,
`nn.MultiheadAttention`, `nn.Transformer*`) whose scale is 1/√d although the head dimension d grows with the
width.

## Why is this bad?
After some training queries and keys are correlated, so their product grows as d, not as √d. With 1/√d the
logits of a wide model become too large and attention saturates. μP asks for 1/d, which `fix` writes as the
scale at the base width times a ratio.

## Example
```python
import math

from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(c // self.heads)).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class Model(nn.Module):
    def __init__(self, vocabulary, width, heads):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.attention = Attention(width, heads)

    def forward(self, tokens):
        return self.attention(self.embed(tokens))
```

## Use instead
```python
class Attention(nn.Module):
    def __init__(self, width, heads, base_head_dim):
        super().__init__()
        self.heads = heads
        self.scale = math.sqrt(base_head_dim) / (width // heads)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class Model(nn.Module):
    def __init__(self, vocabulary, width, heads, base_head_dim):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.attention = Attention(width, heads, base_head_dim)

    def forward(self, tokens):
        return self.attention(self.embed(tokens))
```

## What it leaves alone
A head dimension that is a parameter of its own, or heads whose number is derived from the width: there 1/√d is
a constant. Head dimensions and scales that could not be followed.

## Fix safety
`mulint fix` keeps the operation and multiplies it by the ratio of head dimensions to the power 1/2, which is
exactly 1 at the base width. `nn.MultiheadAttention` takes no scale: built with `bias=False`, its query is
multiplied instead; with a bias it is left.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Definition 4.1 and Appendix B.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import growths
from mulint.program.records import AttentionRecord
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import attention_scale_exponent, law, root_scale_exponent

RULE = Header("MU405", "root-scale-with-growing-heads")


def find(program: Program) -> Iterator[Finding]:
    """Attention with the wrong scale, once for each function that computes it."""
    wrong: dict[tuple[str, str], dict[Site, AttentionRecord]] = {}
    # Where one expression has either scale, by a flag or by its caller, the author keeps both parametrizations.
    right = {a.site for a in program.seen.attentions if _may_be_right(program, a)}
    for attention in program.seen.attentions:
        head, scale = _head_growth(program, attention), program.growth(attention.factor)
        if not head or head < 0 or scale is None or attention.site in right:
            continue
        key = (attention.site.path, attention.owner or str(attention.site.line))
        wrong.setdefault(key, {}).setdefault(_anchor(attention), attention)
    for branches in wrong.values():
        yield _finding(program, dict(sorted(branches.items(), key=lambda item: item[0].span)))


def _head_growth(program: Program, attention: AttentionRecord) -> Fraction | None:
    """How the head dimension grows; where it was not followed, the root of a width by a head count says it."""
    head = program.growth(attention.head_dim)
    if head is not None or program.growth(attention.factor) != root_scale_exponent(Fraction(1)):
        return head
    by_count = all(len(scale.symbols) > 1 for scale in attention.factor.alternatives)
    return Fraction(1) if by_count else None


def _may_be_right(program: Program, attention: AttentionRecord) -> bool:
    scales = growths(attention.factor, program.growth)
    heads = growths(attention.head_dim, program.growth)
    return any(head and attention_scale_exponent(head) in scales for head in heads)


def _anchor(attention: AttentionRecord) -> Site:
    """The expression with the scale, else the call or product whose default implies it."""
    here = [s for s in attention.factor_sites if s.path == attention.site.path]
    return here[-1] if here else attention.site


def _finding(program: Program, branches: dict[Site, AttentionRecord]) -> Finding:
    (site, attention), *others = branches.items()
    head = _head_growth(program, attention) or Fraction(0)
    scale = program.growth(attention.factor) or Fraction(0)
    due = attention_scale_exponent(head)
    width = describe.width_name(program, attention.head_dim, attention.factor)
    followed = program.growth(attention.head_dim) is not None
    dimension = f"the head dimension {attention.head_dim} grows" if followed else "so the head dimension grows"
    how = "by default" if attention.implied else "here"
    return RULE.finding(
        site,
        subject=subject("attention", site),
        symbol=attention.owner,
        message=f"attention logits are scaled by {law(scale, width)} {how}, and {dimension} with {width}",
        expected=f"scale ∝ {law(due, width)}",
        found=f"scale {attention.factor}",
        related=[
            *((other, "another branch of the same attention") for other, _ in others),
            *((s, "the scale comes from here") for s in attention.factor_sites if s != site),
            *([(attention.site, "the logits are computed here")] if attention.site != site else []),
        ],
    )
