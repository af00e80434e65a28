"""Slopes and their confidence intervals."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulint.tracing.statistics import fit, tail_slope

WIDTHS = (64.0, 128.0, 256.0, 512.0)


@given(st.floats(-2, 2), st.floats(1e-6, 1e6))
def test_a_power_law_gives_its_exponent_with_no_doubt(exponent: float, constant: float) -> None:
    found = fit((w, constant * w**exponent) for w in WIDTHS)
    assert found is not None
    assert found.slope == pytest.approx(exponent, abs=1e-6)
    assert found.high - found.low < 1e-5


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    rng = random.Random(3)
    inside = 0
    for _ in range(1000):
        found = fit((w, w**0.5 * 2 ** rng.gauss(0, 0.2)) for w in WIDTHS for _ in range(2))
        assert found is not None
        inside += found.low <= 0.5 <= found.high
    assert 920 <= inside <= 975


def test_zeros_are_no_data() -> None:
    assert fit([(64.0, 0.0), (128.0, 0.0), (256.0, 1.0)]) is None
    found = fit([(64.0, 0.0), (128.0, 1.0), (256.0, 2.0)])
    assert found is not None
    assert found.slope == pytest.approx(1.0)


def test_the_tail_counts_when_the_smallest_width_bends_the_curve() -> None:
    bent = {64.0: 0.25, 128.0: 1.0, 256.0: 1.0, 512.0: 1.0}
    found = tail_slope([bent, bent])
    assert found is not None
    assert found.slope == pytest.approx(0.0, abs=1e-9)
    straight = {w: w for w in WIDTHS}
    found = tail_slope([straight, straight])
    assert found is not None
    assert found.slope == pytest.approx(1.0)


def test_one_odd_seed_of_three_does_not_turn_the_median() -> None:
    flat = dict.fromkeys(WIDTHS, 1.0)
    found = tail_slope([flat, flat, {w: w**2 for w in WIDTHS}])
    assert found is not None
    assert found.slope == pytest.approx(0.0, abs=1e-9)
