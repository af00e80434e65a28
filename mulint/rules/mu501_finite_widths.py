"""Base shapes in which a width does not count as one.

## What it does
Finds `set_base_shapes` where a width of the model has the same size in the base and the delta model, or where the
base is built with the widths of the model itself. Base shapes may come from a file that the same code writes.

## Why is this bad?
The package learns which dimensions are widths by comparing base and delta, or base and model. What is equal in
both counts as finite, and what the base has as the model has it is never scaled: the multiplier is 1 at every
width, and the weights silently stay in standard parametrization.

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
    set_base_shapes(model, Net(features, hidden, classes))
    return model, MuAdamW(model.parameters(), lr=1e-3)
```

## Use instead
```python
def build(features, hidden, classes):
    model = Net(features, hidden, classes)
    set_base_shapes(model, Net(features, 64, classes), delta=Net(features, 128, classes))
    return model, MuAdamW(model.parameters(), lr=1e-3)
```

## What it leaves alone
`set_base_shapes(model, None)`, which asks for standard parametrization, shapes from a file that other code writes,
a model that only serves to write such a file, sizes that are no widths, models whose sizes are written as numbers,
and models that could not be followed.

## Fix safety
There is no automatic fix: which sizes the base should have is a decision.

## References
The documentation of the mup package, release 1.0.0, section on base and delta models.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.modules import named_weights
from mulint.program.records import Weight
from mulint.program.training_records import ModelEvent
from mulint.program.values import Constant, ModuleValue, Site, Value
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps

RULE = Header("MU501", "base-shapes-without-width")
_NONE = Constant(None)


def find(program: Program) -> Iterator[Finding]:
    """Widths that base shapes leave finite, one finding for each call."""
    found: dict[Site, Finding] = {}
    for event in steps(program, "shapes"):
        hit = _finite(program, event)
        if hit is None or event.site in found:
            continue
        weight, other = hit
        width = describe.width_name(program, *weight.dims)
        found[event.site] = RULE.finding(
            event.site,
            subject=subject("shapes", event.site),
            symbol=event.name,
            message=f"the base shapes treat {width} as fixed, so that {weight.symbol} is not scaled",
            expected=f"base and delta that differ in {width}",
            found=f"the same size in the base and {other}",
            related=[(weight.site, f"{weight.symbol} is built here")],
        )
    yield from found.values()


def _finite(program: Program, event: ModelEvent) -> tuple[Weight, str] | None:
    """A weight with a width that counts as finite, and what the base was compared with."""
    if event.model is None or not event.complete:
        return None
    base, delta = _shapes(program, event)
    if not isinstance(base, ModuleValue) or base.itself is event.model:
        return None
    finite = _unchanged(program, event.model, base, delta) if isinstance(delta, ModuleValue) else None
    is_known = isinstance(delta, ModuleValue) or delta is None or delta == _NONE
    if finite is None and is_known and event.arguments.get("savefile", _NONE) == _NONE:
        return _all_unchanged(program, event.model, base)
    return finite


def _shapes(program: Program, event: ModelEvent) -> tuple[Value | None, Value | None]:
    """The base and the delta of a call: its arguments, or those of the call that wrote the file it reads."""
    base = event.arguments.get("base")
    for written in steps(program, "shapes"):
        file = written.arguments.get("savefile", _NONE)
        if file != _NONE and (file is base or (isinstance(file, Constant) and file == base)):
            return written.arguments.get("base"), written.arguments.get("delta")
    return base, event.arguments.get("delta")


def _unchanged(
    program: Program, model: ModuleValue, base: ModuleValue, delta: ModuleValue
) -> tuple[Weight, str] | None:
    """A width of the model that base and delta hold at one size, which the model does not have."""
    weights, bases, deltas = (dict(named_weights(m)) for m in (model, base, delta))
    if not weights.keys() == bases.keys() == deltas.keys():
        return None
    for name, tensor in weights.items():
        weight = tensor.weight
        sizes = zip(tensor.dims, bases[name].dims, deltas[name].dims, strict=False)
        if weight is not None and any(
            program.is_width(weight, index) and first == second and (base is delta or first.constant is not None)
            for index, (size, first, second) in enumerate(sizes)
            if size.constant is None
        ):
            return weight, "the delta model"
    return None


def _all_unchanged(program: Program, model: ModuleValue, base: ModuleValue) -> tuple[Weight, str] | None:
    """A weight of a model that has widths, when its base has the same size in every dimension."""
    weights, bases = dict(named_weights(model)), dict(named_weights(base))
    if model.kind is not base.kind or weights.keys() != bases.keys():
        return None
    if any(tensor.dims != bases[name].dims for name, tensor in weights.items()):
        return None
    wide = (t.weight for t in weights.values() if t.weight is not None and _is_wide(program, t.weight))
    weight = next(wide, None)
    return None if weight is None else (weight, "the model itself")


def _is_wide(program: Program, weight: Weight) -> bool:
    """Whether a size of it that is no number is a width."""
    return any(size.constant is None and program.is_width(weight, index) for index, size in enumerate(weight.dims))
