"""Several optimizers that share a model: each is judged by the weights that it is known to hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import check

MODEL = """
import torch
from torch import nn
from somewhere import Muon, restore


class Net(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.mix(self.embed(tokens)))


def train(vocabulary, width):
    model = {model}
    {optimizers}
"""


def codes(folder: Path, model: str, *optimizers: str) -> list[tuple[str, str]]:
    text = MODEL.replace("{model}", model).replace("{optimizers}", "\n    ".join(optimizers))
    (folder / "net.py").write_text(text)
    found = check(folder)["findings"]
    return [(f["code"], f["severity_if_scaled"]) for f in found if f["code"].startswith("MU1")]


WRAPPED = "nn.parallel.DistributedDataParallel(torch.compile(Net(vocabulary, width))).module"


@pytest.mark.parametrize("model", ["Net(vocabulary, width)", WRAPPED])
def test_what_is_held_is_followed_through_wrappers(model: str, tmp_path: Path) -> None:
    embeddings = "torch.optim.Adam([model.embed.weight], lr=0.3)"
    assert codes(tmp_path, model, embeddings) == []
    assert codes(tmp_path, model, "torch.optim.Adam([model.mix.weight], lr=0.3)") == [("MU101", "error")]


def test_a_choice_of_unknown_weights_is_not_judged_by_the_models_in_reach(tmp_path: Path) -> None:
    assert codes(tmp_path, "restore()", "torch.optim.Adam([model.embed.weight], lr=0.3)") == []


def test_one_of_several_may_hold_no_hidden_weights(tmp_path: Path) -> None:
    pair = ("torch.optim.Adam(model.vectors(), lr=0.3)", "Muon(model.matrices(), lr=0.02)")
    assert codes(tmp_path, "restore()", pair[0].replace("Adam", "AdamW"), pair[0]) == []


def test_the_only_optimizer_of_an_unknown_model_is_a_warning(tmp_path: Path) -> None:
    assert codes(tmp_path, "restore()", "torch.optim.Adam(model.parameters(), lr=0.3)") == [("MU101", "warning")]
