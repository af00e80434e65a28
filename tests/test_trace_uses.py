"""Roles of parameters for every way in which an operation consumes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import mulint
from mulint.tracing import cases, roles
from mulint.tracing.model import Builder, Built
from mulint.tracing.process import run
from mulint.tracing.request import Limits, Request

ROOT = Path(__file__).parent
WIDTHS = (64.0, 128.0, 256.0)
Function = Callable[..., Tensor]


class Consumer(nn.Module):
    """``forward`` is a function of the width-wide input, and of parameters of given sizes."""

    def __init__(self, width: int, sizes: dict[str, tuple[int, ...]], function: Function) -> None:
        super().__init__()
        self.stem = nn.Linear(7, width)
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(size)))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        others = [p for name, p in self._parameters.items() if p is not None]
        return self.function(self.stem(x), *others)


def traced(make: Callable[[int], nn.Module], inputs: Callable[[int], tuple[Tensor, ...]]) -> dict[str, str]:
    """The role of every parameter; nothing may have gone unseen or unread."""

    def case(width: float) -> mulint.Case:
        return mulint.Case(make(int(width)), inputs(int(width)), lambda model, batch: total(model(*batch)))

    found = roles.trace(cases.from_case(case, WIDTHS, None), ROOT)
    assert found.unseen == ()
    return {parameter.name: str(parameter.role) for parameter in found.parameters}


def total(output: Any) -> Tensor:
    while isinstance(output, tuple):
        output = output[0]
    result: Tensor = output.float().pow(2).mean()
    return result


def rows(_: int) -> tuple[Tensor, ...]:
    return (torch.randn(5, 7),)


def sequence(width: int) -> tuple[Tensor, ...]:
    return (torch.randn(2, 5, width),)


def tokens(_: int) -> tuple[Tensor, ...]:
    return (torch.randint(0, 11, (2, 5)),)


# One product in every spelling: the stem makes x of (5, w), then the sizes of the parameters as functions of w.
PRODUCTS: list[tuple[str, Callable[[int], dict[str, tuple[int, ...]]], Function, dict[str, str]]] = [
    ("matmul", lambda w: {"a": (w, w), "b": (w, 3)}, lambda x, a, b: x @ a @ b, {"a": "hidden", "b": "output"}),
    ("mm", lambda w: {"a": (2 * w, w)}, lambda x, a: torch.mm(x, a.t()), {"a": "hidden"}),
    (
        "flat weights",
        lambda w: {"a": (w * w,), "b": (4 * w * w,), "c": (3 * w,), "d": (w * w,)},
        lambda x, a, b, c, d: (
            (
                F.linear(x @ a.view(x.shape[1], -1), b.view(-1, x.shape[1]))[:, : x.shape[1]]
                @ d.view(x.shape[1], -1).t()
            )
            @ c.reshape(-1, 3)
        ),
        {"a": "hidden", "b": "hidden", "c": "output", "d": "hidden"},
    ),
    ("scale of several numbers", lambda w: {"a": (w, 8)}, lambda x, a: x[..., None] * -a.exp(), {"a": "vector"}),
    ("table of positions", lambda w: {"a": (5, w)}, lambda x, a: x + a, {"a": "input"}),
    ("mv", lambda w: {"a": (w,)}, torch.mv, {"a": "output"}),
    (
        "addmm",
        lambda w: {"b": (w,), "a": (w, w)},
        lambda x, b, a: torch.addmm(b, x, a),
        {"a": "hidden", "b": "vector"},
    ),
    (
        "baddbmm",
        lambda w: {"b": (4, 1, w), "a": (4, w, w)},
        lambda x, b, a: torch.baddbmm(b, x.expand(4, -1, -1), a),
        {"a": "hidden"},
    ),
    ("bmm", lambda w: {"a": (4, w, 3)}, lambda x, a: torch.bmm(x.expand(4, -1, -1), a), {"a": "output"}),
    (
        "einsum with heads",
        lambda w: {"a": (w, 4, w // 4), "b": (4, w // 4, w)},
        lambda x, a, b: torch.einsum("bhd,hdo->bo", torch.einsum("bi,ihd->bhd", x, a), b),
        {"a": "hidden", "b": "hidden"},
    ),
    ("tensordot", lambda w: {"a": (w, w)}, lambda x, a: torch.tensordot(x, a, dims=([1], [0])), {"a": "hidden"}),
    ("inner", lambda w: {"a": (3, w)}, torch.inner, {"a": "output"}),
    (
        "functional linear",
        lambda w: {"a": (w, w), "b": (w,)},
        F.linear,
        {"a": "hidden", "b": "vector"},
    ),
    ("keywords", lambda w: {"a": (w, w)}, lambda x, a: F.linear(weight=a, input=x), {"a": "hidden"}),
    ("matmul by keywords", lambda w: {"a": (w, 3)}, lambda x, a: torch.matmul(input=x, other=a), {"a": "output"}),
    ("bilinear", lambda w: {"a": (w, w, w)}, lambda x, a: F.bilinear(x, x, a), {"a": "hidden"}),
    ("product summed", lambda w: {"a": (w,)}, lambda x, a: (x * a).sum(-1), {"a": "output"}),
    (
        "chain of products",
        lambda w: {"a": (w, 8), "b": (8, w)},
        lambda x, a, b: x @ (a @ b),
        {"a": "output", "b": "input"},
    ),
    ("half a weight", lambda w: {"a": (w, 2 * w)}, lambda x, a: x @ a[:, : a.shape[1] // 2], {"a": "hidden"}),
    (
        "chunks",
        lambda w: {"a": (3 * w, w)},
        lambda x, a: torch.stack([F.linear(x, part) for part in a.chunk(3)]),
        {"a": "hidden"},
    ),
    ("unbound", lambda w: {"a": (2, w, w)}, lambda x, a: x @ a.unbind(0)[1], {"a": "hidden"}),
    ("cast", lambda w: {"a": (w, w)}, lambda x, a: (x.double() @ a.to(torch.float64)).float(), {"a": "hidden"}),
    ("cast by type_as", lambda w: {"a": (w, 3)}, lambda x, a: x @ a.type_as(x), {"a": "output"}),
    (
        "normalised",
        lambda w: {"a": (9, w)},
        lambda x, a: F.linear(F.normalize(x), F.normalize(a)),
        {"a": "output"},
    ),
    ("masked", lambda w: {"a": (w, w)}, lambda x, a: x @ torch.tril(a), {"a": "hidden"}),
    ("scaled", lambda w: {"a": (w, w)}, lambda x, a: x @ (a * a.shape[0] ** -0.5), {"a": "hidden"}),
    (
        "added to the identity",
        lambda w: {"a": (w, w)},
        lambda x, a: x @ (a + torch.eye(a.shape[0])),
        {"a": "hidden"},
    ),
    (
        "low rank beside a weight",
        lambda w: {"a": (w, w), "b": (w, 4), "c": (4, w)},
        lambda x, a, b, c: F.linear(x, a + b @ c),
        {"a": "hidden", "b": "input", "c": "output"},
    ),
    (
        "low rank",
        lambda w: {"a": (4, w), "b": (w, 4)},
        lambda x, a, b: F.linear(F.linear(x, a), b),
        {"a": "output", "b": "input"},
    ),
    ("convolution", lambda w: {"a": (w, w, 3)}, lambda x, a: F.conv1d(x.t()[None], a), {"a": "hidden"}),
    (
        "depthwise",
        lambda w: {"a": (w, 1, 3)},
        lambda x, a: F.conv1d(x.t()[None], a, groups=a.shape[0]),
        {"a": "input"},
    ),
    ("grouped", lambda w: {"a": (w, w // 4, 3)}, lambda x, a: F.conv1d(x.t()[None], a, groups=4), {"a": "hidden"}),
    ("transposed", lambda w: {"a": (w, 3, 3)}, lambda x, a: F.conv_transpose1d(x.t()[None], a), {"a": "output"}),
    (
        "transposed in groups",
        lambda w: {"a": (w, w // 4, 3)},
        lambda x, a: F.conv_transpose1d(x.t()[None], a, groups=4),
        {"a": "hidden"},
    ),
    (
        "transposed depthwise",
        lambda w: {"a": (w, 1, 3)},
        lambda x, a: F.conv_transpose1d(x.t()[None], a, groups=a.shape[0]),
        {"a": "input"},
    ),
    (
        "experts chosen by index",
        lambda w: {"a": (4, w, w)},
        lambda x, a: torch.einsum("bi,bio->bo", x, a[torch.zeros(5, dtype=torch.long)]),
        {"a": "hidden"},
    ),
    (
        "experts all at once",
        lambda w: {"a": (4, w, w)},
        lambda x, a: torch.einsum("bi,eio->beo", x, a),
        {"a": "hidden"},
    ),
    (
        "one-hot",
        lambda w: {"a": (11, w)},
        lambda x, a: x + F.one_hot(torch.arange(5), 11).float() @ a,
        {"a": "input"},
    ),
    ("gathered", lambda w: {"a": (11, w)}, lambda x, a: x + a[torch.arange(5)], {"a": "input"}),
    (
        "index_select",
        lambda w: {"a": (11, w)},
        lambda x, a: x + a.index_select(0, torch.arange(5)),
        {"a": "input"},
    ),
    (
        "gather",
        lambda w: {"a": (11, w)},
        lambda x, a: x + a.gather(0, torch.zeros(5, x.shape[1], dtype=torch.long)),
        {"a": "input"},
    ),
    (
        "take_along_dim",
        lambda w: {"a": (11, w)},
        lambda x, a: x + torch.take_along_dim(a, torch.zeros(5, 1, dtype=torch.long), 0),
        {"a": "input"},
    ),
    (
        "functional embedding",
        lambda w: {"a": (11, w)},
        lambda x, a: x + F.embedding(torch.arange(5), a),
        {"a": "input"},
    ),
    (
        "embedding bag",
        lambda w: {"a": (11, w)},
        lambda x, a: x + F.embedding_bag(torch.zeros(5, 2, dtype=torch.long), a),
        {"a": "input"},
    ),
    ("positions", lambda w: {"a": (9, w)}, lambda x, a: x + a[: x.shape[0]], {"a": "input"}),
    ("token", lambda w: {"a": (1, w)}, lambda x, a: torch.cat([a, x]), {"a": "input"}),
    ("gain and bias", lambda w: {"a": (w,), "b": (w,)}, lambda x, a, b: x * a + b, {"a": "vector", "b": "vector"}),
    (
        "addcmul",
        lambda w: {"a": (w,), "b": (w,)},
        lambda x, a, b: torch.addcmul(b, x, a),
        {"a": "vector", "b": "vector"},
    ),
    ("temperature", lambda _: {"a": (1,)}, lambda x, a: x * a.exp(), {"a": "scalar"}),
    ("layer norm", lambda w: {"a": (w,)}, lambda x, a: F.layer_norm(x, a.shape, a), {"a": "vector"}),
    (
        "own attention",
        lambda w: {"a": (w, 3 * w)},
        lambda x, a: F.scaled_dot_product_attention(*(x @ a).chunk(3, -1)),
        {"a": "hidden"},
    ),
    (
        "projection of a fixed query",
        lambda w: {"q": (1, w), "k": (w, w)},
        lambda x, q, k: (q @ (x @ k).t()).softmax(-1) @ x,
        {"q": "output", "k": "hidden"},
    ),
]


@pytest.mark.parametrize(
    ("sizes", "function", "expected"), [case[1:] for case in PRODUCTS], ids=[c[0] for c in PRODUCTS]
)
def test_operations(sizes: Any, function: Function, expected: dict[str, str]) -> None:
    found = traced(lambda width: Consumer(width, sizes(width), function), rows)
    assert found["stem.weight"] == "input"
    assert {name: found[name] for name in expected} == expected


class Layers(nn.Module):
    """Layers of torch in a row between a stem and a head."""

    def __init__(self, width: int, *layers: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Linear(7, width)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.layers(self.stem(x)))
        return result


def test_weights_under_parametrizations() -> None:
    def make(width: int) -> nn.Module:
        return Layers(
            width,
            parametrizations.weight_norm(nn.Linear(width, width)),
            parametrizations.spectral_norm(nn.Linear(width, width)),
            nn.utils.weight_norm(nn.Linear(width, width)),
            nn.utils.spectral_norm(nn.Linear(width, width)),
        )

    found = traced(make, rows)
    assert found["layers.0.parametrizations.weight.original1"] == "hidden"
    assert found["layers.1.parametrizations.weight.original"] == "hidden"
    assert found["layers.2.weight_v"] == "hidden"
    assert found["layers.3.weight_orig"] == "hidden"
    assert found["head.weight"] == "output"


class SelfAttention(nn.Module):
    """Torch's attention on its own input, or between streams of two sizes."""

    def __init__(self, width: int, other: int | None) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, kdim=other, vdim=other, batch_first=True)
        self.other = other

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.other is None else x[..., : self.other]
        result: Tensor = self.attention(x, y, y, need_weights=False)[0]
        return result


