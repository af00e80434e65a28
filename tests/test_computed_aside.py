"""What a model computes of its options, however long, does not keep its layers from being followed."""

from __future__ import annotations

from pathlib import Path

from mulint.checking import check
from mulint.configuration import Configuration

MODEL = """
from torch import nn


class Options:
    def __init__(self, settings):
        self.settings = settings

    def listed(self):
        found = []
        for a in "abcdefghijklmnop":
            for b in "abcdefghijklmnop":
                for c in "abcdefghijklmnop":
                    found.append(a + b + c)
        return found


class Net(nn.Module):
    def __init__(self, features, width, classes, settings):
        super().__init__()
        {before}
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())
"""


def found(folder: Path, before: str) -> tuple[list[str], list[str]]:
    """The codes of findings, and what was not understood."""
    (folder / "model.py").write_text(MODEL.format(before=before), encoding="utf-8")
    report = check([folder], folder, Configuration(path=folder / "pyproject.toml"))
    return [f.code for f in report.findings], [f"{n.what}: {n.because}" for n in report.not_understood]


def test_a_long_computation_is_given_up_and_said(tmp_path: Path) -> None:
    codes, unknown = found(tmp_path, "self.listed = Options(settings).listed()")
    assert codes == ["MU401"]
    assert unknown == ["what this call gives: it is too long to be followed while a model is built"]


def test_it_is_given_up_wherever_it_is_made(tmp_path: Path) -> None:
    several = "self.several = [Options(settings).listed() for _ in 'abcdefgh']"
    assert found(tmp_path, several)[0] == ["MU401"]


DATA = """
import torch


def read(folder):
    found = []
    for a in "abcdefghijklmnop":
        for b in "abcdefghijklmnop":
            for c in "abcdefghijkl":
                found.append(a + b)
    return found
"""


def test_a_function_that_shows_nothing_of_a_model_for_long_is_given_up_and_said(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(DATA, encoding="utf-8")
    report = check([tmp_path], tmp_path, Configuration(path=tmp_path / "pyproject.toml"))
    assert [f"{n.what}: {n.because}" for n in report.not_understood] == [
        "code reached from here: it is too large to be followed whole"
    ]
