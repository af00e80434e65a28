"""Where the best rate lies at each width, how far it moves, and how certain that is."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mulint.sweeps import Optimum, Shift, Transfer

# Within a factor of two the rate counts as the same: the grids that people sweep are no finer.
STAYS = 1.0
RESAMPLES = 1000
# How much worse than the narrow model the wide one may be before it is said: noise of a short run.
WORSE = 0.03
FURTHER = 3

Losses = tuple[tuple[tuple[float | None, ...], ...], ...]
"""By width, octave and seed; None where the run diverged."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the losses say. ``reason`` is one line; when nothing can be said, it tells what to add."""

    optima: tuple[Optimum, ...]
    shift: Shift | None
    verdict: Transfer
    reason: str
    notes: tuple[str, ...]


def judge(widths: Sequence[float], octaves: Sequence[float], losses: Losses) -> Judgement:
    """Whether the best rate of the widest model is within a factor of two of that of the narrowest.

    Args:
        widths: in ascending order.
        octaves: in ascending order, three at least.
        losses: finite or None.
    """
    optima = tuple(
        optimum(width, octaves, [_mean(seeds) for seeds in rows])
        for width, rows in zip(widths, losses, strict=True)
    )
    narrow, wide = optima[0], optima[-1]
    notes = tuple(_notes(narrow, wide))
    low, high = _between(narrow, wide)
    if low > STAYS or high < -STAYS:
        bound = low != high
        octaves_moved = low if low > STAYS else high
        shift = Shift(octaves_moved, bound, None if bound else interval(octaves, losses))
        return Judgement(optima, shift, "shifted", "the best rate moves with the width", notes)
    if low == high:
        shift = Shift(low, ci=interval(octaves, losses))
        if shift.ci is not None and (shift.ci[0] < -STAYS or shift.ci[1] > STAYS):
            notes = (*notes, "the interval reaches beyond a factor of two; add --seeds to be sure")
        return Judgement(optima, shift, "transfers", "the best rate stays within a factor of two", notes)
    return Judgement(optima, None, "inconclusive", _remedy((narrow, wide), octaves), notes)


def optimum(width: float, octaves: Sequence[float], means: Sequence[float]) -> Optimum:
    """The vertex of the parabola through the lowest mean loss and its neighbours."""
    lowest = min(range(len(means)), key=means.__getitem__)
    if not math.isfinite(means[lowest]):
        return Optimum(width, None, None)
    if lowest == 0:
        return Optimum(width, octaves[0], means[0], "lowest")
    if lowest == len(means) - 1:
        return Optimum(width, octaves[-1], means[-1], "highest")
    at = octaves[lowest]
    left, right = at - octaves[lowest - 1], octaves[lowest + 1] - at
    rise_left, rise_right = means[lowest - 1] - means[lowest], means[lowest + 1] - means[lowest]
    bend = left * rise_right + right * rise_left
    if not math.isfinite(bend) or bend <= 0:  # a neighbour diverged, or all three are equal
        return Optimum(width, at, means[lowest])
    return Optimum(width, at + 0.5 * (right**2 * rise_left - left**2 * rise_right) / bend, means[lowest])


def interval(octaves: Sequence[float], losses: Losses) -> tuple[float, float] | None:
    """95 % of the shifts that other seeds might have given: the seeds are drawn anew, with replacement.

    The same draw is used at all widths, as their runs share seeds.
    """
    seeds = len(losses[0][0])
    if seeds < 2:
        return None
    generator = random.Random(0)
    shifts = []
    for _ in range(RESAMPLES):
        drawn = generator.choices(range(seeds), k=seeds)
        ends = [
            optimum(0, octaves, [_mean([row[seed] for seed in drawn]) for row in rows]).octave
            for rows in (losses[0], losses[-1])
        ]
        if ends[0] is not None and ends[1] is not None:
            shifts.append(ends[1] - ends[0])
    shifts.sort()
    cut = int(0.025 * len(shifts))
    return (shifts[cut], shifts[-1 - cut]) if shifts else None


def _mean(losses: Sequence[float | None]) -> float:
    return sum(math.inf if loss is None else loss for loss in losses) / len(losses)


def _between(narrow: Optimum, wide: Optimum) -> tuple[float, float]:
    """The least and the greatest shift that fit what is known of both optima."""
    (narrow_low, narrow_high), (wide_low, wide_high) = map(_range, (narrow, wide))
    return wide_low - narrow_high, wide_high - narrow_low


def _range(one: Optimum) -> tuple[float, float]:
    if one.octave is None:
        return -math.inf, math.inf
    low = -math.inf if one.edge == "lowest" else one.octave
    return low, math.inf if one.edge == "highest" else one.octave


def _remedy(optima: Sequence[Optimum], octaves: Sequence[float]) -> str:
    """Which rates to add."""
    low, high = octaves[0], octaves[-1]
    said = []
    for one in optima:
        if one.octave is None:
            low -= FURTHER
            said.append(f"every run at width {one.width:g} diverges")
        elif one.edge is not None:
            said.append(f"the best rate at width {one.width:g} is the {one.edge} of the sweep")
    if any(one.edge == "lowest" for one in optima):
        low = octaves[0] - FURTHER
    if any(one.edge == "highest" for one in optima):
        high += FURTHER
    return f"{' and '.join(dict.fromkeys(said))}; add rates: --octaves {low:g}:{high:g}"


def _notes(narrow: Optimum, wide: Optimum) -> Iterator[str]:
    if narrow.loss is not None and wide.loss is not None and wide.loss > narrow.loss + WORSE:
        yield (
            f"the widest model is worse than the narrowest at their best rates ({wide.loss:.3f} against "
            f"{narrow.loss:.3f}); under μP wider is better: run mulint trace"
        )
