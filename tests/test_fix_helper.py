"""The generated file: groups whose number does not depend on the width, with the exponents of the theory."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from mulint.configuration import Configuration
from mulint.rewriting.targets.torch.template import FLOORS, READOUTS, powers_name, render
from mulint.theory import Kind, Optimizer, Role, WeightDecayPolicy, lookup, table_3, table_8

FAMILIES = [f for name in ("AdamW", "Adam", "SGD", "RMSprop") if (f := lookup(f"torch.optim.{name}"))]

MODEL = """
from dataclasses import dataclass

from helper import *


@dataclass
class Config:
    width: int = 16
    base_width: int | None = None


@scalable(widths=["width"])
class Net(nn.Module):
    def __init__(self, config, classes=3):
        super().__init__()
        print("building")
        ratio = ratio_to_base(config.width, config.base_width)
        n = config.width
        self.embed = nn.Embedding(5, n)
        self.enter = nn.Linear(4, n)
        self.up = nn.Linear(n, 4 * n)
        self.down = nn.Linear(4 * n, n)
        self.norm = nn.LayerNorm(n)
        self.gate = nn.Linear(n, 2)
        self.head = Readout(n, classes, ratio=ratio)
        self.temperature = nn.Parameter(torch.ones(()))
        self.token = nn.Parameter(torch.zeros(1, 1, n))
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "helper.py").write_text(render(FAMILIES, Configuration(), {*READOUTS.values(), *FLOORS.values()}))
    (tmp_path / "net.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    import net  # type: ignore[import-not-found]

    yield net
    for name in ("net", "helper"):
        sys.modules.pop(name, None)


def grouped(helper: Any, width: int, base: int | None, family: str = "ADAMW", decay: float | None = 0.1) -> Any:
    net = helper.Net(helper.Config(width, base))
    groups = [
        {"params": [p for p in net.parameters() if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in net.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    return net, helper.scale_groups(groups, net, getattr(helper, family), lr=0.5)


@pytest.mark.parametrize("family", ["ADAMW", "SGD"])
def test_the_number_of_groups_does_not_depend_on_the_width(helper: Any, family: str) -> None:
    shapes = []
    for width in (8, 16, 24, 64):
        net, groups = grouped(helper, width, 16, family)
        names = {p: name for name, p in net.named_parameters()}
        shapes.append([[names[p] for p in g["params"]] for g in groups])
        assert sorted(n for part in shapes[-1] for n in part) == sorted(names.values())
    assert all(shape == shapes[0] for shape in shapes)


def test_without_a_base_the_groups_are_as_they_were(helper: Any) -> None:
    net, groups = grouped(helper, 16, None)
    assert len(groups) == 2
    assert [set(g) for g in groups] == [{"params", "weight_decay", "lr_scale"}] * 2
    assert [p for g in groups for p in g["params"]] == [
        p for d in (True, False) for p in net.parameters() if (p.dim() >= 2) is d
    ]


def test_for_schedules_that_multiply_by_the_factor_it_is_in_the_rate_alone(helper: Any) -> None:
    net, groups = grouped(helper, 64, 16)
    _, alone = grouped(helper, 64, 16)
    plain = helper.scale_groups(net.parameters(), net, helper.ADAMW, lr=0.5, recorded=False)
    assert not any("lr_scale" in g for g in plain)
    assert {g["lr"] for g in plain} == {g["lr"] for g in groups} == {g["lr"] for g in alone}
    assert len({g["lr"] for g in plain}) > 1
    unbased = helper.Net(helper.Config(16, None))
    (group,) = helper.scale_groups(unbased.parameters(), unbased, helper.ADAMW, lr=0.5, recorded=False)
    assert set(group) == {"params"}


def test_at_the_base_rates_and_decays_are_the_given_ones(helper: Any) -> None:
    for family in ("ADAMW", "SGD"):
        _, groups = grouped(helper, 16, 16, family)
        assert {g["lr"] for g in groups} == {0.5}
        assert {g["lr_scale"] for g in groups} == {1.0}
        assert {g["weight_decay"] for g in groups} == {0.1, 0.0}


ROLES = {
    "embed.weight": Role.INPUT,
    "enter.weight": Role.INPUT,
    "token": Role.INPUT,
    "up.weight": Role.HIDDEN,
    "down.weight": Role.HIDDEN,
    "up.bias": Role.VECTOR,
    "norm.weight": Role.VECTOR,
    "head.weight": Role.OUTPUT,
    "head.bias": Role.SCALAR,
    "temperature": Role.SCALAR,
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_rates_and_decays_are_those_of_the_theory(helper: Any, family: Optimizer) -> None:
    net, groups = grouped(helper, 64, 16, powers_name(family))
    of = {p: g for g in groups for p in g["params"]}
    for name, role in ROLES.items():
        group = of[net.get_parameter(name)]
        assert group["lr"] == pytest.approx(0.5 * 4.0 ** float(family.rate_exponent(role))), name
        decay = 0.1 if net.get_parameter(name).dim() >= 2 else 0.0
        power = family.decay_exponent(role, WeightDecayPolicy.CONSTANT_LR_WD)
        assert group["weight_decay"] == pytest.approx(decay * 4.0 ** float(power)), name
    gate = of[net.gate.weight]
    assert gate["lr"] == pytest.approx(0.5 * 4.0 ** float(table_3(Role.OUTPUT, family.kind).rate))


def test_the_readout_divides_its_input(helper: Any) -> None:
    net, _ = grouped(helper, 64, 16)
    x = torch.randn(2, 64)
    factor = 4.0 ** float(table_8(Role.OUTPUT).multiplier)
    expected = torch.nn.functional.linear(x * factor, net.head.weight, net.head.bias)
    assert torch.equal(net.head(x), expected)
    assert factor == Fraction(1, 4)
    assert list(net.head.state_dict()) == ["weight", "bias"]


CONVOLUTIONS = [(layer, name) for layer, name in READOUTS.items() if "Conv" in layer]


@pytest.mark.parametrize(("layer", "name"), CONVOLUTIONS)
def test_convolutions_as_readouts_divide_their_input(helper: Any, layer: str, name: str) -> None:
    kind = getattr(torch.nn, layer.rpartition(".")[2])
    head, plain = getattr(helper, name)(8, 3, 2, stride=2, ratio=4.0), kind(8, 3, 2, stride=2)
    plain.load_state_dict(head.state_dict())
    x = torch.randn(2, 8, *[4] * (plain.weight.ndim - 2))
    assert torch.equal(head(x), plain(x / 4))
    assert isinstance(head, kind)


@pytest.mark.parametrize(("schedule", "name"), FLOORS.items())
def test_floors_keep_the_ratios_between_groups(helper: Any, schedule: str, name: str) -> None:
    kind, plain = getattr(helper, name), getattr(torch.optim.lr_scheduler, schedule.rpartition(".")[2])
    net, groups = grouped(helper, 64, 16)
    optimizer = torch.optim.AdamW(groups)
    one = torch.optim.AdamW(net.parameters(), lr=0.5)
    scaled, expected = kind(optimizer, 4, eta_min=0.1), plain(one, 4, eta_min=0.1)
    assert scaled.state_dict().keys() == expected.state_dict().keys()
    for epoch in (*[None] * 9, 3, None):
        for several in (optimizer, one):
            several.step()
        with pytest.warns(UserWarning, match="epoch") if epoch and "Warm" not in name else nullcontext():
            scaled.step(epoch)
            expected.step(epoch)
        rate = one.param_groups[0]["lr"]
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([rate * g["lr_scale"] for g in groups])
        assert scaled.eta_min == 0.1


def test_finding_the_base_draws_no_random_numbers_and_prints_nothing(
    helper: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    net = helper.Net(helper.Config(64, 16))
    capsys.readouterr()
    before = torch.random.get_rng_state()
    helper.scale_groups(net.parameters(), net, helper.ADAMW, lr=0.1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capsys.readouterr().out == ""


def test_models_can_be_copied_pickled_and_wrapped(helper: Any) -> None:
    net = helper.Net(helper.Config(64, 16))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.nn.Sequential(net)):
        groups = helper.scale_groups(other.parameters(), other, helper.ADAMW, lr=0.5)
        assert {g["lr"] for g in groups} == {0.5, 0.125}


def test_a_parameter_from_elsewhere_is_refused(helper: Any) -> None:
    net = helper.Net(helper.Config(64, 16))
    with pytest.raises(ValueError, match="not part of the model"):
        helper.scale_groups([torch.nn.Parameter(torch.ones(3))], net, helper.ADAMW, lr=0.1)


def test_the_powers_are_exact_at_the_base() -> None:
    assert {f.kind for f in FAMILIES} == {Kind.ADAPTIVE, Kind.SGD}
    for family in FAMILIES:
        for role in Role:
            if role is not Role.MIXED:
                assert 1.0 ** float(family.rate_exponent(role)) == 1.0
