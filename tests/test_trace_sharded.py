"""A model sharded over two processes has the same table as in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch has no gloo",
)

CASE = """
import os

import mulint
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.table = nn.Embedding(16, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.gain = nn.Parameter(torch.ones(width))
        self.head, self.score = nn.Linear(width, 16, bias=False), nn.Linear(width, 16)
        self.head.weight = self.table.weight

    def forward(self, tokens):
        x = self.table(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x * self.gain) + self.score(x)


def case(width):
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo")
    model = Model(width)
    if dist.is_initialized():
        for block in model.blocks:
            fully_shard(block)
        fully_shard(model)

    def loss(model, tokens):
        return nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())

    return mulint.Case(model, torch.arange(32).view(4, 8) % 16, loss, lambda m: torch.optim.AdamW(m.parameters()))
"""


def trace(folder: Path, *launcher: str) -> dict[str, Any]:
    arguments = ["trace", "cases.py:case", "--widths", "16,32,64", "--seeds", "1", "--output-format", "json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MASTER_")}
    result = subprocess.run(
        [sys.executable, *launcher, "-m", "mulint", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
    )
    found: dict[str, Any] = json.loads(result.stdout)  # from one process only
    return found


def test_the_table_of_two_processes_is_that_of_one(tmp_path: Path) -> None:
    (tmp_path / "cases.py").write_text(CASE, encoding="utf-8")
    alone = trace(tmp_path)
    sharded = trace(tmp_path, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert {p["name"]: p["role"] for p in sharded["parameters"]}["table.weight"] == "input"
    for one, other in zip(alone["parameters"], sharded["parameters"], strict=True):
        same = ("name", "aliases", "shapes", "role", "dims", "fan_in_dims", "uses", "lr", "verdict")
        assert [one[key] for key in same] == [other[key] for key in same]
        assert other["init"]["exponent"] == pytest.approx(one["init"]["exponent"], abs=0.02)
        assert other["update"]["slope"] == pytest.approx(one["update"]["slope"], abs=0.02)
    for one, other in zip(alone["activations"], sharded["activations"], strict=True):
        told = ("module", "path", "line", "quantity", "verdict")
        assert [one[key] for key in told] == [other[key] for key in told]
    assert alone["verdict"] == sharded["verdict"] == "fail"
