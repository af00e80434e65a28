"""The files that other tools read: pre-commit's manifest and the GitHub action."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mulint.cli import COMMANDS
from tests.repositories import copy, mulint

TOP = Path(__file__).parent.parent


def read(name: str) -> Any:
    return yaml.safe_load((TOP / name).read_text())


def test_the_manifest_has_the_form_that_pre_commit_wants() -> None:
    hooks = read(".pre-commit-hooks.yaml")
    assert [hook["id"] for hook in hooks] == ["mulint-check", "mulint-fix"]
    for hook in hooks:
        assert hook["language"] == "python"
        # One process sees all files; several would each link the whole project, and write the same files.
        assert hook["require_serial"] is True
        program, command, *_ = shlex.split(hook["entry"])
        assert program == "mulint"
        assert command in COMMANDS
        assert "additional_dependencies" not in hook
    by_id = {hook["id"]: hook for hook in hooks}
    assert "jupyter" in by_id["mulint-check"]["types_or"]
    assert "jupyter" not in by_id["mulint-fix"]["types_or"]


def test_the_hooks_pass_fail_and_fix(tmp_path: Path) -> None:
    entries = {hook["id"]: shlex.split(hook["entry"])[1:] for hook in read(".pre-commit-hooks.yaml")}
    root = copy("mlp", tmp_path)
    (root / "pyproject.toml").write_text("[tool.mulint]\n")
    files = ("model.py", "train_adam.py", "train_sgd.py", "data.py")
    assert mulint(*entries["mulint-check"], *files, cwd=root).returncode == 1
    before = (root / "model.py").read_text()
    assert mulint(*entries["mulint-fix"], *files, cwd=root).returncode == 0
    fixed = (root / "model.py").read_text()
    assert fixed != before
    assert mulint(*entries["mulint-fix"], *files, cwd=root).returncode == 0
    assert (root / "model.py").read_text() == fixed
    assert mulint(*entries["mulint-check"], *files, cwd=root).returncode == 0


def test_the_hooks_leave_excluded_files_alone(tmp_path: Path) -> None:
    entries = [shlex.split(hook["entry"])[1:] for hook in read(".pre-commit-hooks.yaml")]
    root = copy("mlp", tmp_path)
    (root / "pyproject.toml").write_text('[tool.mulint]\nexclude = ["legacy/", "train_*.py", "model.py"]\n')
    (root / "legacy").mkdir()
    shutil.copy(root / "model.py", root / "legacy" / "old.py")
    before = [(root / name).read_text() for name in ("model.py", "legacy/old.py")]
    files = ("model.py", "legacy/old.py")
    for entry in entries:
        result = mulint(*entry, *files, cwd=root)
        assert result.returncode == 0, result.stdout
    assert [(root / name).read_text() for name in files] == before
    assert mulint("check", "-", "--stdin-filename", "model.py", "--force-exclude", cwd=root).returncode == 0
    assert mulint("check", *files, cwd=root).returncode == 1


def steps() -> list[dict[str, Any]]:
    action = read("action.yml")
    assert action["runs"]["using"] == "composite"
    found: list[dict[str, Any]] = action["runs"]["steps"]
    return found


def test_the_action_never_reads_inputs_as_a_script() -> None:
    for step in steps():
        assert "${{" not in step.get("run", "")
        assert "uses" in step or step["shell"] == "bash"


@pytest.mark.parametrize("name", ["github", "sarif"])
def test_the_script_of_the_action_checks(tmp_path: Path, name: str) -> None:
    root = copy("gpt", tmp_path)
    (root / "pyproject.toml").write_text("[tool.mulint]\n")
    programs = tmp_path / "temp" / "mulint" / "bin"
    programs.mkdir(parents=True)
    (programs / "mulint").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mulint "$@"\n')
    (programs / "mulint").chmod(0o755)
    environment = {
        **os.environ,
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "PATHS": "model.py train.py",
        "FORMAT": name,
        "ARGUMENTS": "--ignore MU409 --no-cache",
    }
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps()[-1]["run"]],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    text = result.stdout if name == "github" else (root / "mulint.sarif").read_text()
    assert "MU301" in text
    assert "MU409" not in text
    assert (tmp_path / "output").exists() is (name == "sarif")
