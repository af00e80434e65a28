"""What the declared choices change: weight decay and ε beside scaled learning rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import check, copy

LINE = '                "weight_decay": weight_decay * ratio,\n'


def codes(folder: Path, decay: str, table: str) -> list[tuple[str, str]]:
    """(code, severity) of the transformer in μP with another decay of its hidden weights and a table."""
    root = copy("gpt_mup", folder)
    text = (root / "model.py").read_text()
    assert text.count(LINE) == 1
    (root / "model.py").write_text(text.replace(LINE, f'                "weight_decay": {decay},\n'))
    with (root / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.mulint]\n{table}\n")
    return [(f["code"], f["severity"]) for f in check(root)["findings"]]


@pytest.mark.parametrize(
    ("policy", "right", "wrong"),
    [
        ("constant-lr-wd", "weight_decay * ratio", "weight_decay"),
        ("sqrt", "weight_decay * ratio**0.5", "weight_decay * ratio"),
        ("unscaled", "weight_decay", "weight_decay * ratio"),
        ("independent", "weight_decay", "weight_decay * ratio"),
    ],
)
def test_a_declared_decay_is_what_counts(policy: str, right: str, wrong: str, tmp_path: Path) -> None:
    table = f'weight-decay = "{policy}"'
    assert codes(tmp_path / "right", right, table) == []
    assert codes(tmp_path / "wrong", wrong, table) == [("MU112", "error")]


def test_an_undeclared_decay_is_a_warning(tmp_path: Path) -> None:
    assert codes(tmp_path, "weight_decay", "") == [("MU112", "warning")]


def test_epsilon_is_asked_to_follow_only_where_that_is_declared(tmp_path: Path) -> None:
    assert codes(tmp_path / "report", "weight_decay * ratio", 'epsilon = "report"') == []
    assert codes(tmp_path / "scale", "weight_decay * ratio", 'epsilon = "scale"') == [("MU111", "warning")]
