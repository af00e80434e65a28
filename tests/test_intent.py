"""Whom a width multiplier speaks for: the folders of its own model, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import check

LAYERS = """
import math

from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))
"""
SCALED = """
from torch import nn

from lib.layers.attention import Attention


class Scaled(nn.Module):
    def __init__(self, vocabulary, width, heads, base_width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.attention = Attention(width, heads)
        self.head = nn.Linear(width, vocabulary)
        self.multiplier = base_width / width

    def forward(self, tokens):
        return self.head(self.attention(self.embed(tokens))) * self.multiplier
"""
PLAIN = """
from torch import nn


class Plain(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.mix(self.embed(tokens)).relu())
"""
TRAINING = """
import torch

from lib.models.scaled.model import Scaled


def main():
    model = Scaled(256, 128, 4, 64)
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
"""

HEADS_NOT_FOLLOWED = """
import math

from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.width = width
        self.scale = 1 / math.sqrt(width // heads)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, layout):
        q, k, v = (layer(x).view(layout) for layer in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
        return self.out((weights @ v).reshape(-1, self.width))
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of one μP model, with its attention in another folder and its training in a third."""
    files = {"layers/attention.py": LAYERS, "models/scaled/model.py": SCALED, "training/run.py": TRAINING}
    for path, text in files.items():
        _write(tmp_path / "lib" / path, text)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'lib'\n")
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _severities(root: Path) -> dict[str, str]:
    return {f["path"]: f["severity"] for f in check(root)["findings"]}


def test_one_model_speaks_for_its_whole_package(library: Path) -> None:
    assert [p["path"] for p in check(library)["packages"]] == ["lib"]
    assert _severities(library) == {"lib/layers/attention.py": "error", "lib/training/run.py": "error"}


def test_a_model_does_not_speak_for_its_neighbour(library: Path) -> None:
    _write(library / "lib" / "models" / "plain" / "model.py", PLAIN)
    assert _severities(library) == {
        "lib/layers/attention.py": "error",
        "lib/training/run.py": "error",
        "lib/models/plain/model.py": "note",
    }
    intents = {p["path"]: p["intent"] for p in check(library)["packages"]}
    assert intents == {
        "lib": "none",
        "lib/layers": "evident",
        "lib/models/scaled": "evident",
        "lib/training": "evident",
    }


def test_the_customary_scale_of_attention_is_no_width_multiplier(tmp_path: Path) -> None:
    _write(tmp_path / "attention.py", HEADS_NOT_FOLLOWED)
    assert check(tmp_path)["intent"] == "none"


LOCAL_OPTIMIZER = """

class Drift(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})


def drift():
    return Drift(Scaled(256, 128, 4, 64).parameters(), lr=1e-3)
"""


def test_what_is_but_a_note_is_said_only_where_mup_is_wanted(library: Path) -> None:
    path = library / "lib" / "training" / "run.py"
    path.write_text(TRAINING + LOCAL_OPTIMIZER)
    assert "MU119" in {f["code"] for f in check(library)["findings"]}
    model = library / "lib" / "models" / "scaled" / "model.py"
    model.write_text(SCALED.replace(" * self.multiplier", ""))
    report = check(library)
    assert report["intent"] == "none"
    assert report["findings"]
    assert "MU119" not in {f["code"] for f in report["findings"]}


RELATIVE = """
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    vocabulary: int = 1000
    width: int = 256
    width_base: int = 64
    init_base_std: float = 0.02
    base_lr: float = 1e-3


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.mix = nn.Linear(config.width, config.width)
        self.head = nn.Linear(config.width, config.vocabulary)
        nn.init.normal_(self.head.weight, std=config.init_base_std * {ratio})
        nn.init.normal_(self.mix.weight, std=config.init_base_std * ({ratio}) ** 0.5)
        nn.init.normal_(self.embed.weight, std=config.init_base_std)

    def forward(self, tokens):
        return self.head(self.mix(self.embed(tokens)).relu())

    def optimizer(self):
        config = self.config
        wide, rest = [self.mix.weight, self.head.weight], [self.embed.weight, self.mix.bias, self.head.bias]
        scaled = {{"params": wide, "lr": config.base_lr * {ratio}}}
        return torch.optim.AdamW([scaled, {{"params": rest, "lr": config.base_lr}}], weight_decay=0.0)
"""


def test_the_base_width_is_named_and_no_rate_or_std_beside_it(tmp_path: Path) -> None:
    _write(tmp_path / "net.py", RELATIVE.format(ratio="config.width_base / config.width"))
    (package,) = check(tmp_path)["packages"]
    assert package["because"] == "scales by a width relative to width_base (net.py:24)"


def test_a_rate_divided_by_the_width_is_no_ratio_to_a_base(tmp_path: Path) -> None:
    _write(tmp_path / "net.py", RELATIVE.format(ratio="1 / config.width"))
    assert check(tmp_path)["intent"] == "none"


SHAPED = """
from mup import MuReadout, MuSGD, set_base_shapes
from torch import nn

from {models}

class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first = nn.Linear(784, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = MuReadout(hidden, 10)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu())


def train(hidden):
    model = Net(hidden)
    set_base_shapes(model, Net(64), delta=Net(128))
    return make(model)
"""
BUILDER = """
import torch


def make(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def check(model):
    return make(model)
"""


@pytest.mark.parametrize(
    ("imported", "codes"), [("scripts.rates import make", {"MU108"}), ("other import make", set())]
)
def test_base_shapes_speak_for_the_optimizers_that_imports_connect(
    imported: str, codes: set[str], tmp_path: Path
) -> None:
    _write(tmp_path / "scripts" / "train.py", SHAPED.format(models=imported))
    _write(tmp_path / "scripts" / "rates.py", BUILDER)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'scripts'\n")
    assert {f["code"] for f in check(tmp_path)["findings"]} == codes
