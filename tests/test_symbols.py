"""A finding names what it is about as the model does, however the attribute is bound."""

from __future__ import annotations

import pytest

from mulint.configuration import Configuration
from mulint.judging import judge
from mulint.source.reading import SourceFile

MODEL = """
import torch
from torch import nn


def square(width):
    return nn.Linear(width, width)


def both(width, classes):
    return square(width), nn.Linear(width, classes)


def tail(width, classes, rate=None):
    mix, policy = square(width), nn.Linear(width, classes)
    if rate is not None:
        return mix, nn.Dropout(rate), policy
    return mix, policy


def heads(width, classes):
    return nn.Linear(width, classes), nn.Linear(width, 1)


class Net(nn.Module):
    def __init__(self, features, width, classes, rate):
        super().__init__()
        self.enter = nn.Linear(features, width)
        {binding}
        nn.init.normal_(self.mix.weight, std=0.02)

    def forward(self, x):
        x = self.mix(self.enter(x).relu()).relu()
        return [head(x) for head in ({heads},)]
"""
ONE = "self.policy"
TWO = "self.policy, self.value"


@pytest.mark.parametrize(
    ("binding", "heads"),
    [
        ("self.mix = square(width)\n        self.policy = nn.Linear(width, classes)", ONE),
        ("self.mix, self.policy = nn.Linear(width, width), nn.Linear(width, classes)", ONE),
        ("self.mix, self.policy = (nn.Linear(width, out) for out in (width, classes))", ONE),
        ("self.mix, self.policy = both(width, classes)", ONE),
        ("self.mix, self.drop, self.policy = tail(width, classes, rate)", ONE),
        ("self.mix, self.policy = tail(width, classes, rate)", ONE),
        ("(self.mix, _), self.policy = (square(width), None), nn.Linear(width, classes)", ONE),
        ("self.mix, *rest = square(width), nn.Linear(width, classes), None\n        self.policy = rest[0]", ONE),
        ("*rest, self.policy = square(width), nn.Linear(width, classes)\n        self.mix = rest[0]", ONE),
        ("self.mix, (self.policy, self.value) = square(width), heads(width, classes)", TWO),
        ("self.mix, self.policy, self.value = square(width), *heads(width, classes)", TWO),
    ],
)
def test_layers_are_named_after_their_attributes(binding: str, heads: str) -> None:
    text = MODEL.format(binding=binding, heads=heads)
    found = judge([SourceFile("net.py", text, True)], Configuration()).findings
    expected = [("MU301", "Net.mix.weight"), *(("MU401", f"Net.{h.strip()[5:]}") for h in heads.split(","))]
    assert sorted((f.code, f.symbol) for f in found) == expected


NUMBERED = """
from torch import nn


class Agent(nn.Module):
    def __init__(self, features, width, actions):
        super().__init__()
        inner = nn.Sequential(nn.Linear(width, width), nn.Tanh())
        self.actor = nn.Sequential(nn.Linear(features, width), nn.Tanh(), inner)
        self.heads = nn.ModuleList([nn.Linear(width, actions), nn.Linear(width, 1)])
        nn.init.normal_(self.actor[2][0].weight, std=0.02)

    def forward(self, x):
        x = self.actor(x)
        return [head(x) for head in self.heads]
"""


def test_layers_in_lists_are_named_after_the_attribute_that_holds_them() -> None:
    found = judge([SourceFile("agent.py", NUMBERED, mentions_torch=True)], Configuration()).findings
    named = {(f.code, f.symbol) for f in found}
    assert named == {
        ("MU401", "Agent.heads.0"),
        ("MU401", "Agent.heads.1"),
        ("MU301", "Agent.actor.2.0.weight"),
    }
    assert any("the readout heads.1 has" in f.message for f in found)


APART = """
import math

from torch import nn


def weights(scores):
    return (scores / 2.0).softmax(dim=-1)


class Product(nn.Module):
    def forward(self, q, k):
        return q @ k.transpose(-2, -1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.product = Product()

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (f(x).view(b, t, self.heads, self.size).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = self.product(q, k)
        scores = scores / math.sqrt(self.size)
        return weights(scores) @ v


class Net(nn.Module):
    def __init__(self, features, width, heads):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.attention = Attention(width, heads)

    def forward(self, x):
        return self.attention(self.enter(x))
"""


def test_attention_is_named_after_what_scales_it_and_found_there() -> None:
    found = judge([SourceFile("apart.py", APART, mentions_torch=True)], Configuration()).findings
    line = 1 + APART.splitlines().index("        scores = scores / math.sqrt(self.size)")
    assert [(f.code, f.symbol, f.place.line) for f in found] == [("MU405", "Attention.forward", line)]
