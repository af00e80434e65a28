"""Role, fan-in and fan-out of parameters for every way in which an operation consumes them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import mulint
from mulint.tracing import cases, roles
from mulint.tracing.measurement import measure
from mulint.tracing.model import Builder, Built, ParameterDims
from mulint.tracing.process import run
from mulint.tracing.request import Limits, Request
from tests.ways_of_use import ROWS, Row

ROOT = Path(__file__).parent
WIDTHS = (64.0, 128.0, 256.0)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the old weight norm
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_use(row: Row) -> None:
    found = {name: described(parameter) for name, parameter in traced(row).items()}
    assert {name: found[name] for name in row.expected} == row.expected


@pytest.mark.parametrize("name", ["gradient inside", "an ensemble under vmap", "scripted", "lazy"])
def test_training_of_layers_that_hide_something(name: str) -> None:
    (row,) = (row for row in ROWS if row.name == name)
    builder = built(row)
    dims = roles.trace(builder, ROOT).parameters
    found, _ = measure(builder, dims, WIDTHS[0], 0, torch.device("cpu"), None)
    assert all(found.update[name] > 0 for name in row.expected)
    assert found.changes["stem"] > 0


def traced(row: Row) -> dict[str, ParameterDims]:
    """The parameters of a row's model; nothing may have gone unseen or unread."""
    found = roles.trace(built(row), ROOT)
    assert found.unseen == ()
    return {parameter.name: parameter for parameter in found.parameters}


def built(row: Row) -> Builder:
    """Builds the model with its inputs, the square of its output as loss, and Adam."""

    def case(width: float) -> mulint.Case:
        return mulint.Case(
            row.make(int(width)),
            row.inputs(int(width)),
            lambda model, batch: total(model(*batch)),
            lambda model: torch.optim.Adam(model.parameters(), lr=1e-3),
        )

    return cases.from_case(case, WIDTHS, None)


def total(output: Any) -> Tensor:
    while isinstance(output, tuple):
        output = output[0]
    result: Tensor = output.float().pow(2).mean()
    return result


def described(parameter: ParameterDims) -> str:
    """A parameter in the words of the table; an unused one says so."""
    if not parameter.uses:
        return f"unused {parameter.role}"
    if not parameter.fan_in_dims:
        return str(parameter.role)
    fans = [
        growth([math.prod(shape[axis] for axis in axes) for shape in parameter.shapes])
        for axes in (parameter.fan_in_dims, parameter.fan_out_dims)
    ]
    return f"{parameter.role} {' > '.join(fans)}"


def growth(sizes: list[int]) -> str:
    """Sizes at the three widths as a multiple of a power of the width; ``~`` where they only come near it."""
    power = round(math.log2(sizes[1] / sizes[0]))
    factor = sizes[0] / WIDTHS[0] ** power
    if any(size != factor * width**power for size, width in zip(sizes, WIDTHS, strict=True)):
        return f"~w^{power}"
    if not power:
        return f"{factor:g}"
    over, under = factor.as_integer_ratio()
    name = "w" if power == 1 else f"w^{power}"
    return f"{over if over > 1 else ''}{name}{f'/{under}' if under > 1 else ''}"


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
    assert [site.ok for site in trace.attention] == [True]


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
        return mulint.Case(Blocked(int(width)), (torch.randn(5, 7),), lambda model, batch: total(model(*batch)))

    plain, devices = cases.from_case(case, WIDTHS, None), []

    def build(width: float, seed: int, device: torch.device) -> Built:
        devices.append(device.type)
        return plain.build(width, seed, device)

    roles.trace(Builder(WIDTHS, build), ROOT)
    assert devices == ["meta"] * 3
