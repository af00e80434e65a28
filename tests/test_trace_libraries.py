"""Models of installed packages, traced by their names: widths are found by building."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mulint.cli import group

ZOO = """
import torch
from torch import nn


class TinyConfig:
    model_type = "tiny"

    def __init__(
        self, vocab_size=1000, stream=96, heads_total=None, attention_heads=12, key_value_heads=4, size_of_head=32,
        between=256, embedded=96, n_layers=6, positions=64,
    ):
        self.vocab_size, self.stream, self.embedded, self.n_layers = vocab_size, stream, embedded, n_layers
        self.attention_heads, self.key_value_heads = attention_heads, key_value_heads
        self.head_dim, self.between, self.positions = size_of_head, between, positions
        self.size_of_head = size_of_head


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv, self.size = c.attention_heads, c.key_value_heads, c.size_of_head
        if self.heads % self.kv:
            raise ValueError("key_value_heads must divide attention_heads")
        self.q = nn.Linear(c.stream, self.heads * self.size, bias=False)
        self.k = nn.Linear(c.stream, self.kv * self.size, bias=False)
        self.v = nn.Linear(c.stream, self.kv * self.size, bias=False)
        self.o = nn.Linear(self.heads * self.size, c.stream, bias=False)
        self.up = nn.Linear(c.stream, c.between)
        self.down = nn.Linear(c.between, c.stream)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (f(x).view(b, t, -1, self.size).transpose(1, 2) for f in (self.q, self.k, self.v))
        k, v = (y.repeat_interleave(self.heads // self.kv, 1) for y in (k, v))
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, -1)
        x = x + self.o(y)
        return x + self.down(self.up(x).relu())


class Tiny(nn.Module):
    config_class = TinyConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.vocab_size, config.embedded)
        self.places = nn.Parameter(torch.zeros(1, config.positions, config.stream))
        if config.embedded != config.stream:
            self.project = nn.Linear(config.embedded, config.stream)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.head = nn.Linear(config.stream, config.vocab_size, bias=False)

    def forward(self, input_ids):
        x = self.table(input_ids)
        x = self.project(x) if hasattr(self, "project") else x
        x = x + self.places[:, : x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return {"logits": self.head(x)}


class Pyramid(nn.Module):
    def __init__(self, num_blocks=4, hidden_sizes=(32, 64, 128, 256), classes=10, in_chans=3):
        super().__init__()
        sizes = [in_chans, *hidden_sizes][: num_blocks + 1]
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(sizes, sizes[1:]))
        self.fc, self.last = nn.Linear(hidden_sizes[-1], classes), hidden_sizes[-1]

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.reshape(len(x), -1, self.last).mean(1))


class Stages(nn.Module):
    def __init__(self, channels=(24, 48), classes=10, in_chans=3, kernel=3):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, channels[0], kernel)
        self.norm = nn.BatchNorm2d(channels[0])
        self.next = nn.Conv2d(channels[0], channels[1], kernel)
        self.fc = nn.Linear(channels[1], classes)

    def forward(self, x):
        return self.fc(self.next(self.norm(self.stem(x)).relu()).mean((2, 3)))


class Passed(Stages):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)


class Added(Stages):
    def __init__(self, scale=2.0, **keywords):
        super().__init__(**keywords)
        self.scale = scale


class Broken(nn.Module):
    class config_class(TinyConfig):
        pass

    def __init__(self, config):
        raise ValueError("a tokenizer is needed")


class Shortcut(nn.Module):
    def __init__(self, taken, given):
        super().__init__()
        self.inner = nn.Conv2d(taken, given, 3, padding=1)
        self.outer = nn.Conv2d(given, given, 3, padding=1)
        self.project = nn.Conv2d(taken, given, 1) if taken != given else nn.Identity()

    def forward(self, x):
        return self.project(x) + self.outer(self.inner(x).relu())


class Residual(nn.Module):
    def __init__(self, channels=(24, 48), classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3)
        sizes = (24, *channels)
        self.blocks = nn.Sequential(*(Shortcut(a, b) for a, b in zip(sizes, channels)))
        self.fc = nn.Linear(channels[-1], classes)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class Sloped(nn.Module):
    def __init__(self, start=32, first=32, slope=20.5, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, start, 3)
        sizes = [start, *(round((first + slope * i) / 8) * 8 for i in range(3))]
        self.blocks = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in zip(sizes, sizes[1:]))
        self.bridge = nn.Conv2d(sizes[-1], sizes[-1], 1) if first / 2 < slope < first else nn.Identity()
        self.fc = nn.Linear(sizes[-1], classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x).relu()
        return self.fc(self.bridge(x).mean((2, 3)))


