"""Sizes and models named in the configuration: checked when read, obeyed by check, trace and fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.repositories import FIXTURES, check, copy, mulint

MODEL = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, rank, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.down = nn.Linear(hidden, rank)
        self.up = nn.Linear(rank, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        x = self.up(self.down(self.first(x).relu()).relu())
        return self.head(x.relu())
"""
SWEPT = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first = nn.Linear(10, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, 10)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def train(hidden):
    return Net(hidden)


for size in (64, 128, 256):
    train(size)
"""
TABLE = "[tool.mulint]\n"
MODELS = TABLE + "[[tool.mulint.models]]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "net.py").write_text(MODEL)
    return tmp_path


def readouts(project: Path, table: str = "") -> list[str]:
    (project / "pyproject.toml").write_text(TABLE + table)
    return [f["symbol"] for f in check(project)["findings"] if f["code"] == "MU401"]


def test_a_fixed_size_is_no_width(project: Path) -> None:
    assert readouts(project) == ["Net.head"]
    for name in ("hidden", "Net.hidden", "net.Net.hidden"):
        assert readouts(project, f'[tool.mulint.widths]\nfixed = ["{name}"]\n') == []
    assert readouts(project, '[tool.mulint.widths]\nfixed = ["rank"]\n') == ["Net.head"]


def test_a_fixed_size_is_no_width_where_it_is_given_as_a_number(project: Path) -> None:
    (project / "net.py").write_text(SWEPT)
    assert readouts(project) == ["Net.head"]
    assert readouts(project, '[tool.mulint.widths]\nfixed = ["Net.hidden"]\n') == []


def test_a_size_named_like_a_width_makes_a_readout_only_if_it_is_declared_fixed(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text((FIXTURES / "snippets" / "projections.py").read_text())
    assert readouts(tmp_path) == ["ToClasses.classify"]
    reasons = {n["what"]: n["because"] for n in check(tmp_path)["not_understood"]}
    assert reasons == {
        "ToText.project.weight": "nothing shows whether text_hidden_size grows; "
        "name it under knobs or fixed in [tool.mulint.widths]"
    }
    table = '[tool.mulint.widths]\nfixed = ["text_hidden_size"]\n'
    assert readouts(tmp_path, table) == ["ToText.project", "ToClasses.classify"]


def test_a_named_size_is_a_width(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\n"
        "class Probe(nn.Module):\n"
        "    def __init__(self, features, classes):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(features, classes)\n\n"
        "    def forward(self, x):\n"
        "        return self.head(x)\n"
    )
    assert readouts(tmp_path) == []
    assert readouts(tmp_path, '[tool.mulint.widths]\nknobs = ["Probe.features"]\n') == ["Probe.head"]


def test_a_name_that_no_size_has_is_said(project: Path) -> None:
    (project / "pyproject.toml").write_text(TABLE + '\n[tool.mulint.widths]\nfixed = ["net.Net.rnk"]\n')
    (found,) = [f for f in check(project)["findings"] if f["code"] == "MU903"]
    assert (found["path"], found["line"], found["severity"]) == ("pyproject.toml", 4, "warning")
    assert found["message"] == "no size of this project is called net.Net.rnk; did you mean 'net.Net.rank'?"
    assert "MU903" not in mulint("check", "--ignore", "MU903", cwd=project).stdout


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE + '[tool.mulint.widths]\nfixd = ["a"]\n', "'fixd' in [tool.mulint.widths]; did you mean 'fixed'?"),
        (TABLE + '[tool.mulint.widths]\nknobs = "a"\n', "widths.knobs must be a list of strings"),
        (TABLE + 'widths = { knobs = ["a"], fixed = ["a"] }\n', "a is in widths.knobs and in widths.fixed"),
        (TABLE + "widths = 3\n", "widths must be a table"),
        (TABLE + 'models = "net.py:Net"\n', "models must be tables"),
        (MODELS + 'bulid = "net.py:Net"\n', "'bulid' in [[tool.mulint.models]]; did you mean 'build'?"),
        (MODELS + 'name = "net"\n', "case or build of the model 'net': give one of them"),
        (MODELS + 'build = "Net"\n', "build of the model '?': write \"path/file.py:name\""),
        (MODELS + 'case = "c.py:net"\nknobs = ["n"]\n', "a case sets its own sizes"),
        (MODELS + 'build = "n.py:N"\nbase = { n = "big" }\n', "base of the model '?': write positive numbers"),
        (MODELS + 'build = "n.py:N"\nwidths = [8, 8]\n', "write different positive numbers"),
        (MODELS + 'build = "n.py:N"\nfollow = { n = 4 }\n', "write expressions as texts"),
        (MODELS + 'build = "n.py:N"\n[[tool.mulint.models]]\ncase = "c.py:N"\n', "two models are called 'N'"),
    ],
)
def test_wrong_tables_exit_2_and_say_what_to_write(project: Path, table: str, message: str) -> None:
    (project / "pyproject.toml").write_text(table)
    result = mulint("check", cwd=project)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


# The class takes a size that cannot be guessed, and its width has a name that says nothing.
STRANGE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, thickness, q=16, inner=0):
        super().__init__()
        self.first = nn.Linear(thickness, q)
        self.second = nn.Linear(q, inner)
        self.head = nn.Linear(inner, 5)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())
"""
STRANGE_TABLE = """\
[[tool.mulint.models]]
name = "strange"
build = "src/strange.py:Net"
knobs = ["q"]
follow = { inner = "2 * q" }
set = { thickness = 8 }
base = { q = 32 }
widths = [16, 32, 64]
"""


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(TABLE + STRANGE_TABLE)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "strange.py").write_text(STRANGE)
    return tmp_path


