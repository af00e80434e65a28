"""Verdicts: correct and legal models pass, each fault alone fails with the right parameter and line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.injections import INJECTIONS
from tests.repositories import copy, inject, mulint


def trace(target: str, cwd: Path, *arguments: str) -> dict[str, Any]:
    result = mulint("trace", target, "--output-format", "json", *arguments, cwd=cwd)
    assert result.stdout, result.stderr
    data: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == {"pass": 0, "fail": 1, "inconclusive": 2}[data["verdict"]]
    return data


def faults(found: dict[str, Any]) -> set[str]:
    return {culprit["code"] for culprit in found["culprits"]}


def injected(name: str, tmp_path: Path) -> Path:
    return inject(next(i for i in INJECTIONS if i.name == name), tmp_path)


def test_the_plain_gpt_fails_with_every_fault_and_its_line(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    found = trace("model.py:GPT", root)
    assert faults(found) == {"MU101", "MU301", "MU405", "MU409"}
    lines = (root / "model.py").read_text().splitlines()
    for culprit in found["culprits"]:
        line = lines[culprit["line"] - 1]
        if culprit["code"] == "MU409":
            assert "self.lm_head = nn.Linear" in line
        elif culprit["code"] == "MU405":
            assert "scaled_dot_product_attention" in line
        else:
            name = culprit["parameter"].split(".")[-2]
            assert f"self.{name} = nn.Linear" in line
    assert found["limit"] == "unstable"


def test_the_gpt_in_mup_passes(tmp_path: Path) -> None:
    found = trace("model.py:GPT", copy("gpt_mup", tmp_path))
    assert found["verdict"] == "pass"
    assert found["limit"] == "feature-learning"
    assert all(p["verdict"] == "ok" for p in found["parameters"])


TRACED_FAULTS = (
    ("hidden rate left at the base rate", "MU101", "layers.0.attn.qkv.weight", "self.qkv = nn.Linear("),
    (
        "embeddings scaled with every other matrix",
        "MU104",
        "pos_embed.weight",
        "self.pos_embed = nn.Embedding(",
    ),
    ("every matrix in the group of hidden weights", "MU104", "tok_embed.weight", "self.tok_embed = nn.Emb"),
    ("a constant std in _init_weights", "MU301", "layers.0.ffn.up.weight", "self.up = nn.Linear("),
    ("a constant std for the residual projections", "MU301", "layers.0.attn.proj.weight", "self.proj = nn.Li"),
    ("the fused attention with torch's own scale", "MU405", "layers.0.attn.qkv.weight", "scaled_dot_product"),
    ("a tied readout without its multiplier", "MU409", "tok_embed.weight", "self.lm_head = Readout("),
)


@pytest.mark.parametrize(("name", "code", "parameter", "line"), TRACED_FAULTS)
def test_each_fault_alone_fails_with_its_culprit(
    name: str, code: str, parameter: str, line: str, tmp_path: Path
) -> None:
    root = injected(name, tmp_path)
    found = trace("model.py:GPT", root)
    assert found["verdict"] == "fail"
    assert faults(found) == {code}
    lines = {c["line"] for c in found["culprits"] if parameter in c["parameter"]}
    code_of = (root / "model.py").read_text().splitlines()
    assert any(line in code_of[number - 1] for number in lines)


CASE = """
import torch
import torch.nn.functional as F
from torch import nn
import mulint

