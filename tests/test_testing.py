"""``assert_mup`` in a project's own test suite."""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mulint import Case
from mulint.testing import assert_mup

WIDTHS = (32, 64, 128)
BASE = 32


class Net(nn.Module):
    def __init__(self, width: int, *, scaled: bool) -> None:
        super().__init__()
        self.ratio = width / BASE
        self.up = nn.Linear(8, width)
        self.body = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)
        self.divisor = self.ratio if scaled else 1.0
        for layer in (self.up, self.body, self.head):
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=BASE**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.relu(self.body(torch.relu(self.up(x)))) / self.divisor)
        return out


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def classifier(width: int, *, scaled: bool = True, adapted: bool = True) -> Case:
    model = Net(width, scaled=scaled)

    def optimizer(model: Any) -> torch.optim.Optimizer:
        others = [p for name, p in model.named_parameters() if name != "body.weight"]
        rate = 1e-3 / model.ratio if adapted else 1e-3
        return torch.optim.Adam([{"params": [model.body.weight], "lr": rate}, {"params": others, "lr": 1e-3}])

    return Case(model, (torch.randn(16, 8), torch.randint(4, (16,))), loss, optimizer=optimizer)


def line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_model_in_mup_passes() -> None:
    assert_mup(classifier, widths=WIDTHS)


def test_a_readout_without_its_multiplier_is_named_with_its_line() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_mup(functools.partial(classifier, scaled=False), widths=WIDTHS)
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("test_testing.py:classifier at widths 32, 64, 128: Verdict fail")
    (fault,) = [line for line in rest if "MU401" in line]
    assert f"test_testing.py:{line_of('self.head = nn')}: MU401 head.weight: update is off by" in fault
    assert "    update: expected w^-1, found 1" in str(caught.value)


def test_a_local_function_can_be_the_case() -> None:
    def one_rate(width: int) -> Case:
        return classifier(width, adapted=False)

    with pytest.raises(AssertionError, match=r"MU101 body\.weight") as caught:
        assert_mup(one_rate, widths=WIDTHS)
    assert "expected w^-1, found 1" in str(caught.value)


def test_rates_that_are_not_known_are_no_pass() -> None:
    def without(width: int) -> Case:
        case = classifier(width)
        return Case(case.model, case.batch, case.loss)

    expected = "inconclusive: measured: .*; not measured: learning rates.* pass a case with that of the training"
    with pytest.raises(AssertionError, match=expected):
        assert_mup(without, widths=WIDTHS)


def test_a_case_that_raises_is_an_error_with_its_cause() -> None:
    def broken(width: int) -> Case:
        raise KeyError(f"no head for {width}")

    with pytest.raises(ValueError, match=r"no head for 32.*\(.*test_testing\.py:\d+\)") as caught:
        assert_mup(broken, widths=WIDTHS)
    assert isinstance(caught.value.__cause__, KeyError)


def test_random_states_and_threads_are_left_as_they_were() -> None:
    torch.manual_seed(5)
    random.seed(5)
    expected = (torch.rand(1).item(), random.random(), torch.get_num_threads())
    torch.manual_seed(5)
    random.seed(5)
    assert_mup(classifier, widths=WIDTHS)
    assert (torch.rand(1).item(), random.random(), torch.get_num_threads()) == expected
