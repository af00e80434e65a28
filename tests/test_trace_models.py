"""Models as people write them, traced with nothing but their name: sizes, batches and roles are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from mulint.cli import group

UNET = """
import torch
from torch import nn


class UNet(nn.Module):
    def __init__(self, in_channels=3, out_channels=2, features=32):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, features, 3, padding=1)
        self.down = nn.Conv2d(features, 2 * features, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2 * features, features, 2, stride=2)
        self.merge = nn.Conv2d(2 * features, features, 3, padding=1)
        self.out = nn.Conv2d(features, out_channels, 1)

    def forward(self, x):
        high = torch.relu(self.stem(x))
        low = torch.relu(self.down(high))
        return self.out(torch.relu(self.merge(torch.cat([self.up(low), high], dim=1))))


class Stages(nn.Module):
    def __init__(self, in_channels=3, out_channels=2, features=(16, 32)):
        super().__init__()
        first, second = features
        self.layers = nn.Sequential(nn.Conv2d(in_channels, first, 3), nn.Conv2d(first, second, 3))
        self.out = nn.Conv2d(second, out_channels, 1)

    def forward(self, x):
        return self.out(self.layers(x))


class Regression(nn.Module):
    def __init__(self, features=16, size=32):
        super().__init__()
        self.up = nn.Linear(features, size)
        self.body = nn.Linear(size, size)

    def forward(self, x):
        return self.body(torch.relu(self.up(x)))
"""

LATENTS = """
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, context_dim, heads, dim_head):
        super().__init__()
        self.heads, self.scale = heads, dim_head**-0.5
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim)

    def forward(self, x, context):
        q, (k, v) = self.to_q(x), self.to_kv(context).chunk(2, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        weights = (torch.einsum("bhid,bhjd->bhij", q, k) * self.scale).softmax(dim=-1)
        return self.to_out(torch.einsum("bhij,bhjd->bhid", weights, v).transpose(1, 2).flatten(2))


class Latents(nn.Module):
    def __init__(self, input_dim=16, num_latents=16, latent_dim=64, heads=4, dim_head=16, num_classes=10):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(num_latents, latent_dim) * 0.02)
        self.read = Attention(latent_dim, input_dim, heads, dim_head)
        self.think = nn.Linear(latent_dim, latent_dim)
        self.head = nn.Linear(latent_dim, num_classes)

    def forward(self, data):
        x = self.latents.expand(data.shape[0], -1, -1)
        x = x + self.read(x, data)
        return self.head(torch.relu(self.think(x)).mean(dim=1))
"""

TOWERS = """
import torch
import torch.nn.functional as F
from torch import nn


class Towers(nn.Module):
    def __init__(self, embed_dim=32, vision_width=64, text_width=64, vocab_size=256, context_length=12):
        super().__init__()
        self.patches = nn.Conv2d(3, vision_width, 8, stride=8)
        self.see = nn.Linear(vision_width, vision_width)
        self.project_image = nn.Linear(vision_width, embed_dim, bias=False)
        self.words = nn.Embedding(vocab_size, text_width)
        self.places = nn.Parameter(torch.randn(context_length, text_width))
        self.read = nn.Linear(text_width, text_width)
        self.project_text = nn.Linear(text_width, embed_dim, bias=False)
        self.temperature = nn.Parameter(torch.zeros(()))

    def forward(self, image, text):
        seen = self.project_image(torch.relu(self.see(self.patches(image).flatten(2).mean(dim=-1))))
        read = torch.relu(self.read(self.words(text) + self.places))
        read = self.project_text(read[torch.arange(len(text)), text.argmax(dim=-1)])
        return self.temperature.exp() * F.normalize(seen, dim=-1) @ F.normalize(read, dim=-1).T
"""


SIZES = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, taken, given):
        super().__init__()
        self.norm = nn.GroupNorm(32, taken)
        self.main = nn.Conv2d(taken, given, 3, padding=1)
        self.skip = nn.Conv2d(taken, given, 1) if taken != given else nn.Identity()

    def forward(self, x):
        return self.skip(x) + self.main(self.norm(x))


class Shortcuts(nn.Module):
    def __init__(self, sizes=[64, 128, 256], num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, sizes[0], 3)
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip(sizes, sizes[1:])))
        self.head = nn.Linear(sizes[-1], num_classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Coder(nn.Module):
    def __init__(self, width=64, inner=128, gates=64, rank=16, expansion=8, num_classes=10):
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.gate, self.open = nn.Linear(width, gates), nn.Linear(gates, width)
        self.low, self.high = nn.Linear(width, rank), nn.Linear(rank, width)
        self.wide, self.back = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.down(self.up(x).relu()) + self.high(self.low(x)) + self.back(self.wide(x).relu())
        return self.head(x * self.open(self.gate(x)).sigmoid())


class Written(nn.Module):
    def __init__(self, n_channels=3, n_classes=2):
        super().__init__()
        self.first, self.second = nn.Conv2d(n_channels, 64, 3), nn.Conv2d(64, n_classes, 1)

    def forward(self, x):
        return self.second(self.first(x).relu())


class Dropped(nn.Module):
    def __init__(self, width=64, depth=2, rate=0.1):
        super().__init__()
        self.rates = [x.item() for x in torch.linspace(0, rate, depth)]
        self.scale = float(torch.arange(1, 3).sum() * 0.5)
        sizes = [8, *[width] * depth]
        self.blocks = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for block, rate in zip(self.blocks, self.rates):
            x = torch.relu(block(x)) * (1 - rate) * self.scale
        return x
"""