def test_multi_head_attention_packed_and_separate() -> None:
    packed = traced(lambda width: SelfAttention(width, None), sequence)
    assert packed["attention.in_proj_weight"] == "hidden"
    assert packed["attention.in_proj_bias"] == "vector"
    assert packed["attention.out_proj.weight"] == "hidden"
    separate = traced(lambda width: SelfAttention(width, 8), sequence)
    assert separate["attention.q_proj_weight"] == "hidden"
    assert separate["attention.k_proj_weight"] == "input"
    assert separate["attention.v_proj_weight"] == "input"


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_in_both_directions(layer: Callable[..., nn.Module]) -> None:
    found = traced(lambda width: layer(width, width, bidirectional=True, batch_first=True), sequence)
    assert found["weight_ih_l0"] == found["weight_hh_l0_reverse"] == "hidden"
    assert found["bias_ih_l0"] == "vector"


def test_a_projected_recurrent_layer() -> None:
    found = traced(lambda width: nn.LSTM(width, width, proj_size=8, batch_first=True), sequence)
    assert found["weight_hr_l0"] == "output"
    assert found["weight_hh_l0"] == "input"


def test_modules_with_tables() -> None:
    bag = traced(lambda width: nn.Sequential(nn.EmbeddingBag(11, width), nn.Linear(width, 3)), tokens)
    assert bag == {"0.weight": "input", "1.weight": "output", "1.bias": "scalar"}
    bilinear = traced(Bilinear, rows)
    assert bilinear["layer.weight"] == "hidden"
    assert bilinear["readout.weight"] == "output"


