"""A star import of the mup package.

## What it does
Finds `from mup import *`.

## Why is this bad?
The package has no list of what it exports. The star binds `copy` to a function, so that `copy.deepcopy` no longer
works, and `Adam`, `AdamW`, `SGD` to torch's plain optimizers, which are easily taken for those of μP.

## Example
```python
from mup import *
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.head = MuReadout(hidden, classes)

    def forward(self, x):
        return self.head(self.first(x).relu())


def build(features, hidden, classes):
    return Net(features, hidden, classes)
```

## Use instead
```python
from mup import MuReadout


def build(features, hidden, classes):
    return Net(features, hidden, classes)
```

## What it leaves alone
Star imports of the package's submodules, and of other packages.

## Fix safety
There is no automatic fix: which names the file needs shows only in its use.

## References
The documentation of the mup package, release 1.0.0, `mup/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.rules.rule import Header, subject

RULE = Header("MU505", "star-import-of-mup", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Star imports of the package itself."""
    for site in dict.fromkeys(site for name, site in program.seen.package_calls if name == "mup.*"):
        yield RULE.finding(
            site,
            subject=subject("import", site),
            symbol="mup",
            message="from mup import * shadows copy, Adam, AdamW, SGD and Linear",
            expected="an import of the names that are used",
            found="from mup import *",
        )
