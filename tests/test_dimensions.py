"""The algebra of symbolic sizes against brute force, and against modules that are really built."""

from __future__ import annotations

import ast
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulint.facts import extract
from mulint.program import link
from mulint.program.dimensions import Dimension, Symbol

SYMBOLS = tuple(Symbol(name) for name in ("n", "m", "h"))


def leaf() -> st.SearchStrategy[tuple[Dimension, str]]:
    constants = st.integers(1, 9).map(lambda v: (Dimension.constant(v), str(v)))
    symbols = st.sampled_from(SYMBOLS).map(lambda s: (Dimension.of(s), s.name))
    return constants | symbols


def combine(
    children: st.SearchStrategy[tuple[Dimension, str]],
) -> st.SearchStrategy[tuple[Dimension, str]]:
    def build(pair: tuple[tuple[Dimension, str], tuple[Dimension, str]], operator: str) -> tuple[Dimension, str]:
        (a, left), (b, right) = pair
        result = {"+": a + b, "-": a - b, "*": a * b}[operator]
        return result, f"({left} {operator} {right})"

    return st.builds(build, st.tuples(children, children), st.sampled_from("+-*"))


expressions = st.recursive(leaf(), combine, max_leaves=8)
sizes = st.fixed_dictionaries({s: st.integers(1, 50) for s in SYMBOLS})


@given(expressions, sizes)
def test_the_algebra_agrees_with_python(expression: tuple[Dimension, str], at: dict[Symbol, int]) -> None:
    dimension, source = expression
    expected = eval(compile(ast.parse(source, mode="eval"), "", "eval"), {s.name: v for s, v in at.items()})
    assert dimension.evaluate(at) == pytest.approx(expected)


@given(expressions, leaf(), sizes)
def test_quotients_agree_where_they_exist(
    top: tuple[Dimension, str], bottom: tuple[Dimension, str], at: dict[Symbol, int]
) -> None:
    quotient = top[0].divide(bottom[0])
    assert quotient is not None  # a leaf is one term
    assert quotient.evaluate(at) == pytest.approx(top[0].evaluate(at) / bottom[0].evaluate(at))
    assert (top[0] * bottom[0]).divide(bottom[0]) == top[0]


@given(
    leaf(), st.sampled_from([Fraction(1, 2), Fraction(-1, 2), Fraction(-1), Fraction(3, 2), Fraction(2)]), sizes
)
def test_powers_agree(base: tuple[Dimension, str], exponent: Fraction, at: dict[Symbol, int]) -> None:
    power = base[0].power(exponent)
    assert power is not None
    assert power.evaluate(at) == pytest.approx(base[0].evaluate(at) ** float(exponent))


@given(expressions)
def test_growth_is_the_measured_exponent(expression: tuple[Dimension, str]) -> None:
    """For sums of positive terms the exponent is the slope between two very large widths."""
    dimension, source = expression
    if "-" in source:
        return
    n = SYMBOLS[0]
    at = dict.fromkeys(SYMBOLS, 3.0)
    low, high = (dimension.evaluate({**at, n: w}) for w in (1e30, 1e40))
    assert float(dimension.growth({n})) == pytest.approx(math.log10(high / low) / 10, abs=1e-3)


def test_growth_counts_every_width_together() -> None:
    n, m, _ = (Dimension.of(s) for s in SYMBOLS)
    product = n * m
    assert product.growth({SYMBOLS[0]}) == 1
    assert product.growth(set(SYMBOLS)) == 2
    assert (n * n).divide(m) is not None
    assert (n + Dimension.constant(5)).growth({SYMBOLS[0]}) == 1
    assert Dimension.constant(7).growth(set(SYMBOLS)) == 0


MODULES = {
    "torch.nn.Linear({a}, {b})": "weight",
    "torch.nn.Conv2d({a}, {b}, 3)": "weight",
    "torch.nn.ConvTranspose2d({a}, {b}, 4)": "weight",
    "torch.nn.Embedding({a}, {b})": "weight",
    "torch.nn.LSTM({a}, {b})": "weight_ih_l0",
    "torch.nn.GRU({a}, {b})": "weight_hh_l0",
    "torch.nn.LayerNorm({b})": "weight",
}
DIMENSIONS = ("n", "4 * n", "3 * n + 2", "n * k", "n * k // k", "int(8 * n / 2)", "max(n, 1)", "n // 2 * 2")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(MODULES)),
    st.sampled_from(DIMENSIONS),
    st.sampled_from(DIMENSIONS),
    st.integers(1, 6).map(lambda v: 2 * v),
    st.integers(1, 4),
)
def test_what_is_said_of_a_shape_is_true_of_the_built_module(
    template: str, a: str, b: str, n: int, k: int
) -> None:
    call = template.format(a=a, b=b)
    source = (
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, n, k):\n"
        "        super().__init__()\n"
        f"        self.layer = {call}\n"
        "    def forward(self, x):\n"
        "        return self.layer(x)\n"
    )
    program = link([extract("net.py", source)])
    name = MODULES[template]
    weight = next(w for w in program.seen.weights if w.name == name)
    namespace: dict[str, type[torch.nn.Module]] = {}
    exec(source, namespace)
    built = dict(namespace["Net"](n, k).named_parameters())[f"layer.{name}"]
    at = {s: {"n": n, "k": k}[s.short] for d in weight.dims for size in d.alternatives for s in size.symbols}
    said = [size.only.evaluate(at) for size in weight.dims if size.only is not None]
    assert len(said) == len(weight.dims)
    kernel = len(built.shape) - 2 if "Conv" in call else 0
    assert said[: len(said) - kernel] == [float(v) for v in built.shape[: len(built.shape) - kernel]]