class Bilinear(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(7, width)
        self.layer = nn.Bilinear(width, 4, width)
        self.readout = nn.Bilinear(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(self.stem(x), x[:, :4])
        result: Tensor = self.readout(x, x)
        return result


class Frozen(nn.Module):
    """A random feature map in a buffer, a frozen layer, a trained one, run twice over with one weight."""

    table: Tensor

    def __init__(self, width: int, recompute: bool) -> None:
        super().__init__()
        self.register_buffer("table", torch.randn(7, width))
        self.frozen = nn.Linear(width, width).requires_grad_(False)
        self.trained = nn.Linear(width, width)
        self.tied = nn.Linear(width, width)
        self.tied.weight = self.trained.weight
        self.recompute = recompute

    def block(self, x: Tensor) -> Tensor:
        result: Tensor = self.tied(F.gelu(self.trained(x)))
        return result

    def forward(self, x: Tensor) -> Tensor:
        x = self.frozen(x @ self.table)
        return checkpoint(self.block, x, use_reentrant=False) if self.recompute else self.block(x)


@pytest.mark.parametrize("recompute", [False, True])
def test_buffers_frozen_and_shared_weights_and_checkpointing(recompute: bool) -> None:
    found = traced(lambda width: Frozen(width, recompute), rows)
    assert found == {
        "frozen.weight": "hidden",
        "frozen.bias": "vector",
        "trained.weight": "hidden",
        "trained.bias": "vector",
        "tied.bias": "vector",
    }


COMPILED = """
import mulint
import torch
from torch import nn


@torch.jit.script
def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    return torch.softmax(q @ k.transpose(-1, -2) * scale, -1) @ v


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = torch.compile(nn.Linear(7, width))
        self.packed = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        q, k, v = self.packed(self.stem(x)).chunk(3, -1)
        return self.head(attend(q, k, v, 8 / q.size(-1)))


def case(width):
    model = torch.compile(Model(int(width)))
    return mulint.Case(model, torch.randn(2, 5, 7), lambda model, batch: model(batch).pow(2).mean())
"""


def test_compiled_modules_and_scripted_kernels(tmp_path: Path) -> None:
    (tmp_path / "cases.py").write_text(COMPILED, encoding="utf-8")
    request = Request(file=str(tmp_path / "cases.py"), name="case", root=str(tmp_path), stages=("roles",))
    trace = run(request, Limits())
    found = {p.name.replace("_orig_mod.", ""): p.role for p in trace.parameters}
    assert found["stem.weight"] == "input"
    assert found["packed.weight"] == "hidden"
    assert found["head.weight"] == "output"


class StateSpace(nn.Module):
    """One projection feeds a gate, a convolved branch that is cut again into three, and a step size per head."""

    def __init__(self, width: int, *, heads: int, narrow: bool) -> None:
        super().__init__()
        self.heads, self.narrow = heads, narrow
        self.inner, self.convolved = 2 * width, 2 * width + 16
        self.stem = nn.Linear(7, width)
        self.enter = nn.Linear(width, self.inner + self.convolved + heads, bias=False)
        self.convolution = nn.Conv1d(self.convolved, self.convolved, 3, padding=2, groups=self.convolved)
        self.leave = nn.Linear(self.inner, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, _ = x.shape
        made = self.enter(self.stem(x))
        sizes = [0, self.inner, self.convolved, self.heads]
        if self.narrow:
            ends = [sum(sizes[: i + 1]) for i in range(4)]
            pieces = [made.narrow(-1, end - size, size) for end, size in zip(ends, sizes, strict=True)][1:]
        else:
            pieces = list(torch.split(made, sizes, dim=-1))[1:]
        gate, branch, step = pieces
        branch = F.silu(self.convolution(branch.transpose(1, 2))[..., :length].transpose(1, 2))
        value, key, query = torch.split(branch, [self.inner, 8, 8], dim=-1)
        mixed = torch.tril(query @ key.transpose(1, 2)) @ value
        mixed = mixed.view(rows, length, self.heads, -1) * F.softplus(step)[..., None]
        result: Tensor = self.leave(mixed.reshape(rows, length, -1) * F.silu(gate))
        return result


@pytest.mark.parametrize("narrow", [False, True], ids=["split", "narrow"])
@pytest.mark.parametrize(("growing", "steps"), [(False, "output"), (True, "hidden")], ids=["heads", "more heads"])
def test_rows_of_a_projection_that_is_cut_twice(growing: bool, steps: str, narrow: bool) -> None:
    def case(width: float) -> mulint.Case:
        model = StateSpace(int(width), heads=int(width) // 16 if growing else 4, narrow=narrow)
        return mulint.Case(model, (torch.randn(2, 5, 7),), lambda model, batch: total(model(*batch)))

    found = {p.name: p for p in roles.trace(cases.from_case(case, WIDTHS, None), ROOT).parameters}
    assert found["enter.weight"].role == found["convolution.weight"].role == "mixed"
    assert found["enter.weight"].rows == (
        (0, 128, "hidden"),  # the gate
        (128, 256, "hidden"),
        (256, 264, "output"),
        (264, 272, "output"),
        (272, 276, steps),
    )
    assert found["convolution.weight"].rows == ((0, 128, "input"), (128, 136, "scalar"), (136, 144, "scalar"))
    assert found["leave.weight"].role == "hidden"


class Blocked(nn.Module):
    """A table that has as many numbers as the width has blocks: one at the smallest width."""

    table: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(7, width)
        self.register_buffer("table", torch.ones(width // 64))

    def forward(self, x: Tensor) -> Tensor:
        blocks: Tensor = self.stem(x).view(x.shape[0], -1, 64)
        return blocks * self.table[:, None]


def test_a_table_with_one_number_at_the_smallest_width_needs_no_real_numbers() -> None:
    def case(width: float) -> mulint.Case:
        return mulint.Case(Blocked(int(width)), rows(int(width)), lambda model, batch: total(model(*batch)))

    plain, devices = cases.from_case(case, WIDTHS, None), []

    def build(width: float, seed: int, device: torch.device) -> Built:
        devices.append(device.type)
        return plain.build(width, seed, device)

    roles.trace(Builder(WIDTHS, build), ROOT)
    assert devices == ["meta"] * 3
