"""Coordinate checks that look right whatever the code does.

## What it does
Finds calls of `mup.coord_check.get_coord_data` with one step, with widths less than eight times apart, with a
learning rate of 1e-4 or less, or with an optimizer of the package where the project trains with groups of its
own. It says so only where it is selected by name: `--extend-select MU601`.

## Why is this bad?
After one step a readout that starts at zero has let nothing through. Over a narrow range of widths a slope
cannot be told from noise. At a small learning rate the sizes that are plotted are those of the init, and hardly
change with the updates. And `optimizer="adam"` with `mup=True` trains with `MuAdam`, not with the groups that
the training uses.

## Example
```python
from mup.coord_check import get_coord_data


def check(models, loader):
    return get_coord_data(models, loader, optimizer="adam", lr=1e-3, nsteps=1)
```

## Use instead
```python
def check(models, loader):
    return get_coord_data(models, loader, optimizer="adam", lr=1e-2, nsteps=4)
```

## What it leaves alone
Arguments whose values are not known, and the defaults of the package.

## Fix safety
There is no automatic fix. `mulint trace` measures the changes from the init with the project's own optimizer.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), appendix D.1; the source of mup 1.0.0, `mup.coord_check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.training_records import Practice
from mulint.program.values import Constant, DictValue, Site, as_number
from mulint.rules.rule import Header, subject

RULE = Header("MU601", "check-that-cannot-fail", Severity.NOTE, default=False)

_WIDEST = 8
_SMALLEST_RATE = 1e-4


def find(program: Program) -> Iterator[Finding]:
    """Checks with a setting that hides faults, one finding for each call."""
    found: dict[Site, Finding] = {}
    for practice in program.seen.practices:
        hiding = next(_hiding(program, practice), None) if practice.kind == "coordinate-check" else None
        if hiding is None:
            continue
        what, expected = hiding
        found[practice.site] = RULE.finding(
            practice.site,
            subject=subject("check", practice.site),
            symbol=practice.name,
            message=f"this coordinate check can pass with a fault: {what}",
            expected=expected,
            found=what,
        )
    yield from found.values()


def _hiding(program: Program, practice: Practice) -> Iterator[tuple[str, str]]:
    """What hides faults in a check, and what would show them."""
    given = practice.arguments
    steps, rate = (as_number(given[n]).constant if n in given else None for n in ("nsteps", "lr"))
    if steps == 1:
        yield "one step, in which a readout of zeros lets nothing through", "nsteps of 3 or more"
    widths = _widths(practice)
    if widths and max(widths) < _WIDEST * min(widths):
        yield f"widths only {max(widths) / min(widths):g} times apart", "widths 8 times apart or more"
    if rate is not None and rate <= _SMALLEST_RATE:
        yield f"a learning rate of {float(rate):g}, at which sizes stay those of the init", "a larger rate"
    if given.get("mup") == Constant(False):
        return
    near = program.near(practice.site.path)
    for view in program.optimizers:
        own = view.is_scaled and view.family is not None and not view.family.width_scaled
        if own and view.record.site.path in near:
            yield (
                f"it trains with the package's optimizer, not with {view.record.type}",
                "the project's own groups",
            )


def _widths(practice: Practice) -> list[int]:
    models = practice.arguments.get("models")
    keys = list(models.entries) if isinstance(models, DictValue) and models.complete else []
    widths = [key for key in keys if isinstance(key, int) and key > 0]
    return widths if len(widths) == len(keys) else []
