"""Imports that a rewrite leaves unused go; all others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import mulint

SCRIPT = """\
{imports}

class Net(nn.Module):
    def __init__(self, width=64, features=32, classes=10):
        super().__init__()
        self.stem = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.mix(self.stem(x).relu()).relu())


def main():
    model = Net(width=64)
    optimizer = AdamW(model.parameters(), lr=1e-3)
    return CosineAnnealingLR(optimizer, T_max=9, eta_min=1e-5)
{more}"""
COSINE = "from torch.optim.lr_scheduler import CosineAnnealingLR\n"
BEFORE = "from torch import nn\nfrom torch.optim import AdamW\n"
HELPER = "from mup_scaling import ADAMW, Readout, ScaledCosineAnnealingLR, ratio_to_base, scalable, scale_groups\n"
CASES = {
    "last": (f"from torch import nn\nfrom torch.optim import AdamW\n{COSINE}", "", None),
    "first": (f"import math\n{COSINE}from torch import nn\nfrom torch.optim import AdamW\n", "", None),
    "listed": (
        f"{BEFORE}from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR\n",
        "",
        "from torch.optim.lr_scheduler import LinearLR\n",
    ),
    "listed in brackets": (
        f"{BEFORE}from torch.optim.lr_scheduler import (\n    ConstantLR,\n    CosineAnnealingLR,\n)\n",
        "",
        "from torch.optim.lr_scheduler import (\n    ConstantLR,\n)\n",
    ),
    "used elsewhere": (
        f"from torch import nn\nfrom torch.optim import AdamW\n{COSINE}",
        "\n\ndef is_cosine(schedule):\n    return isinstance(schedule, CosineAnnealingLR)\n",
        COSINE,
    ),
    "in a string": (
        f"from torch import nn\nfrom torch.optim import AdamW\n{COSINE}",
        '\n\n__all__ = ["CosineAnnealingLR", "main"]\n',
        COSINE,
    ),
    "with a comment": (
        f"from torch import nn\nfrom torch.optim import AdamW\n{COSINE.rstrip()}  # noqa: F401\n",
        "",
        COSINE.rstrip(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_import_goes_only_if_nothing_else_uses_it(case: str, tmp_path: Path) -> None:
    imports, more, kept = CASES[case]
    (tmp_path / "train.py").write_text(SCRIPT.format(imports=imports, more=more))
    result = mulint("fix", ".", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "train.py").read_text()
    assert text.count("ScaledCosineAnnealingLR") == 2
    if kept is None:
        assert "lr_scheduler" not in text
    else:
        assert kept in text
    head = text[: text.index("@scalable")]
    assert "\n\n\n\n" not in head
    assert HELPER in head


def test_an_import_that_another_file_takes_over_stays(tmp_path: Path) -> None:
    imports = CASES["last"][0]
    (tmp_path / "train.py").write_text(SCRIPT.format(imports=imports, more=""))
    (tmp_path / "other.py").write_text("from train import CosineAnnealingLR\n\nprint(CosineAnnealingLR)\n")
    result = mulint("fix", ".", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert COSINE in (tmp_path / "train.py").read_text()
