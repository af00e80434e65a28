"""The width factor of the learning rate on groups split by number of dimensions.

## What it does
Finds adaptive optimizers that divide the rate of a group by the width although the group holds embeddings or
other weights with only one wide dimension, typically because it was filled with `p.dim() >= 2`.

## Why is this bad?
Number of dimensions is not role. Token and position embeddings, patch and depthwise convolutions and readouts
with a multiplier are matrices by shape, but nothing wide is contracted in them: with a rate ∝ 1/width they stop
learning as the model grows, while the trunk looks perfect.

## Example
```python
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        return self.mix(self.norm(self.embed(tokens)))


def optimizer(vocabulary, width, base_width):
    model = Model(vocabulary, width)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    ratio = width / base_width
    return torch.optim.AdamW([{"params": matrices, "lr": 1e-3 / ratio}, {"params": vectors, "lr": 1e-3}])
```

## Use instead
```python
def optimizer(vocabulary, width, base_width):
    model = Model(vocabulary, width)
    hidden = [model.mix.weight]
    others = [p for p in model.parameters() if p is not model.mix.weight]
    ratio = width / base_width
    return torch.optim.AdamW([{"params": hidden, "lr": 1e-3 / ratio}, {"params": others, "lr": 1e-3}])
```

## What it leaves alone
Groups by number of dimensions that differ only in weight decay; readouts without a multiplier, which do need
the factor.

## Fix safety
Left to the author: the group needs another condition, by fan-in instead of by number of dimensions.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8 and Appendix B (matrix-like and vector-like).
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.parameters import Parameter, multiplier
from mulint.program.rates import Group, OptimizerView
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Optimizer, Role, law

RULE = Header("MU104", "width-factor-on-groups-by-ndim")


def find(program: Program) -> Iterator[Finding]:
    """Groups with a width factor that hold weights which must not get it."""
    for view in program.optimizers:
        if view.family is None or not view.family.is_adaptive:
            continue
        for group in view.groups:
            wrong = list(_wrongly_scaled(program, view.family, group))
            if wrong and _is_split(view):
                yield _finding(program, view, group, wrong)
                break


def _wrongly_scaled(program: Program, family: Optimizer, group: Group) -> Iterator[Parameter]:
    due = family.rate_exponent(Role.HIDDEN)
    if group.exponent is None or group.exponent == 0 or group.exponent != due:
        return
    for parameter in group.parameters or ():
        scaled_use = any(multiplier(a, program.growth) == {due} for a in parameter.readouts)
        if parameter.role is Role.INPUT or (parameter.role is Role.OUTPUT and scaled_use):
            yield parameter


def _is_split(view: OptimizerView) -> bool:
    """With every group scaled the fault is a global rate, not the split."""
    return any(g.exponent == 0 for g in view.groups)


def _due(wrong: list[Parameter]) -> str:
    """The weights that have to keep their rate, in words."""
    kinds = {
        Role.INPUT: "weights that contract no width",
        Role.OUTPUT: "readouts with a multiplier of their own",
    }
    return " and ".join(words for role, words in kinds.items() if any(p.role is role for p in wrong))


def _finding(program: Program, view: OptimizerView, group: Group, wrong: list[Parameter]) -> Finding:
    names = describe.listed(p.weight.symbol for p in wrong)
    width = describe.width_name(program, group.rate)
    assert group.exponent is not None
    return RULE.finding(
        view.record.site,
        subject=subject("optimizer", view.record.site),
        symbol=view.record.owner or view.record.type.rpartition(".")[2],
        message=f"the group with the learning rate ∝ {law(group.exponent, width)} also holds {names}",
        expected=f"a constant learning rate for {_due(wrong)}",
        found=f"learning rate ∝ {law(group.exponent, width)}",
        related=describe.weights(wrong)[:4],
    )
