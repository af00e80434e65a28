"""Sizes that are written under a name count as knobs: in a dict, as a default, beside a number of heads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import check

MODEL = """
import math
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (f(x).view(b, t, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    def __init__(self, d_model, heads, d_ff=2048):
        super().__init__()
        self.attention = Attention(d_model, heads)
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, x):
        x = self.attention(x)
        return self.down(self.up(x).relu())


class Model(nn.Module):
    def __init__(self, vocabulary, d_model, heads):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, d_model)
        self.block = Block(d_model, heads)

    def forward(self, tokens):
        return self.block(self.embed(tokens))


SCRIPT
"""
IN_A_DICT = """
def settings():
    return {"d_model": 512, "rate": 1e-3}


config = settings()
model = Model(1000, config["d_model"], 8)
"""


@pytest.mark.parametrize("script", [IN_A_DICT, "d_model = 512\nmodel = Model(1000, d_model, heads=8)\n"])
def test_heads_grow_where_only_their_number_is_written_down(script: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(MODEL.replace("SCRIPT", script))
    codes = {f["code"] for f in check(tmp_path)["findings"]}
    assert "MU405" in codes
    # The default of d_ff is a size that grows too, so nothing is held that would make `down` read something fixed.
    assert "MU302" not in codes
