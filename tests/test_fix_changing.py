"""Repairs that change the base model: made only where they are asked for, each by an edit in its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mulint.rules import RULES
from tests.repositories import check, mulint, sites

PAGES = {rule.code: rule.page for rule in RULES}
CASES = [
    ("MU111", "eps=1e-4", "eps=1e-12"),
    ("MU303", "self.mix = nn.Linear(width, width)", "nn.init.zeros_(self.mix.bias)"),
    ("MU304", "nn.init.normal_(self.head.weight, std=0.02)", "nn.init.zeros_(self.head.weight)"),
    ("MU407", ".sum(dim=-1)", ".mean(dim=-1)"),
    ("MU408", "return self.back(self.mix(x).relu())", "x.size(-1) ** 0.5"),
]


def project(code: str, folder: Path) -> Path:
    """The example of a rule's page as a project."""
    found = re.search(r"## Example\n```python\n(.*?)```", PAGES[code], re.S)
    assert found
    text = found[1]
    # Its page normalises a call, whose size has no name.
    text = text.replace(
        "x = F.normalize(self.embed(x), dim=-1)", "x = self.embed(x)\n        x = F.normalize(x, dim=-1)"
    )
    (folder / "net.py").write_text(text)
    return folder


@pytest.mark.parametrize(("code", "before", "after"), CASES, ids=[case[0] for case in CASES])
def test_an_edit_is_made_only_with_the_flag(code: str, before: str, after: str, tmp_path: Path) -> None:
    root = project(code, tmp_path)
    text = (root / "net.py").read_text()
    assert before in text
    assert after not in text
    without = mulint("fix", ".", "--select", code, cwd=root)
    assert without.returncode == 1
    assert "1 more with --unsafe-fixes" in without.stdout
    assert (root / "net.py").read_text() == text
    result = mulint("fix", ".", "--select", code, "--unsafe-fixes", "--output-format", "json", cwd=root)
    assert result.returncode == 0, result.stderr
    assert after in (root / "net.py").read_text()
    assert [item["code"] for item in json.loads(result.stdout)["changing"]] == [code]
    assert code not in {found for _, _, found in sites(check(root))}


def test_json_says_what_the_flag_would_bring(tmp_path: Path) -> None:
    root = project("MU304", tmp_path)
    data = json.loads(mulint("fix", ".", "--select", "MU304", "--output-format", "json", cwd=root).stdout)
    assert [item["applicability"] for item in data["left"]] == ["changes-training"]
    assert data["changing"] == []


MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=64, features=32, classes=10):
        super().__init__()
        self.stem = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.mix(self.stem(x).relu()).relu())


def optimizer_of(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
"""
TRAIN = """\
from timm.scheduler import CosineLRScheduler

from model import Net, optimizer_of


def main():
    model = Net(width=64)
    optimizer = optimizer_of(model)
    return CosineLRScheduler(optimizer, t_initial=100, lr_min=1e-5, warmup_lr_init=1e-6)
"""


def scheduled(folder: Path) -> Path:
    """A model and a script whose scheduler takes one floor for all groups."""
    (folder / "model.py").write_text(MODEL)
    (folder / "train.py").write_text(TRAIN)
    return folder


def test_a_floor_that_no_group_can_have_becomes_zero_only_with_the_flag(tmp_path: Path) -> None:
    root = scheduled(tmp_path)
    without = mulint("fix", ".", "--diff", cwd=root)
    assert without.returncode == 1
    assert "train.py:9: MU203 left: its rewrite changes the base model" in without.stderr
    assert "lr_min=0.0" not in without.stdout
    result = mulint("fix", ".", "--unsafe-fixes", cwd=root)
    assert result.returncode == 0, result.stderr
    assert "lr_min=0.0, warmup_lr_init=0.0" in (root / "train.py").read_text()
    assert "Changes training: MU203 at train.py:9." in result.stdout


def test_a_floor_that_is_computed_is_left(tmp_path: Path) -> None:
    root = scheduled(tmp_path)
    script = TRAIN.replace("lr_min=1e-5", "lr_min=1e-3 / 100")
    (root / "train.py").write_text(script)
    result = mulint("fix", ".", "--unsafe-fixes", "--output-format", "json", cwd=root)
    assert result.returncode == 1
    left = json.loads(result.stdout)["left"]
    assert [(item["code"], item["applicability"]) for item in left] == [("MU203", "manual")]
    assert "lr_min=1e-3 / 100, warmup_lr_init=1e-6" in (root / "train.py").read_text()


def test_the_certificate_claims_the_base_only_for_what_keeps_it(tmp_path: Path) -> None:
    root = scheduled(tmp_path)
    options = ("--unsafe-fixes", "--diff", "--verify", "--output-format", "json")
    result = mulint("fix", ".", *options, cwd=root)
    assert result.returncode == 0, result.stderr
    data = json.loads(result.stdout)
    assert [item["code"] for item in data["changing"]] == ["MU203"]
    certificate = data["certificate"]
    assert certificate["base_identical"] is None
    assert certificate["invariants"] == "pass"
    first, *others = certificate["details"]
    assert (first["what"], first["ok"]) == ("MU203 at train.py:9", None)
    kept = {d["what"]: d["ok"] for d in others if d["what"].startswith("without that: ")}
    assert kept["without that: parameters after init"] is True
    assert False not in kept.values()
