"""What is in force can be printed, and what is printed can be pasted back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.repositories import mulint

TABLE = """
[tool.mulint]
weight-decay = "sqrt"
ignore = ["MU404"]
exclude = ["legacy/", "a\\"b"]
per-file-ignores = { "scripts/*" = ["MU101"] }
baseline = "accepted.json"

[[tool.mulint.models]]
name = "gpt"
build = "model.py:GPT"
base = { n_embd = 256 }
"""


def test_defaults(tmp_path: Path) -> None:
    out = mulint("config", cwd=tmp_path).stdout
    assert out.startswith("# defaults: no pyproject.toml above has a [tool.mulint] table\n")
    table = tomllib.loads(out)["tool"]["mulint"]
    assert (table["target"], table["select"], table["max-file-size"]) == ("torch", ["MU"], 1_000_000)


def test_what_is_printed_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    first = mulint("config", cwd=tmp_path).stdout
    assert first.startswith("# from pyproject.toml\n")
    (tmp_path / "pyproject.toml").write_text(first)
    assert mulint("config", cwd=tmp_path).stdout == first
    given, printed = tomllib.loads(TABLE)["tool"]["mulint"], tomllib.loads(first)["tool"]["mulint"]
    assert {key: printed[key] for key in given} == given


def test_the_command_line_is_in_force_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    data = json.loads(mulint("config", "--select", "MU3", "--output-format", "json", cwd=tmp_path).stdout)
    assert data["path"] == "pyproject.toml"
    assert data["selected"]
    assert all(code.startswith("MU3") for code in data["selected"])


@pytest.mark.parametrize("folder", [".", "sub"])
def test_the_closest_table_counts(tmp_path: Path, folder: str) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    out = mulint("config", cwd=tmp_path / folder).stdout
    assert 'weight-decay = "sqrt"' in out


def test_a_rule_that_is_opt_in_needs_more_than_the_common_prefix(tmp_path: Path) -> None:
    def chosen(*options: str) -> bool:
        return (
            "MU303"
            in json.loads(mulint("config", *options, "--output-format", "json", cwd=tmp_path).stdout)["selected"]
        )

    assert not chosen()
    assert not chosen("--select", "MU")
    assert chosen("--select", "MU30")
    assert chosen("--extend-select", "MU303")
    assert not chosen("--extend-select", "MU303", "--ignore", "MU303")
    assert "(opt-in)" in next(
        line for line in mulint("rules", cwd=tmp_path).stdout.splitlines() if "MU303" in line
    )
