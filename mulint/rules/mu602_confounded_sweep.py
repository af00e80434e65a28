"""A sweep over widths in which something else changes as well.

## What it does
Finds loops over known values that build and train a model of another width in each round, and change with it the
depth, a table's length, the batch size, the number of steps, or both the number of heads and their size; in a
project that scales by a width, also the learning rate. Each change is told by what the number is used for. It says
so only where it is selected by name: `--extend-select MU602`.

## Why is this bad?
Such a sweep is to show that the best learning rate stays where it is as the width grows. Where the depth or the
batch size changes too, a shift of the optimum has two causes, and a fixed optimum may hide two shifts.

## Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, depth, classes):
        super().__init__()
        self.first = nn.Linear(features, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x).relu()
        return self.head(x)


def sweep(train, rates):
    for width, depth in [(64, 2), (128, 4), (256, 8)]:
        for rate in rates:
            model = Net(8, width, depth, 4)
            train(model, torch.optim.Adam(model.parameters(), lr=rate))
```

## Use instead
```python
def sweep(train, rates):
    for width in [64, 128, 256]:
        for rate in rates:
            model = Net(8, width, 4, 4)
            train(model, torch.optim.Adam(model.parameters(), lr=rate))
```

## What it leaves alone
What has a loop of its own inside the loop over widths, sizes that are widths themselves (`4 * width`), a number of
heads that grows while their size is fixed, and the reverse; loops over values that are not known, and models that
are not trained in sight.

## Fix safety
There is no automatic fix: hold fixed what is not swept, or give it a loop of its own.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 1: what is transferred across, and what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.dimensions import Symbol
from mulint.program.given import Options, options_of, settled
from mulint.program.numbers import Number
from mulint.program.training_records import Loop
from mulint.program.values import Constant, Site
from mulint.program.widths import head_counts
from mulint.rules import describe
from mulint.rules.rule import Header, subject

RULE = Header("MU602", "confounded-sweep", Severity.NOTE, default=False)
Change = tuple[str, Site]
Item = TypeVar("Item")


def find(program: Program) -> Iterator[Finding]:
    """Loops in which something changes with the width, one finding for each."""
    found: dict[Site, Finding] = {}
    for loop in program.seen.loops:
        width, changes = _in_models(program, loop)
        if width is None or loop.site in found:
            continue
        changes = [*changes, *_in_training(loop)]
        if program.signs.evidence:
            changes.extend(_in_rates(loop))
        if changes:
            names = describe.listed(name for name, _ in changes)
            found[loop.site] = RULE.finding(
                loop.site,
                subject=subject("sweep", loop.site),
                symbol=loop.owner,
                message=f"this sweep over {width.short} changes {names} as well",
                expected=f"{width.short} alone, or a loop of its own for {names}",
                found=f"{width.short} and {names}",
                related=[(site, f"{name} changes here") for name, site in changes],
            )
    yield from found.values()


def _in_models(program: Program, loop: Loop) -> tuple[Symbol | None, list[Change]]:
    """The width that changes from round to round, and what changes in models with it."""
    fixed = _fixed(program)
    for column in _aligned([r.constructions for r in loop.rounds], lambda c: (c.kind, c.site)):
        rounds = [options_of(construction) for construction in column]
        known = [s for s in rounds[0] if all(s in given for given in rounds)]
        changing = [s for s in known if len({given[s] for given in rounds}) > 1]
        width = next((s for s in changing if s in program.widths), None)
        if width is not None:
            names = [s.short for s in changing if s in fixed]
            names.extend(_heads(program, rounds, changing))
            return width, [(name, column[0].site) for name in names]
    return None, []


def _fixed(program: Program) -> frozenset[Symbol]:
    """Options that say how deep a model is, or how long its tables are."""
    tables = (w.dims[0].symbols for w in program.seen.weights if w.lookup and w.dims)
    return frozenset(program.seen.depths - program.sizes).union(*tables) - program.widths


def _heads(program: Program, rounds: Sequence[Options], changing: Sequence[Symbol]) -> Iterator[str]:
    """The number of heads, if it changes and so does their size."""
    counts = head_counts(program.seen)
    for size in dict.fromkeys(a.head_dim.only for a in program.seen.attentions):
        if size is None or not all(given.get(s, 0) > 0 for s in size.symbols for given in rounds):
            continue
        counts |= {symbol for powers, _ in size.terms for symbol, power in powers if power < 0}
        if len({size.evaluate(given) for given in rounds}) > 1:
            yield from (f"{s.short} and the size of a head" for s in changing if s in counts)
            return


def _in_training(loop: Loop) -> Iterator[Change]:
    """Batch sizes and numbers of steps that change, where each batch surely makes a step."""
    steps = [[p for p in r.practices if p.kind == "step"] for r in loop.rounds]
    if not all(steps) or any(p.arguments["certain"] != Constant(True) for s in steps for p in s):
        return
    loaders = [[p for p in r.practices if p.kind == "loader"] for r in loop.rounds]
    for column in _aligned(loaders, lambda p: p.site):
        if _differ(settled(p.arguments.get("batch_size", Constant(None))) for p in column):
            yield "the batch size", column[0].site
    for column in _aligned(steps, lambda p: p.site):
        if _differ(settled(p.arguments["times"]) for p in column):
            yield "the number of steps", column[0].site


def _in_rates(loop: Loop) -> Iterator[Change]:
    """Learning rates that are written down for each width, not computed from it."""
    for column in _aligned([r.optimizers for r in loop.rounds], lambda o: o.site):
        rates = [settled(record.options.get("lr", Constant(None))) for record in column]
        if _differ(rates) and not any(rate.computed for rate in rates):
            yield "the learning rate", column[0].site


def _aligned(rounds: Sequence[Sequence[Item]], key: Callable[[Item], object]) -> Iterator[tuple[Item, ...]]:
    """What takes the same place in every round: of one key, where each round has as many of it."""
    for kind in dict.fromkeys(map(key, rounds[0])):
        of_kind = [[item for item in items if key(item) == kind] for items in rounds]
        if len({len(items) for items in of_kind}) == 1:
            yield from zip(*of_kind, strict=True)


def _differ(numbers: Iterable[Number]) -> bool:
    """Whether some numbers are all known and not all the same."""
    values = {number.constant for number in numbers}
    return None not in values and len(values) > 1
