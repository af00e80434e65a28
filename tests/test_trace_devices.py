"""Devices and precisions of a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from mulint.cli import group
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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_gives_the_verdict_of_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy("gpt_mup", tmp_path)
    assert found(run(folder, monkeypatch, "model.py:GPT", "--device", "cuda", *QUICK))["verdict"] == "pass"
