"""Models that mulint builds itself: configuration, knobs, batch, loss and optimizer found in the user's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from mulint.cli import group
from tests.repositories import mulint

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "mulint/reporting/schemas/trace.schema.json").read_text(encoding="utf-8")
)


@pytest.fixture(autouse=True)
def _work_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


LANGUAGE_MODEL = """
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Settings:
    vocab_size: int = 5000
    context: int = 512
    depth: int = 6
    n_head: int = 6
    d_model: int = 384
    d_ff: int = 1536
    dropout: float = 0.1


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        self.norm = nn.LayerNorm(config.d_model)
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)
        self.up = nn.Linear(config.d_model, config.d_ff)
        self.down = nn.Linear(config.d_ff, config.d_model)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (h.view(b, t, self.n_head, -1).transpose(1, 2) for h in self.qkv(self.norm(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.out(y.transpose(1, 2).reshape(b, t, c)))
        return x + self.down(F.gelu(self.up(x)))


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        print("building", config)
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.places = nn.Embedding(config.context, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)

    def forward(self, ids, targets=None):
        assert ids.shape[1] <= self.places.num_embeddings
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(x)
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss

    def make_optimizer(self, weight_decay, lr, betas, device_type):
        return torch.optim.AdamW(self.parameters(), lr=lr, betas=betas, weight_decay=weight_decay)
"""
TRAIN = """
from model import Model, Settings

weight_decay = 0.05
lr = 3e-4
beta2 = 0.99
model = Model(Settings())
optimizer = model.make_optimizer(weight_decay, lr, (0.9, beta2), "cuda")
"""
CLASSIFIER = """
import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, in_channels, num_classes, width=32, bottleneck=8):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.low = nn.Conv2d(width, bottleneck, 1)
        self.high = nn.Conv2d(bottleneck, width, 1)
        self.head = nn.Linear(width, num_classes)

    def forward(self, image):
        x = torch.relu(self.stem(image))
        x = x + self.high(self.low(x))
        return {"logits": self.head(x.mean((2, 3)))}


class Plain(nn.Module):
    def __init__(self, size=16):
        super().__init__()
        self.first = nn.Linear(5, size)
        self.second = nn.Linear(size, size)

    def forward(self, x):
        return self.second(self.first(x))


class Paired(nn.Module):
    def __init__(self, vocab_size=50, d_word=64, d_model=64, n_head=4, d_k=16, d_v=16):
        super().__init__()
        assert d_word == d_model, "the stream has one size"
        self.words, self.segments = nn.Embedding(vocab_size, d_word), nn.Embedding(3, d_word)
        self.query, self.key = nn.Linear(d_model, n_head * d_k), nn.Linear(d_model, n_head * d_k)
        self.value, self.out = nn.Linear(d_model, n_head * d_v), nn.Linear(n_head * d_v, d_model)

    def forward(self, ids, segment_info):
        x = self.words(ids) + self.segments(segment_info)
        return x + self.out(torch.softmax(self.query(x) @ self.key(x).mT, -1) @ self.value(x))


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)


def factory(hidden=64):
    return nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 2))