class HybridConfig:
    model_type = "hybrid"

    def __init__(
        self, vocab_size=1000, stream=64, position_parts=(16, 48), query_heads=8, linear_heads=8, size_of_head=16,
        num_experts=64, n_layers=8, pad_token_id=990,
    ):
        if sum(position_parts) != stream or stream % query_heads:
            raise ValueError("sizes do not fit")
        self.vocab_size, self.stream, self.position_parts = vocab_size, stream, position_parts
        self.query_heads, self.linear_heads, self.size_of_head = query_heads, linear_heads, size_of_head
        self.num_experts, self.n_layers, self.pad_token_id = num_experts, n_layers, pad_token_id


class Mixed(nn.Module):
    def __init__(self, c, attends):
        super().__init__()
        inner = (c.query_heads if attends else c.linear_heads) * c.size_of_head
        self.enter, self.leave = nn.Linear(c.stream, inner), nn.Linear(inner, c.stream)
        self.router = nn.Linear(c.stream, c.num_experts)
        self.experts = nn.ModuleList(nn.Linear(c.stream, c.stream) for _ in range(c.num_experts))
        self.attends = attends

    def forward(self, x):
        x = x + self.leave(self.enter(x).relu())
        weights = self.router(x).softmax(-1)
        return sum(weights[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


class Hybrid(nn.Module):
    config_class = HybridConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.vocab_size, config.stream, padding_idx=config.pad_token_id)
        self.places = nn.ParameterList(torch.zeros(4, size) for size in config.position_parts)
        self.blocks = nn.ModuleList(Mixed(config, i % 4 == 3) for i in range(config.n_layers))
        self.head = nn.Linear(config.stream, config.vocab_size, bias=False)

    def forward(self, input_ids):
        first = next(block for block in self.blocks if block.attends)  # whose mask all others share
        x = self.table(input_ids)
        x = x + torch.cat([place.repeat(8, 1) for place in self.places], 1)[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return {"logits": self.head(x)}


class Normed(nn.Module):
    def __init__(self, channels=(24, 48), kernels=(3, 5), classes=10):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        sizes = (3, *channels)
        made = (norm(nn.Conv2d(a, b, k)) for a, b, k in zip(sizes, channels, kernels))
        self.layers, self.fc = nn.Sequential(*made), norm(nn.Linear(channels[-1], classes))

    def forward(self, x):
        return self.fc(self.layers(x).mean((2, 3)))


class Written(nn.Module):
    def __init__(self, taps=(4, 8)):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, 64, taps[0]), nn.Conv1d(64, 1, taps[1]))


FACTORIES = {
    "pyramid": Pyramid,
    "normed": Normed,
    "passed": lambda: Passed(channels=(32, 64)),
    "added": lambda: Added(channels=(32, 64)),
    "written": Written,
    "stages_small": lambda: Stages(channels=(32, 64)),
    "residual": Residual,
    "sloped": Sloped,
}


def is_model(name):
    return name in FACTORIES


def create_model(name):
    return FACTORIES[name]()
