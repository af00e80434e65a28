"""Ways in which people write models, one small file each: exactly the marked lines are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mulint.checking import check
from mulint.configuration import Configuration
from tests.repositories import FIXTURES, marked

SNIPPETS = sorted((FIXTURES / "snippets").glob("*.py"))


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda p: p.stem)
def test_exactly_what_is_marked_is_found(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    report = check([tmp_path], tmp_path, Configuration(path=tmp_path / "pyproject.toml"))
    assert not report.errors
    found = sorted((f.place.path, f.place.line, f.code) for f in report.findings)
    assert found == sorted(marked(tmp_path))
