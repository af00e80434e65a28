"""Query-key norm in place of the right attention scale.

## What it does
Finds attention whose queries and keys come from a norm layer, with a scale 1/√d (or none) although the head
dimension d grows with the width.

## Why is this bad?
A norm layer gives entries of size one, so a query's length is √d and the product of two correlated vectors grows
as d, normed or not. The norm bounds the logits at one width; it does not make them comparable between widths.

## Example
```python
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.head_dim = heads, width // heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.q_norm = nn.RMSNorm(self.head_dim)
        self.k_norm = nn.RMSNorm(self.head_dim)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q = self.q_norm(self.q(x).view(b, t, self.heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k(x).view(b, t, self.heads, self.head_dim)).transpose(1, 2)
        v = self.v(x).view(b, t, self.heads, self.head_dim).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(b, t, c))


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
    def __init__(self, width, heads, base_head_dim=64):
        super().__init__()
        self.heads, self.head_dim = heads, width // heads
        self.scale = base_head_dim**0.5 / self.head_dim
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.q_norm = nn.RMSNorm(self.head_dim)
        self.k_norm = nn.RMSNorm(self.head_dim)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q = self.q_norm(self.q(x).view(b, t, self.heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k(x).view(b, t, self.heads, self.head_dim)).transpose(1, 2)
        v = self.v(x).view(b, t, self.heads, self.head_dim).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.out(y.transpose(1, 2).reshape(b, t, c))
```

## What it leaves alone
Queries and keys of unit length (`F.normalize`), whose product is bounded, fixed head dimensions, and norms or
scales that could not be followed. Attention without a norm is MU405.

## Fix safety
As for MU405: `mulint fix` keeps the operation and multiplies it by the ratio of head dimensions to the power 1/2.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Definition 4.1 and Appendix B.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import attention
from mulint.rules.rule import Header

RULE = Header("MU406", "query-key-norm-without-scale", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Attention of normed queries and keys with the wrong scale, once for each function that computes it."""
    for branches in attention.wrong(program):
        if attention.is_normalised(branches):
            more = "; the norm of queries and keys does not change that"
            yield attention.finding(RULE, program, branches, more)
