"""A sweep as a plot: loss over the rate, a line for every width, and its best rate."""

from __future__ import annotations

from mulint.reporting.plots import SERIES, Axis, Line, Panel
from mulint.reporting.transfer_text import mean
from mulint.sweeps import Sweep


def panel(sweep: Sweep) -> Panel:
    """The one plot of a sweep."""
    factors = [2.0**octave for octave in sweep.octaves]
    lines = []
    for index, (best, rows) in enumerate(zip(sweep.optima, sweep.losses, strict=True)):
        kind = SERIES[index % len(SERIES)]
        means = zip(factors, map(mean, rows), strict=True)
        points = tuple((factor, loss) for factor, loss in means if loss is not None)
        said = "every run diverges" if best.octave is None else f"best at {2.0**best.octave:.3g}"
        lines.append(Line(points, kind, f"width {best.width:g}: {said}", marked=True))
        if best.octave is not None and points:
            ends = (min(loss for _, loss in points), max(loss for _, loss in points))
            lines.append(Line(tuple((2.0**best.octave, end) for end in ends), kind, dashed=True))
    x = Axis("factor of the learning rates", log=True)
    return Panel("Learning-rate transfer", x, Axis(f"loss of the last {sweep.averaged} steps"), tuple(lines))
