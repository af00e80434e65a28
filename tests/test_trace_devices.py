"""Devices and precisions of a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from mulint.cli import group
from mulint.tracing import cases
from tests.repositories import copy

QUICK = ("--widths", "64,128,256", "--seeds", "1", "--output-format", "json")
SPIED = """
import mulint
import torch
from torch import nn


def case(width):
    def loss(model, batch):
        y = model(batch)
        if not y.is_meta and y.dtype is not torch.bfloat16:
            raise TypeError(f"computed in {y.dtype}")
        return y.float().pow(2).mean()

    model = nn.Sequential(nn.Linear(7, width), nn.ReLU(), nn.Linear(width, width), nn.Linear(width, 3))
    return mulint.Case(model, torch.randn(8, 7), loss, optimizer=lambda m: torch.optim.Adam(m.parameters(), 1e-3))
"""


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(group, ["trace", *arguments])


def found(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_auto_is_the_best_device_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cases.py").write_text(SPIED, encoding="utf-8")
    result = run(tmp_path, monkeypatch, "cases.py:case", "--device", "auto", "--stages", "roles", *QUICK)
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert found(result)["device"] == expected


def test_a_device_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cases.py").write_text(SPIED, encoding="utf-8")
    result = run(tmp_path, monkeypatch, "cases.py:case", "--device", "cuda:99")
    assert result.exit_code == 2
    assert "--device cuda:99 cannot be used here" in result.stderr
    assert result.stderr.count("\n") == 1


def test_autocast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cases.py").write_text(SPIED, encoding="utf-8")
    assert "computed in torch.float32" in run(tmp_path, monkeypatch, "cases.py:case", *QUICK).stderr
    answer = found(run(tmp_path, monkeypatch, "cases.py:case", "--autocast", "bfloat16", *QUICK))
    assert answer["verdict"] == "fail"
    assert answer["dtype"] == "float32, autocast to bfloat16"
    assert "choose one of bfloat16" in run(tmp_path, monkeypatch, "cases.py:case", "--autocast", "int8").stderr


OWN_KERNEL = """
import mulint
import torch
import triton
import triton.language as tl
from torch import nn


@triton.jit
def double(read, write, count, block: tl.constexpr):
    place = tl.program_id(0) * block + tl.arange(0, block)
    tl.store(write + place, 2 * tl.load(read + place, mask=place < count), mask=place < count)


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.empty_like(x)
        double[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), 256)
        return y

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(7, width), nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, x):
        return self.third(self.second(Double.apply(self.first(x))))


def case(width):
    def optimizer(model):
        return torch.optim.Adam(model.parameters(), 1e-3)

    return mulint.Case(Model(width), torch.randn(8, 7), lambda m, x: m(x).pow(2).mean(), optimizer=optimizer)
"""
AT_HOME = """
from torch import nn


class Classifier(nn.Module):
    def __init__(self, width=64, classes=10):
        super().__init__()
        self.first = nn.Linear(12, width).cuda()
        self.second = nn.Linear(width, width).cuda()
        self.third = nn.Linear(width, classes).cuda()

    def forward(self, x):
        return self.third(self.second(self.first(x.cuda()).relu()).relu())
"""


def test_what_an_accelerator_refuses_to_make_is_made_without_it() -> None:
    """Batches are drawn with generators of the CPU, which a default device of CUDA does not take."""

    def drawn() -> torch.Tensor:
        return torch.cat([torch.randn(2), torch.randn(2, generator=torch.Generator().manual_seed(1))])

    made = cases.made(drawn, 3, torch.device("cuda"))
    torch.manual_seed(3)
    assert torch.equal(made, drawn())


on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@on_cuda
@pytest.mark.parametrize("precision", [(), ("--autocast", "bfloat16")], ids=" ".join)
def test_cuda_gives_the_verdict_of_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: tuple[str, ...]
) -> None:
    right, wrong = copy("gpt_mup", tmp_path / "right"), copy("gpt", tmp_path / "wrong")
    arguments = ("model.py:GPT", "--device", "cuda", *precision, *QUICK)
    assert found(run(right, monkeypatch, *arguments))["verdict"] == "pass"
    answer = found(run(wrong, monkeypatch, *arguments))
    assert answer["verdict"] == "fail"
    assert {culprit["code"] for culprit in answer["culprits"]} == {"MU101", "MU301", "MU405", "MU409"}


@on_cuda
@pytest.mark.parametrize("target", ["model.py:Classifier", "cases.py:case"])
def test_a_model_that_only_cuda_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """Where meta fails, the dimensions are traced on the device that was asked for."""
    (tmp_path / "model.py").write_text(AT_HOME, encoding="utf-8")
    (tmp_path / "cases.py").write_text(OWN_KERNEL, encoding="utf-8")
    if target.startswith("cases"):
        pytest.importorskip("triton")
    answer = found(run(tmp_path, monkeypatch, target, "--device", "cuda", *QUICK))
    roles = {row["name"]: row["role"] for row in answer["parameters"] if row["name"].endswith("weight")}
    assert roles == {"first.weight": "input", "second.weight": "hidden", "third.weight": "output"}
    assert any("the dimension trace ran on CUDA, because meta failed" in text for text in answer["assumptions"])
