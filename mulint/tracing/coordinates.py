"""The coordinate check as a verdict: four statistics, a threshold for each, seeds added until it is clear."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mulint.theory import EmbeddingPolicy, Role
from mulint.traces import ActivationTrace
from mulint.tracing.measurement import Measurement
from mulint.tracing.statistics import Fit, tail_slope

# Measured on correct and on faulty models: correct ones stay below +0.17 and above -0.44, faults reach +0.48.
INIT_GROW, UPDATE_GROW, RATE_HIGH, RATE_LOW, POTENTIAL_GROW = 0.25, 0.30, 0.35, -0.45, 0.25
UNCLEAR = 0.06


@dataclass(frozen=True, slots=True)
class Modules:
    """What is known of the modules by name: where each is built (path, line), and what follows it.

    ``after``: exponent of what a module's output still lacks, as in ``head(x) / m``: its size is judged
    together with that. ``tables``: those that use embeddings, whose rate follows the declared policy, with one.
    """

    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    embedding: EmbeddingPolicy = EmbeddingPolicy.CONSTANT


def check(measurements: Sequence[Measurement], modules: Modules) -> tuple[ActivationTrace, ...]:
    """Slopes of all module outputs, judged, from several seeds at three widths or more."""
    is_sgd = bool(measurements) and measurements[0].is_sgd
    rows = [
        *_rows("init", measurements, lambda m: m.sizes, modules, INIT_GROW, None),
        *_rows("change", measurements, lambda m: m.changes, modules, UPDATE_GROW, None),
        # Under SGD queries and keys start with gradients that are too small; that passes, and is no fault.
        *_rows("local-update", measurements, lambda m: m.local, modules, RATE_HIGH, None if is_sgd else RATE_LOW),
        *_rows("attention-potential", measurements, lambda m: m.potential, modules, POTENTIAL_GROW, None),
    ]
    return tuple(rows)


def _rows(
    quantity: str,
    measurements: Sequence[Measurement],
    values: Callable[[Measurement], Mapping[str, float]],
    modules: Modules,
    high: float,
    low: float | None,
) -> list[ActivationTrace]:
    names = dict.fromkeys(name for m in measurements for name in values(m))
    found = []
    for name in names:
        seeds: dict[int, dict[float, float]] = {}
        for m in measurements:
            if name in values(m):
                after = modules.after.get(_module(name), 0.0)
                family = m.families.get(modules.tables.get(_module(name), ""))
                if quantity == "local-update" and family is not None:
                    after -= float(family.declared_shift(Role.INPUT, modules.embedding))
                seeds.setdefault(m.seed, {})[m.width] = values(m)[name] * m.width**after
        slope = tail_slope(list(seeds.values()))
        # What ε holds back is judged by the gradients themselves.
        least = None if any(_module(name) in m.stopped for m in measurements) else low
        if slope is not None:
            step = 0 if quantity == "init" else measurements[0].steps
            points = tuple(point for values_of_seed in seeds.values() for point in sorted(values_of_seed.items()))
            row = _row(quantity, step, name, slope, modules, high, least)
            found.append(dataclasses.replace(row, points=points))
    return found


def _module(name: str) -> str:
    """The module of one of its calls, ``head#1``."""
    return name.partition("#")[0]


def _row(
    quantity: str, step: int, name: str, slope: Fit, modules: Modules, high: float, low: float | None
) -> ActivationTrace:
    path, line = modules.places.get(_module(name), ("", 0))
    limit = low if low is not None and slope.slope < 0 else high
    beyond = slope.slope < limit if limit < 0 else slope.slope > limit
    verdict = "unknown" if abs(slope.slope - limit) < UNCLEAR else "violates" if beyond else "ok"
    return ActivationTrace(
        module=name,
        path=path,
        line=line,
        quantity=quantity,  # type: ignore[arg-type]
        step=step,
        slope=slope.slope,
        ci=slope.interval,
        threshold=limit,
        verdict=verdict,  # type: ignore[arg-type]
    )


def is_clear(rows: Sequence[ActivationTrace]) -> bool:
    """Whether no statistic lies so close to its threshold that another seed could turn it."""
    return all(row.verdict != "unknown" for row in rows)
