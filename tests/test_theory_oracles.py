"""The parametrization against what does not know it: the mup package, and exponents measured from gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

import mup
import pytest
import torch
from torch import Tensor, nn

from mulint.theory import Kind, Optimizer, Role, WeightDecayPolicy, init_std_exponent, lookup, table_8

WIDTHS = (32, 64, 128, 256)
BASE = 32


def slope(points: Iterable[tuple[float, float]]) -> float:
    """Least-squares slope of log2 y against log2 x."""
    logs = [(math.log2(x), math.log2(y)) for x, y in points]
    mean_x, mean_y = (sum(v) / len(logs) for v in zip(*logs, strict=True))
    above = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    return float(above / sum((x - mean_x) ** 2 for x, _ in logs))


class Net(nn.Module):
    """One weight of every role, with the readout of the mup package."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, width)
        self.first = nn.Linear(7, width)
        self.hidden = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.readout = mup.MuReadout(width, 5)


ROLES = {
    "embed.weight": Role.INPUT,
    "first.weight": Role.INPUT,
    "first.bias": Role.VECTOR,
    "hidden.weight": Role.HIDDEN,
    "hidden.bias": Role.VECTOR,
    "norm.weight": Role.VECTOR,
    "norm.bias": Role.VECTOR,
    "readout.weight": Role.OUTPUT,
    "readout.bias": Role.SCALAR,
}


def shaped(width: int, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    model = Net(width)
    mup.set_base_shapes(model, Net(BASE), delta=Net(2 * BASE))
    return model


@pytest.mark.parametrize("name", ["MuAdam", "MuAdamW", "MuSGD"])
def test_rates_and_decay_are_those_of_the_mup_package(name: str) -> None:
    row = lookup(f"mup.{name}")
    assert row is not None
    found: dict[str, list[tuple[float, float, float]]] = {n: [] for n in ROLES}
    for width in WIDTHS:
        model = shaped(width)
        names = {id(p): n for n, p in model.named_parameters()}
        optimizer = getattr(mup, name)(model.parameters(), lr=0.1, weight_decay=0.01)
        for group in optimizer.param_groups:
            for p in group["params"]:
                found[names[id(p)]].append((width, group["lr"], group["weight_decay"]))
    for parameter, role in ROLES.items():
        rate = slope((w, lr) for w, lr, _ in found[parameter])
        decay = slope((w, wd) for w, _, wd in found[parameter])
        assert rate == pytest.approx(float(row.rate_exponent(role)), abs=1e-6), parameter
        if row.decays_with_rate:
            expected = row.decay_exponent(role, WeightDecayPolicy.CONSTANT_LR_WD)
            assert decay == pytest.approx(float(expected), abs=1e-6), parameter


def test_init_is_that_of_the_mup_package() -> None:
    found: dict[str, list[tuple[float, float]]] = {n: [] for n in ROLES}
    for width in WIDTHS:
        for seed in range(4):
            model = shaped(width, seed)
            with torch.no_grad():
                mup.init.normal_(model.hidden.weight, std=0.02)
            for name, p in model.named_parameters():
                if p.ndim == 2:
                    found[name].append((width, p.detach().std().item()))
    for name in ("embed.weight", "first.weight", "hidden.weight", "readout.weight"):
        assert slope(found[name]) == pytest.approx(float(table_8(ROLES[name]).init), abs=0.05), name


def test_the_readout_multiplier_is_that_of_the_mup_package() -> None:
    outputs = []
    for width in WIDTHS:
        readout = shaped(width).readout
        with torch.no_grad():
            readout.weight.fill_(1.0)
            readout.bias.zero_()
            outputs.append((width, readout(torch.ones(1, width)).mean().item() / width))
    assert slope(outputs) == pytest.approx(float(table_8(Role.OUTPUT).multiplier), abs=1e-6)


# Exponents measured from gradients with the structure of a trained network (rank 4, entries ~ 1/width).


def gradient(role: Role, width: int, rank: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(width)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    match role:
        case Role.HIDDEN:
            return draw(width, rank) @ draw(rank, width) / width
        case Role.INPUT:
            return draw(width, rank) @ draw(rank, 16) / width
        case Role.OUTPUT:
            return draw(16, rank) @ draw(rank, width) / width
        case _:
            return draw(width) / width


def norm(update: Tensor) -> float:
    """The spectral observable without the multiplier: ‖ΔW‖₂·√(fan-in/fan-out); RMS for vectors."""
    if update.ndim == 1:
        return update.square().mean().sqrt().item()
    fan_out, fan_in = update.shape
    return float(torch.linalg.matrix_norm(update, ord=2)) * math.sqrt(fan_in / fan_out)


def measured_rate(build: Callable[[list[Tensor]], torch.optim.Optimizer], role: Role) -> float:
    """The rate exponent that makes multiplier times update norm constant, from three steps at four widths."""
    points = []
    for width in (64, 128, 256, 512):
        g = gradient(role, width)
        init = float(table_8(role).init)
        weight = torch.randn(g.shape, generator=torch.Generator().manual_seed(1)) * width**init
        parameter = nn.Parameter(weight.clone())
        optimizer = build([parameter])
        for _ in range(3):
            parameter.grad = g.clone()
            optimizer.step()
        points.append((float(width), norm(parameter.detach() - weight)))
    return -slope(points) - float(table_8(role).multiplier)


class SignSGD(torch.optim.Optimizer):
    """Lion's update without its momentum: the sign of the gradient."""

    def __init__(self, params: list[Tensor]) -> None:
        super().__init__(params, {"lr": 1e-3})

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        del closure
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad.sign(), alpha=-group["lr"])


OPTIMIZERS: dict[str, tuple[Callable[[list[Tensor]], torch.optim.Optimizer], str, dict[str, object]]] = {
    "SGD": (lambda p: torch.optim.SGD(p, lr=1e-3), "torch.optim.SGD", {}),
    "momentum": (lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9), "torch.optim.SGD", {}),
    "AdamW": (lambda p: torch.optim.AdamW(p, lr=1e-3, eps=1e-12, weight_decay=0), "torch.optim.AdamW", {}),
    "NAdam": (lambda p: torch.optim.NAdam(p, lr=1e-3, eps=1e-12), "torch.optim.NAdam", {}),
    "Adamax": (lambda p: torch.optim.Adamax(p, lr=1e-3, eps=1e-12), "torch.optim.Adamax", {}),
    "Adagrad": (lambda p: torch.optim.Adagrad(p, lr=1e-3, eps=1e-12), "torch.optim.Adagrad", {}),
    "RMSprop": (lambda p: torch.optim.RMSprop(p, lr=1e-3, eps=1e-12), "torch.optim.RMSprop", {}),
    "Lion": (SignSGD, "lion_pytorch.Lion", {}),
    "Adafactor": (lambda p: torch.optim.Adafactor(p, lr=1e-3), "torch.optim.Adafactor", {}),
    "Muon": (lambda p: torch.optim.Muon(p, lr=1e-3, weight_decay=0), "torch.optim.Muon", {}),
    "Muon-rms": (
        lambda p: torch.optim.Muon(p, lr=1e-3, weight_decay=0, adjust_lr_fn="match_rms_adamw"),
        "torch.optim.Muon",
        {"adjust_lr_fn": "match_rms_adamw"},
    ),
}


