"""Base shapes from a model with other names: of another depth, or not compiled.

## What it does
Finds `set_base_shapes` where the base or the delta model has another number of layers than the model itself, or
where `torch.compile` made only one of them.

## Why is this bad?
The package matches parameters by their names and asserts that both models have the same ones. A base of another
depth ends in an AssertionError as soon as the depths differ; width is all that may differ between them. The names
of what `torch.compile` returns start with `_orig_mod.`, so that none of them is found in the base shapes.

## Example
```python
from mup import MuReadout, set_base_shapes
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, depth, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = MuReadout(width, classes)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x).relu()
        return self.head(x)


def build(features, width, depth, classes):
    model = Net(features, width, depth, classes)
    set_base_shapes(model, Net(features, 64, 2, classes), delta=Net(features, 128, 2, classes))
    return model
```

## Use instead
```python
def build(features, width, depth, classes):
    model = Net(features, width, depth, classes)
    base, delta = Net(features, 64, depth, classes), Net(features, 128, depth, classes)
    set_base_shapes(model, base, delta=delta)
    return model
```
Compile after the base shapes are set, or in place: `model.compile()` keeps the names.

## What it leaves alone
Options whose default is the depth of the base, base shapes from a file, models of two classes, depths that could
not be followed, and models that are compiled all alike.

## Fix safety
There is no automatic fix: pass the model's own depth to the base and delta models, and compile last.

## References
The package mup, release 1.0.0, `mup.shape.set_base_shapes` and the assertion on names in `_zip_infshape_dict`; it
removes the prefix `module.` of DistributedDataParallel alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.library.modules import named_modules
from mulint.program.records import Construction
from mulint.program.training_records import ModelEvent
from mulint.program.values import Constant, Knob, ModuleValue, ObjectValue, Site, Value, as_number
from mulint.rules.rule import Header, subject
from mulint.rules.steps import steps

RULE = Header("MU509", "base-of-another-depth")
_REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class _Mismatch:
    """A list of layers with two lengths; ``certain`` where both are written as numbers."""

    name: str
    own: str
    other: int
    base: ModuleValue
    certain: bool


def find(program: Program) -> Iterator[Finding]:
    """Base and delta models with other names, one finding for each call."""
    found: dict[Site, Finding] = {}
    for event in steps(program, "shapes"):
        given = [event.arguments.get(name) for name in ("base", "delta")]
        others = [other for other in given if isinstance(other, ModuleValue)]
        model = event.arguments.get("model")
        if isinstance(model, ModuleValue) and any(
            (m.compiled is None) != (model.compiled is None) for m in others
        ):
            found.setdefault(event.site, _compiled(event, model))
        hits = [
            hit
            for other in others
            if event.model is not None and other.kind is event.model.kind
            for hit in _mismatches(program, event.model, other)
        ]
        if not hits or event.site in found:
            continue
        hit = hits[0]
        found[event.site] = RULE.finding(
            event.site,
            subject=subject("depth", event.site),
            symbol=event.name,
            message=f"the base shapes have {hit.other} layers in {hit.name}, the model has {hit.own}",
            expected="base and delta models as deep as the model",
            found=f"{hit.other} and {hit.own} layers",
            related=[(hit.base.site, "the model of another depth is built here")],
            severity=None if hit.certain else Severity.WARNING,
        )
    yield from found.values()


def _compiled(event: ModelEvent, model: ModuleValue) -> Finding:
    """One of the models is what ``torch.compile`` returned, another is not."""
    which = "the model" if model.compiled else "the base or the delta model"
    return RULE.finding(
        event.site,
        subject=subject("depth", event.site),
        symbol=event.name,
        message=f"only {which} is compiled: the names of its parameters start with _orig_mod, and do not match",
        expected="base shapes set before torch.compile",
        found="torch.compile first",
    )


def _mismatches(program: Program, model: ModuleValue, base: ModuleValue) -> Iterator[_Mismatch]:
    """Lists of layers that both models have in different lengths."""
    if model.kind is None:
        return
    others = dict(named_modules(base))
    for name, own in named_modules(model):
        other = others.get(name)
        if other is None or own.kind is not None or not own.container or other.container == _REPEATED:
            continue
        length = len(other.attributes)
        if own.container == other.container and own.layer is None:
            if len(own.attributes) != length:
                yield _Mismatch(name, str(len(own.attributes)), length, base, certain=True)
        elif own.container == _REPEATED:
            depth = _depth(program, model, base, length)
            if depth:
                yield _Mismatch(name, depth, length, base, certain=False)


def _depth(program: Program, model: ModuleValue, base: ModuleValue, length: int) -> str:
    """The option that gives the model its depth, where the base is given a number: its length."""
    own, other = _given(program, model), _given(program, base)
    for name, value in other.items():
        if as_number(value).whole != length or isinstance(value, Constant):
            continue
        mine = own.get(name)
        is_default = (
            isinstance(mine, Knob) and mine.default is not None and as_number(mine.default).whole == length
        )
        if mine is not None and as_number(mine).constant is None and not is_default:
            names = sorted({symbol.short for symbol in as_number(mine).symbols})
            return names[0] if len(names) == 1 else ""
    return ""


def _given(program: Program, model: ModuleValue) -> dict[str, Value]:
    """What a model was built with, by name, with the fields of the objects among it."""
    built: list[Construction] = [
        c for c in program.seen.constructions if c.site == model.site and c.kind is model.kind
    ]
    found: dict[str, Value] = {}
    for construction in built:
        for name, value in construction.given.items():
            found[name] = value
            if isinstance(value, ObjectValue):
                found.update(value.attributes)
    return found
