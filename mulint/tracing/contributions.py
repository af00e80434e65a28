"""Where the change of a layer's output comes from, and which part of it grows with the width."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mulint.traces import Contribution
from mulint.tracing.coordinates import RATE_LOW, UPDATE_GROW, Modules
from mulint.tracing.measurement import Measurement
from mulint.tracing.parts import Key
from mulint.tracing.statistics import tail_slope


def judge(
    measurements: Sequence[Measurement], names: Collection[str], modules: Modules
) -> tuple[Contribution, ...]:
    """The slopes of the parts of changes.

    Args:
        measurements: one for every width and seed.
        names: the modules to look at.
        modules: where modules are built and what follows them.
    """
    found: dict[Key, dict[int, dict[float, float]]] = {}
    for one in measurements:
        for key, value in one.parts.items():
            name = key[0].partition("#")[0]
            if name in names:
                size = value * one.width ** modules.after.get(name, 0.0)
                found.setdefault(key, {}).setdefault(one.seed, {})[one.width] = size
    slopes = {key: tail_slope(list(seeds.values())) for key, seeds in found.items()}
    return tuple(_contribution(key, fit.slope, modules) for key, fit in sorted(slopes.items()) if fit is not None)


def _contribution(key: Key, slope: float, modules: Modules) -> Contribution:
    call, part, of = key
    path, line = modules.places.get(call.partition("#")[0], ("", 0))
    tends = "grows" if slope > UPDATE_GROW else "shrinks" if part == "update" and slope < RATE_LOW else "stays"
    return Contribution(call, path, line, part, of, slope, tends)  # type: ignore[arg-type]
