"""Weight decay that does not follow a learning rate scaled by the width.

## What it does
Finds optimizers with a width factor on the learning rate of a group and a weight decay that does not follow it
as the declared policy asks (`weight-decay` under `[tool.mulint]`, by default `constant-lr-wd`). Also weight
decay that Adam adds to the gradient, in groups with such a factor.

## Why is this bad?
PyTorch multiplies decoupled weight decay by the learning rate. When the rate of hidden weights is divided by
the width ratio, their decay per step is divided too: the wider the model, the less it is regularised. Decay
that is added to the gradient is normalised away by Adam and follows no power of the width at all.

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


def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    groups = [{"params": wide, "lr": lr / ratio}, {"params": others, "lr": lr}]
    return torch.optim.AdamW(groups, weight_decay=0.1)
```

## Use instead
```python
def optimizer(features, hidden, classes, base_hidden, lr):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    groups = [
        {"params": wide, "lr": lr / ratio, "weight_decay": 0.1 * ratio},
        {"params": others, "lr": lr, "weight_decay": 0.1},
    ]
    return torch.optim.AdamW(groups)
```

## What it leaves alone
Optimizers without a width factor, a decay of zero, decay that could not be followed or that nobody asked for,
and the classes of the mup package that scale the decay themselves. With `weight-decay = "unscaled"` a constant
decay is what is asked for.

## Fix safety
Left to the author: which policy is right is an open question, and the factor is 1 at the base width.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Appendix B.3; Loshchilov and Hutter (arXiv 1711.05101).
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.rates import Group, OptimizerView
from mulint.program.values import Value, as_number
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Decay, Optimizer

RULE = Header("MU112", "weight-decay-not-matched", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Groups whose decay does not follow their rate, once for each optimizer."""
    for view in program.optimizers:
        family = view.family
        if family is None or not view.is_scaled:
            continue
        if family.decay is Decay.COUPLED and family.is_adaptive:
            if any(rates.above(_given(view, g)) for g in view.groups):
                yield _coupled(view, family)
        elif not family.width_scaled and family.decay in (Decay.TIMES_RATE, Decay.INDEPENDENT):
            yield from _unmatched(program, view, family)


def _given(view: OptimizerView, group: Group) -> Value | None:
    return group.record.options.get("weight_decay", view.record.options.get("weight_decay"))


def _decay(view: OptimizerView, group: Group) -> Number | None:
    """The decay that was asked for in a group; None where there is surely none, or only the class's default."""
    given = _given(view, group)
    return as_number(given) if given is not None and rates.may_be_positive(given) else None


def _unmatched(program: Program, view: OptimizerView, family: Optimizer) -> Iterator[Finding]:
    for group in view.groups:
        decay = _decay(view, group)
        found = None if decay is None else program.growth(decay)
        if found is None or group.exponent is None or decay is None:
            continue
        due = family.decay_at(group.exponent, program.policies.decay)
        if found == due:
            continue
        width = describe.width_name(program, group.rate, decay)
        rate = describe.proportional(group.exponent, width, "constant")
        policy = f'weight-decay = "{program.policies.decay}"'
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"the weight decay of the group with the learning rate {rate} does not follow it",
            expected=f"weight decay {describe.proportional(due, width)} ({policy})",
            found=f"weight decay {describe.proportional(found, width)}",
            weights=list(group.parameters or ()),
            severity=Severity.ERROR if program.policies.declares_decay else None,
        )
        return


def _coupled(view: OptimizerView, family: Optimizer) -> Finding:
    twin = "MuAdamW" if family.width_scaled else "AdamW"
    return rates.finding(
        RULE,
        view,
        family.name,
        message=f"{family.name} adds weight decay to the gradient, where it follows no power of the width",
        expected=f"decoupled weight decay, as in {twin}",
        found=f"weight decay inside {family.name}",
    )
