"""An optimizer that a framework builds, with one learning rate for every role.

## What it does
Finds training loops of libraries that build the optimizer themselves: `Trainer` of transformers without
`optimizers` and without a `create_optimizer` of its own, `create_optimizer` and `create_optimizer_v2` of timm,
`deepspeed.initialize` with an optimizer in its configuration.

## Why is this bad?
These split the parameters by weight decay only and give all of them one rate. Hidden weights need another rate
than embeddings, biases and gains as the width grows, and there is no place in the user's code where groups
could be written.

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


from transformers import Trainer


def train(features, hidden, classes, arguments, data):
    model = Net(features, hidden, classes)
    trainer = Trainer(model=model, args=arguments, train_dataset=data)
    trainer.train()
```

## Use instead
```python
def train(features, hidden, classes, base_hidden, arguments, data):
    model = Net(features, hidden, classes)
    ratio = hidden / base_hidden
    wide = [model.second.weight, model.head.weight]
    others = [model.first.weight, model.first.bias, model.second.bias, model.head.bias]
    groups = [{"params": wide, "lr": 1e-3 / ratio}, {"params": others, "lr": 1e-3}]
    trainer = Trainer(model=model, args=arguments, train_dataset=data, optimizers=(torch.optim.Adam(groups), None))
    trainer.train()
```

## What it leaves alone
Pretrained models, models that could not be followed, trainers that are given an optimizer or build one in a
method of their own, and code in which no width can grow.

## Fix safety
Left to the author: the groups have to be handed to the framework.

## References
The documentation of transformers on `Trainer`, of timm on `create_optimizer_v2`, of DeepSpeed on its
configuration; Tensor Programs V (arXiv 2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules import describe, rates
from mulint.rules.rule import Header
from mulint.theory import Kind, Role, law, lookup

RULE = Header("MU114", "framework-optimizer-with-one-rate", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Optimizers built out of sight that hold hidden weights."""
    adam = lookup("torch.optim.AdamW")
    assert adam is not None
    for view in program.optimizers:
        if not view.record.hook or not view.is_one_rate:
            continue
        family = view.family or adam
        hidden = view.holding(Role.HIDDEN)
        if not hidden:
            continue
        width = describe.width_name(program, *(p.weight.fan_in for p in hidden))
        due = family.rate_exponent(Role.HIDDEN)
        rest = "hidden weights ∝" if family.kind is not Kind.SGD else "input weights, biases and gains ∝"
        exponent = due if family.kind is not Kind.SGD else family.rate_exponent(Role.INPUT)
        yield rates.finding(
            RULE,
            view,
            family.name,
            message=f"the {view.record.hook} gives every weight the same learning rate at every {width}",
            expected=f"an optimizer of your own with the learning rate of {rest} {law(exponent, width)}",
            found="one learning rate for every role",
            weights=hidden,
        )
