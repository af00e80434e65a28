"""The example repositories, copies of them, and what is expected of them."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import forking
from tests.injections import Injection

FIXTURES = Path(__file__).parent.parent / "fixtures"
_MARK = re.compile(r"# expect: ((?:MU\d{3})(?:, MU\d{3})*)")


def copy(fixture: str, folder: Path) -> Path:
    """A copy of a fixture that can be changed."""
    target = folder / fixture
    shutil.copytree(FIXTURES / fixture, target)
    return target


def inject(injection: Injection, folder: Path) -> Path:
    """A copy of a fixture with one fault in it."""
    target = copy(injection.fixture, folder)
    path = target / injection.path
    text = path.read_text()
    assert text.count(injection.old) == 1, f"{injection.name}: the text to replace must stand there once"
    path.write_text(text.replace(injection.old, injection.new))
    return target


def marked(root: Path) -> list[tuple[str, int, str]]:
    """(path, line, code) of every ``# expect:`` mark."""
    found = []
    for path in sorted(root.rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = _MARK.search(line)
            if match:
                relative = path.relative_to(root).as_posix()
                found += [(relative, number, code) for code in match[1].split(", ")]
    return found


# Fixtures lie in the working tree, where no cache is wanted.
_CACHE = tempfile.mkdtemp(prefix="mulint-cache-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)


def mulint(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    environment = {"MULINT_CACHE_DIR": _CACHE, **os.environ}
    if forking.AVAILABLE and arguments[0] in ("trace", "fix"):
        return forking.command_line(arguments, cwd, environment)
    command = [sys.executable, "-m", "mulint", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, env=environment
    )


def check(cwd: Path, *arguments: str) -> dict[str, Any]:
    """The JSON of ``mulint check`` in a folder."""
    result = mulint("check", ".", "--output-format", "json", *arguments, cwd=cwd)
    assert result.returncode in (0, 1), result.stderr
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def sites(report: dict[str, Any]) -> list[tuple[str, int, str]]:
    """(path, line, code) of every finding."""
    return [(f["path"], f["line"], f["code"]) for f in report["findings"]]
