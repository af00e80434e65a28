"""Base shapes lost because parameters are copied or replaced.

## What it does
Finds copies (`copy.deepcopy`, `AveragedModel`) and replacements of the parameters (`to_empty`,
`load_state_dict(..., assign=True)`) of a model with a readout of the mup package, after its base shapes were set.

## Why is this bad?
The package hangs the shapes on the parameter objects. New parameters have none: the readout raises an
AssertionError in the next forward pass, and so do the optimizers of the package.

## Example
```python
import torch
from mup import MuAdamW, MuReadout, set_base_shapes
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = MuReadout(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, torch.optim.swa_utils.AveragedModel(model)
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    average = torch.optim.swa_utils.AveragedModel(model)
    for source, copied in zip(model.parameters(), average.module.parameters()):
        copied.infshape = source.infshape
    return model, average
```

## What it leaves alone
Copies of models without a readout of the package or without shapes, copies of state dicts, models whose shapes are
set again, or copied by hand, afterwards. A plain `deepcopy` is a warning: a copy that is only kept does no harm.

## Fix safety
There is no automatic fix: set the shapes again with `rescale_params=False`, or copy `infshape` of each parameter.

## References
The documentation of the mup package, release 1.0.0, section on checkpointing; measured with torch 2.13.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.library.mup_package import has_readout
from mulint.program.values import Constant, Site
from mulint.rules.rule import Header, subject
from mulint.rules.steps import after, before, steps

RULE = Header("MU503", "lost-base-shapes")


_WHAT = {
    "copy": "copy.deepcopy makes parameters without the base shapes",
    "average": "AveragedModel copies the model without its base shapes",
    "empty": "to_empty makes parameters without the base shapes",
    "load": "load_state_dict with assign=True replaces parameters that carry the base shapes",
}


def find(program: Program) -> Iterator[Finding]:
    """Steps after which a readout has no shapes."""
    restored = {site.path for name, site in program.seen.shape_writes if name == "infshape"}
    found: dict[Site, Finding] = {}
    for kind, what in _WHAT.items():
        for event in steps(program, kind):
            shapes = before(program, "shapes", event)
            assigns = kind != "load" or event.arguments.get("assign") == Constant(True)
            if event.site.path in restored or event.site in found or not shapes or not assigns:
                continue
            if event.model is None or not has_readout(event.model) or after(program, "shapes", event):
                continue
            found[event.site] = RULE.finding(
                event.site,
                subject=subject("copy", event.site),
                symbol=event.name,
                message=what,
                expected="base shapes on the new parameters",
                found="parameters without base shapes, which the readout reads",
                related=[(shapes[-1].site, "the base shapes are set here")],
                severity=Severity.WARNING if kind == "copy" else None,
            )
    yield from found.values()
