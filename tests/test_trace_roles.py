"""Roles, multipliers and attention scales of small models, traced at three widths."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import mup
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import mulint
from mulint.tracing import cases, roles, verdict
from mulint.tracing.model import ParameterDims

ROOT = Path(__file__).parent
WIDTHS = (64.0, 128.0, 256.0)
HALF = Fraction(1, 2)


class Traced:
    """The dimension trace of one model class, built by ``make(width)`` and run on ``inputs(width)``."""

    def __init__(self, make: Callable[[int], nn.Module], inputs: Callable[[int], tuple[Tensor, ...]]) -> None:
        def case(width: float) -> mulint.Case:
            return mulint.Case(make(int(width)), inputs(int(width)), lambda model, batch: _total(model(*batch)))

        self.found = roles.trace(cases.from_case(case, WIDTHS, None), ROOT)
        self.parameters: dict[str, ParameterDims] = {p.name: p for p in self.found.parameters}

    def roles(self) -> dict[str, str]:
        return {name: str(parameter.role) for name, parameter in self.parameters.items()}

    def multiplier(self, name: str) -> Fraction | None:
        return self.parameters[name].multiplier


def _total(output: Any) -> Tensor:
    if isinstance(output, tuple):
        return _total(output[0])
    assert isinstance(output, Tensor)
    return output.float().pow(2).mean()


def tokens(_: int) -> tuple[Tensor, ...]:
    return (torch.randint(0, 11, (2, 5)),)


def features(size: int = 7) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda _: (torch.randn(3, size),)


def sequence(width: int) -> tuple[Tensor, ...]:
    return (torch.randn(2, 5, width),)


def line_of(text: str) -> int:
    """The one line of this file that ends with a marker comment."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = (i for i, line in enumerate(lines, 1) if line.rstrip().endswith("# " + text))
    return found


class Perceptron(nn.Module):
    def __init__(self, width: int, factor: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Linear(7, width)
        self.middle = nn.Linear(width, 2 * width)
        self.head = nn.Linear(2 * width, 3)
        self.factor = factor

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.middle(F.relu(self.first(x))))
        return self.head(x * self.factor)  # perceptron head


def test_perceptron() -> None:
    traced = Traced(Perceptron, features())
    assert traced.roles() == {
        "first.weight": "input",
        "first.bias": "vector",
        "middle.weight": "hidden",
        "middle.bias": "vector",
        "head.weight": "output",
        "head.bias": "scalar",
    }
    head = traced.parameters["head.weight"]
    assert head.fan_in_dims == (1,)
    assert head.dims == (Fraction(0), Fraction(1))
    assert head.shapes == ((3, 128), (3, 256), (3, 512))
    (use,) = head.uses
    assert (use.path, use.line) == (Path(__file__).name, line_of("perceptron head"))
    assert (
        Path(__file__)
        .read_text(encoding="utf-8")
        .splitlines()[use.line - 1][use.column - 1 :]
        .startswith("self.head(")
    )


def test_a_factor_before_a_readout_is_its_multiplier() -> None:
    traced = Traced(lambda width: Perceptron(width, 1 / width), features())
    assert traced.multiplier("head.weight") == -1
    assert traced.multiplier("head.bias") == 0
    assert traced.multiplier("middle.weight") == 0
    assert traced.parameters["head.weight"].multiplier_places[0].line == line_of("perceptron head")


class Attention(nn.Module):
    """Packed query, key, value; a hand-written softmax or the fused operation."""

    def __init__(self, width: int, heads: int = 4, power: float | None = -0.5, norm: bool = False) -> None:
        super().__init__()
        self.packed = nn.Linear(width, 3 * width, bias=False)  # packed made
        self.out = nn.Linear(width, width, bias=False)
        self.heads, self.power = heads, power
        self.norm = norm

    def forward(self, x: Tensor) -> Any:
        rows, length, width = x.shape
        q, k, v = self.packed(x).split(width, dim=2)
        q, k, v = (t.view(rows, length, self.heads, width // self.heads).transpose(1, 2) for t in (q, k, v))
        if self.norm:
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        if self.power is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # fused attention
        else:
            scores = (q @ k.transpose(-2, -1)) * q.size(-1) ** self.power  # manual attention
            y = F.softmax(scores, dim=-1) @ v
        return self.out(y.transpose(1, 2).reshape(rows, length, width))


class Transformer(nn.Module):
    def __init__(self, width: int, tied: bool = True, **attention: Any) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, width)  # tokens made
        self.positions = nn.Parameter(torch.zeros(1, 5, width))  # positions made
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, **attention)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, 11, bias=False)  # readout made
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Any:
        x = self.tokens(ids) + self.positions
        x = x + self.attention(self.norm(x))
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        return self.head(self.last(x) * (8 / self.last.weight.shape[0]))  # transformer head


