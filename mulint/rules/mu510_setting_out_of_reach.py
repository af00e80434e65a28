"""A setting for μP that comes too late, or that nothing can equal.

## What it does
Finds settings that a constructor tests and that are set only after the model is built, and texts that are compared
with a member of an `Enum`, where the branch that is never taken has the multipliers or the layers of μP. What a
readout, a scale of attention or an init of the same class lacks for that reason is not reported beside it.

## Why is this bad?
The branch with the multipliers never runs. The model stays in standard parametrization at every width, without an
error, and everything that depends on the setting elsewhere scales as if it were in μP.

## Example
```python
from dataclasses import dataclass

from mup import MuReadout
from torch import nn


@dataclass
class Config:
    width: int = 256
    mup: bool = False


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(100, config.width)
        if config.mup:
            self.head = MuReadout(config.width, 10)
        else:
            self.head = nn.Linear(config.width, 10)

    def forward(self, x):
        return self.head(self.embed(x))


def build(width):
    config = Config(width=width)
    model = Net(config)
    config.mup = True
    return model
```

## Use instead
```python
def build(width):
    config = Config(width=width)
    config.mup = True
    return Net(config)
```

## What it leaves alone
Settings that some constructor finds as wanted, values from outside, enumerations that are strings as well
(`StrEnum`), fields that a method converts, and branches that have nothing to do with widths.

## Fix safety
There is no automatic fix: it would change the model.

## References
The documentation of Python's `enum` module: members of `Enum` compare equal only to themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.values import Site
from mulint.rules import settings
from mulint.rules.rule import Header, subject

RULE = Header("MU510", "setting-out-of-reach")


def find(program: Program) -> Iterator[Finding]:
    """Tests that come before the setting, and comparisons that never hold, once for each place."""
    found: dict[Site, Finding] = {}
    for flag, test, setting in settings.late(program):
        found.setdefault(
            test.site,
            RULE.finding(
                test.site,
                subject=subject("setting", test.site),
                symbol=test.owner,
                message=f"{flag.name} is tested while the model is built, and set only later",
                expected=f"{flag.name} set before the model is built",
                found="the model first",
                related=[(setting.site, f"{flag.name} is set here")],
            ),
        )
    for mismatch in settings.never_equal(program):
        found.setdefault(
            mismatch.site,
            RULE.finding(
                mismatch.site,
                subject=subject("setting", mismatch.site),
                symbol=mismatch.owner,
                message=f"a text ({mismatch.text}) never equals a member of an Enum ({mismatch.member})",
                expected="two members of one Enum, or two texts",
                found="a comparison that never holds",
            ),
        )
    yield from found.values()
