"""Every way in which an operation consumes a parameter, as a row: a small model, and what its parameters are."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

Function = Callable[..., Any]
Inputs = Callable[[int], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Row:
    """One way of use: a small model of one width, what it is run on, and what its parameters are.

    ``expected``: of each parameter its role, then, where the operation sums over it, ``fan-in > fan-out`` as
    multiples of powers of the width. A stem that makes the width is not listed.
    """

    name: str
    make: Callable[[int], nn.Module]
    inputs: Inputs
    expected: dict[str, str]


def rows(_: int) -> tuple[Tensor, ...]:
    return (torch.randn(5, 7),)


def sequence(_: int) -> tuple[Tensor, ...]:
    return (torch.randn(2, 5, 7),)


def wide(width: int) -> tuple[Tensor, ...]:
    return (torch.randn(2, 5, width),)


def tokens(_: int) -> tuple[Tensor, ...]:
    return (torch.randint(0, 11, (2, 5)),)


def image(_: int) -> tuple[Tensor, ...]:
    return (torch.randn(2, 3, 8, 8),)


class Consumer(nn.Module):
    """``forward`` is a function of what the stem makes, (5, width), and of parameters of given sizes."""

    def __init__(self, width: int, sizes: dict[str, tuple[int, ...]], function: Function, dtype: Any) -> None:
        super().__init__()
        self.stem = nn.Linear(7, width)
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(size, dtype=dtype)))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        others = [p for p in self._parameters.values() if p is not None]
        return self.function(self.stem(x), *others)


class Layers(nn.Module):
    """Layers in a row behind a stem."""

    def __init__(self, width: int, *layers: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Linear(7, width)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return x


class OwnLinear(torch.autograd.Function):
    """A linear layer with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight.t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return gradients[0] @ weight, gradients[0].t() @ x


own_linear: Function = OwnLinear.apply
pruned: Callable[..., nn.Module] = prune.l1_unstructured
script_of: Callable[..., nn.Module] = torch.jit.trace
block_diagonal: Function = torch.block_diag


def _grouped(x: Tensor, weight: Tensor) -> Tensor:
    ends = torch.tensor([2, 4], dtype=torch.int32, device=x.device)
    result: Tensor = torch._grouped_mm(x[:4].bfloat16(), weight.bfloat16(), ends)
    return result


def _written(a: Tensor, b: Tensor) -> Tensor:
    whole = torch.zeros(2 * a.shape[0], a.shape[1], device=a.device)
    whole[: a.shape[0]] = a
    whole[a.shape[0] :] = b
    return whole[: a.shape[0]] + whole[a.shape[0] :]


def _half(width: int) -> dict[str, tuple[int, ...]]:
    """As many numbers as a triangular or symmetric matrix of the width has."""
    return {"a": (width * (width + 1) // 2,)}


def _filled(x: Tensor, a: Tensor, how: str) -> Tensor:
    """The upper triangle of a matrix of the width, written in one of the ways there are."""
    width = x.shape[1]
    whole = torch.zeros(width, width, device=x.device)
    places, mask = torch.triu_indices(width, width), torch.ones(width, width, device=x.device).triu().bool()
    if how == "places":
        whole[places[0], places[1]] = a
    elif how == "mask":
        whole[mask] = a
    elif how == "index_put":
        whole = whole.index_put((places[0], places[1]), a)
    elif how == "masked_scatter":
        whole = whole.masked_scatter(mask, a)
    elif how == "scatter":
        whole = whole.view(-1).scatter(0, (places[0] * width + places[1]).to(x.device), a).view(width, width)
    else:
        whole = a[torch.arange(width * width, device=x.device) % len(a)].view(width, width)
    return whole


class Columns(nn.ConvTranspose1d):
    """A transposed convolution of as many channels as the width."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3)


class SelfAttention(nn.Module):
    """Torch's attention on its own input, or between streams of two sizes."""

    def __init__(self, width: int, other: int | None = None) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, kdim=other, vdim=other, batch_first=True)
        self.other = other

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.other is None else x[..., : self.other]
        result: Tensor = self.attention(x, y, y, need_weights=False)[0]
        return result


class Recurrent(nn.Module):
    """Two layers in both directions that start from a state of their own."""

    def __init__(self, kind: Callable[..., nn.RNNBase], width: int, packed: bool) -> None:
        super().__init__()
        self.layer = kind(width, width, 2, batch_first=True, bidirectional=True)
        self.start = nn.Parameter(torch.zeros(width))
        self.packed = packed

    def forward(self, x: Tensor) -> Tensor:
        state: Any = self.start.expand(4, x.shape[0], -1).contiguous()
        if isinstance(self.layer, nn.LSTM):
            state = (state, state)
        if not self.packed:
            result: Tensor = self.layer(x, state)[0]
            return result
        sequences = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.layer(sequences, state)[0], batch_first=True)[0]


class Cell(nn.Module):
    """A cell that is run three times from a state of its own."""

    def __init__(self, kind: Callable[..., nn.RNNCellBase], width: int) -> None:
        super().__init__()
        self.cell = kind(7, width)
        self.start = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Any:
        state: Any = self.start.expand(x.shape[0], -1)
        if isinstance(self.cell, nn.LSTMCell):
            state = (state, state)
        for _ in range(3):
            state = self.cell(x, state)
        return state


class Bilinear(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Bilinear(width, 4, width)
        self.readout = nn.Bilinear(width, width, 3)

    def forward(self, x: Tensor) -> Any:
        x = self.layer(x, x[:, :4])
        return self.readout(x, x)


class Featured(nn.Module):
    """A layer on random features in a buffer."""

    table: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.randn(width, width))
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Any:
        return self.layer(x @ self.table)


class Shared(nn.Module):
    """One weight in two layers, and its transpose in a product."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x)) @ self.first.weight


class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.table, self.middle = nn.Embedding(11, width), nn.Linear(width, width)

    def forward(self, ids: Tensor) -> Any:
        return F.linear(self.middle(self.table(ids)), self.table.weight)


class Factored(nn.Module):
    """A narrow table, lifted to the width, and both again as a readout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table, self.lift = nn.Embedding(11, 16), nn.Linear(16, width)

    def forward(self, ids: Tensor) -> Any:
        x = self.lift(self.table(ids))
        return F.linear(F.linear(x, self.lift.weight.t()), self.table.weight)