def test_transformer_with_tied_readout() -> None:
    traced = Traced(Transformer, tokens)
    assert traced.roles() == {
        "positions": "input",
        "tokens.weight": "input",
        "norm.weight": "vector",
        "norm.bias": "vector",
        "attention.packed.weight": "hidden",
        "attention.out.weight": "hidden",
        "up.weight": "hidden",
        "up.bias": "vector",
        "down.weight": "hidden",
        "down.bias": "vector",
        "last.weight": "vector",
        "last.bias": "vector",
    }
    table = traced.parameters["tokens.weight"]
    assert table.aliases == ("head.weight",)
    assert [(use.op, use.line) for use in table.uses][1] == ("linear", line_of("transformer head"))
    assert [str(use.role) for use in table.use_roles] == ["input", "output"]
    assert [use.multiplier for use in table.use_roles] == [Fraction(0), Fraction(-1)]
    assert table.multiplier == 0
    assert [site.line for site in table.sites] == [line_of("tokens made"), line_of("readout made")]
    assert [site.line for site in traced.parameters["positions"].sites] == [line_of("positions made")]
    assert [site.line for site in traced.parameters["attention.packed.weight"].sites] == [line_of("packed made")]


@pytest.mark.parametrize(
    ("options", "marker", "contract", "scale", "ok"),
    [
        ({"power": -0.5}, "manual attention", 1, -HALF, False),
        ({"power": -1.0}, "manual attention", 1, Fraction(-1), True),
        ({"power": None}, "fused attention", 1, -HALF, False),
        ({"power": 0.0, "norm": True}, "manual attention", 1, Fraction(-1), True),
    ],
)
def test_attention_scale(options: dict[str, Any], marker: str, contract: int, scale: Fraction, ok: bool) -> None:
    (site,) = Traced(lambda width: Transformer(width, **options), tokens).found.attention
    assert site.contract_exponent == contract
    assert site.scale_exponent == scale
    assert site.ok is ok
    assert site.line == line_of(marker)
    if not options.get("norm"):
        assert site.parameters == ("attention.packed.weight",)


class Kept(nn.Module):
    """An embedding times a root that is kept in a few digits."""

    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(11, width)
        self.register_buffer("scale", torch.tensor(width**0.5).bfloat16())

    def forward(self, ids: Tensor) -> Tensor:
        made: Tensor = self.table(ids)
        return made * self.scale


def test_a_factor_that_is_kept_in_a_few_digits() -> None:
    def case(width: float) -> mulint.Case:
        return mulint.Case(Kept(int(width)), tokens(0), lambda model, batch: _total(model(*batch)))

    found = roles.trace(cases.from_case(case, (80.0, 160.0, 320.0), None), ROOT)
    assert [parameter.multiplier for parameter in found.parameters] == [HALF]


class Towers(nn.Module):
    """The product of two towers, as it is or as the weight of a choice."""

    def __init__(self, width: int, chooses: bool) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(7, width), nn.Linear(7, width)
        self.chooses = chooses

    def forward(self, x: Tensor) -> Tensor:
        product = self.left(x) @ self.right(x).t() + 1.0
        return (30 * torch.tanh(product / 30)).softmax(-1) @ x if self.chooses else product.sigmoid()


@pytest.mark.parametrize(("chooses", "code"), [(False, "MU407"), (True, "MU405")])
def test_a_product_by_itself_is_no_attention(chooses: bool, code: str) -> None:
    traced = Traced(lambda width: Towers(width, chooses), features())
    (culprit,) = verdict.culprits((), traced.found.attention)
    assert culprit.code == code
    assert culprit.parameter == "left.weight, right.weight"


