"""Hyperparameters that do not transfer between widths, among those that are tuned.

## What it does
Finds values that a tuner proposes (a trial of optuna, a search space of Ray Tune, a sweep of Weights & Biases) and
that a project which scales by a width uses as a dropout rate, as weight decay or for label smoothing. It says so
only where it is selected by name: `--extend-select MU603`.

## Why is this bad?
μP keeps the best learning rate, init and multipliers in place as the width grows. How much a model has to be
regularised depends on its size and on how much data it sees, so that the best value for a small model is not the
best one for a large model. The tuner also adapts the learning rate to it.

## Example
```python
import optuna
from mup import MuAdamW, MuReadout, set_base_shapes
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes, dropout):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.dropout = nn.Dropout(dropout)
        self.head = MuReadout(width, classes)

    def forward(self, x):
        return self.head(self.dropout(self.first(x).relu()))


def objective(trial: optuna.Trial, evaluate):
    rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.5)
    model = Net(8, 128, 4, dropout)
    set_base_shapes(model, Net(8, 64, 4, dropout), delta=Net(8, 96, 4, dropout))
    return evaluate(model, MuAdamW(model.parameters(), lr=rate))
```

## Use instead
```python
def objective(trial: optuna.Trial, evaluate, dropout):
    rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    model = Net(8, 128, 4, dropout)
    set_base_shapes(model, Net(8, 64, 4, dropout), delta=Net(8, 96, 4, dropout))
    return evaluate(model, MuAdamW(model.parameters(), lr=rate))
```

## What it leaves alone
Values that are given, however they were found; what is tuned but used for something else; and search spaces that
lie in files of another kind.

## Fix safety
There is no automatic fix: give the value, or tune it at the width of the large model.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 1: regularization is not μTransferable.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.values import Site, Value, as_number
from mulint.rules import describe
from mulint.rules.rule import Header, subject

RULE = Header("MU603", "tuned-regularisation", Severity.NOTE, default=False)
_NAMES = {"p": "dropout", "dropout_p": "dropout", "label_smoothing": "label smoothing"}


def find(program: Program) -> Iterator[Finding]:
    """Proposals that regularise a model, one finding for each place."""
    if not program.signs.evidence:
        return
    uses: dict[Site, dict[str, Site]] = {}
    for name, value, site in _regularisation(program):
        for symbol in as_number(value).symbols & program.seen.tuned.keys():
            uses.setdefault(program.seen.tuned[symbol], {}).setdefault(name, site)
    for place, used in uses.items():
        names = describe.listed(used)
        yield RULE.finding(
            place,
            subject=subject("tuning", place),
            symbol=names,
            message=f"the best {names} for a model of this width need not be the best for a wider one",
            expected=f"a fixed {names}, or one that is tuned at the width it is used at",
            found=f"{names} that is tuned with what transfers",
            related=[(site, f"it is used as {name} here") for name, site in used.items()],
        )


def _regularisation(program: Program) -> Iterator[tuple[str, Value, Site]]:
    """What says how much a model is regularised: what it is called, the value, and where."""
    for practice in program.seen.practices:
        if practice.kind == "regularisation":
            yield from ((_NAMES[name], value, practice.site) for name, value in practice.arguments.items())
    for layer in program.seen.layers:
        if "dropout" in layer.arguments:
            yield "dropout", layer.arguments["dropout"], layer.site
    for record in program.seen.optimizers:
        for options in (record.options, *(group.options for group in record.groups)):
            if "weight_decay" in options:
                yield "weight decay", options["weight_decay"], record.site
