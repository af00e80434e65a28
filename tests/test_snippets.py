"""Ways in which people write models, one small file each: exactly the marked lines are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mulint.checking import check
from mulint.configuration import Configuration
from tests.repositories import FIXTURES, marked

SNIPPETS = sorted((FIXTURES / "snippets").glob("*.py"))
PRACTICES = sorted((FIXTURES / "practices").glob("*.py"))


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda p: p.stem)
def test_exactly_what_is_marked_is_found(path: Path, tmp_path: Path) -> None:
    _compare(path, tmp_path)


@pytest.mark.parametrize("path", PRACTICES, ids=lambda p: p.stem)
def test_exactly_what_is_marked_is_found_where_it_is_asked_for(path: Path, tmp_path: Path) -> None:
    _compare(path, tmp_path, "MU6")


def _compare(path: Path, tmp_path: Path, *asked_for: str) -> None:
    shutil.copy(path, tmp_path)
    chosen = Configuration(path=tmp_path / "pyproject.toml", extend_select=asked_for)
    report = check([tmp_path], tmp_path, chosen)
    assert not report.errors
    found = sorted((f.place.path, f.place.line, f.code) for f in report.findings)
    assert found == sorted(marked(tmp_path))
