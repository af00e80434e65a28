"""Code written for a newer Python than the one that runs mulint is read all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import check

BODY = """
    def forward(self, x):
        return self.b(self.a(x))
"""
INIT = "        nn.init.normal_(self.b.weight, std=0.02)  # here\n"
HEAD = "from torch import nn\n"
LAYERS = """    def __init__(self, d):
        super().__init__()
        self.a = nn.Linear(3, d)
        self.b = nn.Linear(d, d)
"""


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "class Net[T: int](nn.Module):\n" + LAYERS + INIT + BODY,
        HEAD + "type Pair[T] = tuple[T, T]\nclass Net(nn.Module):\n" + LAYERS + INIT + BODY,
        HEAD
        + "class Net(nn.Module):\n"
        + LAYERS.replace("__init__(", "__init__[\n        T,\n    ](")
        + INIT
        + BODY,
        HEAD + "class Net(nn.Module):\n" + LAYERS + '        print(f"{d["x"]} {"a"}")\n' + INIT + BODY,
        HEAD + "class Net(nn.Module):\n" + LAYERS + INIT.replace("nn.init", 'f"{"é"}"; nn.init') + BODY,
    ],
    ids=["class", "alias", "function over lines", "nested quotes", "after a string on the line"],
)
def test_the_finding_stands_at_its_place(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(text)
    report = check(tmp_path)
    assert report["errors"] == []
    (finding,) = report["findings"]
    line = text.splitlines()[finding["line"] - 1]
    assert (finding["code"], line[finding["column"] - 1 :].startswith("nn.init.normal_(")) == ("MU301", True)