def row_of(case: str) -> Optimizer:
    row = lookup(OPTIMIZERS[case][1], OPTIMIZERS[case][2])
    assert row is not None
    return row


@pytest.mark.parametrize("role", [Role.INPUT, Role.HIDDEN, Role.OUTPUT, Role.VECTOR])
@pytest.mark.parametrize("case", sorted(OPTIMIZERS))
def test_rates_are_those_measured_from_gradients(case: str, role: Role) -> None:
    row = row_of(case)
    if row.kind is Kind.ORTHOGONAL and role is Role.VECTOR:
        pytest.skip("orthogonalised updates are for matrices")
    # A wrong row is off by at least 1/2; finite rank and finite width cost up to a fifth.
    assert measured_rate(OPTIMIZERS[case][0], role) == pytest.approx(float(row.rate_exponent(role)), abs=0.2)


@pytest.mark.parametrize("case", ["SGD", "AdamW", "Adafactor", "Muon"])
def test_the_measurement_would_catch_a_wrong_row(case: str) -> None:
    measured = measured_rate(OPTIMIZERS[case][0], Role.HIDDEN)
    for off in (Fraction(1, 2), Fraction(-1, 2), Fraction(1), Fraction(-1)):
        assert measured != pytest.approx(float(row_of(case).rate_exponent(Role.HIDDEN) + off), abs=0.2)


INITS: dict[str, Callable[[Tensor], object]] = {
    "kaiming_normal_": nn.init.kaiming_normal_,
    "kaiming_uniform_": lambda t: nn.init.kaiming_uniform_(t, mode="fan_out"),
    "xavier_uniform_": nn.init.xavier_uniform_,
    "xavier_normal_": nn.init.xavier_normal_,
    "orthogonal_": nn.init.orthogonal_,
    "normal_": lambda t: nn.init.normal_(t, std=0.02),
    "trunc_normal_": lambda t: nn.init.trunc_normal_(t, std=0.02),
}


@pytest.mark.parametrize(("fan_in", "fan_out"), [(0, 1), (1, 1), (1, 0)])
@pytest.mark.parametrize("name", sorted(INITS))
def test_init_functions_draw_with_the_exponent_they_are_said_to(name: str, fan_in: int, fan_out: int) -> None:
    points = []
    for width in (256, 512, 1024, 2048):
        torch.manual_seed(width)
        tensor = torch.empty(width if fan_out else 8, width if fan_in else 8)
        INITS[name](tensor)
        points.append((float(width), tensor.std().item()))
    mode = "fan_out" if name == "kaiming_uniform_" else "fan_in"
    said = init_std_exponent(name, fan_in_exponent=Fraction(fan_in), fan_out_exponent=Fraction(fan_out), mode=mode)
    assert slope(points) == pytest.approx(float(said), abs=0.06)