"""


@pytest.fixture(autouse=True)
def _zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zoo.py").write_text(ZOO, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def run(target: str, *arguments: str) -> Result:
    return CliRunner().invoke(group, ["trace", target, *arguments])


def trace(target: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run(target, "--stages", "roles", "--output-format", "json", *arguments).stdout
    )
    return found


def roles(found: dict[str, Any]) -> dict[str, str]:
    return {parameter["name"]: parameter["role"] for parameter in found["parameters"]}


def test_a_configuration_whose_sizes_hang_together() -> None:
    found = trace("zoo:Tiny")
    (width,) = (text for text in found["assumptions"] if text.startswith("the width is"))
    knobs = {"stream", "embedded", "between", "attention_heads", "key_value_heads"}
    assert (
        set(width.removeprefix("the width is ").replace("and ", "").replace(" grows with it", "").split(", "))
        == knobs
    )
    assert roles(found) == {
        "table.weight": "input",
        "places": "input",
        "head.weight": "output",
        **{f"blocks.{i}.{name}.weight": "hidden" for i in (0, 1) for name in ("q", "k", "v", "o", "up", "down")},
        **{f"blocks.{i}.{name}.bias": "vector" for i in (0, 1) for name in ("up", "down")},
    }
    assert "n_layers = 2 (default 6)" in found["assumptions"]


@pytest.mark.parametrize("name", ["stages_small", "passed", "added"])
def test_a_factory_by_the_class_it_builds(name: str) -> None:
    found = trace(f"zoo:{name}")
    assert found["base"].keys() == {"channels.0", "channels.1"}
    assert roles(found)["next.weight"] == "hidden"
    assert roles(found)["stem.weight"] == "input"
    assert roles(found)["fc.weight"] == "output"


def test_a_size_that_equals_a_fixed_one_by_chance() -> None:
    found = trace("zoo:residual")
    assert found["base"].keys() == {"channels.0", "channels.1"}
    of = roles(found)
    assert {of[f"blocks.{i}.{name}.weight"] for i in (0, 1) for name in ("inner", "outer", "project")} == {
        "input",
        "hidden",
    }
    assert [name for name, role in of.items() if role == "input"] == [
        "blocks.0.inner.weight",
        "blocks.0.project.weight",
    ]
    assert of["stem.weight"] == "scalar"


def test_stages_with_a_size_each_in_a_list_all_stay() -> None:
    found = trace("zoo:pyramid")
    assert found["base"].keys() == {f"hidden_sizes.{i}" for i in range(4)}
    of = roles(found)
    assert (of["stages.0.weight"], of["stages.3.weight"], of["fc.weight"]) == ("input", "hidden", "output")


def test_sizes_that_follow_from_a_start_and_a_slope() -> None:
    found = trace("zoo:sloped")
    assert found["base"].keys() == {"start", "first", "slope"}
    of = roles(found)
    assert {of[f"blocks.{i}.weight"] for i in range(3)} == {"hidden"}
    assert of["bridge.weight"] == "hidden"


def test_layers_that_do_not_run_without_others_stay_with_them() -> None:
    found = trace("zoo:Hybrid")
    assert {
        "n_layers = 4 (default 8)",
        "num_experts = 16 (default 64)",
        "vocab_size = 256 (default 1000)",
        "pad_token_id = 0 (default 990)",  # which would lie outside of the vocabulary
    } <= set(found["assumptions"])
    # The parts of the positions fit together with the stream only; heads of all kinds grow when one has to.
    assert found["base"].keys() == {
        "stream",
        "position_parts.0",
        "position_parts.1",
        "query_heads",
        "linear_heads",
    }
    of = roles(found)
    assert {of["places.0"], of["places.1"], of["table.weight"]} == {"input"}
    assert {of[f"blocks.{i}.{name}.weight"] for i in (0, 3) for name in ("enter", "leave")} == {"hidden"}
    assert of["blocks.3.router.weight"] == "output"


def test_layers_with_parametrized_weights_take_in_and_produce_like_any_other() -> None:
    found = trace("zoo:normed")
    assert found["base"].keys() == {"channels.0", "channels.1"}
    of = {name.replace(".parametrizations.weight.original", "."): role for name, role in roles(found).items()}
    assert (of["layers.0.1"], of["layers.1.1"], of["fc.1"]) == ("input", "hidden", "output")
    assert (of["layers.0.0"], of["layers.1.0"], of["fc.0"]) == ("vector", "vector", "scalar")


def test_all_stages_of_a_library_model() -> None:
    result = run("zoo:stages_small", "--seeds", "1", "--output-format", "json")
    assert result.exit_code in (0, 1, 2)
    found = json.loads(result.stdout)
    assert found["activations"]
    assert all(parameter["lr"]["exponent"] is None for parameter in found["parameters"])


def test_sizes_and_widths_that_are_given() -> None:
    found = trace(
        "zoo:Tiny",
        "--set",
        "n_layers=3",
        "--set",
        "stream=128",
        "--set",
        "embedded=128",
        "--widths",
        "128,256,512",
    )
    assert found["widths"] == [128, 256, 512]
    assert "blocks.2.q.weight" in roles(found)


def _memory_of_an_import() -> float:
    """GiB that torch takes by itself: a build for CUDA is several times as large as one without."""
    code = "import torch, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return int(shown) / (1 << 20 if sys.platform == "linux" else 1 << 30)


def test_seventy_billion_parameters_in_the_memory_of_an_import() -> None:
    sizes = {"stream": 8192, "embedded": 8192, "between": 28672, "n_layers": 80, "vocab_size": 128256}
    heads = {"attention_heads": 64, "key_value_heads": 8, "size_of_head": 128}
    settings = [word for name, size in {**sizes, **heads}.items() for word in ("--set", f"{name}={size}")]
    found = trace(
        "zoo:Tiny",
        *settings,
        "--knob",
        "stream",
        "--knob",
        "embedded",
        "--knob",
        "between",
        "--knob",
        "attention_heads",
        "--knob",
        "key_value_heads",
        "--widths",
        "8192,16384,32768",
        "--memory",
        f"{_memory_of_an_import() + 0.38:.2f}",
    )
    assert sum(role == "hidden" for role in roles(found).values()) == 6 * 80
    assert found["parameters"][1]["shapes"][0] == [128256, 8192]


@pytest.mark.parametrize(
    ("target", "arguments", "expected"),
    [
        ("zoo:Broken", (), "a tokenizer is needed"),
        ("zoo:Nothing", (), "zoo has no Nothing"),
        ("nowhere.models:Tiny", (), "nowhere.models cannot be imported"),
        ("zoo:written", (), "no number of written was recognised as its width; name one with --knob"),
        ("zoo:Tiny", ("--set", "layers=2"), "Tiny has no setting layers"),
    ],
)
def test_what_cannot_be_built(target: str, arguments: tuple[str, ...], expected: str) -> None:
    result = run(target, "--stages", "roles", *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
