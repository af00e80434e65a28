"""A newcomer's run with an installed wheel: what each command prints names the command that comes next."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import click
import pytest

from tests.repositories import FIXTURES

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, from a wheel in an environment that holds nothing else; dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("installed")
    tree = folder / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)
    shutil.copytree(ROOT / "mulint", tree / "mulint", ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder), str(tree))
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    _run(*pip, "--python", str(folder / "env"), "install", "--no-deps", "--no-index", str(wheel))
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    # Only the folder is added: the link to the working tree that lies in it is not followed.
    (packages / "dependencies.pth").write_text(f"{Path(click.__file__).parents[1]}\n")
    return folder / "env" / "bin" / "mulint"


def _run(*command: str, cwd: Path | None = None, clean: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not (clean and k in ("PYTHONPATH", "MULINT_CACHE_DIR"))}
    result = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert clean or result.returncode == 0, result.stderr
    return result


class Newcomer:
    """Runs commands, but only those that an output has named."""

    def __init__(self, command: Path, folder: Path) -> None:
        self._command, self._folder = command, folder
        self._named = {"check"}  # as `mulint --help` has it

    def runs(self, step: str, *options: str, expecting: int) -> str:
        assert step in self._named
        result = _run(str(self._command), *step.split(), *options, cwd=self._folder, clean=True)
        assert result.returncode == expecting, result.stdout + result.stderr
        self._named = set(re.findall(r"`mulint ([^`]+)`", result.stdout + result.stderr))
        return result.stdout


def test_the_way_from_the_first_check_to_a_proved_patch(installed: Path, tmp_path: Path) -> None:
    root = shutil.copytree(FIXTURES / "gpt", tmp_path / "gpt")
    someone = Newcomer(installed, root)
    assert "6 notes" in someone.runs("check", expecting=0)
    someone.runs("init", expecting=0)
    someone.runs("trace gpt", "--stages", "roles,invariants", expecting=1)
    someone.runs("fix --diff", expecting=0)
    assert "unchanged, bit for bit; invariants: pass" in someone.runs("fix", expecting=0)
    assert "No findings." in someone.runs("check", expecting=0)


def test_the_way_to_accept_what_is_there(installed: Path, tmp_path: Path) -> None:
    root = shutil.copytree(FIXTURES / "gpt", tmp_path / "gpt")
    (root / "pyproject.toml").write_text("[tool.mulint]\n")
    someone = Newcomer(installed, root)
    assert "MU405 error" in someone.runs("check", expecting=1)
    page = someone.runs("explain MU405", expecting=0)
    (comment,) = re.findall(r"`(# mulint: [^`]+)`", page)
    model = root / "model.py"
    model.write_text(model.read_text().replace("# expect: MU405", comment))

    again = Newcomer(installed, root)
    assert "MU405" not in again.runs("check", expecting=1)
    assert "5 findings" in again.runs("check --write-baseline", expecting=0)
    assert "The baseline holds 5 more findings." in again.runs(
        "check --baseline .mulint-baseline.json", expecting=0
    )


def test_a_wheel_says_which_file_it_runs_from(installed: Path) -> None:
    """The tests above would prove nothing if they ran the working tree."""
    code = "import mulint; print(mulint.__file__)"
    shown = _run(str(installed.with_name("python")), "-c", code, cwd=installed.parent, clean=True).stdout
    assert Path(shown).is_relative_to(installed.parents[1])
