"""One learning rate for every role under an adaptive optimizer.

## What it does
Finds optimizers of the Adam kind (Adam, AdamW, Lion, RMSprop, …) whose groups all get a learning rate that
does not depend on the width, although they hold hidden weights.

## Why is this bad?
An update of a hidden weight is correlated with its input, so its effect on the layer's output is summed over
the fan-in and grows in proportion to the width. A rate tuned on a narrow model is then too large for a wide
one. Hidden weights need a rate ∝ 1/fan-in; embeddings, biases and gains keep theirs. PyTorch's decoupled
weight decay is multiplied by the rate, so it has to be scaled back for the same groups. A readout without a
multiplier of its own needs the rate of a hidden weight.

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


def optimizer(model: Net):
    return torch.optim.AdamW(model.parameters(), lr=3e-4)
```

## Use instead
```python
def optimizer(model: Net, width_ratio: float):
    hidden = [model.second.weight, model.head.weight]
    ids = {id(p) for p in hidden}
    others = [p for p in model.parameters() if id(p) not in ids]
    return torch.optim.AdamW(
        [
            {"params": hidden, "lr": 3e-4 / width_ratio, "weight_decay": 0.01 * width_ratio},
            {"params": others, "lr": 3e-4, "weight_decay": 0.01},
        ]
    )
```

## What it leaves alone
Optimizers whose rates could not be followed, optimizers of nothing but input weights, biases and scaled readouts,
and code in which no width can grow. Layer-wise or discriminative rates are factors on top of the width factor and
are no fault.

## Fix safety
`mulint fix` splits every group by role and multiplies its rate by a power of the width ratio, which is exactly
1 at the base width. With `--target mup` it writes `MuAdam`, `MuAdamW` or `MuSGD` of the mup package, and has the
model set its base shapes.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8, row "Adam LR"; Appendix B.3 for weight decay.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import Parameter, multiplier
from mulint.program.rates import OptimizerView
from mulint.program.values import as_number
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Role, law

RULE = Header("MU101", "one-rate-for-every-role")


def find(program: Program) -> Iterator[Finding]:
    """Adaptive optimizers with one rate and hidden weights."""
    for view in program.optimizers:
        family = view.family
        if family is None or not family.is_adaptive or family.width_scaled or not view.is_one_rate:
            continue
        hidden = rates.held_or_reachable(program, view, Role.HIDDEN)
        # Without hidden weights, a readout that has no multiplier needs the same rate as they do.
        scaled = hidden or [
            p for p in rates.held_or_reachable(program, view, Role.OUTPUT) if _is_plain(program, p)
        ]
        due = family.rate_exponent(Role.HIDDEN)
        if not scaled or due == 0:
            continue
        fan_in = describe.width_name(program, *(p.weight.fan_in for p in scaled))
        kind = "hidden weights" if hidden else "the readout"
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"{family.name} gives {kind} the same learning rate at every {fan_in}{_decay(view)}",
            expected=f"learning rate of {kind} ∝ {law(due, fan_in)}",
            found="one learning rate for every role, constant in the width",
            weights=scaled,
            # Whose weights are not known, only the models in reach speak against it.
            severity=describe.severity(scaled) if view.roles else Severity.WARNING,
        )


def _is_plain(program: Program, parameter: Parameter) -> bool:
    uses = parameter.readouts
    return bool(uses) and all(multiplier(use, program.growth) == {0} for use in uses)


def _decay(view: OptimizerView) -> str:
    """The decay is part of the same fault when the optimizer multiplies it by the rate."""
    assert view.family is not None
    if not view.family.decays_with_rate:
        return ""
    given = [g.record.options.get("weight_decay") for g in view.groups] + [view.record.options.get("weight_decay")]
    values = [as_number(v) for v in given if v is not None]
    if not values and view.family.default_decay == 0:
        return ""
    if values and all(v.constant == 0 for v in values):
        return ""
    return "; its weight decay is multiplied by that rate and has to be scaled with it"
