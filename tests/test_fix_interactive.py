"""``mulint fix --interactive``: what is accepted is written, with all that it needs; nothing else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import check, copy, mulint, sites

CODES = {"MU101", "MU201", "MU301", "MU405", "MU409"}


def answered(root: Path, answers: str) -> tuple[int, str]:
    """The exit code and the output of a run on a terminal on which the answers were typed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mulint", "fix", ".", "--interactive"]
    process = subprocess.Popen(command, cwd=root, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answers.encode())
    output = b""
    try:
        while part := os.read(ours, 4096):
            output += part
    except OSError:  # how Linux ends a terminal that nobody holds any more
        pass
    os.close(ours)
    return process.wait(timeout=120), output.decode().replace("\r\n", "\n")


def texts(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def gpt(tmp_path: Path) -> Path:
    """The example without the marks of what is expected."""
    root = copy("gpt", tmp_path)
    for path in root.rglob("*.py"):
        path.write_text(re.sub(r"  # expect: .*", "", path.read_text()))
    return root


def test_without_a_terminal_it_asks_nothing(gpt: Path) -> None:
    before = texts(gpt)
    result = mulint("fix", ".", "--interactive", cwd=gpt)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "terminal" in result.stderr
    assert texts(gpt) == before


def test_all_is_what_a_plain_run_writes(gpt: Path, tmp_path: Path) -> None:
    other = copy("gpt", tmp_path / "other")
    for path in gpt.glob("*.py"):
        (other / path.name).write_text(path.read_text())
    assert mulint("fix", ".", cwd=other).returncode == 0
    code, output = answered(gpt, "a\n")
    assert code == 0, output
    assert output.count("Make repair") == 1
    assert {p.name: p.read_text() for p in gpt.glob("*.py")} == {p.name: p.read_text() for p in other.glob("*.py")}


def test_quitting_writes_nothing(gpt: Path) -> None:
    before = texts(gpt)
    code, output = answered(gpt, "q\n")
    assert code == 1, output
    assert texts(gpt) == before


def test_what_is_declined_stays_and_takes_nothing_with_it(gpt: Path) -> None:
    found = [code for _, _, code in sorted(sites(check(gpt)))]
    code, output = answered(gpt, "".join("y\n" if found == "MU405" else "n\n" for found in found))
    assert code == 1, output
    assert output.count("Make repair") == len(found)
    assert output.count("it was declined") == len(found) - 1
    assert "MU405 " in output
    assert {found for _, _, found in sites(check(gpt))} == CODES - {"MU405"}
    helper = (gpt / "mup_scaling.py").read_text()
    assert "def ratio_to_base" in helper
    assert "scale_groups" not in (gpt / "train.py").read_text()


def test_an_optimizer_whose_repair_is_declined_is_not_said_to_be_missing(gpt: Path) -> None:
    code, output = answered(gpt, "y\nq\n")
    assert code == 1
    assert "no optimizer was found" not in output
    assert re.search(r"Note: the learning rates of the optimizer at model.py:\d+ stay as they are\.", output)


def test_an_answer_that_is_none_explains_the_keys(gpt: Path) -> None:
    code, output = answered(gpt, "what\ny\nq\n")
    assert "a: this and all that follow" in output
    assert output.count("Make repair 1 of") == 2
    assert code == 1
