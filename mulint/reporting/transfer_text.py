"""A sweep as text: the losses by width and rate, the best rates, and how far they move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mulint.sweeps import Optimum, Shift, Sweep


def render(sweep: Sweep) -> str:
    """The whole report."""
    return "\n".join(_lines(sweep)) + "\n"


def _lines(sweep: Sweep) -> Iterator[str]:
    widths = ", ".join(f"{width:g}" for width in sweep.widths)
    yield f"{sweep.model} at widths {widths} on {sweep.device} ({sweep.dtype})"
    seeds = f"{sweep.seeds} seed{'s' if sweep.seeds != 1 else ''}"
    yield f"{sweep.steps} steps, {seeds}, dropout off; losses: mean of the last {sweep.averaged}"
    yield ""
    header = ("width", *map(factor, sweep.octaves), "best", "loss")
    rows = [header, *(_row(sweep, index) for index in range(len(sweep.widths)))]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield from ("  ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)) for row in rows)
    yield "Factors of the case's own rates; - diverged, < or > the end of the sweep."
    yield ""
    if sweep.shift is not None:
        yield moved(sweep.shift, sweep.widths)
    yield from (f"Note: {note}" for note in sweep.notes)
    yield closing(sweep)


def _row(sweep: Sweep, index: int) -> tuple[str, ...]:
    best = sweep.optima[index]
    means = (mean(seeds) for seeds in sweep.losses[index])
    cells = ("-" if value is None else f"{value:.3f}" for value in means)
    loss = "-" if best.loss is None else f"{best.loss:.3f}"
    return (f"{best.width:g}", *cells, _best(best), loss)


def mean(losses: Sequence[float | None]) -> float | None:
    """The mean over seeds; None if one of them diverged."""
    finite = [loss for loss in losses if loss is not None]
    return sum(finite) / len(finite) if len(finite) == len(losses) else None


def factor(octave: float) -> str:
    """A power of two as the factor that it is."""
    if octave < 0 and float(octave).is_integer():
        return f"1/{2.0**-octave:.6g}"
    return f"{2.0**octave:.3g}"


def _best(best: Optimum) -> str:
    mark = {"lowest": "< ", "highest": "> ", None: ""}[best.edge]
    return "-" if best.octave is None else f"{mark}{2.0**best.octave:.3g}"


def moved(shift: Shift, widths: Sequence[float]) -> str:
    """How far the best rate moves, and how certain that is."""
    word = "falls" if shift.octaves < 0 else "rises"
    size = 2.0 ** abs(shift.octaves)
    at_least = "at least " if shift.bound else ""
    text = f"The best rate {word} by {at_least}{size:.2f}x from width {widths[0]:g} to {widths[-1]:g}"
    if shift.bound:
        return f"{text}; it lies beyond the sweep"
    if shift.ci is None:
        return f"{text}; how certain that is needs two --seeds or more"
    low, high = (f"{2.0**end:.2f}" for end in shift.ci)
    return f"{text}: factor {shift.factor:.2f}, 95 % of resampled seeds between {low} and {high}"


def closing(sweep: Sweep) -> str:
    """The verdict in one line."""
    return f"Verdict {sweep.verdict}: {sweep.reason}"
