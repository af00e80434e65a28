"""A sweep as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mulint.reporting import page, transfer_plot, transfer_text
from mulint.sweeps import Sweep

KINDS = {"transfers": "ok", "shifted": "violates", "inconclusive": "unknown"}


def render(sweep: Sweep) -> str:
    """The page."""
    return page.page(f"Learning-rate transfer of {sweep.model}", _parts(sweep))


def _parts(sweep: Sweep) -> Iterator[str]:
    yield f"<h1>Learning-rate transfer of {escape(sweep.model)}</h1>"
    how = f"{sweep.steps} steps, seeds: {sweep.seeds}, {sweep.device}, {sweep.dtype}; dropout off"
    yield f'<p class="soft">{escape(how)}</p>'
    yield page.verdict(transfer_text.closing(sweep), KINDS[sweep.verdict])
    if sweep.shift is not None:
        yield f"<p>{escape(transfer_text.moved(sweep.shift, sweep.widths))}</p>"
    yield page.listing("Notes", map(escape, sweep.notes))
    yield "<h2>Losses</h2>"
    yield page.figures([transfer_plot.panel(sweep)])
    yield page.table(("width", "factor of the rates", "mean loss", "losses by seed"), list(_rows(sweep)))


def _rows(sweep: Sweep) -> Iterator[list[tuple[str, str, str]]]:
    for width, rows in zip(sweep.widths, sweep.losses, strict=True):
        for octave, losses in zip(sweep.octaves, rows, strict=True):
            value = transfer_text.mean(losses)
            shown = "diverged" if value is None else f"{value:.4f}"
            each = ", ".join("diverged" if loss is None else f"{loss:.4f}" for loss in losses)
            yield [
                (f"{width:g}", f"{width}", ""),
                (transfer_text.factor(octave), f"{octave}", ""),
                (shown, "" if value is None else f"{value}", ""),
                (each, each, ""),
            ]