def trace(folder: Path, source: str, name: str, *arguments: str) -> dict[str, Any]:
    (folder / "pyproject.toml").touch()
    (folder / "net.py").write_text(source, encoding="utf-8")
    command = ["trace", f"{folder}/net.py:{name}", "--stages", "roles", "--output-format", "json", *arguments]
    result = CliRunner().invoke(group, command)
    assert result.stdout, result.output
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def roles(data: dict[str, Any], names: str) -> list[str]:
    found = {parameter["name"]: parameter["role"] for parameter in data["parameters"]}
    return [found[name] for name in names.split()]


def test_features_are_the_width_where_the_inputs_have_a_name_of_their_own(tmp_path: Path) -> None:
    data = trace(tmp_path, UNET, "UNet")
    assert data["base"].keys() == {"features"}
    assert roles(data, "stem.weight down.weight up.weight merge.weight out.weight") == [
        "input",
        "hidden",
        "hidden",
        "hidden",
        "output",
    ]


def test_features_are_the_inputs_where_nothing_else_is(tmp_path: Path) -> None:
    assert trace(tmp_path, UNET, "Regression")["base"].keys() == {"size"}


def test_the_numbers_of_a_list_grow_together(tmp_path: Path) -> None:
    data = trace(tmp_path, UNET, "Stages")
    assert data["base"] == {"features.1": 32, "features.0": 16}
    assert roles(data, "layers.0.weight layers.1.weight out.weight") == ["input", "hidden", "output"]
    asked = trace(tmp_path, UNET, "Stages", "--knob", "features", "--set", "features=(16, 48)")
    assert asked["base"] == {"features.1": 48, "features.0": 16}
    one = trace(tmp_path, UNET, "Stages", "--knob", "features.1")
    assert one["base"].keys() == {"features.1"}
    assert roles(one, "layers.0.weight layers.1.weight") == ["scalar", "input"]


def test_a_number_of_a_list_that_cannot_change_alone_grows_with_the_others(tmp_path: Path) -> None:
    data = trace(tmp_path, SIZES, "Shortcuts")
    assert data["base"].keys() == {"sizes.0", "sizes.1", "sizes.2"}
    assert data["base"]["sizes.2"] == 128  # at 64 the first norm would have 16 channels
    assert roles(data, "stem.weight blocks.0.skip.weight") == ["input", "hidden"]


def test_sizes_that_behave_like_a_width_grow_along_and_narrow_ones_are_held(tmp_path: Path) -> None:
    data = trace(tmp_path, SIZES, "Coder")
    assert data["base"].keys() == {"width", "inner", "gates"}
    assert (
        "rank = 16 is held while the width grows; --knob width --knob inner --knob gates --knob rank lets it grow"
        in (data["assumptions"])
    )
    assert roles(data, "up.weight down.weight gate.weight low.weight high.weight") == [
        *["hidden"] * 3,
        "output",
        "input",
    ]


def test_what_layers_only_take_in_is_no_width(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "net.py").write_text(SIZES, encoding="utf-8")
    result = CliRunner().invoke(group, ["trace", f"{tmp_path}/net.py:Written"])
    assert result.exit_code == 2
    assert "no setting of Written was recognised as its width; write a case" in result.stderr
    assert "sizes that are written in its code" in result.stderr


def test_constants_can_be_read_while_a_model_is_built_on_meta(tmp_path: Path) -> None:
    data = trace(tmp_path, SIZES, "Dropped")
    assert not any("ran on CPU" in text for text in data["assumptions"])
    assert roles(data, "blocks.0.weight blocks.1.weight") == ["input", "hidden"]


def test_counts_and_head_sizes_do_not_grow_beside_a_size(tmp_path: Path) -> None:
    data = trace(tmp_path, LATENTS, "Latents")
    assert data["base"].keys() == {"latent_dim"}
    assert roles(data, "latents think.weight head.weight") == ["input", "hidden", "output"]
    (held,) = (text for text in data["assumptions"] if text.startswith("dim_head"))
    assert held == ("dim_head = 16 is held too, so attention does not widen; --knob latent_dim --knob heads does")


def test_the_knobs_that_were_proposed_widen_attention(tmp_path: Path) -> None:
    data = trace(tmp_path, LATENTS, "Latents", "--knob", "latent_dim", "--knob", "heads")
    assert roles(data, "read.to_q.weight read.to_kv.weight read.to_out.weight") == ["hidden", "input", "hidden"]
    assert not any("held too" in text for text in data["assumptions"])


def test_two_towers_grow_together_and_get_a_picture_and_a_text(tmp_path: Path) -> None:
    data = trace(tmp_path, TOWERS, "Towers")
    assert data["base"].keys() == {"embed_dim", "vision_width", "text_width"}
    assert any(text.endswith("images, 4 x 3 x 32 x 32 and text") for text in data["assumptions"])
    assert roles(data, "patches.weight words.weight places") == ["input"] * 3
    assert roles(data, "see.weight read.weight project_image.weight project_text.weight") == ["hidden"] * 4
    assert roles(data, "temperature") == ["scalar"]
