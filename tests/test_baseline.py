"""A team accepts what is there today and hears of what is new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.repositories import copy, mulint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The plain GPT as a project that asks for μP."""
    root = copy("gpt", tmp_path)
    (root / "pyproject.toml").write_text("[tool.mulint]\n")
    return root


def test_what_is_accepted_is_silent_and_survives_moved_lines(root: Path) -> None:
    written = mulint("check", "--write-baseline", cwd=root)
    assert written.returncode == 0
    assert written.stdout.startswith("6 findings written to .mulint-baseline.json.\n")
    (root / "pyproject.toml").write_text('[tool.mulint]\nbaseline = ".mulint-baseline.json"\n')
    model = root / "model.py"
    model.write_text("# one more line\n" + model.read_text())
    result = mulint("check", cwd=root)
    assert result.returncode == 0
    assert "No findings.\nThe baseline holds 6 more findings.\n" in result.stdout


def test_what_is_new_is_reported(root: Path) -> None:
    mulint("check", "--write-baseline", cwd=root)
    train = root / "train.py"
    train.write_text(train.read_text() + '\nfor group in optimizer.param_groups:\n    group["lr"] = 1e-5\n')
    result = mulint("check", "--baseline", ".mulint-baseline.json", "--output-format", "json", cwd=root)
    assert result.returncode == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["code"], finding["path"]) == ("MU201", "train.py")


def test_a_baseline_is_stable_and_read_by_people(root: Path) -> None:
    mulint("check", "--write-baseline", cwd=root)
    first = (root / ".mulint-baseline.json").read_text()
    assert first.count("\n") == len(json.loads(first)["findings"]) + 5
    mulint("check", "--write-baseline", cwd=root)
    assert (root / ".mulint-baseline.json").read_text() == first


def test_files_that_were_not_checked_keep_their_entries(root: Path) -> None:
    mulint("check", "--write-baseline", cwd=root)
    first = (root / ".mulint-baseline.json").read_text()
    written = mulint("check", "model.py", "--write-baseline", cwd=root)
    assert written.stdout.startswith(
        "5 findings written to .mulint-baseline.json; 1 of files that were not checked are"
    )
    assert (root / ".mulint-baseline.json").read_text() == first
    (root / "train.py").unlink()
    mulint("check", "model.py", "--write-baseline", cwd=root)
    assert "train.py" not in (root / ".mulint-baseline.json").read_text()


@pytest.mark.parametrize("content", [None, "nonsense", '{"findings": 3}'])
def test_a_bad_baseline_is_one_line(root: Path, content: str | None) -> None:
    if content is not None:
        (root / "b.json").write_text(content)
    result = mulint("check", "--baseline", "b.json", cwd=root)
    assert result.returncode == 2
    assert "--write-baseline" in result.stderr
    assert result.stderr.count("\n") == 1
