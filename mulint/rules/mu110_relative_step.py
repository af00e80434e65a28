"""One learning rate under an optimizer whose steps are relative to the weights.

## What it does
Finds LAMB, LARS and Adafactor with relative steps on hidden weights, where all groups have one rate or the
class takes none.

## Why is this bad?
Their update of a weight has the size of the weight itself, times the rate. For hidden weights, whose entries
shrink as 1/√fan-in, the effect on the layer's output then grows as √fan-in. Their rate has to shrink as
1/√width. Adafactor of transformers, as it comes, has no rate at all (`relative_step=True`), so no group can
have its own.

## Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def optimizer(model: Net, lr):
    return torch.optim.Adafactor(model.parameters(), lr=lr)
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = (hidden / base_hidden) ** 0.5
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    return torch.optim.Adafactor([{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}])
```

## What it leaves alone
Adafactor of transformers with `scale_parameter=False` and `relative_step=False`, which is a kind of Adam
(MU101), optimizers whose rates could not be followed, and code in which no width can grow.

## Fix safety
Left to the author: another class, or groups by role.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Tables 3 and 8 and Appendix B.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Kind, Role, law

RULE = Header("MU110", "one-rate-for-relative-steps", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Optimizers with relative steps and one rate, or none."""
    for view in program.optimizers:
        family = view.family
        if family is None or family.kind is not Kind.RELATIVE:
            continue
        if not view.is_one_rate and family.per_group_rate:
            continue
        hidden = rates.held_or_reachable(program, view, Role.HIDDEN)
        if not hidden:
            continue
        width = describe.width_name(program, *(p.weight.fan_in for p in hidden))
        how = (
            "one learning rate for every role"
            if family.per_group_rate
            else "no learning rate that groups could have"
        )
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"{family.name} steps relative to hidden weights, at the same rate for every {width}",
            expected=f"learning rate of hidden weights ∝ {law(family.rate_exponent(Role.HIDDEN), width)}",
            found=how,
            weights=hidden,
        )