class Rotated(nn.Module):
    """Angles of positions that are computed on the way, from ranges of a size that grows."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        length, width = x.shape[1:]
        rates = 1.0 / (10000 ** (torch.arange(0, width, 2, device=x.device) / width))
        angles = torch.outer(torch.arange(length, device=x.device), rates).repeat(1, 2)
        q, k = (y * angles.cos() + y.roll(width // 2, -1) * angles.sin() for y in (self.query(x), self.key(x)))
        result: Tensor = (q @ k.transpose(1, 2) * width**-1).softmax(-1) @ x
        return result


def test_angles_of_positions_are_no_factor_of_unknown_size() -> None:
    traced = Traced(Rotated, sequence)
    assert traced.multiplier("query.weight") == traced.multiplier("key.weight") == 0
    assert [site.ok for site in traced.found.attention] == [True]


@pytest.mark.parametrize("power", [-0.5, None])
def test_fixed_head_size_is_no_attention_site(power: float | None) -> None:
    traced = Traced(lambda width: Transformer(width, heads=width // 16, power=power), tokens)
    assert traced.found.attention == ()


class MultiHead(nn.Module):
    def __init__(self, width: int, scale: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True, bias=False)
        self.factor = math.sqrt(64 / width) if scale else 1.0

    def forward(self, x: Tensor) -> Any:
        x = F.layer_norm(x, x.shape[-1:])
        return self.attention(x * self.factor, x, x, need_weights=False)[0]  # multi-head


@pytest.mark.parametrize(("scale", "ok"), [(False, False), (True, True)])
def test_multi_head_attention_is_seen_from_inside(scale: bool, ok: bool) -> None:
    traced = Traced(lambda width: MultiHead(width, scale), sequence)
    assert traced.roles() == {"attention.in_proj_weight": "hidden", "attention.out_proj.weight": "hidden"}
    (site,) = traced.found.attention
    assert (site.line, site.ok) == (line_of("multi-head"), ok)
    assert traced.multiplier("attention.in_proj_weight") == 0


class PostNorm(nn.Module):
    """The query of the first block is the stream itself; ``spread`` scales the stream, not only its query."""

    def __init__(self, width: int, spread: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, width)
        self.memory = nn.Embedding(11, width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True, bias=False)
        self.norm = nn.LayerNorm(width)
        self.factor, self.spread = math.sqrt(64 / width), spread

    def forward(self, ids: Tensor) -> Any:
        x, memory = self.tokens(ids), self.memory(ids)
        query = x * self.factor
        mixed, _ = self.attention(query, memory, memory, need_weights=False)
        return self.norm((query if self.spread else x) + mixed)


def test_a_factor_on_the_query_of_an_unnormalised_stream_belongs_to_the_attention() -> None:
    traced = Traced(PostNorm, tokens)
    assert [site.ok for site in traced.found.attention] == [True]
    assert {name: traced.multiplier(name) for name in traced.parameters if "norm" not in name} == {
        "tokens.weight": 0,
        "memory.weight": 0,
        "attention.in_proj_weight": 0,
        "attention.out_proj.weight": 0,
    }


def test_a_factor_on_the_stream_belongs_to_its_embedding_also_where_the_query_takes_it_in() -> None:
    traced = Traced(lambda width: PostNorm(width, spread=True), tokens)
    assert traced.multiplier("tokens.weight") == -HALF
    assert [site.ok for site in traced.found.attention] == [False]


class UnitLinear(nn.Linear):
    """Unit entries, scaled by the layer itself."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, bias=False)
        nn.init.normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x * self.in_features**-0.5, self.weight)


class UnitAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (UnitLinear(width) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        x = F.layer_norm(x, x.shape[-1:])
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), scale=1 / x.shape[-1])


def test_factors_in_projections_that_scale_themselves_are_theirs() -> None:
    traced = Traced(UnitAttention, sequence)
    assert {traced.multiplier(f"{name}.weight") for name in ("query", "key", "value")} == {-HALF}
    assert [site.ok for site in traced.found.attention] == [True]


class Grouped(nn.Module):
    """Grouped-query attention with one packed projection: query rows grow, key and value rows do not."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = (width, 32, 32)
        self.packed = nn.Linear(width, sum(self.sizes), bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.packed(x).split(self.sizes, dim=-1)
        q = q.unflatten(-1, (-1, 16)).transpose(1, 2)
        k, v = (t.unflatten(-1, (2, 16)).transpose(1, 2) for t in (k, v))
        repeat = q.shape[1] // 2
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def test_packed_rows_of_two_roles() -> None:
    traced = Traced(Grouped, sequence)
    packed = traced.parameters["packed.weight"]
    assert str(packed.role) == "mixed"
    assert packed.rows is not None
    assert [(start, end, str(role)) for start, end, role in packed.rows] == [
        (0, 64, "hidden"),
        (64, 96, "output"),
        (96, 128, "output"),
    ]
    assert traced.found.attention == ()


class Tokens(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.bias = nn.Parameter(torch.zeros(9, 4))
        self.head = nn.Linear(width, 10)
        self.unused = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], dim=1)
        return self.head(x[:, 0])


def test_tokens_and_unused_parameters() -> None:
    traced = Traced(Tokens, lambda _: (torch.randn(2, 3, 8, 8),))
    found = traced.roles()
    assert (found["patches.weight"], found["first"], found["bias"]) == ("input", "input", "scalar")
    assert (found["unused.weight"], found["unused.bias"]) == ("hidden", "vector")
    assert traced.parameters["unused.weight"].uses == ()


class Scaled(nn.Linear):
    """A readout that scales inside the module, as subclasses of Linear do."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x / self.in_features)