class Odd(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.layer = nn.Linear(4, hidden)

    def forward(self, graph):
        return self.layer(graph.nodes)
"""


def run(folder: Path, target: str, *arguments: str) -> Result:
    (folder / "pyproject.toml").touch()
    (folder / "model.py").write_text(LANGUAGE_MODEL, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    (folder / "vision.py").write_text(CLASSIFIER, encoding="utf-8")
    return CliRunner().invoke(group, ["trace", str(folder / target), "--stages", "roles", *arguments])


def answer(folder: Path, target: str, *arguments: str) -> dict[str, Any]:
    result = run(folder, target, *arguments, "--output-format", "json")
    assert result.stderr == ""
    found: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def roles(found: dict[str, Any]) -> dict[str, str]:
    return {parameter["name"]: parameter["role"] for parameter in found["parameters"]}


def test_language_model_without_a_case(tmp_path: Path) -> None:
    found = answer(tmp_path, "model.py:Model")
    assert found["widths"] == [96, 192, 384, 768]
    assert found["base"] == {"d_model": 96, "d_ff": 384}
    assert found["held"] == {"vocab_size": 256, "context": 32, "depth": 2, "n_head": 6, "dropout": 0.0}
    said = "\n".join(found["assumptions"])
    assert "Model is configured by Settings" in said
    assert "the width is d_model, and d_ff grows with it" in said
    assert "n_head = 6 is held" in said
    assert "a batch of 4 x 32 random token ids below 256 and targets" in said
    assert "make_optimizer, with the values of its call at train.py:8" in said
    assert set(roles(found)) >= {"blocks.0.qkv.weight", "blocks.1.down.bias"}
    assert "blocks.2.up.weight" not in roles(found)
    kinds = roles(found)
    assert (kinds["tokens.weight"], kinds["places.weight"], kinds["head.weight"]) == ("input", "input", "output")
    assert (kinds["blocks.0.qkv.weight"], kinds["blocks.0.qkv.bias"]) == ("hidden", "vector")


def test_flags_override_what_is_found(tmp_path: Path) -> None:
    found = answer(
        tmp_path,
        "model.py:Model",
        "--knob=d_model",
        "--follow=n_head=d_model // 16",
        "--follow=d_ff=2 * d_model",
        "--set=depth=1",
        "--widths=32,64,96",
        "--base-width=d_model=64",
    )
    assert found["widths"] == [32, 64, 96]
    assert found["base"] == {"d_model": 64}
    assert found["held"]["depth"] == 1
    up = next(parameter for parameter in found["parameters"] if parameter["name"] == "blocks.0.up.weight")
    assert up["shapes"] == [[64, 32], [128, 64], [192, 96]]
    assert up["fan_in_dims"] == [1]
    assert up["uses"][0]["path"] == "model.py"


def test_text_report(tmp_path: Path) -> None:
    result = run(tmp_path, "model.py:Model")
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert lines[0].startswith("model.py:Model at widths 96, 192, 384, 768 on cpu")
    row = next(line for line in lines if line.startswith("blocks.*.qkv.weight ×2"))
    assert "hidden" in row
    assert "96 ~ w" in row
    site = next(line for line in lines if "scaled_dot_product_attention" in line and "contracts" in line)
    assert site.split()[0].startswith("model.py:")
    assert "scaled by w^-1/2" in site
    assert "should be w^-1" in site
    assert "building" not in result.stdout
    assert lines[-1].startswith("Verdict inconclusive")


def test_classifier_by_keywords(tmp_path: Path) -> None:
    found = answer(tmp_path, "vision.py:Classifier")
    assert roles(found) == {
        "stem.weight": "input",
        "stem.bias": "vector",
        "low.weight": "output",
        "low.bias": "scalar",
        "high.weight": "input",
        "high.bias": "vector",
        "head.weight": "output",
        "head.bias": "scalar",
    }
    assert "no optimizer was found: learning rates are not judged" in found["assumptions"]


def test_a_width_that_no_name_tells(tmp_path: Path) -> None:
    found = answer(tmp_path, "vision.py:Plain")
    assert found["base"].keys() == {"size"}
    assert roles(found)["second.weight"] == "hidden"


def test_a_width_that_was_not_asked_for_is_said_to_be_added(tmp_path: Path) -> None:
    two = answer(tmp_path, "vision.py:Classifier", "--widths", "32,64", "--stages", "roles")
    assert two["widths"] == [32, 64, 128]
    assert "width 128 is added, as a trace takes three" in two["assumptions"]
    three = answer(tmp_path, "vision.py:Classifier", "--widths", "32,64,128", "--stages", "roles")
    assert not any("is added" in text for text in three["assumptions"])


def test_a_width_that_another_has_to_equal_and_ids_of_one_shape(tmp_path: Path) -> None:
    found = answer(tmp_path, "vision.py:Paired")
    assert found["base"] == {"d_model": 64, "d_word": 64}
    assert found["held"]["d_v"] == 16
    assert (roles(found)["words.weight"], roles(found)["value.weight"]) == ("input", "output")
    assert "a batch of 4 x 32 random token ids below 50 and segment_info" in found["assumptions"]


def test_a_factory_function(tmp_path: Path) -> None:
    found = answer(tmp_path, "vision.py:factory")
    assert roles(found) == {"0.weight": "input", "0.bias": "vector", "2.weight": "output", "2.bias": "scalar"}


@pytest.mark.parametrize(
    ("target", "arguments", "expected"),
    [
        ("vision.py:Fixed", (), "Fixed has no settings, so its width cannot change; write a case"),
        ("vision.py:Odd", (), "no batch that mulint tried goes through Odd"),
        ("model.py:Model", ("--knob", "n_embd"), "Model has no setting n_embd; it has vocab_size, context"),
        ("model.py:Model", ("--set", "d_modell=3"), "Model has no setting d_modell"),
        ("model.py:Model", ("--follow", "d_ff=sum(d_model)"), "sum(d_model) is not understood"),
        (
            "model.py:Model",
            ("--widths", "10,20,40"),
            "shape '[4, 32, 6, -1]' is invalid for input of size 1280 (model.py:33); pass other --widths",
        ),
    ],
)
def test_what_cannot_be_built(tmp_path: Path, target: str, arguments: tuple[str, ...], expected: str) -> None:
    result = run(tmp_path, target, *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_module_of_a_package_may_have_the_name_of_the_package(tmp_path: Path) -> None:
    package = tmp_path / "towers"
    package.mkdir()
    (package / "__init__.py").write_text("from .towers import *")
    (package / "towers.py").write_text("from .model import Model, Settings")
    found = answer(tmp_path, "model.py:Model", "--set=depth=1")  # also writes the files of a project
    (package / "model.py").write_text(LANGUAGE_MODEL)
    assert roles(answer(tmp_path, "towers/model.py:Model", "--set=depth=1")) == roles(found)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "open('cuda/kernel.cpp')",
            "No such file or directory: 'cuda/kernel.cpp' (broken.py:1); run mulint in the",
        ),
        ("from .layers import Layer", "no known parent package (broken.py:1); name it as package.module:name"),
        ("import torch; torch.zeros(1, device='cuda')", "pass --device cuda where there is one"),
    ],
)
def test_what_cannot_be_imported(tmp_path: Path, code: str, expected: str) -> None:
    (tmp_path / "broken.py").write_text(code)
    result = run(tmp_path, "broken.py:Model")
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize(("fixture", "scale", "ok"), [("gpt", -0.5, False), ("gpt_mup", -1.0, True)])
def test_the_fixtures_are_built(fixture: str, scale: float, ok: bool) -> None:
    arguments = ["trace", str(FIXTURES / fixture / "model.py:GPT"), "--stages", "roles", "--output-format", "json"]
    found = json.loads(CliRunner().invoke(group, arguments).stdout)
    kinds = roles(found)
    assert kinds["tok_embed.weight"] == kinds["pos_embed.weight"] == "input"
    assert {kinds[f"layers.0.{name}.weight"] for name in ("attn.qkv", "attn.proj", "ffn.up")} == {"hidden"}
    assert {kinds[name] for name in kinds if name.endswith("bias") or "norm" in name} == {"vector"}
    (table,) = (parameter for parameter in found["parameters"] if parameter["aliases"])
    assert table["aliases"] == ["lm_head.weight"]
    (packed,) = (parameter for parameter in found["parameters"] if parameter["name"] == "layers.1.attn.qkv.weight")
    expected = {"name": "attention", "value": scale, "expected": -1, "ok": ok}
    assert expected in packed["invariants"]


def test_settings_that_hold_the_base_are_filled() -> None:
    target = str(FIXTURES / "gpt_mup" / "model.py:GPT")
    arguments = ["trace", target, "--stages=roles", "--base-width=n_embd=128", "--output-format=json"]
    found = json.loads(CliRunner().invoke(group, arguments).stdout)
    assert found["base"] == {"n_embd": 128}
    assert "base_n_embd = 128, as in the base" in found["assumptions"]
    assert "base_n_head = 4, as in the base" in found["assumptions"]


PRESETS = """
import torch
from torch import nn


class Options:
    pass


class Model(nn.Module):
    @staticmethod
    def get_default_config():
        options = Options()
        options.preset = "small"
        options.n_embd = None
        options.vocab_size = None
        return options

    def __init__(self, config):
        super().__init__()
        by_name, by_size = config.preset is not None, config.n_embd is not None
        assert by_name != by_size
        width = {"small": 64}[config.preset] if by_name else config.n_embd
        self.embed = nn.Embedding(config.vocab_size, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, config.vocab_size)

    def make_optimizer(self, options):
        groups = [{"params": list(self.parameters()), "weight_decay": options.weight_decay}]
        return torch.optim.AdamW(groups, lr=options.learning_rate, betas=options.betas)

    def forward(self, tokens):
        return self.head(self.mix(self.embed(tokens)))
"""


def test_a_named_preset_in_the_way_of_sizes_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "presets.py").write_text(PRESETS)
    found = answer(tmp_path, "presets.py:Model")
    assert "preset = None (default 'small'), because the model cannot be built with it" in found["assumptions"]
    assert roles(found)["mix.weight"] == "hidden"
    refused = run(tmp_path, "presets.py:Model", "--set", "preset='small'")
    assert refused.exit_code == 2
    assert "AssertionError" in refused.stderr


def test_an_optimizer_that_takes_a_configuration_object(tmp_path: Path) -> None:
    (tmp_path / "presets.py").write_text(PRESETS)
    result = CliRunner().invoke(group, ["trace", "presets.py:Model", "--output-format", "json"])
    found = json.loads(result.stdout)
    assert any("betas=(0.9, 0.95), learning_rate=0.001, weight_decay=0.1" in said for said in found["assumptions"])
    assert {p["name"]: p["lr"]["exponent"] for p in found["parameters"]}["mix.weight"] == 0


FIXED = """
import mulint
import torch
from torch import nn


def case(width):
    return mulint.Case(nn.Linear(4, 2), torch.randn(3, 4), lambda model, batch: model(batch).mean())
"""


def test_a_case_that_does_not_use_its_width_says_so(tmp_path: Path) -> None:
    (tmp_path / "cases.py").write_text(FIXED, encoding="utf-8")
    result = mulint("trace", "cases.py:case", cwd=tmp_path)
    assert (result.returncode, "no parameter changes with the width" in result.stderr) == (2, True)
