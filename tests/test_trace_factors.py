"""Factors that cancel, and sizes that are brought to one: products of activations and weights that are divided."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import mulint
from mulint.tracing import cases, roles
from mulint.tracing.roles import Dimensions
from tests.repositories import mulint as command

ROOT = Path(__file__).parent
WIDTHS = (64.0, 128.0, 256.0)
Mix = Callable[[Tensor, Tensor, Tensor], Any]


class Mixer(nn.Module):
    """Queries, keys and values of (2, 5, 4 heads, width / 4), mixed by a function without a softmax."""

    def __init__(self, width: int, mix: Mix) -> None:
        super().__init__()
        self.stem, self.packed, self.mix = nn.Linear(7, width), nn.Linear(width, 3 * width), mix

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.packed(self.stem(x)).unflatten(-1, (3, 4, -1)).unbind(-3)
        return self.mix(q, k, v)


def sums(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q) + 1, F.elu(k) + 1
    below = torch.einsum("bthd,bhd->bth", q, k.sum(1)) + 1e-6
    return torch.einsum("bth,bthd,bhde->bthe", 1 / below, q, torch.einsum("bthd,bthe->bhde", k, v))


def divided(q: Tensor, k: Tensor, v: Tensor) -> Any:
    above = torch.einsum("bthd,bhde->bthe", q, torch.einsum("bthd,bthe->bhde", k, v))
    return above / torch.einsum("bthd,bhd->bth", q, k.sum(1)).clamp(min=1e-6)[..., None]


def weights_of_sum_one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.einsum("bthd,bshd->bhts", q, k).relu()
    return torch.einsum("bhts,bshd->bthd", weights / (weights.sum(-1, keepdim=True) + 1e-6), v)


def normalised(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = torch.ones(q.shape[1], q.shape[1], device=q.device).tril()
    mixed = torch.einsum("bhts,bshd->bthd", torch.einsum("bthd,bshd->bhts", q, k) * mask, v)
    return F.layer_norm(mixed, mixed.shape[-1:])


def delta_rule(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    state, made = k.new_zeros(*k[:, 0].shape, k.shape[-1]), []
    for t in range(q.shape[1]):
        state = state * 0.9
        missing = v[:, t] - torch.einsum("bhk,bhkv->bhv", k[:, t], state)
        state = state + torch.einsum("bhk,bhv->bhkv", k[:, t], missing)
        made.append(torch.einsum("bhk,bhkv->bhv", q[:, t], state))
    return torch.stack(made, 1)


def gated(q: Tensor, k: Tensor, _: Tensor) -> Any:
    return (q * torch.rsqrt(k.square().mean(-1, keepdim=True))).norm(dim=-1)


def gated_sum(q: Tensor, k: Tensor, _: Tensor) -> Any:
    return (q * k.mean(-1, keepdim=True)).mean(-1)


def unequal(q: Tensor, k: Tensor, v: Tensor) -> Any:
    below = torch.einsum("bthd,bhd->bth", q, k.sum(1)) * q.shape[-1] ** -0.5
    return torch.einsum("bthd,bhde->bthe", q, torch.einsum("bthd,bthe->bhde", k, v)) / below[..., None]


def beside_a_stream(q: Tensor, k: Tensor, v: Tensor) -> Any:
    mixed = v + torch.einsum("bhts,bshd->bthd", torch.einsum("bthd,bshd->bhts", q, k).tril(), v)
    return F.layer_norm(mixed, mixed.shape[-1:])


def beside_a_stream_by_hand(q: Tensor, k: Tensor, v: Tensor) -> Any:
    mixed = v + torch.einsum("bhts,bshd->bthd", torch.einsum("bthd,bshd->bhts", q, k).tril(), v)
    return mixed * torch.rsqrt(mixed.square().mean(-1, keepdim=True))


def traced(make: Callable[[int], nn.Module], inputs: Callable[[], Tensor]) -> Dimensions:
    def case(width: float) -> mulint.Case:
        return mulint.Case(make(int(width)), inputs(), lambda model, batch: model(batch).square().mean())

    return roles.trace(cases.from_case(case, WIDTHS, None), ROOT)


@pytest.mark.parametrize(
    "mix",
    [sums, divided, weights_of_sum_one, normalised, delta_rule, gated, gated_sum],
    ids=lambda mix: mix.__name__,
)
def test_nothing_is_due_where_a_factor_cancels(mix: Mix) -> None:
    found = traced(lambda width: Mixer(width, mix), lambda: torch.randn(2, 5, 7))
    assert [site for site in found.attention if site.ok is not True] == []


@pytest.mark.parametrize("mix", [unequal, beside_a_stream, beside_a_stream_by_hand], ids=lambda mix: mix.__name__)
def test_what_does_not_cancel_is_named(mix: Mix) -> None:
    found = traced(lambda width: Mixer(width, mix), lambda: torch.randn(2, 5, 7))
    assert [site.ok for site in found.attention if site.ok is not True]


class Shifted(nn.Module):
    """A bias with a factor of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(7, width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Any:
        return x @ self.weight + self.bias * self.bias.shape[0] ** 0.5


def test_a_factor_on_a_bias_alone_is_its_multiplier() -> None:
    found = {p.name: p for p in traced(Shifted, lambda: torch.randn(3, 7)).parameters}
    assert (found["weight"].multiplier, found["bias"].multiplier) == (Fraction(0), Fraction(1, 2))


CASE = """
import torch
import torch.nn.functional as F
from torch import nn
import mulint

BASE = 64


class Readout(nn.Linear):
    def forward(self, x):
        return super().forward(x * BASE / x.shape[-1])


class Layer(nn.Linear):
    def __init__(self, width):
        super().__init__(width, width, bias=False)
        self.length = nn.Parameter(self.weight.detach().norm(dim=1, keepdim=True))
        self.low, self.high = nn.Parameter(torch.randn(4, width) / width), nn.Parameter(torch.zeros(width, 4))

    def forward(self, x):
        return HIDDEN


class Cosine(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(20, width) * width**POWER)

    def forward(self, x):
        return 5 * F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed, self.norm = nn.Embedding(20, width), nn.LayerNorm(width)
        self.layer, self.head = Layer(width), HEAD
        if isinstance(self.head, Readout):
            nn.init.normal_(self.head.weight, std=0.1)

    def forward(self, ids):
        x = self.embed(ids)
        return self.head(x + self.layer(self.norm(x)).relu())


def loss(model, ids):
    return F.cross_entropy(model(ids).flatten(0, 1), ids.roll(-1, 1).flatten())


def optimizer(model):
    m = model.embed.weight.shape[1] / BASE
    contracted = [model.layer.weight, model.layer.low]
    others = [model.embed.weight, *model.norm.parameters(), model.layer.length, model.layer.high]
    groups = [{"params": contracted, "lr": 1e-3 / m}, {"params": others}]
    return torch.optim.Adam([*groups, {"params": model.head.parameters(), "lr": 1e-3 / m**RATE}], lr=1e-3)


def case(width):
    return mulint.Case(Net(width), torch.randint(20, (8, 16)), loss, optimizer)
"""
LENGTH = "F.linear(x, self.length * self.weight / self.weight.norm(dim=1, keepdim=True))"
LENGTH_BY_HAND = "F.linear(x, self.length * self.weight * torch.rsqrt(self.weight.pow(2).sum(1, keepdim=True)))"
LOW_RANK = (
    "F.linear(x, self.length * (made := self.weight + self.high @ self.low) / made.norm(dim=1, keepdim=True))"
)


def verdict_of(tmp_path: Path, **parts: str) -> tuple[str, set[tuple[str, str]]]:
    given = {"HIDDEN": LENGTH, "HEAD": "Readout(width, 20)", "POWER": "0", "RATE": "0", **parts}
    text = CASE
    for name, part in given.items():
        text = text.replace(name, part)
    (tmp_path / "cases.py").write_text(text, encoding="utf-8")
    result = command("trace", "cases.py:case", "--output-format", "json", cwd=tmp_path)
    found: dict[str, Any] = json.loads(result.stdout)
    return found["verdict"], {(culprit["parameter"], culprit["code"]) for culprit in found["culprits"]}


@pytest.mark.parametrize("hidden", [LENGTH, LENGTH_BY_HAND, LOW_RANK], ids=["norm", "by hand", "low rank"])
def test_weights_of_learned_length_pass(hidden: str, tmp_path: Path) -> None:
    assert verdict_of(tmp_path, HIDDEN=hidden) == ("pass", set())


@pytest.mark.parametrize(
    ("power", "rate", "faults"),
    [("0", "0", set()), ("-0.5", "0.5", set()), ("-0.5", "0", {("head.weight", "MU402")})],
    ids=["drawn of one size", "drawn by fan-in, with its rate", "drawn by fan-in"],
)
def test_the_rate_of_a_normalised_readout_follows_its_size(
    power: str, rate: str, faults: set[tuple[str, str]], tmp_path: Path
) -> None:
    found = verdict_of(tmp_path, HEAD="Cosine(width)", POWER=power, RATE=rate)
    assert found == ("fail" if faults else "pass", faults)
