"""What ``check`` says of the example repositories, plain, correct, and with one fault each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mulint.rules import RULES
from tests.injections import INJECTIONS, Injection
from tests.repositories import FIXTURES, check, copy, inject, marked, sites

PLAIN = ("gpt", "mlp")
FIXED = ("gpt_fixed", "mlp_fixed", "gpt_fixed_mup", "mlp_fixed_mup")
CORRECT = (*FIXED, "gpt_mup", "gpt_mup_untied", "mlp_mup", "mup_package")


@pytest.mark.parametrize("fixture", PLAIN)
def test_exactly_what_is_marked_is_found_as_notes(fixture: str) -> None:
    report = check(FIXTURES / fixture)
    assert sorted(sites(report)) == sorted(marked(FIXTURES / fixture))
    assert report["intent"] == "none"
    assert {f["severity"] for f in report["findings"]} == {"note"}
    assert {f["severity_if_scaled"] for f in report["findings"]} == {"error"}


@pytest.mark.parametrize("fixture", PLAIN)
def test_with_the_table_notes_become_errors(fixture: str, tmp_path: Path) -> None:
    root = copy(fixture, tmp_path)
    with (root / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mulint]\n")
    report = check(root)
    assert report["intent"] == "opted-in"
    assert {f["severity"] for f in report["findings"]} == {"error"}
    assert sorted(sites(report)) == sorted(marked(root))


@pytest.mark.parametrize("fixture", CORRECT)
def test_correct_parametrizations_are_evident_and_silent(fixture: str) -> None:
    report = check(FIXTURES / fixture)
    assert sites(report) == []
    assert report["intent"] == "evident"
    assert report["understood"]["parameters"] > 5
    assert report["understood"]["optimizers"] >= 1


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda i: i.name)
def test_an_injected_fault_gives_its_code_and_no_other(injection: Injection, tmp_path: Path) -> None:
    report = check(inject(injection, tmp_path))
    assert [f["code"] for f in report["findings"]] == [injection.code]
    severity = {rule.code: rule.severity for rule in RULES}[injection.code]
    assert report["findings"][0]["severity"] == severity


def test_every_default_rule_has_an_injection_or_a_snippet() -> None:
    shown = {injection.code for injection in INJECTIONS} | {code for _, _, code in marked(FIXTURES / "snippets")}
    assert {rule.code for rule in RULES if rule.default} <= shown


def test_a_written_rate_names_the_optimizer_that_it_writes_to() -> None:
    written = next(f for f in check(FIXTURES / "gpt")["findings"] if f["code"] == "MU201")
    assert ("model.py", "the optimizer is built here") in {(r["path"], r["what"]) for r in written["related"]}


READOUT_IN_THE_HIDDEN_GROUP = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width, base=128):
        super().__init__()
        self.ratio = width / base
        self.first = nn.Linear(8, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 4, bias=False)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu()) / self.ratio


def configure(net):
    hidden = [net.second.weight, net.head.weight]
    groups = [{"params": hidden, "lr": 1e-3 / net.ratio}, {"params": [net.first.weight], "lr": 1e-3}]
    return torch.optim.Adam(groups)


def train(width):
    return configure(Net(width))
"""


def test_a_readout_is_not_called_a_weight_without_a_width(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(READOUT_IN_THE_HIDDEN_GROUP)
    (found,) = check(tmp_path)["findings"]
    assert (found["code"], found["symbol"]) == ("MU104", "configure")
    assert found["expected"] == "a constant learning rate for readouts with a multiplier of their own"
