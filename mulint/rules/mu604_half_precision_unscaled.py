"""Half precision without loss scaling.

## What it does
Finds float16 training (`autocast` in float16, `model.half()`) in a project that scales by a width and never
builds a `GradScaler`. It says so only where it is selected by name: `--extend-select MU604`.

## Why is this bad?
Gradients of hidden weights shrink as 1/width. In float16 what falls under 6e-8 is zero: a run that is fine at
the base width loses its gradients at a large one, which looks like hyperparameters that do not transfer.

## Example
```python
import torch
from mup import MuReadout
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.head = MuReadout(width, classes)

    def forward(self, x):
        return self.head(self.first(x).relu())


def step(model, inputs, targets, optimizer):
    with torch.autocast("cuda", dtype=torch.float16):
        loss = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
```

## Use instead
```python
def step(model, inputs, targets, optimizer):
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
```

## What it leaves alone
bfloat16, formats that are not known, and projects that build a `GradScaler` anywhere.

## Fix safety
There is no automatic fix.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), appendix F.4.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.values import Site
from mulint.rules.rule import Header, subject

RULE = Header("MU604", "unscaled-half-precision", Severity.NOTE, default=False)


def find(program: Program) -> Iterator[Finding]:
    """Float16 in projects that scale by a width and not their losses, once for each place."""
    practices = program.seen.practices
    if not program.signs.evidence or any(p.kind == "loss-scaling" for p in practices):
        return
    found: dict[Site, Finding] = {}
    for practice in practices:
        if practice.kind == "half-precision":
            found[practice.site] = RULE.finding(
                practice.site,
                subject=subject("precision", practice.site),
                symbol=practice.name,
                message="gradients shrink as the width grows, and float16 without loss scaling loses small ones",
                expected="bfloat16, or a GradScaler",
                found="float16 and no GradScaler",
            )
    yield from found.values()
