"""`mulint init`: what it finds, what it writes, and that it overwrites nothing."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.repositories import copy, mulint

MODEL = """\
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.up = nn.Linear(dim, inner)
        self.down = nn.Linear(inner, dim)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Net(nn.Module):
    def __init__(self, features, dim, inner, classes=10):
        super().__init__()
        self.first = nn.Linear(features, dim)
        self.block = Block(dim, inner)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        return self.head(self.block(self.first(x)))
"""
SCRIPT = """\
import argparse

import torch

from nets.model import Net

parser = argparse.ArgumentParser()
parser.add_argument("--dim", type=int, default=48)
args = parser.parse_args()
model = Net(20, args.dim, inner=96)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.zeros(2, 20)).sum().backward()
optimizer.step()
"""


def table(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["mulint"]
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("")
    (tmp_path / "nets" / "model.py").write_text(MODEL)
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_it_writes_the_model_its_widths_and_the_base_of_the_training_script(project: Path) -> None:
    result = mulint("init", cwd=project)
    assert result.returncode == 0, result.stderr
    (model,) = table(project)["models"]
    assert model == {
        "name": "net",
        "build": "nets/model.py:Net",
        "knobs": ["dim", "inner"],
        "base": {"dim": 48, "inner": 96},
    }
    assert "Optimizer: SGD (train.py:11)." in result.stdout
    assert "Written: pyproject.toml, mulint_cases.py." in result.stdout
    assert "`mulint trace net`" in result.stdout
    assert "Net(features=20, dim=width, inner=2 * width)" in (project / "mulint_cases.py").read_text()
    assert mulint("check", cwd=project).returncode == 1


def test_the_model_it_names_can_be_traced_and_its_case_completed(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    before = (root / "pyproject.toml").read_text()
    assert mulint("init", cwd=root).returncode == 0
    text = (root / "pyproject.toml").read_text()
    assert text.startswith(before)
    assert table(root)["models"][0]["base"] == {"n_embd": 128, "n_head": 4}
    command = ("trace", "gpt", "--stages", "roles", "--output-format", "json")
    built = json.loads(mulint(*command, cwd=root).stdout)
    assert built["base"] == {"n_embd": 128, "n_head": 4}

    case = root / "mulint_cases.py"
    lines = [line for line in case.read_text().splitlines() if "NotImplementedError(" not in line]
    complete = "\n".join(lines).replace("batch = ...", "batch = torch.zeros(2, 8, dtype=torch.long)")
    complete = complete.replace("return ...  # the scalar", "return model(batch, batch)[1]  # the scalar")
    complete = complete.replace("return ...  # as", "return torch.optim.AdamW(model.parameters())  # as")
    case.write_text("import torch\n" + complete)
    lines = [line for line in text.splitlines() if not line.startswith(("build", "knobs"))]
    (root / "pyproject.toml").write_text("\n".join(lines).replace("# case", "case"))
    by_case = json.loads(mulint(*command, cwd=root).stdout)
    roles = {p["name"]: p["role"] for p in by_case["parameters"]}  # of a deeper model
    assert {p["name"]: p["role"] for p in built["parameters"]}.items() <= roles.items()


def test_nothing_that_exists_is_overwritten(project: Path) -> None:
    (project / "pyproject.toml").write_bytes(b'[project]\r\nname = "x"')
    (project / "mulint_cases.py").write_text("mine = 1\n")
    assert mulint("init", cwd=project).returncode == 0
    first = (project / "pyproject.toml").read_bytes()
    assert first.startswith(b'[project]\r\nname = "x"\r\n\r\n[tool.mulint]\r\n')
    assert first.count(b"\n") == first.count(b"\r\n")
    assert (project / "mulint_cases.py").read_text() == "mine = 1\n"
    again = mulint("init", cwd=project)
    assert again.returncode == 2
    assert again.stderr == "mulint: pyproject.toml has a [tool.mulint] table already; change it by hand\n"
    assert (project / "pyproject.toml").read_bytes() == first


def test_diff_writes_nothing(project: Path) -> None:
    result = mulint("init", "--diff", cwd=project)
    assert result.returncode == 0
    assert "+[tool.mulint]\n" in result.stdout
    assert "Would write: pyproject.toml, mulint_cases.py." in result.stderr
    assert not (project / "pyproject.toml").exists()
    assert not (project / "mulint_cases.py").exists()


def test_what_was_not_found_is_said(project: Path) -> None:
    (project / "train.py").unlink()
    out = mulint("init", cwd=project).stdout
    assert "Not found: the base size of dim, inner; give it under base." in out
    assert "Not found: an optimizer" in out
    assert "base" not in table(project)["models"][0]
    (project / "pyproject.toml").unlink()
    (project / "nets" / "model.py").write_text("import torch\nmodel = torch.load('model.pt')\n")
    assert "the table names no model" in mulint("init", cwd=project).stdout
    assert "models" not in table(project)


@pytest.mark.parametrize(
    ("content", "message"),
    [("tool = 3\n", "add it by hand"), ("[tool", "not valid TOML"), (None, "mentions torch")],
)
def test_what_cannot_be_done_exits_2(project: Path, content: str | None, message: str) -> None:
    if content is None:
        for path in project.rglob("*.py"):
            path.write_text("")
    else:
        (project / "pyproject.toml").write_text(content)
    result = mulint("init", cwd=project)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
