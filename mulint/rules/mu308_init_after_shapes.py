"""A draw of torch with a constant std on hidden weights after the base shapes are set.

## What it does
Finds functions of `torch.nn.init` with the same std at every width that draw hidden weights of a model whose base
shapes are already set.

## Why is this bad?
`set_base_shapes` rescales what was drawn before it. A later draw of torch knows nothing of the shapes; `mup.init`
has the same functions, which do.

## Example
```python
import mup
import mup.init
from mup import MuReadout, set_base_shapes
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
    nn.init.normal_(model.second.weight, std=0.02)
    return model
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    mup.init.normal_(model.second.weight, std=0.02)
    return model
```

## What it leaves alone
Draws of `mup.init`, zero fills, draws that scale with the fan-in by themselves, draws before the base shapes
(MU301 is about them), and draws that a later one replaces.

## Fix safety
There is no automatic fix: `mup.init` changes nothing at the base width.

## References
The documentation of the mup package, release 1.0.0, section on initialisation.
Tensor Programs V (arXiv 2203.03466), Table 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.mup_package import precedes, weights_of
from mulint.program.parameters import Parameter, final_inits, init_exponent
from mulint.program.records import InitCall
from mulint.program.training_records import ModelEvent
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.draws import FILLS
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps
from mulint.theory import Role, law, required_init

RULE = Header("MU308", "torch-init-after-base-shapes")


def find(program: Program) -> Iterator[Finding]:
    """Init calls that undo what the base shapes set up, once for each call."""
    shaped = [(event, weights_of(event.model)) for event in steps(program, "shapes") if event.model is not None]
    found: dict[Site, Finding] = {}
    for parameter in program.parameters:
        if parameter.role is not Role.HIDDEN:
            continue
        for init in final_inits(parameter.weight):
            if init.origin != "torch" or not init.certain or init.function in FILLS or init.site in found:
                continue
            if init_exponent(init, parameter.weight, program.growth) != 0:
                continue
            for event, weights in shaped:
                if id(parameter.weight) in weights and precedes(program.seen, event.moment, init.moment):
                    found[init.site] = _finding(program, init, parameter, event)
                    break
    yield from found.values()


def _finding(program: Program, init: InitCall, parameter: Parameter, event: ModelEvent) -> Finding:
    width = describe.width_name(program, parameter.weight.fan_in)
    return RULE.finding(
        init.site,
        subject=subject("init", init.site),
        symbol=parameter.weight.symbol,
        message=f"{init.function} of torch draws {parameter.weight.symbol} anew after the base shapes were set",
        expected=f"mup.init.{init.function}, whose std is ∝ {law(required_init(Role.HIDDEN), width)}",
        found=f"std {init.std}, constant in the width",
        related=[(event.site, "the base shapes are set here")],
        severity=describe.severity([parameter]),
    )
