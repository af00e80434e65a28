"""The gauge algebra: invariants that must hold whatever the table says, and tables that must agree."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulint.theory import (
    EmbeddingPolicy,
    Gauge,
    Kind,
    Role,
    WeightDecayPolicy,
    attention_scale_exponent,
    init_departure,
    known_names,
    law,
    lookup,
    ratio_power,
    role_of,
    root_scale_exponent,
    table,
    update_departure,
)

exponents = st.fractions(min_value=-2, max_value=2, max_denominator=4)
gauges = st.builds(Gauge, exponents, exponents, exponents)
kinds = st.sampled_from([Kind.ADAPTIVE, Kind.SGD, Kind.RELATIVE])
weights = (Role.INPUT, Role.HIDDEN, Role.OUTPUT, Role.VECTOR)


@given(gauges, exponents, kinds)
def test_a_gauge_shift_changes_no_product(gauge: Gauge, theta: Fraction, kind: Kind) -> None:
    shifted = gauge.shifted(theta, kind)
    assert shifted.init_product == gauge.init_product
    assert shifted.update_product(kind) == gauge.update_product(kind)
    assert shifted.shifted(-theta, kind) == gauge


@pytest.mark.parametrize("role", weights)
@pytest.mark.parametrize("kind", [Kind.ADAPTIVE, Kind.SGD])
def test_tables_3_8_and_9_are_one_parametrization(role: Role, kind: Kind) -> None:
    cells = [table(number, role, kind) for number in (3, 8, 9)]
    assert len({cell.update_product(kind) for cell in cells}) == 1
    assert all(update_departure(role, kind, cell) == 0 for cell in cells)
    assert all(init_departure(role, cell) == 0 for cell in cells)


@given(st.sampled_from(weights), st.sampled_from([3, 8, 9]), exponents.filter(bool))
def test_any_other_rate_is_a_departure_by_just_that_power(role: Role, number: int, off: Fraction) -> None:
    cell = table(number, role)
    wrong = Gauge(cell.multiplier, cell.init, cell.rate + off)
    assert update_departure(role, Kind.ADAPTIVE, wrong) == off


def test_a_readout_may_start_anywhere_up_to_one_over_the_root() -> None:
    for init in (Fraction(-1, 2), Fraction(-1), Fraction(-2)):
        assert init_departure(Role.OUTPUT, Gauge(Fraction(0), init, Fraction(-1))) == 0
    assert init_departure(Role.OUTPUT, Gauge(Fraction(0), Fraction(0), Fraction(-1))) == 1


def test_tables_have_no_cell_for_other_optimizers_or_packed_tensors() -> None:
    for number, role, kind in (
        (8, Role.MIXED, Kind.ADAPTIVE),
        (8, Role.INPUT, Kind.RELATIVE),
        (5, Role.INPUT, Kind.SGD),
    ):
        with pytest.raises(ValueError, match="no cell"):
            table(number, role, kind)


@pytest.mark.parametrize(
    ("contracts", "produces", "is_table", "role"),
    [
        (True, True, True, Role.HIDDEN),
        (True, False, True, Role.OUTPUT),
        (False, True, True, Role.INPUT),
        (False, True, False, Role.VECTOR),
        (False, False, True, Role.SCALAR),
    ],
)
def test_roles_follow_from_contraction(contracts: bool, produces: bool, is_table: bool, role: Role) -> None:
    assert role_of(contracts_width=contracts, produces_width=produces, is_table=is_table) is role


def test_unknown_optimizers_are_never_guessed() -> None:
    assert lookup("torch.optim.LBFGS") is None
    assert lookup("my.package.AdamW") is None
    assert all(lookup(name) is not None for name in known_names())


def test_arguments_select_the_variant() -> None:
    plain, decoupled = lookup("torch.optim.NAdam"), lookup("torch.optim.NAdam", {"decoupled_weight_decay": True})
    assert plain is not None
    assert decoupled is not None
    assert (plain.decays_with_rate, decoupled.decays_with_rate) == (False, True)
    kimi = lookup("torch.optim.Muon", {"adjust_lr_fn": "match_rms_adamw"})
    assert kimi is not None
    assert kimi.rate_exponent(Role.HIDDEN) == Fraction(-1, 2)
    submodule = lookup("torch.optim.adamw.AdamW")
    assert submodule is lookup("torch.optim.AdamW")


def test_decay_policies() -> None:
    adamw = lookup("torch.optim.AdamW")
    assert adamw is not None
    found = {p.value: adamw.decay_exponent(Role.HIDDEN, p) for p in WeightDecayPolicy}
    assert found == {"constant-lr-wd": 1, "unscaled": 0, "sqrt": Fraction(1, 2), "independent": 0}
    assert all(adamw.decay_exponent(Role.INPUT, p) == 0 for p in WeightDecayPolicy)
    assert adamw.rate_exponent(Role.INPUT, EmbeddingPolicy.SQRT) == Fraction(-1, 2)


def test_exponents_are_written_as_laws() -> None:
    half = Fraction(1, 2)
    assert [law(e, "d") for e in (Fraction(0), Fraction(1), -half, Fraction(-1), Fraction(3, 2), Fraction(2))] == [
        "constant",
        "d",
        "1/√d",
        "1/d",
        "d^(3/2)",
        "d^2",
    ]
    assert [ratio_power(e) for e in (Fraction(0), Fraction(1), -half, Fraction(-1))] == [
        "1.0",
        "ratio",
        "ratio ** -0.5",
        "ratio ** -1",
    ]
    assert all(
        eval(ratio_power(e), {"ratio": 1.0}) == 1.0 for e in (Fraction(0), half, Fraction(-1), Fraction(5, 4))
    )


def test_attention_scales() -> None:
    assert attention_scale_exponent(Fraction(1)) == -1
    assert root_scale_exponent(Fraction(1)) == Fraction(-1, 2)
    assert attention_scale_exponent(Fraction(0)) == root_scale_exponent(Fraction(0)) == 0
