"""The same plots as PNG, drawn by matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import Any

from mulint.reporting.plots import COLOURS, PANEL_WIDTH, Panel, drawable

INCHES = PANEL_WIDTH / 72


def is_installed() -> bool:
    """Whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def document(panels: Sequence[Panel], columns: int = 2) -> bytes:
    """A PNG file with all panels in a grid."""
    from matplotlib.figure import Figure  # a figure of its own, without pyplot, opens no window and keeps no state

    columns = min(columns, len(panels)) or 1
    rows = -(-len(panels) // columns) or 1
    figure = Figure(figsize=(INCHES * columns, INCHES * 0.8 * rows), layout="constrained")
    for place, panel in zip(figure.subplots(rows, columns, squeeze=False).flat, panels, strict=False):
        _draw(panel, place)
    for place in figure.axes[len(panels) :]:
        place.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144)
    return file.getvalue()


def _draw(panel: Panel, place: Any) -> None:
    place.set_title(panel.title, fontsize=9)
    for axis, name in ((panel.x, "x"), (panel.y, "y")):
        getattr(place, f"set_{name}label")(axis.label, fontsize=8)
        if axis.log:
            getattr(place, f"set_{name}scale")("log", base=2)
        if axis.ticks:
            getattr(place, f"set_{name}ticks")(axis.ticks, [f"{tick:.4g}" for tick in axis.ticks])
    for line in panel.lines:
        points = drawable(panel, line)
        place.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=COLOURS[line.kind][0],
            linestyle=("--" if line.dashed else "-") if line.joined else "none",
            marker="o" if line.marked else None,
            markersize=3,
            linewidth=1.2,
            label=line.name if line in panel.legend else "_",
        )
    if panel.legend:
        place.legend(fontsize=6)
    place.tick_params(labelsize=7)
    place.grid(alpha=0.3)
