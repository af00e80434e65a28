"""Attention logits scaled by one over the root of a head dimension that grows.

## What it does
Finds attention (a product of two activations that a softmax takes, `scaled_dot_product_attention`,
`nn.MultiheadAttention`, `F.multi_head_attention_forward`, `nn.Transformer*`) whose scale is 1/√d although the head
dimension d grows with the width.

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
a constant. Queries and keys of unit length. Attention between channels, whose sum is over the tokens. A scale that
is a setting by itself. Head dimensions and scales that could not be followed.

## Fix safety
`mulint fix` keeps the operation and multiplies it by the ratio of head dimensions to the power 1/2, which is
exactly 1 at the base width. `nn.MultiheadAttention` takes no scale: built with `bias=False`, its query is
multiplied instead; with a bias it is left.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Definition 4.1 and Appendix B.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules import attention
from mulint.rules.rule import Header

RULE = Header("MU405", "root-scale-with-growing-heads")


def find(program: Program) -> Iterator[Finding]:
    """Attention with the wrong scale, once for each function that computes it."""
    for branches in attention.wrong(program):
        if not attention.is_normalised(branches):
            yield attention.finding(RULE, program, branches)