BASE = 32


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.m = width / BASE
        self.embed = nn.Embedding(16, width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.head = nn.Linear(width, 16, bias=False)
        nn.init.normal_(self.embed.weight, std=0.5)
        for layer in (self.up, self.down):
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        {init}

    def forward(self, tokens):
        x = self.embed(tokens){embed}
        x = x + self.down(F.relu(self.up(self.norm(x))))
        return self.head(x{head}){after}


def case(width):
    torch.manual_seed(0)
    model = Net(width)
    m = model.m
    tokens = torch.arange(64).view(4, 16) % 16

    def optimizer(model):
        hidden = [model.up.weight, model.down.weight]
        head = [model.head.weight]
        embed = [model.embed.weight]
        rest = [*model.norm.parameters(), model.up.bias, model.down.bias]
        {optimizer}

    def loss(model, batch):
        return F.cross_entropy(model(batch).flatten(0, 1), batch.roll(1, 1).flatten())

    return mulint.Case(model, tokens, loss, optimizer=optimizer)
"""

ADAM = (
    "return torch.optim.Adam([dict(params=hidden, lr=1e-3 / m), dict(params=head, lr=1e-3{head}), "
    "dict(params=embed, lr=1e-3{embed}), dict(params=rest, lr=1e-3)])"
)


@dataclass(frozen=True)
class Variant:
    """One way to write the small language model."""

    name: str
    init: str
    head: str
    after: str
    embed: str
    optimizer: str


LEGAL = (
    Variant(
        "table 8",
        "nn.init.normal_(self.head.weight, std=0.1)",
        " / self.m",
        "",
        "",
        ADAM.format(head="", embed=""),
    ),
    Variant(
        "table 8, multiplier after",
        "nn.init.normal_(self.head.weight, std=0.1)",
        "",
        " / self.m",
        "",
        ADAM.format(head="", embed=""),
    ),
    Variant(
        "table 3",
        "nn.init.normal_(self.head.weight, std=0.1 / self.m)",
        "",
        "",
        "",
        ADAM.format(head=" / m", embed=""),
    ),
    Variant("zero readout", "nn.init.zeros_(self.head.weight)", "", "", "", ADAM.format(head=" / m", embed="")),
    Variant(
        "table 9",
        "nn.init.normal_(self.head.weight, std=0.1 * self.m**-0.5); self.embed.weight.data.mul_(self.m**-0.5)",
        " * self.m**-0.5",
        "",
        " * self.m**0.5",
        ADAM.format(head=" * m**-0.5", embed=" * m**-0.5"),
    ),
    Variant(
        "SGD",
        "nn.init.normal_(self.head.weight, std=0.1)",
        " / self.m",
        "",
        "",
        "return torch.optim.SGD([dict(params=hidden, lr=0.1), dict(params=head + embed + rest, lr=0.1 * m)])",
    ),
)
ILLEGAL = (
    (
        Variant("plain readout", "", "", "", "", ADAM.format(head="", embed="")),
        "MU401",
        "head.weight",
    ),
    (
        Variant(
            "embedding rate scaled",
            "nn.init.zeros_(self.head.weight)",
            "",
            "",
            "",
            ADAM.format(head=" / m", embed=" / m"),
        ),
        "MU104",
        "embed.weight",
    ),
    (
        Variant(
            "one rate under SGD",
            "nn.init.normal_(self.head.weight, std=0.1)",
            " / self.m",
            "",
            "",
            "return torch.optim.SGD(model.parameters(), lr=0.1)",
        ),
        "MU102",
        "embed.weight",
    ),
    (
        Variant(
            "constant std and no multiplier",
            "nn.init.normal_(self.head.weight, std=0.1)",
            "",
            "",
            "",
            ADAM.format(head=" / m", embed=""),
        ),
        "MU304",
        "head.weight",
    ),
)


def write(variant: Variant, folder: Path) -> Path:
    text = CASE
    for key in ("init", "head", "after", "embed", "optimizer"):
        text = text.replace("{" + key + "}", getattr(variant, key) or ("pass" if key == "init" else ""))
    (folder / "cases.py").write_text(text)
    return folder


@pytest.mark.parametrize("variant", LEGAL, ids=lambda v: v.name)
def test_every_legal_gauge_passes(variant: Variant, tmp_path: Path) -> None:
    found = trace("cases.py:case", write(variant, tmp_path), "--widths", "64,128,256,512")
    assert found["culprits"] == []
    assert found["verdict"] == "pass"


@pytest.mark.parametrize(("variant", "code", "parameter"), ILLEGAL, ids=lambda v: getattr(v, "name", ""))
def test_every_fault_of_a_gauge_fails(variant: Variant, code: str, parameter: str, tmp_path: Path) -> None:
    found = trace("cases.py:case", write(variant, tmp_path), "--widths", "64,128,256,512")
    assert found["verdict"] == "fail"
    assert code in faults(found)
    assert parameter in {c["parameter"] for c in found["culprits"] if c["code"] == code}


def test_without_an_optimizer_rates_are_unknown_and_never_fail(tmp_path: Path) -> None:
    write(LEGAL[0], tmp_path)
    text = (tmp_path / "cases.py").read_text().replace(", optimizer=optimizer)", ")")
    (tmp_path / "cases.py").write_text(text)
    found = trace("cases.py:case", tmp_path, "--widths", "64,128,256")
    assert found["verdict"] == "inconclusive"
    assert found["culprits"] == []
    assert all(p["lr"]["exponent"] is None for p in found["parameters"])
    assert all(i["ok"] is None for p in found["parameters"] for i in p["invariants"] if i["name"] == "update")


def test_the_mup_package_passes(tmp_path: Path) -> None:
    root = copy("mup_package", tmp_path)
    (root / "cases.py").write_text(
        "import torch\nimport torch.nn.functional as F\nimport mulint\nimport train\nfrom mup import MuAdamW\n\n\n"
        "def case(width):\n"
        "    model = train.build(width, 4)\n"
        "    batch = train.batch(8, torch.Generator().manual_seed(0))\n"
        "    return mulint.Case(model, batch, lambda m, b: F.cross_entropy(m(b[0]), b[1]),\n"
        "                       optimizer=lambda m: MuAdamW(m.parameters(), lr=1e-3))\n"
    )
    assert trace("cases.py:case", root, "--widths", "64,128,256,512")["verdict"] == "pass"


def test_heads_of_one_size_keep_the_root_scale(tmp_path: Path) -> None:
    root = injected("the fused attention with torch's own scale", tmp_path)
    found = trace("model.py:GPT", root, "--follow", "n_head=n_embd // 32")
    assert found["verdict"] == "pass"
    (withdrawn,) = [f for f in found["findings"] if f["code"] == "MU405"]
    assert (withdrawn["severity"], withdrawn["evidence"]) == ("note", "trace")


def test_a_rounded_fan_in_is_measured_by_itself(tmp_path: Path) -> None:
    """Feed-forward widths rounded up to a multiple grow unevenly; the rate follows the fan-in, not the width."""
    write(LEGAL[0], tmp_path)
    text = (tmp_path / "cases.py").read_text()
    text = text.replace("2 * width", "96 * -(-2 * width // 96)")
    by_fan_in = (
        "base = 96 * -(-2 * BASE // 96)\n        hidden = [dict(params=[model.up.weight], lr=1e-3 / m), "
        "dict(params=[model.down.weight], lr=1e-3 * {})]\n"
        "        return torch.optim.Adam([*hidden, dict(params=head + embed + rest, lr=1e-3)])"
    )
    start = text.index("return torch.optim.Adam(")
    end = text.index("\n", start)
    for scale, verdict in (("base / model.down.in_features", "pass"), ("1.0", "fail")):
        changed = text[:start] + by_fan_in.format(scale) + text[end:]
        (tmp_path / "cases.py").write_text(changed)
        found = trace("cases.py:case", tmp_path, "--widths", "64,128,256,512")
        assert found["verdict"] == verdict, found["culprits"]


ROUTED = """
import mulint
import torch
from torch import nn


class Routed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem, self.expert, self.head = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 1)
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        x = self.stem(x).relu()
        chosen = self.expert(x[: 12 if self.level == 0 else 9])
        return self.head(torch.cat([chosen, x[len(chosen) :]])) + self.level


def case(width):
    batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    return mulint.Case(
        Routed(width),
        batch,
        lambda model, x: (model(x) - 1).square().mean(),
        lambda model: torch.optim.Adam(model.parameters(), lr=1e-3),
    )
"""


def test_a_layer_that_gets_other_rows_after_training_has_no_parts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "routed.py").write_text(ROUTED)
    found = trace("routed.py:case", tmp_path, "--seeds", "1")
    assert {(c["code"], c["parameter"]) for c in found["culprits"]} == {
        ("MU101", "expert.weight"),
        ("MU401", "head.weight"),
    }
    assert {part["module"] for part in found["contributions"]} == {"head"}
