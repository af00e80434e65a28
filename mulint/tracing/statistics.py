"""Slopes of measured quantities in log width, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Two-sided 95 % quantiles of Student's t by degrees of freedom; beyond the table the normal's.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class Fit:
    """A least-squares slope of log2 value in log2 width; ``low`` to ``high`` holds it with 95 % confidence."""

    slope: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """The confidence interval."""
        return (self.low, self.high)


def fit(points: Iterable[tuple[float, float]]) -> Fit | None:
    """Fit (width, value) points, replicates included; None with fewer than two widths of positive values.

    A value of exactly zero is no data: it is a zero initialisation or a module that has not moved yet.
    """
    logs = [(math.log2(w), math.log2(v)) for w, v in points if v > 0 and math.isfinite(v)]
    if len({x for x, _ in logs}) < 2:
        return None
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
    freedom = len(logs) - 2
    if freedom < 1:
        return Fit(slope, slope, slope)
    residual = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in logs)
    error = math.sqrt(residual / freedom / spread)
    reach = (_T[freedom - 1] if freedom <= len(_T) else _NORMAL) * error
    return Fit(slope, slope - reach, slope + reach)


def tail_slope(by_seed: Sequence[Mapping[float, float]]) -> Fit | None:
    """The median over seeds of the slope, the weaker of that over all widths and that without the smallest.

    The smallest width is where finite size bends a curve that is straight beyond it.
    """
    whole = [f for values in by_seed if (f := fit(values.items())) is not None]
    if not whole:
        return None
    tail = [f for values in by_seed if len(values) > 2 and (f := fit(sorted(values.items())[1:])) is not None]
    pooled = fit([(w, v) for values in by_seed for w, v in values.items()])
    assert pooled is not None
    slopes = [median(f.slope for f in group) for group in (whole, tail) if group]
    weakest = min(slopes, key=abs)
    shift = weakest - pooled.slope
    return Fit(weakest, pooled.low + shift, pooled.high + shift)
