"""The coordinate check as a verdict: four statistics, a threshold for each, seeds added until it is clear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mulint.traces import ActivationTrace
from mulint.tracing.measurement import Measurement
from mulint.tracing.statistics import Fit, tail_slope

# Measured on correct and on faulty models: correct ones stay below +0.17 and above -0.44, faults reach +0.48.
INIT_GROW, UPDATE_GROW, RATE_HIGH, RATE_LOW, POTENTIAL_GROW = 0.25, 0.30, 0.35, -0.45, 0.25
UNCLEAR = 0.06
STEP = 3

Places = Mapping[str, tuple[str, int]]


def check(measurements: Sequence[Measurement], places: Places) -> tuple[ActivationTrace, ...]:
    """Slopes of all module outputs, judged.

    Args:
        measurements: several seeds at three widths or more.
        places: where each module is built, by its name.
    """
    family = measurements[0].family if measurements else None
    is_sgd = family is not None and family.is_sgd
    rows = [
        *_rows("init", measurements, lambda m: m.sizes, places, INIT_GROW, None),
        *_rows("change", measurements, lambda m: m.changes, places, UPDATE_GROW, None),
        # Under SGD queries and keys start with gradients that are too small; that passes, and is no fault.
        *_rows("local-update", measurements, lambda m: m.local, places, RATE_HIGH, None if is_sgd else RATE_LOW),
        *_rows("attention-potential", measurements, lambda m: m.potential, places, POTENTIAL_GROW, None),
    ]
    return tuple(rows)


def _rows(
    quantity: str,
    measurements: Sequence[Measurement],
    values: Callable[[Measurement], Mapping[str, float]],
    places: Places,
    high: float,
    low: float | None,
) -> list[ActivationTrace]:
    names = dict.fromkeys(name for m in measurements for name in values(m))
    found = []
    for name in names:
        seeds: dict[int, dict[float, float]] = {}
        for m in measurements:
            if name in values(m):
                seeds.setdefault(m.seed, {})[m.width] = values(m)[name]
        slope = tail_slope(list(seeds.values()))
        if slope is not None:
            found.append(_row(quantity, name, slope, places, high, low))
    return found


def _row(quantity: str, name: str, slope: Fit, places: Places, high: float, low: float | None) -> ActivationTrace:
    path, line = places.get(name.partition("#")[0], ("", 0))
    limit = low if low is not None and slope.slope < 0 else high
    beyond = slope.slope < limit if limit < 0 else slope.slope > limit
    verdict = "unknown" if abs(slope.slope - limit) < UNCLEAR else "violates" if beyond else "ok"
    return ActivationTrace(
        module=name,
        path=path,
        line=line,
        quantity=quantity,  # type: ignore[arg-type]
        step=0 if quantity == "init" else STEP,
        slope=slope.slope,
        ci=slope.interval,
        threshold=limit,
        verdict=verdict,  # type: ignore[arg-type]
    )


def is_clear(rows: Sequence[ActivationTrace]) -> bool:
    """Whether no statistic lies so close to its threshold that another seed could turn it."""
    return all(row.verdict != "unknown" for row in rows)