def test_trace_takes_a_configured_model_by_name(strange: Path) -> None:
    command = ("trace", "strange", "--stages", "roles", "--output-format", "json")
    found = json.loads(mulint(*command, cwd=strange / "src").stdout)
    assert found["widths"] == [16, 32, 64]
    assert found["base"] == {"q": 32}
    shapes = {p["name"]: p["shapes"] for p in found["parameters"]}
    assert shapes["second.weight"] == [[32, 16], [64, 32], [128, 64]]
    assert shapes["first.weight"][0] == [16, 8]


def test_the_command_line_beats_the_configured_model(strange: Path) -> None:
    command = ("trace", "strange", "--stages", "roles", "--output-format", "json")
    more = ("--widths", "8,16,32", "--set", "thickness=4", "--follow", "inner=3 * q", "--base-width", "q=8")
    found = json.loads(mulint(*command, *more, cwd=strange).stdout)
    assert (found["widths"], found["base"]) == ([8, 16, 32], {"q": 8})
    shapes = {p["name"]: p["shapes"][0] for p in found["parameters"]}
    assert (shapes["first.weight"], shapes["second.weight"]) == ([8, 4], [24, 8])


def test_trace_of_a_model_that_is_not_configured(strange: Path) -> None:
    result = mulint("trace", "stranger", cwd=strange)
    assert result.returncode == 2
    assert "is called stranger; did you mean 'strange'?; configured: strange; or write path" in result.stderr


def test_a_fix_is_proved_on_the_configured_model_and_its_sizes(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    (root / "pyproject.toml").write_text(
        MODELS + 'name = "gpt"\nbuild = "model.py:GPT"\nknobs = ["n_embd"]\nset = { n_layer = 1 }\n'
    )
    result = mulint("fix", "--diff", "--output-format", "json", cwd=root)
    certificate = json.loads(result.stdout)["certificate"]
    assert certificate["base_identical"] is True
    assert certificate["invariants"] == "pass"
    (root / "pyproject.toml").write_text(MODELS + 'name = "gpt"\nbuild = "model.py:GPT"\nset = { n_layers = 1 }\n')
    result = mulint("fix", "--diff", "--output-format", "json", cwd=root)
    assert "GPT has no setting n_layers" in json.dumps(json.loads(result.stdout)["certificate"])
