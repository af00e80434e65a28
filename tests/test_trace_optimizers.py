"""Optimizers as people hand them over: several, in a dictionary, of their own, with a closure, wrapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.repositories import mulint

CASE = """
import torch
import torch.nn.functional as F
from torch import nn
import mulint

BASE = 64


class Readout(nn.Linear):
    def forward(self, x):
        return super().forward(x * BASE / x.shape[-1])


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed, self.norm = nn.Embedding(20, width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width, bias=False)
        self.head = Readout(width, 20)
        nn.init.normal_(self.head.weight, std=0.1)

    def forward(self, ids):
        x = self.embed(ids)
        return self.head(x + self.down(self.up(self.norm(x)).relu()))


def loss(model, ids):
    return F.cross_entropy(model(ids).flatten(0, 1), ids.roll(-1, 1).flatten())


def split(model):
    hidden = [model.up.weight, model.down.weight]
    rest = [p for p in model.parameters() if p.dim() < 2 or p.shape[0] == 20]
    return hidden, rest, model.embed.weight.shape[1] / BASE


OPTIMIZER


def case(width):
    return mulint.Case(Net(width), torch.randint(20, (8, 16)), loss, optimizer)
"""
BESIDE = """
def optimizer(model):
    hidden, rest, m = split(model)
    adam = torch.optim.AdamW(rest, lr=RATE, weight_decay=0.0)
    made = [torch.optim.Muon(hidden, lr=0.02, weight_decay=0.0), adam]
    return RETURNED
"""
ADAFACTOR = """
def optimizer(model):
    hidden, rest, m = split(model)
    return torch.optim.Adafactor([{"params": hidden, "lr": 0.01 / m**POWER}, {"params": rest}], lr=0.01)
"""
SHARPNESS = """
class Sharpness(torch.optim.Optimizer):
    # Climbs before it descends: the loss has to be evaluated twice.
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        assert closure is not None, "give the step a closure"
        parameters = [p for group in self.param_groups for p in group["params"]]
        before = [p.clone() for p in parameters]
        for p in parameters:
            p.add_(p.grad.sign(), alpha=1e-6)
        with torch.enable_grad():
            closure()
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(before.pop(0)).sub_(p.grad.sign(), alpha=group["lr"])


def optimizer(model):
    hidden, rest, m = split(model)
    return Sharpness([{"params": hidden, "lr": 1e-3 / m**POWER}, {"params": rest, "lr": 1e-3}], lr=1e-3)
"""
LINES = """
def optimizer(model):
    return torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
"""
WRAPPED = """
class Warmed:
    def __init__(self, inner):
        self.inner = inner


def optimizer(model):
    return Warmed(torch.optim.Adam(model.parameters(), lr=1e-3))
"""
WITHOUT_RATE = """
class Relative(torch.optim.SGD):
    def __init__(self, params):
        super().__init__(params, lr=0.1)
        self.param_groups[0]["lr"] = None


def optimizer(model):
    return Relative(model.parameters())
"""


def trace(tmp_path: Path, optimizer: str) -> tuple[dict[str, Any], str]:
    """The trace as JSON, empty where there is none, and what was said."""
    (tmp_path / "cases.py").write_text(CASE.replace("OPTIMIZER", optimizer), encoding="utf-8")
    result = mulint("trace", "cases.py:case", "--output-format", "json", cwd=tmp_path)
    return json.loads(result.stdout or "{}"), result.stderr


@pytest.mark.parametrize("returned", ["made", "tuple(made), []", "{'optimizer': made, 'frequency': 1}"])
def test_several_optimizers_are_judged_each_by_its_family(returned: str, tmp_path: Path) -> None:
    found, said = trace(tmp_path, BESIDE.replace("RATE", "3e-3").replace("RETURNED", returned))
    assert (found["verdict"], found["culprits"]) == ("pass", []), said


def test_a_fault_in_one_of_several_optimizers(tmp_path: Path) -> None:
    found, _ = trace(tmp_path, BESIDE.replace("RATE", "3e-3 / m").replace("RETURNED", "made"))
    assert {(c["parameter"], c["code"]) for c in found["culprits"]} >= {("embed.weight", "MU105")}
    assert not {"up.weight", "down.weight"} & {c["parameter"] for c in found["culprits"]}


@pytest.mark.parametrize(("power", "verdict"), [("0.5", "pass"), ("0", "fail")])
def test_adafactor_has_more_than_one_epsilon(power: str, verdict: str, tmp_path: Path) -> None:
    found, said = trace(tmp_path, ADAFACTOR.replace("POWER", power))
    assert found["verdict"] == verdict, said
    assert {c["parameter"] for c in found["culprits"]} == ({"up.weight", "down.weight"} if power == "0" else set())


@pytest.mark.parametrize(("power", "verdict"), [("1", "pass"), ("0", "fail")])
def test_an_optimizer_that_evaluates_the_loss_itself(power: str, verdict: str, tmp_path: Path) -> None:
    found, said = trace(tmp_path, SHARPNESS.replace("POWER", power))
    assert found["verdict"] == verdict, said


def test_an_optimizer_that_moves_along_one_line_is_not_judged(tmp_path: Path) -> None:
    found, _ = trace(tmp_path, LINES)
    assert found["verdict"] == "inconclusive"
    assert "LBFGS moves all parameters along one line: pass a case with one that has rates" in found["unmeasured"]
    assert {p["update"]["slope"] for p in found["parameters"]} == {None}


def test_what_is_no_optimizer_says_what_to_return(tmp_path: Path) -> None:
    _, said = trace(tmp_path, WRAPPED)
    assert "returned Warmed, which is no torch optimizer; return its inner" in said


ZEROS = """
def optimizer(model):
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.down.weight)
    hidden, rest, m = split(model)
    return torch.optim.Adam([{"params": hidden, "lr": 1e-3 / m}, {"params": rest}], lr=1e-3)
"""


def test_gradients_behind_two_zeros_are_small_at_a_small_rate_only(tmp_path: Path) -> None:
    found, said = trace(tmp_path, ZEROS)
    assert (found["verdict"], found["culprits"]) == ("pass", []), said


def test_an_optimizer_without_rates_says_so(tmp_path: Path) -> None:
    _, said = trace(tmp_path, WITHOUT_RATE)
    assert "Relative has no learning rate in its groups (lr)" in said
