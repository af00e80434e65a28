"""What a trace measured of the activations, as plots over the width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mulint.reporting.plots import SERIES, Axis, Line, Panel
from mulint.traces import ActivationTrace, Trace

QUANTITIES = {
    "init": "Size at initialisation",
    "change": "Change by training",
    "local-update": "Change by the module's own update",
    "attention-potential": "Bound of the attention logits",
}
NAMED = 4


def overview(trace: Trace) -> list[Panel]:
    """One panel for every statistic with all modules, relative to the smallest width, and the limit."""
    return [
        _statistic(title, [one for one in trace.activations if one.quantity == quantity and one.points], trace)
        for quantity, title in QUANTITIES.items()
        if any(one.quantity == quantity and one.points for one in trace.activations)
    ]


def modules(trace: Trace) -> dict[str, Panel]:
    """One panel for every module: what was measured at every width and seed, and the fitted slopes."""
    found: dict[str, list[ActivationTrace]] = {}
    for one in trace.activations:
        if one.points:
            found.setdefault(one.module, []).append(one)
    return {
        name: Panel(
            name,
            Axis("width", log=True, ticks=_widths(trace)),
            Axis("root mean square", log=True),
            tuple(line for one in group for line in _measured(one)),
        )
        for name, group in found.items()
    }


def _widths(trace: Trace) -> tuple[float, ...]:
    return tuple(float(width) for width in trace.widths)


def _statistic(title: str, rows: Sequence[ActivationTrace], trace: Trace) -> Panel:
    ordered = sorted(rows, key=lambda one: (one.verdict == "ok", -abs(one.slope or 0.0)))
    named = [one for one in ordered if one.verdict != "ok"][:NAMED] or ordered[:1]
    lines = [_relative(one, named=one in named) for one in reversed(ordered)]
    first, *_, last = sorted(_widths(trace))
    for limit in sorted({one.threshold for one in rows if one.threshold is not None}):
        points = ((first, 1.0), (last, (last / first) ** limit))
        lines.append(Line(points, "limit", f"limit of the slope {limit:+.2f}", dashed=True))
    x = Axis("width", log=True, ticks=_widths(trace))
    return Panel(title, x, Axis("relative to the smallest width", log=True), tuple(lines))


def _relative(one: ActivationTrace, *, named: bool) -> Line:
    """The geometric mean over seeds at every width, divided by that at the smallest."""
    logs: dict[float, list[float]] = {}
    for width, value in _positive(one):
        logs.setdefault(width, []).append(math.log2(value))
    means = {width: sum(values) / len(values) for width, values in sorted(logs.items())}
    start = next(iter(means.values()), 0.0)
    points = tuple((width, 2.0 ** (mean - start)) for width, mean in means.items())
    return Line(points, one.verdict, f"{one.module}: slope {one.slope or 0.0:+.2f}", in_legend=named, marked=True)


def _measured(one: ActivationTrace) -> Iterator[Line]:
    """The points, and the line of the fitted slope through their middle."""
    kind = SERIES[list(QUANTITIES).index(one.quantity)]
    points = tuple(_positive(one))
    yield Line(points, kind, joined=False, marked=True)
    if not points or one.slope is None:
        return
    middle = [sum(math.log2(point[axis]) for point in points) / len(points) for axis in (0, 1)]
    ends = (min(width for width, _ in points), max(width for width, _ in points))
    fitted = tuple((end, 2.0 ** (middle[1] + one.slope * (math.log2(end) - middle[0]))) for end in ends)
    limit = "" if one.threshold is None else f" (limit {one.threshold:+.2f})"
    mark = "" if one.verdict == "ok" else f", {one.verdict}"
    yield Line(fitted, kind, f"{one.quantity}: slope {one.slope:+.2f}{limit}{mark}")


def _positive(one: ActivationTrace) -> Iterator[tuple[float, float]]:
    for width, value in one.points:
        if value is not None and value > 0:
            yield width, value