class Listed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.list = nn.ParameterList([torch.randn(width, width) for _ in range(2)])
        self.named = nn.ParameterDict({"readout": torch.randn(width, 3)})

    def forward(self, x: Tensor) -> Any:
        for weight in self.list:
            x = x @ weight
        return x @ self.named["readout"]


class Wrapped(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer


class NoGradient(Wrapped):
    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            made = self.layer(x)
        return made + x.requires_grad_()


class Called(Wrapped):
    """The layer with other parameters, made of its own."""

    def forward(self, x: Tensor) -> Any:
        decayed = {name: parameter * 0.9 for name, parameter in self.layer.named_parameters()}
        return torch.func.functional_call(self.layer, decayed, (x,))


class Field(Wrapped):
    """The gradient of an energy, as of a force field: the forward pass has a backward pass inside."""

    def forward(self, x: Tensor) -> Any:
        x = x.requires_grad_()
        energy = self.layer(self.layer(x).tanh()).square().sum()
        return torch.autograd.grad(energy, x, create_graph=True)[0]


class Recomputed(Wrapped):
    def __init__(self, layer: nn.Module, reentrant: bool) -> None:
        super().__init__(layer)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.layer, x, use_reentrant=self.reentrant)


class Ensemble(nn.Module):
    """A stack of matrices, and layers of which a stack is made, under ``vmap``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, width, width))
        self.members = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])

    def forward(self, x: Tensor) -> Any:
        x = torch.vmap(lambda weight: x @ weight)(self.weight).mean(0)
        members = [dict(member.named_parameters()) for member in self.members]
        stacked = {name: torch.stack([one[name] for one in members]) for name in members[0]}
        return torch.vmap(lambda one: torch.func.functional_call(self.members[0], one, (x,)))(stacked)


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).transpose(-1, -2)


def symmetric(layer: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(layer, "weight", Symmetric())


def op(
    name: str,
    sizes: Callable[[int], dict[str, tuple[int, ...]]],
    function: Function,
    expected: dict[str, str],
    dtype: Any = None,
) -> Row:
    """Bare parameters in a function of theirs."""
    return Row(name, lambda width: Consumer(width, sizes(width), function, dtype), rows, expected)


def square(name: str, function: Function, expected: str = "hidden w > w") -> Row:
    """One parameter of (width, width)."""
    return op(name, lambda w: {"a": (w, w)}, function, {"a": expected})


def layers(
    name: str, make: Callable[[int], tuple[nn.Module, ...]], expected: dict[str, str], inputs: Inputs = rows
) -> Row:
    """Layers of torch in a row; only the parameters named are compared."""
    return Row(name, lambda width: Layers(width, *make(width)), inputs, expected)


def recurrent(kind: type[nn.RNNBase], gates: str, *, packed: bool) -> Row:
    """A recurrent layer on sequences of one length, or of several packed into one."""
    return layers(
        f"{kind.__name__}{' of packed sequences' if packed else ''}",
        lambda width: (Recurrent(kind, width, packed),),
        {
            "layers.0.layer.weight_ih_l0": f"hidden w > {gates}",
            "layers.0.layer.weight_hh_l1_reverse": f"hidden w > {gates}",
            "layers.0.layer.bias_ih_l0": "vector",
            "layers.0.start": "vector",
        },
        sequence,
    )


def cell(kind: type[nn.RNNCellBase], gates: str) -> Row:
    """One step of a recurrent layer at a time."""
    return Row(
        kind.__name__,
        lambda width: Cell(kind, width),
        rows,
        {
            "cell.weight_ih": f"input 7 > {gates}",
            "cell.weight_hh": f"hidden w > {gates}",
            "cell.bias_hh": "vector",
            "start": "vector",
        },
    )


def recomputed(*, reentrant: bool) -> Row:
    """A layer under activation checkpointing."""
    return layers(
        f"recomputed{' with reentry' if reentrant else ''}",
        lambda width: (Recomputed(nn.Linear(width, width), reentrant),),
        {"layers.0.layer.weight": "hidden w > w", "layers.0.layer.bias": "vector"},
    )


PRODUCTS = [
    op(
        "@",
        lambda w: {"a": (w, w), "b": (w, 3)},
        lambda x, a, b: x @ a @ b,
        {"a": "hidden w > w", "b": "output w > 3"},
    ),
    square("matmul", torch.matmul),
    square("operator.matmul", operator.matmul),
    square("linalg.matmul", torch.linalg.matmul),
    op(
        "matmul by keywords",
        lambda w: {"a": (w, 3)},
        lambda x, a: torch.matmul(other=a, input=x),
        {"a": "output w > 3"},
    ),
    op("weight first", lambda w: {"a": (3, w)}, lambda x, a: a @ x.t(), {"a": "output w > 3"}),
    op("mm", lambda w: {"a": (2 * w, w)}, lambda x, a: torch.mm(x, a.t()), {"a": "hidden w > 2w"}),
    op("bmm", lambda w: {"a": (4, w, 3)}, lambda x, a: torch.bmm(x.expand(4, -1, -1), a), {"a": "output w > 3"}),
    op("mv", lambda w: {"a": (w,)}, torch.mv, {"a": "output w > 1"}),
    op("mv of a weight", lambda w: {"a": (2 * w, w)}, lambda x, a: a.mv(x[0]), {"a": "hidden w > 2w"}),
    op("dot", lambda w: {"a": (w,)}, lambda x, a: torch.dot(x[0], a), {"a": "output w > 1"}),
    op("vdot", lambda w: {"a": (w,)}, lambda x, a: torch.vdot(x[0], a), {"a": "output w > 1"}),
    op("vecdot", lambda w: {"a": (w,)}, torch.linalg.vecdot, {"a": "output w > 1"}),
    op("inner", lambda w: {"a": (3, w)}, torch.inner, {"a": "output w > 3"}),
    square("tensordot", lambda x, a: torch.tensordot(x, a, dims=([1], [0]))),
    op(
        "tensordot of one axis",
        lambda w: {"a": (w, 3)},
        lambda x, a: torch.tensordot(x, a, 1),
        {"a": "output w > 3"},
    ),
    op(
        "addmm",
        lambda w: {"b": (w,), "a": (w, w)},
        lambda x, b, a: torch.addmm(b, x, a),
        {"a": "hidden w > w", "b": "vector"},
    ),
    op(
        "addmm by keywords",
        lambda w: {"b": (w,), "a": (w, w)},
        lambda x, b, a: torch.addmm(b, mat2=a, mat1=x),
        {"a": "hidden w > w", "b": "vector"},
    ),
    op(
        "baddbmm",
        lambda w: {"b": (w,), "a": (4, w, 2 * w)},
        lambda x, b, a: torch.baddbmm(b.repeat(2), x.expand(4, -1, -1), a),
        {"a": "hidden w > 2w", "b": "vector"},
    ),
    op(
        "addmv",
        lambda w: {"b": (w,), "a": (w, w)},
        lambda x, b, a: torch.addmv(b, a, x[0]),
        {"a": "hidden w > w", "b": "vector"},
    ),
    op(
        "multi_dot",
        lambda w: {"a": (w, w), "b": (w, 3)},
        lambda x, a, b: torch.linalg.multi_dot([x, a, b]),
        {"a": "hidden w > w", "b": "output w > 3"},
    ),
    op("outer", lambda w: {"a": (w,)}, lambda x, a: torch.outer(x[:, 0], a), {"a": "vector"}),
    square("an operation of aten", torch.ops.aten.mm.default),
    op(
        "functional linear",
        lambda w: {"a": (w, w), "b": (w,)},
        F.linear,
        {"a": "hidden w > w", "b": "vector"},
    ),
    square("linear by keywords", lambda x, a: F.linear(weight=a, input=x)),
    op("bilinear", lambda w: {"a": (w, w, w)}, lambda x, a: F.bilinear(x, x, a), {"a": "hidden w^2 > w"}),
    op(
        "a function with its own gradient",
        lambda w: {"a": (w, w), "b": (3, w)},
        lambda x, a, b: own_linear(own_linear(x, a), b),
        {"a": "hidden w > w", "b": "output w > 3"},
    ),
    op("grouped matrices", lambda w: {"a": (2, w, w)}, _grouped, {"a": "hidden w > w"}),
]
EINSUMS = [
    op(
        "heads",
        lambda w: {"a": (w, 4, w // 4), "b": (4, w // 4, w)},
        lambda x, a, b: torch.einsum("bhd,hdo->bo", torch.einsum("bi,ihd->bhd", x, a), b),
        {"a": "hidden w > w", "b": "hidden w > w"},
    ),
    op(
        "dots",
        lambda w: {"a": (2 * w, w)},
        lambda x, a: torch.einsum("...i,oi->...o", x, a),
        {"a": "hidden w > 2w"},
    ),
    op("no arrow", lambda w: {"a": (w, 3)}, lambda x, a: torch.einsum("bi,io", x, a), {"a": "output w > 3"}),
    square("numbers for letters", lambda x, a: torch.einsum(x, [0, 1], a, [2, 1], [0, 2])),
    op(
        "two weights",
        lambda w: {"a": (w, 4, w), "b": (w, 3)},
        lambda x, a, b: torch.einsum("bi,irj,jk->brk", x, a, b),
        {"a": "hidden w > 4w", "b": "output w > 3"},
    ),
    op(
        "two sides",
        lambda w: {"a": (w, w, w)},
        lambda x, a: torch.einsum("bi,bj,ijk->bk", x, x, a),
        {"a": "hidden w^2 > w"},
    ),
    op(
        "a sum over a table",
        lambda w: {"a": (w, w, 5)},
        lambda x, a: torch.einsum("bik,oik->bo", x[..., None].expand(-1, -1, 5), a),
        {"a": "hidden 5w > w"},
    ),
]
CONVOLUTIONS = [
    op("convolution", lambda w: {"a": (w, w, 3)}, lambda x, a: F.conv1d(x.t()[None], a), {"a": "hidden 3w > w"}),
    op(
        "by keywords",
        lambda w: {"a": (w, w, 3)},
        lambda x, a: F.conv1d(weight=a, input=x.t()[None]),
        {"a": "hidden 3w > w"},
    ),
    op(
        "same padding",
        lambda w: {"a": (3, w, 3)},
        lambda x, a: F.conv1d(x.t()[None], a, padding="same"),
        {"a": "output 3w > 3"},
    ),
    op(
        "depthwise",
        lambda w: {"a": (w, 1, 3)},
        lambda x, a: F.conv1d(x.t()[None], a, groups=a.shape[0]),
        {"a": "input 3 > w"},
    ),
    op(
        "grouped",
        lambda w: {"a": (w, w // 4, 3)},
        lambda x, a: F.conv1d(x.t()[None], a, groups=4),
        {"a": "hidden 3w/4 > w"},
    ),
    op(
        "more groups",
        lambda w: {"a": (w, 16, 3)},
        lambda x, a: F.conv1d(x.t()[None], a, groups=a.shape[0] // 16),
        {"a": "input 48 > w"},
    ),
    op(
        "transposed",
        lambda w: {"a": (w, 3, 3)},
        lambda x, a: F.conv_transpose1d(x.t()[None], a),
        {"a": "output 3w > 3"},
    ),
    op(
        "transposed from a latent",
        lambda w: {"a": (5, w, 3)},
        lambda x, a: F.conv_transpose1d(x[None], a),
        {"a": "input 15 > w"},
    ),
    op(
        "transposed in groups",
        lambda w: {"a": (w, w // 4, 3)},
        lambda x, a: F.conv_transpose1d(x.t()[None], a, groups=4),
        {"a": "hidden 3w > w/4"},
    ),
    op(
        "transposed depthwise",
        lambda w: {"a": (w, 1, 3)},
        lambda x, a: F.conv_transpose1d(x.t()[None], a, groups=a.shape[0]),
        {"a": "input 3 > w"},
    ),
    op(
        "time first",
        lambda w: {"a": (3, w, w), "b": (w,)},
        lambda x, a, b: torch.conv_tbc(x[:, None], a, b),
        {"a": "hidden 3w > w", "b": "vector"},
    ),
    op(
        "unfolded",
        lambda w: {"a": (3 * w, w)},
        lambda x, a: x.unfold(0, 3, 1).flatten(1) @ a,
        {"a": "hidden 3w > w"},
    ),
    Row(
        "in two dimensions",
        lambda w: nn.Sequential(
            nn.Conv2d(3, w, 3, padding=1, padding_mode="circular"),
            nn.GroupNorm(4, w),
            nn.Conv2d(w, w, 3, padding=1, groups=w),
            nn.BatchNorm2d(w),
            nn.Conv2d(w, w, 3, padding=1, groups=4),
            nn.PReLU(w),
            nn.ConvTranspose2d(w, 2 * w, 2, stride=2),
            nn.InstanceNorm2d(2 * w, affine=True),
            nn.ConvTranspose2d(2 * w, 3, 2, stride=2),
        ),
        image,
        {
            "0.weight": "input 27 > w",
            "0.bias": "vector",
            "1.weight": "vector",
            "2.weight": "input 9 > w",
            "3.weight": "vector",
            "4.weight": "hidden 9w/4 > w",
            "5.weight": "vector",
            "6.weight": "hidden 4w > 2w",
            "7.bias": "vector",
            "8.weight": "output 8w > 3",
            "8.bias": "scalar",
        },
    ),
    Row(
        "in three dimensions",
        lambda w: nn.Sequential(nn.Conv3d(3, w, 3, padding=1), nn.ConvTranspose3d(w, w, 2, 2)),
        lambda _: (torch.randn(1, 3, 4, 4, 4),),
        {"0.weight": "input 81 > w", "1.weight": "hidden 8w > w"},
    ),
]
VIEWS = [
    op(
        "flat",
        lambda w: {"a": (w * w,), "b": (4 * w * w,), "c": (3 * w,), "d": (w * w,)},
        lambda x, a, b, c, d: (
            (
                F.linear(x @ a.view(x.shape[1], -1), b.view(-1, x.shape[1]))[:, : x.shape[1]]
                @ d.view(x.shape[1], -1).t()
            )
            @ c.reshape(-1, 3)
        ),
        {"a": "hidden w^2 > w^2", "b": "hidden 4w^2 > 4w^2", "c": "output 3w > 3w", "d": "hidden w^2 > w^2"},
    ),
    op("half", lambda w: {"a": (w, 2 * w)}, lambda x, a: x @ a[:, : a.shape[1] // 2], {"a": "hidden w > 2w"}),
    op(
        "chunks",
        lambda w: {"a": (3 * w, w)},
        lambda x, a: torch.stack([F.linear(x, part) for part in a.chunk(3)]),
        {"a": "hidden w > 3w"},
    ),
    op("unbound", lambda w: {"a": (2, w, w)}, lambda x, a: x @ a.unbind(0)[1], {"a": "hidden w > w"}),
    op(
        "one after the other",
        lambda w: {"a": (3, w, w)},
        lambda x, a: x @ a[0] @ a[1] @ a[2],
        {"a": "hidden w > w"},
    ),
    op("T", lambda w: {"a": (3, w)}, lambda x, a: x @ a.T, {"a": "output w > 3"}),
    op("mT", lambda w: {"a": (3, w)}, lambda x, a: x @ a.mT, {"a": "output w > 3"}),
    op("permuted", lambda w: {"a": (w, 3)}, lambda x, a: F.linear(x, a.permute(1, 0)), {"a": "output w > 3"}),
    square("convolution as linear", lambda x, a: F.linear(x, a[..., None].flatten(1))),
    square("linear as convolution", lambda x, a: F.conv2d(x.t()[None, :, :, None], a[:, :, None, None])),
    square("heads of fixed size", lambda x, a: torch.einsum("bi,hdi->bhd", x, a.view(-1, 16, a.shape[1]))),
    square("cast", lambda x, a: (x.double() @ a.to(torch.float64)).float()),
    op("cast by type_as", lambda w: {"a": (w, 3)}, lambda x, a: x @ a.type_as(x), {"a": "output w > 3"}),
    square("detached", lambda x, a: x @ a.detach()),
    square("data", lambda x, a: x @ a.data),
    square("rows in another order", lambda x, a: x @ a[torch.arange(a.shape[0]).flip(0)]),
    square("rolled", lambda x, a: x @ a.roll(1, 0)),
    square("copied", lambda x, a: x @ torch.empty_like(a).copy_(a)),
    op("padded", lambda w: {"a": (11, w)}, lambda x, a: x @ F.pad(a, (0, 0, 0, 5)).t(), {"a": "output w > 11"}),
    op(
        "repeated",
        lambda w: {"a": (3, w)},
        lambda x, a: F.linear(x.repeat(1, 2), a.repeat(1, 2)),
        {"a": "output w > 3"},
    ),
    op(
        "one beneath the other",
        lambda w: {"a": (w, w), "b": (3, w)},
        lambda x, a, b: F.linear(x, torch.cat([a, b])),
        {"a": "hidden w > w", "b": "output w > 3"},
    ),
    op(
        "side by side",
        lambda w: {"a": (w, w), "b": (w, 4)},
        lambda x, a, b: F.linear(torch.cat([x, x[:, :4]], 1), torch.cat([a, b], 1)),
        {"a": "hidden w > w", "b": "input 4 > w"},
    ),
    op(
        "stacked",
        lambda w: {"a": (w, w), "b": (w, w)},
        lambda x, a, b: torch.einsum("bi,eio->beo", x, torch.stack([a, b])),
        {"a": "hidden w > w", "b": "hidden w > w"},
    ),
    op(
        "written into a larger one",
        lambda w: {"a": (w, w), "b": (w, w)},
        lambda x, a, b: x @ _written(a, b),
        {"a": "hidden w > w", "b": "hidden w > w"},
    ),
    op(
        "blocks on the diagonal",
        lambda w: {"a": (w // 2, w // 2), "b": (w // 2, w // 2)},
        lambda x, a, b: x @ block_diagonal(a, b),
        {"a": "hidden w/2 > w/2", "b": "hidden w/2 > w/2"},
    ),
    op(
        "heads that are summed over one by one",
        lambda w: {"a": (w, 24)},
        lambda x, a: torch.einsum("bhd,hdr,br->bh", x.unflatten(1, (-1, 16)), a.view(-1, 16, 24), x[:, :24]),
        {"a": "input 24w > 1"},
    ),
    square(
        "a piece of which only the size is taken",
        lambda x, a: torch.cat([made := x @ a, torch.ones_like(made[..., :1])], -1),
    ),
    op(
        "complex",
        lambda w: {"a": (w, w, 2)},
        lambda x, a: (x.to(torch.cfloat) @ torch.view_as_complex(a)).real,
        {"a": "hidden w > w"},
    ),
    op(
        "in the spectrum",
        lambda w: {"a": (w, w, 3)},
        lambda x, a: torch.einsum("bim,iom->bom", torch.fft.rfft(x[:, :, None].expand(-1, -1, 4)), a).real,
        {"a": "hidden w > w"},
        torch.cfloat,
    ),
]
TRIANGLES = [
    op(
        f"half of a matrix by {how}",
        _half,
        lambda x, a, how=how: x @ _filled(x, a, how),
        {"a": "hidden" if how == "scatter" else "hidden ~w^2 > ~w^2"},
    )
    for how in ("places", "mask", "index_put", "masked_scatter", "scatter", "gather")
] + [
    op(
        "a symmetric matrix of half of its numbers",
        _half,
        lambda x, a: x @ ((whole := _filled(x, a, "places")) + whole.triu(1).t()),
        {"a": "hidden ~w^2 > ~w^2"},
    ),
    op(
        "an orthogonal matrix of half of its numbers",
        _half,
        lambda x, a: x @ torch.matrix_exp((whole := _filled(x, a, "places")) - whole.t()),
        {"a": "hidden ~w^2 > ~w^2"},
    ),
    op(
        "rows written to places",
        lambda w: {"a": (3, w)},
        lambda x, a: x @ torch.zeros(9, x.shape[1]).index_put((torch.tensor([0, 2, 4]),), a).t(),
        {"a": "output w > 3"},
    ),
    op(
        "a matrix of as many numbers as diagonals",
        lambda w: {"a": (2 * w - 1,)},
        lambda x, a: x @ a[(places := torch.arange(x.shape[1]))[:, None] - places + x.shape[1] - 1],
        {"a": "hidden ~w^1 > ~w^1"},
    ),
    op(
        "several matrices in one vector",
        lambda w: {"a": (w * w + 3 * w,)},
        lambda x, a: x @ a[: x.shape[1] ** 2].view(x.shape[1], -1) @ a[x.shape[1] ** 2 :].view(-1, 3),
        {"a": "hidden ~w^2 > ~w^2"},
    ),
]
FUNCTIONS_OF_WEIGHTS = [
    op(
        "normalised",
        lambda w: {"a": (9, w)},
        lambda x, a: F.linear(F.normalize(x), F.normalize(a)),
        {"a": "output w > 9"},
    ),
    op(
        "cosine",
        lambda w: {"a": (9, w)},
        lambda x, a: F.cosine_similarity(x[:, None], a[None], dim=-1),
        {"a": "output w > 9"},
    ),
    square("masked", lambda x, a: x @ torch.tril(a)),
    square("scaled", lambda x, a: x @ (a * a.shape[0] ** -0.5)),
    square("added to the identity", lambda x, a: x @ (a + torch.eye(a.shape[0]))),
    square("rounded", lambda x, a: F.linear(x, a + (a.round() - a).detach())),
    square("signs", lambda x, a: x @ (a.sign() * a.abs().mean())),
    square("softmax", lambda x, a: x @ a.softmax(0)),
    square("symmetric", lambda x, a: x @ (a.triu() + a.triu(1).t())),
    square("orthogonal", lambda x, a: x @ torch.matrix_exp(a - a.t())),
    square("transformed by a fixed matrix", lambda x, a: x @ (torch.ones(a.shape[0], a.shape[0]) @ a)),
    op(
        "standardised",
        lambda w: {"a": (w, w, 3)},
        lambda x, a: F.conv1d(x.t()[None], (a - a.mean((1, 2), keepdim=True)) / a.std((1, 2), keepdim=True)),
        {"a": "hidden 3w > w"},
    ),
    op(
        "standardised by a normalisation",
        lambda w: {"a": (w, w, 3)},
        lambda x, a: F.conv1d(
            x.t()[None], F.batch_norm(a.reshape(1, a.shape[0], -1), None, None, training=True).reshape_as(a)
        ),
        {"a": "hidden 3w > w"},
    ),
    op(
        "scaled by styles and brought to length one",
        lambda w: {"a": (w, w, 3), "t": (1, w, 5)},
        lambda x, a, t: F.conv1d(
            t.expand(5, -1, -1).reshape(1, -1, 5),
            (
                (styled := a[None] * x[:, None, :, None])
                * torch.rsqrt(styled.square().sum((2, 3), keepdim=True) + 1e-8)
            ).flatten(0, 1),
            groups=5,
        ),
        {"a": "hidden 3w > w", "t": "input"},
    ),
    op(
        "low rank beside a weight",
        lambda w: {"a": (w, w), "b": (w, 4), "c": (4, w)},
        lambda x, a, b, c: F.linear(x, a + b @ c),
        {"a": "hidden w > w", "b": "input 4 > w", "c": "output w > 4"},
    ),
    op(
        "low rank",
        lambda w: {"a": (4, w), "b": (w, 4)},
        lambda x, a, b: F.linear(F.linear(x, a), b),
        {"a": "output w > 4", "b": "input 4 > w"},
    ),
    op(
        "chain of products",
        lambda w: {"a": (w, 8), "b": (8, w)},
        lambda x, a, b: x @ (a @ b),
        {"a": "output w > 8", "b": "input 8 > w"},
    ),
    op(
        "sum",
        lambda w: {"a": (w, w), "b": (w, w)},
        lambda x, a, b: x @ torch.where(a > b, a, b),
        {"a": "hidden w > w", "b": "hidden w > w"},
    ),
    op("product and sum", lambda w: {"a": (w,)}, lambda x, a: (x * a).sum(-1), {"a": "output w > 1"}),
    op(
        "broadcast product and sum",
        lambda w: {"a": (w, 3)},
        lambda x, a: (x[..., None] * a).sum(1),
        {"a": "output w > 3"},
    ),
    op(
        "of two sizes",
        lambda w: {"a": (w // 4, w // 4), "b": (4, 4)},
        lambda x, a, b: x @ torch.kron(a, b),
        {"a": "hidden", "b": "scalar"},
    ),
]
STACKS = [
    op(
        "chosen by index",
        lambda w: {"a": (4, w, w)},
        lambda x, a: torch.einsum("bi,bio->bo", x, a[torch.zeros(5, dtype=torch.long)]),
        {"a": "hidden w > w"},
    ),
    op(
        "chosen by index_select",
        lambda w: {"a": (4, w, w)},
        lambda x, a: torch.bmm(x[:, None], a.index_select(0, torch.zeros(5, dtype=torch.long))),
        {"a": "hidden w > w"},
    ),
    op(
        "all at once",
        lambda w: {"a": (4, w, w)},
        lambda x, a: torch.einsum("bi,eio->beo", x, a),
        {"a": "hidden w > 4w"},
    ),
    op(
        "one by one",
        lambda w: {"a": (4, w, w)},
        lambda x, a: F.linear(x, a[0]) + F.linear(x, a[3]),
        {"a": "hidden w > w"},
    ),
    op(
        "more of them",
        lambda w: {"a": (w // 16, w, w)},
        lambda x, a: torch.bmm(x.expand(a.shape[0], -1, -1), a),
        {"a": "hidden w > w"},
    ),
    op(
        "mixed by an einsum",
        lambda w: {"a": (4, w, w)},
        lambda x, a: torch.einsum("bi,bio->bo", x, torch.einsum("be,eio->bio", x[:, :4].softmax(-1), a)),
        {"a": "hidden w > w"},
    ),
    op(
        "mixed by a sum",
        lambda w: {"a": (4, w, w)},
        lambda x, a: x @ (x[0, :4, None, None] * a).sum(0),
        {"a": "hidden w > w"},
    ),
    op(
        "gated",
        lambda w: {"a": (4, w, 8 * w), "b": (4, 4 * w, w)},
        lambda x, a, b: torch.bmm(F.glu(torch.bmm(x.expand(4, -1, -1), a)), b),
        {"a": "hidden w > 8w", "b": "hidden 4w > w"},
    ),
    op("router", lambda w: {"a": (4, w)}, lambda x, a: (x @ a.t()).softmax(-1).topk(2)[0], {"a": "output w > 4"}),
]
TABLES = [
    op(
        "one-hot",
        lambda w: {"a": (11, w)},
        lambda x, a: x + F.one_hot(torch.arange(5), 11).float() @ a,
        {"a": "input 11 > w"},
    ),
    op(
        "one-hot einsum",
        lambda w: {"a": (11, w)},
        lambda x, a: x + torch.einsum("bv,vd->bd", F.one_hot(torch.arange(5), 11).float(), a),
        {"a": "input 11 > w"},
    ),
    op("gathered", lambda w: {"a": (11, w)}, lambda x, a: x + a[torch.arange(5)], {"a": "input"}),
    op(
        "gathered by two",
        lambda w: {"a": (11, 13, w)},
        lambda x, a: x + a[torch.arange(5), torch.arange(5)],
        {"a": "input"},
    ),
    op(
        "index_select",
        lambda w: {"a": (11, w)},
        lambda x, a: x + a.index_select(0, torch.arange(5)),
        {"a": "input"},
    ),
    op(
        "gather",
        lambda w: {"a": (11, w)},
        lambda x, a: x + a.gather(0, torch.zeros(5, x.shape[1], dtype=torch.long)),
        {"a": "input"},
    ),
    op(
        "take_along_dim",
        lambda w: {"a": (11, w)},
        lambda x, a: x + torch.take_along_dim(a, torch.zeros(5, 1, dtype=torch.long), 0),
        {"a": "input"},
    ),
    op(
        "embedding",
        lambda w: {"a": (11, w)},
        lambda x, a: x + F.embedding(weight=a, input=torch.arange(5)),
        {"a": "input"},
    ),
    op(
        "embedding bag",
        lambda w: {"a": (11, w)},
        lambda x, a: x + F.embedding_bag(torch.zeros(5, 2, dtype=torch.long), a),
        {"a": "input"},
    ),
    op(
        "a projected table",
        lambda w: {"a": (11, w), "b": (w, w)},
        lambda x, a, b: x + F.embedding(torch.arange(5), a @ b),
        {"a": "input", "b": "hidden w > w"},
    ),
    op(
        "tokens through layers",
        lambda w: {"a": (3, w), "b": (w, 2 * w), "c": (2 * w, w)},
        lambda x, a, b, c: x + (F.relu(a @ b) @ c)[:1],
        {"a": "input", "b": "hidden w > 2w", "c": "hidden 2w > w"},
    ),
    op(
        "tokens through a normalisation",
        lambda w: {"a": (3, w), "g": (w,), "b": (w, w)},
        lambda x, a, g, b: torch.cat([x, F.linear(F.layer_norm(a, g.shape, g), b)]),
        {"a": "input", "g": "vector", "b": "hidden w > w"},
    ),
    op(
        "projected fixed features",
        lambda w: {"a": (8, w)},
        lambda x, a: x + torch.ones(5, 8) @ a,
        {"a": "input 8 > w"},
    ),
    op(
        "one token through a normalisation",
        lambda w: {"a": (w,), "b": (w, w)},
        lambda x, a, b: x + F.linear(F.layer_norm(a, a.shape), b),
        {"a": "input", "b": "hidden w > w"},
    ),
    op(
        "one token through a layer",
        lambda w: {"a": (w,), "b": (w, w)},
        lambda x, a, b: x + F.linear(a, b),
        {"a": "input", "b": "hidden w > w"},
    ),
    op("positions", lambda w: {"a": (9, w)}, lambda x, a: x + a[: x.shape[0]], {"a": "input"}),
    op("whole positions", lambda w: {"a": (5, w)}, lambda x, a: x + a, {"a": "input"}),
    op("token in front", lambda w: {"a": (1, w)}, lambda x, a: torch.cat([a, x]), {"a": "input"}),
    op(
        "token in place of others",
        lambda w: {"a": (w,)},
        lambda x, a: torch.where(x[:, :1] > 0, a, x),
        {"a": "input"},
    ),
    op(
        "bias by distance",
        lambda w: {"a": (11, w // 16)},
        lambda x, a: x.view(5, -1, 16) + a[torch.arange(5)][..., None],
        {"a": "input"},
    ),
    op(
        "bias by distance of fixed heads",
        lambda _: {"a": (11, 4)},
        lambda x, a: x.view(5, 4, -1) + a[torch.arange(5)][..., None],
        {"a": "scalar"},
    ),
    Row(
        "modules",
        lambda w: nn.Sequential(nn.EmbeddingBag(11, w, mode="sum"), nn.Linear(w, 3)),
        tokens,
        {"0.weight": "input", "1.weight": "output w > 3", "1.bias": "scalar"},
    ),
    Row(
        "a limited embedding",
        lambda w: nn.Embedding(11, w, max_norm=1.0, padding_idx=0),
        tokens,
        {"weight": "input"},
    ),
]
ELEMENTWISE = [
    op(
        "gain and bias",
        lambda w: {"a": (w,), "b": (w,)},
        lambda x, a, b: x * a + b,
        {"a": "vector", "b": "vector"},
    ),
    op(
        "addcmul",
        lambda w: {"a": (w,), "b": (w,)},
        lambda x, a, b: torch.addcmul(b, x, a),
        {"a": "vector", "b": "vector"},
    ),
    op("scale of several numbers", lambda w: {"a": (w, 8)}, lambda x, a: x[..., None] * -a.exp(), {"a": "vector"}),
    op(
        "scale of several numbers in an einsum",
        lambda w: {"a": (w, 8)},
        lambda x, a: torch.einsum("bd,dn->bdn", x, a),
        {"a": "vector"},
    ),
    op(
        "length of every kernel of one channel",
        lambda w: {"a": (w, 1, 1), "b": (w, 1, 3)},
        lambda x, a, b: F.conv1d(x[:, None, :9], a * b / b.norm(dim=(1, 2), keepdim=True)),
        {"a": "vector", "b": "input 3 > w"},
    ),
    op(
        "length of every row that is taken in",
        lambda w: {"a": (w, 1, 1), "b": (w, 3, 3)},
        lambda x, a, b: F.conv_transpose1d(x.t()[None], a * b / b.norm(dim=(1, 2), keepdim=True)),
        {"a": "vector", "b": "output 3w > 3"},
    ),
    op(
        "outer product as a weight",
        lambda w: {"a": (w,), "b": (2 * w,)},
        lambda x, a, b: x @ (a[:, None] * b),
        {"a": "output w > 1", "b": "vector"},
    ),
    op("temperature", lambda _: {"a": (1,)}, lambda x, a: x * a.exp(), {"a": "scalar"}),
    op("weights of layers", lambda _: {"a": (2,)}, lambda x, a: sum(p * x for p in a.softmax(0)), {"a": "scalar"}),
    op("frequencies", lambda w: {"a": (w,)}, lambda x, a: (x[:, :1] * a * 2 * math.pi).sin(), {"a": "vector"}),
    op("layer norm", lambda w: {"a": (w,)}, lambda x, a: F.layer_norm(x, a.shape, a), {"a": "vector"}),
    op("rms norm", lambda w: {"a": (w,)}, lambda x, a: F.rms_norm(x, a.shape, weight=a), {"a": "vector"}),
    op(
        "half of a bias",
        lambda w: {"a": (w, w), "b": (2 * w,)},
        lambda x, a, b: F.linear(x, a, b[: a.shape[0]]),
        {"a": "hidden w > w", "b": "vector"},
    ),
]
ATTENTION = [
    op(
        "own",
        lambda w: {"a": (w, 3 * w)},
        lambda x, a: F.scaled_dot_product_attention(*(x @ a).chunk(3, -1)),
        {"a": "hidden w > 3w"},
    ),
    op(
        "a query of its own",
        lambda w: {"q": (1, w), "k": (w, w)},
        lambda x, q, k: (q @ (x @ k).t()).softmax(-1) @ x,
        {"q": "output w > 1", "k": "hidden w > w"},
    ),
    op(
        "fused, with a query and a memory of its own",
        lambda w: {"q": (9, w), "k": (9, w), "v": (9, w)},
        lambda x, q, k, v: (
            F.scaled_dot_product_attention(q, x, x).mean(0) + F.scaled_dot_product_attention(x, key=k, value=v)
        ),
        {"q": "output w > 9", "k": "output w > 9", "v": "input 9 > w"},
    ),
    layers(
        "packed",
        lambda w: (SelfAttention(w),),
        {
            "layers.0.attention.in_proj_weight": "hidden w > 3w",
            "layers.0.attention.in_proj_bias": "vector",
            "layers.0.attention.out_proj.weight": "hidden w > w",
            "layers.0.attention.out_proj.bias": "vector",
        },
        sequence,
    ),
    layers(
        "separate",
        lambda w: (SelfAttention(w, 8),),
        {
            "layers.0.attention.q_proj_weight": "hidden w > w",
            "layers.0.attention.k_proj_weight": "input 8 > w",
            "layers.0.attention.v_proj_weight": "input 8 > w",
        },
        sequence,
    ),
    layers(
        "a layer of a transformer",
        lambda w: (nn.TransformerEncoderLayer(w, 4, 4 * w, dropout=0, batch_first=True), nn.RMSNorm(w)),
        {
            "layers.0.self_attn.in_proj_weight": "hidden w > 3w",
            "layers.0.linear1.weight": "hidden w > 4w",
            "layers.0.linear2.weight": "hidden 4w > w",
            "layers.0.norm1.weight": "vector",
            "layers.1.weight": "vector",
        },
        sequence,
    ),
    Row(
        "the fast path of inference",
        lambda w: NoGradient(nn.TransformerEncoderLayer(w, 4, 4 * w, batch_first=True).eval()),
        wide,
        {"layer.self_attn.in_proj_weight": "hidden w > 3w", "layer.linear2.weight": "hidden 4w > w"},
    ),
]
RECURRENT = [
    recurrent(nn.LSTM, "4w", packed=False),
    recurrent(nn.LSTM, "4w", packed=True),
    recurrent(nn.GRU, "3w", packed=False),
    recurrent(nn.GRU, "3w", packed=True),
    recurrent(nn.RNN, "w", packed=False),
    recurrent(nn.RNN, "w", packed=True),
    cell(nn.LSTMCell, "4w"),
    cell(nn.GRUCell, "3w"),
    cell(nn.RNNCell, "w"),
    Row(
        "projected LSTM",
        lambda w: nn.LSTM(w, w, proj_size=8, batch_first=True),
        wide,
        {"weight_hr_l0": "output w > 8", "weight_hh_l0": "input 8 > 4w"},
    ),
]
MODULES = [
    layers(
        "Linear",
        lambda w: (nn.Linear(w, 2 * w), nn.Linear(2 * w, 3)),
        {
            "stem.weight": "input 7 > w",
            "stem.bias": "vector",
            "layers.0.weight": "hidden w > 2w",
            "layers.0.bias": "vector",
            "layers.1.weight": "output 2w > 3",
            "layers.1.bias": "scalar",
        },
    ),
    layers(
        "Bilinear",
        lambda w: (Bilinear(w),),
        {"layers.0.layer.weight": "hidden 4w > w", "layers.0.readout.weight": "output w^2 > 3"},
    ),
    layers("frozen", lambda w: (nn.Linear(w, w).requires_grad_(False),), {"layers.0.weight": "hidden w > w"}),
    layers("buffer", lambda w: (Featured(w),), {"layers.0.layer.weight": "hidden w > w"}),
    layers(
        "shared",
        lambda w: (Shared(w),),
        {"layers.0.first.weight": "hidden w > w", "layers.0.second.bias": "vector"},
    ),
    Row("tied", Tied, tokens, {"table.weight": "input", "middle.weight": "hidden w > w"}),
    Row(
        "tied through a factor",
        Factored,
        tokens,
        {"table.weight": "scalar", "lift.weight": "input 16 > w"},
    ),
    layers(
        "in a list",
        lambda w: (Listed(w),),
        {"layers.0.list.1": "hidden w > w", "layers.0.named.readout": "output w > 3"},
    ),
    layers(
        "without gradients", lambda w: (NoGradient(nn.Linear(w, w)),), {"layers.0.layer.weight": "hidden w > w"}
    ),
    layers(
        "functional call",
        lambda w: (Called(nn.Linear(w, w)),),
        {"layers.0.layer.weight": "hidden w > w", "layers.0.layer.bias": "vector"},
    ),
    layers(
        "scripted",
        lambda w: (torch.jit.script(nn.Sequential(nn.Linear(w, w), nn.LayerNorm(w), nn.Linear(w, 3))),),
        {
            "layers.0.0.weight": "hidden w > w",
            "layers.0.0.bias": "vector",
            "layers.0.1.weight": "vector",
            "layers.0.2.weight": "output w > 3",
        },
    ),
    layers(
        "traced by torch",
        lambda w: (script_of(nn.Linear(w, 3), torch.randn(5, w)),),
        {"layers.0.weight": "output w > 3", "layers.0.bias": "scalar"},
    ),
    layers(
        "an ensemble under vmap",
        lambda w: (Ensemble(w),),
        {"layers.0.weight": "hidden w > w", "layers.0.members.1.weight": "hidden w > w"},
    ),
    layers(
        "lazy",
        lambda w: (nn.LazyLinear(w), nn.LazyLinear(3)),
        {"layers.0.weight": "hidden w > w", "layers.1.weight": "output w > 3"},
    ),
    layers("gradient inside", lambda w: (Field(nn.Linear(w, w)),), {"layers.0.layer.weight": "hidden w > w"}),
    recomputed(reentrant=False),
    recomputed(reentrant=True),
]
if not torch.cuda.is_available():  # which it would insist on
    MODULES.append(
        layers(
            "data parallel",
            lambda w: (nn.DataParallel(nn.Linear(w, w)),),
            {"layers.0.module.weight": "hidden w > w"},
        )
    )
PARAMETRIZED = [
    layers(
        "weight norm",
        lambda w: (parametrizations.weight_norm(nn.Linear(w, w)), nn.utils.weight_norm(nn.Linear(w, 3))),
        {
            "layers.0.parametrizations.weight.original0": "vector",
            "layers.0.parametrizations.weight.original1": "hidden w > w",
            "layers.1.weight_g": "scalar",
            "layers.1.weight_v": "output w > 3",
        },
    ),
    layers(
        "weight norm of a transposed convolution",
        lambda w: (parametrizations.weight_norm(nn.ConvTranspose1d(5, w, 3)), nn.utils.weight_norm(Columns(w))),
        {
            "layers.0.parametrizations.weight.original0": "scalar",
            "layers.0.parametrizations.weight.original1": "input 15 > w",
            "layers.1.weight_g": "vector",
            "layers.1.weight_v": "hidden 3w > w",
        },
    ),
    layers(
        "spectral norm",
        lambda w: (
            parametrizations.spectral_norm(nn.Linear(w, w)),
            nn.utils.spectral_norm(nn.Linear(w, w)),
            parametrizations.spectral_norm(nn.Linear(w, 3)),
        ),
        {
            "layers.0.parametrizations.weight.original": "hidden w > w",
            "layers.1.weight_orig": "hidden w > w",
            "layers.2.parametrizations.weight.original": "output w > 3",
        },
    ),
    layers(
        "orthogonal",
        lambda w: (parametrizations.orthogonal(nn.Linear(w, w)),),
        {"layers.0.parametrizations.weight.original": "hidden w > w"},
    ),
    layers(
        "of one's own",
        lambda w: (symmetric(nn.Linear(w, w)),),
        {"layers.0.parametrizations.weight.original": "hidden w > w"},
    ),
    layers(
        "pruned",
        lambda w: (pruned(nn.Linear(w, 3), "weight", 0.5),),
        {"layers.0.weight_orig": "output w > 3"},
    ),
]
ROWS = [
    *PRODUCTS,
    *EINSUMS,
    *CONVOLUTIONS,
    *VIEWS,
    *TRIANGLES,
    *FUNCTIONS_OF_WEIGHTS,
    *STACKS,
    *TABLES,
    *ELEMENTWISE,
    *ATTENTION,
    *RECURRENT,
    *MODULES,
    *PARAMETRIZED,
]
