"""Notebooks are checked cell by cell, with what only IPython reads left out, and never rewritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import mulint as package
from tests.repositories import check, mulint

IMPORTS = """\
%matplotlib inline
!pip install torch
import torch
from torch import nn
"""
MODEL = """\
class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())
"""
TRAINING = """\
%%time
model = Net(8, 128, 4)
optimizer = torch.optim.Adam(model.parameters())
"""
CELLS = ["# A classifier", IMPORTS, MODEL, TRAINING]


def notebook(*cells: str, language: str = "python") -> str:
    data = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": language}},
        "cells": [
            {
                "cell_type": "markdown" if text.startswith("#") else "code",
                "metadata": {},
                "source": text.splitlines(keepends=True),
                "outputs": [{"output_type": "stream", "name": "stdout", "text": ["x" * 50_000]}],
            }
            for text in cells
        ],
    }
    return json.dumps(data, indent=1)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.mulint]\n")
    (tmp_path / "try.ipynb").write_text(notebook(*CELLS))
    return tmp_path


def places(report: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    return [(f["code"], f["cell"], f["line"], f["column"]) for f in report["findings"]]


def test_findings_name_the_cell_and_the_line_in_it(project: Path) -> None:
    report = check(project)
    assert places(report) == [("MU401", 3, 6, 21), ("MU101", 4, 3, 13)]
    readout, optimizer = report["findings"]
    assert readout["end_line"] == 6
    assert {(r["cell"], r["line"]) for r in readout["related"]} == {(3, 9), (3, 2)}
    assert all(r["cell"] == 3 for r in optimizer["related"])
    schema = Path(package.__file__).parent / "reporting" / "schemas" / "check.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text()))


def test_text_shows_the_cell_and_its_source(project: Path) -> None:
    text = mulint("check", cwd=project).stdout
    assert "--> try.ipynb:cell 3:6:21\n" in text
    assert "6 |         self.head = nn.Linear(hidden, classes)\n" in text
    assert "see: try.ipynb:cell 3:9 head is applied here" in text
    concise = mulint("check", "--output-format", "concise", cwd=project).stdout
    assert concise.splitlines()[1].startswith("try.ipynb:cell 4:3:13: MU101 error: ")


@pytest.mark.parametrize("name", ["sarif", "github", "gitlab", "junit"])
def test_formats_that_know_lines_of_files_only_name_the_cell_in_the_text(project: Path, name: str) -> None:
    text = mulint("check", "--output-format", name, cwd=project).stdout
    assert "cell 3, line 6: the readout head has no width multiplier" in text
    if name == "github":
        assert "file=try.ipynb,line=1,col=1," in text


def test_files_and_notebooks_are_one_project(project: Path) -> None:
    (project / "net.py").write_text("from torch import nn\n\n\n" + CELLS[2] + "\n")
    cells = [IMPORTS, "from net import Net", TRAINING]
    (project / "try.ipynb").write_text(notebook(*cells))
    found = [(f["code"], f["path"]) for f in check(project)["findings"]]
    assert found == [("MU401", "net.py"), ("MU101", "try.ipynb")]


@pytest.mark.parametrize(
    "cell",
    [
        "%%bash\nfor x in *; do echo $x; done",
        "files = !ls -l \\\n  | sort",
        "time = %timeit -o f()",
        "torch.nn.Linear?",
        "if True:\n    %load_ext autoreload\n    !nvidia-smi",
        "text = '%s' \\\n    % 3",
        "await something()",
        "",
    ],
)
def test_what_only_ipython_reads_is_blanked_and_moves_nothing(project: Path, cell: str) -> None:
    (project / "try.ipynb").write_text(notebook(CELLS[0], cell, *CELLS[1:]))
    report = check(project)
    assert report["errors"] == []
    assert places(report) == [("MU401", 4, 6, 21), ("MU101", 5, 3, 13)]


def test_a_cell_that_is_no_python_is_named(project: Path) -> None:
    (project / "try.ipynb").write_text(notebook(*CELLS, "x = 1\ndef f(:\n"))
    result = mulint("check", cwd=project)
    assert result.returncode == 2
    assert "try.ipynb:cell 5:2: MU901 cannot be parsed" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "MU904 not a notebook: "),
        ("[]", "MU904 not a notebook of format 4; save it anew in Jupyter"),
        ('{"worksheets": [{"cells": []}]}', "MU904 not a notebook of format 4"),
    ],
)
def test_what_is_no_notebook_exits_2(project: Path, content: str, message: str) -> None:
    (project / "try.ipynb").write_text(content + " torch")
    (project / "try.ipynb").write_text(content)
    result = mulint("check", "try.ipynb", cwd=project)
    assert result.returncode == 2
    assert f"try.ipynb:1: {message}" in result.stdout


def test_other_languages_have_no_python(project: Path) -> None:
    (project / "try.ipynb").write_text(notebook("library(torch)\nx <- 1", language="R"))
    report = check(project)
    assert (report["findings"], report["errors"]) == ([], [])


def test_suppressions_and_the_size_limit_hold_for_code(project: Path) -> None:
    silenced = MODEL.replace("classes)\n\n", "classes)  # mulint: ignore[MU401] a probe\n\n")
    drawn = notebook(*CELLS[:2], silenced, *CELLS[3:]).replace("x" * 50_000, "x" * 400_000)
    (project / "try.ipynb").write_text(drawn)
    assert len(drawn) > 1_000_000
    assert places(check(project)) == [("MU101", 4, 3, 13)]


def test_a_notebook_is_never_rewritten(project: Path) -> None:
    before = (project / "try.ipynb").read_bytes()
    assert mulint("fix", "--no-verify", cwd=project).stdout == "Nothing to fix.\n"
    named = mulint("fix", "--no-verify", "try.ipynb", cwd=project)
    assert named.returncode == 2
    assert "try.ipynb:1: MU904 a notebook is never rewritten" in named.stderr
    assert (project / "try.ipynb").read_bytes() == before


def test_only_the_notebook_that_was_named_is_said_to_be_left(project: Path) -> None:
    (project / "old").mkdir()
    (project / "old" / "try.ipynb").write_text(notebook(*CELLS))
    said = mulint("fix", "--no-verify", "old/try.ipynb", cwd=project).stderr
    assert said.count("a notebook is never rewritten") == 1
    assert "old/try.ipynb:1: MU904 a notebook is never rewritten" in said


def test_the_configuration_of_a_project_says_in_which_cell_an_optimizer_is_built(project: Path) -> None:
    (project / "pyproject.toml").unlink()
    assert (
        "No model with a size that can be followed to a knob was found in a .py file"
        in mulint("init", "--diff", cwd=project).stderr
    )
    (project / "net.py").write_text(f"from torch import nn\n\n\n{MODEL}")
    (project / "try.ipynb").write_text(notebook(CELLS[0], "import torch\nfrom net import Net\n", TRAINING))
    shown = mulint("init", "--diff", cwd=project)
    assert "\nOptimizer: Adam (try.ipynb:cell 3:3).\n" in shown.stderr
    assert "+    # Adam is built at try.ipynb:cell 3:3\n" in shown.stdout
    assert '+build = "net.py:Net"\n' in shown.stdout
