"""Line plots as SVG text, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

PANEL_WIDTH, PANEL_HEIGHT, ROW = 340, 230, 16
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 28, 40
MOST_TICKS = 6
COLOURS = {
    "ok": ("#2e7d4f", "#6fcf97"),
    "violates": ("#c62828", "#ff7b72"),
    "unknown": ("#9a6700", "#e3b341"),
    "first": ("#1f5fbf", "#79b8ff"),
    "second": ("#8a3fa0", "#d2a8ff"),
    "third": ("#0f7c86", "#56d4dd"),
    "fourth": ("#a04d12", "#ffa657"),
    "limit": ("#6e7781", "#8b949e"),
}
"""Kinds of lines, and their colours on a light and on a dark ground."""
SERIES = ("first", "second", "third", "fourth")

INK = ("#1f2328", "#e6edf3")
GROUND = ("#ffffff", "#0d1117")


def _style(which: int) -> str:
    rules = [
        f".plot text{{fill:{INK[which]}}}",
        f".plot .axis{{stroke:{INK[which]}}}",
        f".plot .ground{{fill:{GROUND[which]}}}",
    ]
    for kind, colours in COLOURS.items():
        rules.append(f".plot .{kind}{{stroke:{colours[which]};fill:{colours[which]}}}")
    return "".join(rules)


STYLE = (
    ".plot text{font:11px system-ui,sans-serif;stroke:none}.plot .title{font-weight:600;font-size:12px}"
    ".plot polyline{fill:none!important;stroke-width:1.5}.plot .dashed{stroke-dasharray:5 4}"
    f".plot .grid{{stroke:#8884;stroke-width:.5}}{_style(0)}@media(prefers-color-scheme:dark){{{_style(1)}}}"
)
"""The rules for all plots of one document."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y) of one kind; ``name`` stands in the legend, or only under the pointer."""

    points: tuple[tuple[float, float], ...]
    kind: str
    name: str = ""
    in_legend: bool = True
    joined: bool = True
    marked: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """The words at an axis, and whether it is logarithmic; without ``ticks`` they are chosen."""

    label: str
    log: bool = False
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]

    @property
    def legend(self) -> tuple[Line, ...]:
        """The lines that the legend names."""
        return tuple(line for line in self.lines if line.name and line.in_legend)


def document(panels: Sequence[Panel], columns: int = 2) -> str:
    """A file of its own with all panels in a grid."""
    columns = min(columns, len(panels)) or 1
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(map(_height, row)) for row in rows]
    width, height = columns * PANEL_WIDTH, sum(heights)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" {size}>',
        f'<style>{STYLE}</style><rect class="ground" width="100%" height="100%"/>',
    ]
    for index, row in enumerate(rows):
        for column, panel in enumerate(row):
            parts.append(f'<g transform="translate({column * PANEL_WIDTH},{sum(heights[:index])})">')
            parts += [*_drawn(panel), "</g>"]
    return "\n".join((*parts, "</svg>")) + "\n"


def inline(panel: Panel) -> str:
    """One panel as an element of an HTML page that has ``STYLE``."""
    size = f"0 0 {PANEL_WIDTH} {_height(panel)}"
    head = f'<svg class="plot" role="img" aria-label="{escape(panel.title)}" viewBox="{size}">'
    return "\n".join((head, *_drawn(panel), "</svg>"))


def drawable(panel: Panel, line: Line) -> list[tuple[float, float]]:
    """The points of a line that its axes can show."""
    return [
        (x, y)
        for x, y in line.points
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not panel.x.log) and (y > 0 or not panel.y.log)
    ]


def _height(panel: Panel) -> int:
    return PANEL_HEIGHT + ROW * len(panel.legend)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places along one axis."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        low, high, at = (math.log2(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def _scale(values: Sequence[float], start: float, end: float, *, log: bool) -> _Scale:
    low, high = min(values), max(values)
    if log:
        middle = math.sqrt(low * high)  # at least a factor of four, so that noise does not fill the panel
        low, high = min(low / 1.1, middle / 2), max(high * 1.1, middle * 2)
    else:
        room = 0.05 * (high - low) or 1.0
        low, high = low - room, high + room
    return _Scale(low, high, start, end, log)


def _drawn(panel: Panel) -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="17">{escape(panel.title)}</text>'
    points = [point for line in panel.lines for point in drawable(panel, line)]
    if not points:
        yield f'<text x="{LEFT}" y="60">nothing was measured</text>'
        return
    bottom = PANEL_HEIGHT - BOTTOM
    across = _scale([x for x, _ in points], LEFT, PANEL_WIDTH - RIGHT, log=panel.x.log)
    up = _scale([y for _, y in points], bottom, TOP, log=panel.y.log)
    yield from _axes(panel, across, up)
    for line in panel.lines:
        yield from _line(line, [(across(x), up(y)) for x, y in drawable(panel, line)])
    for index, line in enumerate(panel.legend):
        y = PANEL_HEIGHT + ROW * index
        dashed = " dashed" if line.dashed else ""
        yield f'<line class="{line.kind}{dashed}" x1="{LEFT}" x2="{LEFT + 18}" y1="{y - 4}" y2="{y - 4}"/>'
        yield f'<text x="{LEFT + 24}" y="{y}">{escape(line.name)}</text>'


def _axes(panel: Panel, across: _Scale, up: _Scale) -> Iterator[str]:
    left, right, bottom = LEFT, PANEL_WIDTH - RIGHT, PANEL_HEIGHT - BOTTOM
    for value in panel.y.ticks or _ticks(up):
        y = f"{up(value):.1f}"
        yield f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
        shown = f"{value:.3g}" if up.log else f"{value:.6g}"
        yield f'<text x="{left - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{shown}</text>'
    for value in panel.x.ticks or _ticks(across):
        x = f"{across(value):.1f}"
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{value:.4g}</text>'
    yield f'<path class="axis" fill="none" d="M{left} {TOP}V{bottom}H{right}"/>'
    middle = (TOP + bottom) / 2
    yield f'<text x="{(left + right) / 2}" y="{bottom + 28}" text-anchor="middle">{escape(panel.x.label)}</text>'
    yield (
        f'<text x="13" y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})">'
        f"{escape(panel.y.label)}</text>"
    )


def _line(line: Line, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    title = f"<title>{escape(line.name)}</title>" if line.name else ""
    classes = f"{line.kind} dashed" if line.dashed else line.kind
    yield f'<g class="{classes}">{title}'
    if line.joined and len(places) > 1:
        yield f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
    if line.marked:
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    yield "</g>"


def _ticks(scale: _Scale) -> list[float]:
    """At most about six round values between the ends: powers of two, or multiples of a round step."""
    if scale.log:
        first, last = math.ceil(math.log2(scale.low)), math.floor(math.log2(scale.high))
        step = max(1, math.ceil((last - first + 1) / MOST_TICKS))
        return [2.0**power for power in range(first, last + 1, step)]
    rough = (scale.high - scale.low) / MOST_TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step_size = next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= rough)
    return [
        index * step_size
        for index in range(math.ceil(scale.low / step_size), math.floor(scale.high / step_size) + 1)
    ]
