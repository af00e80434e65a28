"""What a trace says it measured, what it did not, and what to pass: a model by reference has no optimizer."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner

from mulint.cli import group

MODEL = """
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self, hidden_dim=64, classes=10):
        super().__init__()
        self.up = nn.Linear(32, hidden_dim)
        self.body = nn.Linear(hidden_dim, hidden_dim)
        self.head = nn.Linear(hidden_dim, classes)

    def forward(self, x):
        return self.head(torch.relu(self.body(torch.relu(self.up(x)))))


class Constant(Plain):
    def __init__(self, hidden_dim=64, classes=10):
        super().__init__(hidden_dim, classes)
        nn.init.normal_(self.body.weight, std=0.02)


class Trained(Plain):
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)
"""
ALWAYS, RATES = "measured: roles, multipliers, attention scales", "learning rates, weight decay, ε, updates"
PASS = "pass a case with that of the training script, `def case(width): return mulint.Case("
HOW = f"no optimizer is known: {PASS}"
WITHOUT = f"not measured: {RATES}; {HOW}"


def run(folder: Path, target: str, *arguments: str) -> tuple[str, str, str]:
    """The last lines of the text, the JSON's line, and the page."""
    (folder / "pyproject.toml").touch()
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    command = ["trace", target.replace("model.py", str(folder / "model.py")), *arguments]
    text = CliRunner().invoke(group, [*command, "--html", str(folder / "page.html")])
    data = CliRunner().invoke(group, [*command, "--output-format", "json"])
    assert text.exception is None or isinstance(text.exception, SystemExit)
    page = unescape((folder / "page.html").read_text(encoding="utf-8"))
    return text.stdout, json.loads(data.stdout)["unmeasured"], page


def test_without_an_optimizer_one_line_says_what_was_measured_and_what_to_pass(tmp_path: Path) -> None:
    text, line, page = run(tmp_path, "model.py:Plain")
    assert line.startswith(f"{ALWAYS}, init, activations at init; {WITHOUT}")
    assert text.splitlines()[-1] == f"Verdict inconclusive: {line}"
    assert line in page


def test_a_fault_that_is_seen_without_an_optimizer_fails_and_the_line_stays(tmp_path: Path) -> None:
    text, line, page = run(tmp_path, "model.py:Constant")
    assert WITHOUT in line
    verdict = next(one for one in text.splitlines() if one.startswith("Verdict"))
    assert verdict.startswith("Verdict fail: 1 fault")
    assert verdict.endswith(line)
    assert line in page


@pytest.mark.parametrize(
    ("target", "stages", "expected"),
    [
        (
            "model.py:Plain",
            "roles",
            f"{ALWAYS}; not measured: init, {RATES}, activations; add invariants,coordinates to --stages",
        ),
        (
            "model.py:Plain",
            "roles,invariants",
            f"{ALWAYS}, init; not measured: {RATES}, activations; add coordinates to --stages; {HOW}",
        ),
        (
            "model.py:Trained",
            "roles,invariants",
            f"{ALWAYS}, init, {RATES}; not measured: activations; add coordinates to --stages",
        ),
    ],
)
def test_stages_that_did_not_run_are_named(target: str, stages: str, expected: str, tmp_path: Path) -> None:
    text, line, _ = run(tmp_path, target, "--stages", stages, "--widths", "32,64,128")
    assert expected in line
    assert line in text


def test_with_an_optimizer_nothing_is_left(tmp_path: Path) -> None:
    text, line, _ = run(tmp_path, "model.py:Trained", "--widths", "32,64,128")
    assert line == ""
    assert "not measured:" not in text


def test_a_readout_that_is_drawn_larger_than_in_the_limit_is_shown_as_allowed(tmp_path: Path) -> None:
    text, _, _ = run(tmp_path, "model.py:Plain")
    (head,) = (line for line in text.splitlines() if line.startswith("head.weight"))
    assert "(allowed, want -1)" in head
    assert text.count("allowed") == 1