class Deep(nn.Module):
    """A chain of layers with a factor somewhere."""

    def __init__(self, width: int, where: str) -> None:
        super().__init__()
        self.table = nn.Embedding(11, width)
        self.middle = nn.Linear(width, width, bias=False)
        self.head = (Scaled if where == "inside" else nn.Linear)(width, 3, bias=False)
        self.gain = nn.Parameter(torch.ones(width))
        self.where, self.width = where, width
        self.kept: Tensor
        self.register_buffer("kept", torch.tensor(1 / width))

    def forward(self, ids: Tensor) -> Any:
        where, width = self.where, self.width
        x = self.table(ids)
        if where == "embedding":
            x = x * math.sqrt(width)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.gain
        h = self.middle(x)
        if where == "middle":
            h = h / width**0.5
        x = F.layer_norm(x + h, (width,))
        if where == "tensor":
            x = x * torch.tensor(1 / width)
        if where == "buffer":
            x = x * self.kept
        if where == "loss":
            return self.head(x).pow(2).mean() / width
        if where == "weight":
            return F.linear(x, self.head.weight / width)
        out: Tensor = self.head(x)
        return out.mul(64 / width) if where == "output" else out


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("nowhere", (0, 0, 0)),
        ("loss", (0, 0, 0)),
        ("embedding", (HALF, 0, 0)),
        ("middle", (0, -HALF, 0)),
        ("inside", (0, 0, -1)),
        ("tensor", (0, 0, -1)),
        ("buffer", (0, 0, -1)),
        ("weight", (0, 0, -1)),
        ("output", (0, 0, -1)),
    ],
)
def test_whose_multiplier(where: str, expected: tuple[Fraction, Fraction, Fraction]) -> None:
    traced = Traced(lambda width: Deep(width, where), tokens)
    found = tuple(traced.multiplier(f"{name}.weight") for name in ("table", "middle", "head"))
    assert found == expected
    assert traced.multiplier("gain") == 0


class ReadsValues(nn.Module):
    """Cannot run on meta: looks at its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(7, width)

    def forward(self, x: Tensor) -> Any:
        return self.head(x) if x.sum().item() > -1e9 else x


class ReadsAddress(ReadsValues):
    """Hands memory to a kernel of its own."""

    def forward(self, x: Tensor) -> Any:
        self.address = x.data_ptr()
        return self.head(x)


@pytest.mark.parametrize("model", [ReadsValues, ReadsAddress])
def test_cpu_when_meta_fails(model: Callable[[int], nn.Module]) -> None:
    traced = Traced(model, features())
    assert traced.roles()["head.weight"] == "input"
    assert any("meta failed" in text for text in traced.found.assumptions)


class Rounded(nn.Module):
    """Sizes rounded up to a multiple, and a size that is affine in the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = 32 * math.ceil(8 * width / 3 / 32)
        self.up = nn.Linear(width + 3, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Any:
        return self.down(F.silu(self.up(F.pad(x, (0, 3)))))


def test_rounded_and_affine_sizes() -> None:
    traced = Traced(Rounded, sequence)
    assert traced.roles() == {
        "up.weight": "hidden",
        "up.bias": "vector",
        "down.weight": "hidden",
        "down.bias": "vector",
    }
    assert traced.parameters["up.weight"].dims == (Fraction(1), Fraction(1))


class Packaged(nn.Module):
    """A readout of the mup package, tied or not."""

    def __init__(self, width: int, tied: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(11, width)
        self.hidden = nn.Linear(width, width, bias=False)
        self.head = mup.MuSharedReadout(self.table.weight, bias=False) if tied else mup.MuReadout(width, 11)

    def forward(self, ids: Tensor) -> Any:
        x = torch.relu(self.hidden(self.table(ids)))
        return self.head(x)  # packaged head


@pytest.mark.parametrize("tied", [False, True])
def test_readouts_of_the_mup_package(tied: bool) -> None:
    def make(width: int) -> nn.Module:
        model = Packaged(width, tied)
        mup.set_base_shapes(model, Packaged(64, tied), delta=Packaged(128, tied), rescale_params=False)
        return model

    traced = Traced(make, tokens)
    parameter = traced.parameters["table.weight" if tied else "head.weight"]
    readout = parameter.use_roles[-1]
    assert (str(readout.role), readout.use.line) == ("output", line_of("packaged head"))
    assert readout.multiplier == -1
    assert str(parameter.role) == ("input" if tied else "output")
    assert traced.multiplier("hidden.weight") == 0
