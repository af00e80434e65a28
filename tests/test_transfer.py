"""The learning-rate sweep: where the best rate lies, how far it moves, and that no finished run is lost."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

import mulint as package
from mulint.cli import group
from mulint.tracing import training
from mulint.tracing.model import Built
from mulint.transfer.journal import Journal
from mulint.transfer.optimum import Losses, judge, optimum
from mulint.transfer.request import Key

SCHEMA = Path(package.__file__).parent / "reporting" / "schemas" / "transfer.schema.json"
OCTAVES = tuple(float(octave) for octave in range(-4, 5))
CASE = """
import time
import torch
from torch import nn
import mulint


def case(width):
    {before}
    batch = torch.randn(16, 8), torch.randint(4, (16,))
    loss = lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1])
    net = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 4))
    return mulint.Case(net, batch, loss, optimizer=lambda m: torch.optim.{optimizer})
"""
SGD = "SGD(m.parameters(), lr=0.1)"
SMALL = ("--widths", "4,8", "--octaves=-1:1", "--seeds", "1", "--steps", "3")


def bowl(*best: float, spread: float = 0.0, seeds: int = 3) -> Losses:
    """Losses of parabolas with their best rates at these octaves, one for every width, seeds a little apart."""
    return tuple(
        tuple(
            tuple(1.0 + 0.1 * (octave - at - spread * (seed - 1)) ** 2 for seed in range(seeds))
            for octave in OCTAVES
        )
        for at in best
    )


@pytest.mark.parametrize(
    ("narrow", "wide", "verdict"),
    [(0.3, 0.3, "transfers"), (0.0, -0.9, "transfers"), (1.0, 1.8, "transfers"), (2.0, -1.0, "shifted")],
)
def test_the_shift_is_that_of_the_vertices(narrow: float, wide: float, verdict: str) -> None:
    found = judge((32, 256), OCTAVES, bowl(narrow, wide))
    assert found.verdict == verdict
    assert found.shift is not None
    assert found.shift.octaves == pytest.approx(wide - narrow)
    assert found.shift.ci == pytest.approx((wide - narrow,) * 2), "seeds that agree leave no doubt"


def test_the_interval_holds_the_shift_and_widens_with_the_seeds_differences() -> None:
    widths = []
    for spread in (0.2, 0.6):
        narrow, wide = bowl(0.0, spread=spread)[0], bowl(-0.2)[0]
        shift = judge((32, 256), OCTAVES, (narrow, wide)).shift
        assert shift is not None
        assert shift.ci is not None
        assert shift.ci[0] <= shift.octaves <= shift.ci[1]
        widths.append(shift.ci[1] - shift.ci[0])
    assert widths[1] > 2 * widths[0] > 0


def test_one_seed_gives_no_interval() -> None:
    shift = judge((32, 256), OCTAVES, bowl(0.0, 0.0, seeds=1)).shift
    assert shift is not None
    assert shift.ci is None


@pytest.mark.parametrize(
    ("best", "said"),
    [
        ((-3.5, -6.0), "the best rate at width 256 is the lowest of the sweep; add rates: --octaves -7:4"),
        ((6.0, 3.5), "the best rate at width 32 is the highest of the sweep; add rates: --octaves -4:7"),
        ((6.0, 6.0), "add rates: --octaves -4:7"),
    ],
)
def test_an_optimum_at_the_edge_says_which_rates_to_add(best: tuple[float, float], said: str) -> None:
    found = judge((32, 256), OCTAVES, bowl(*best))
    assert found.verdict == "inconclusive"
    assert said in found.reason
    assert found.shift is None


@pytest.mark.parametrize(("best", "octaves"), [((2.0, -6.0), -6.0), ((6.0, 0.0), -4.0), ((-1.0, 7.0), 5.0)])
def test_an_edge_far_away_is_a_shift_of_at_least_so_much(best: tuple[float, float], octaves: float) -> None:
    found = judge((32, 256), OCTAVES, bowl(*best))
    assert found.verdict == "shifted"
    assert found.shift is not None
    assert (found.shift.octaves, found.shift.bound, found.shift.ci) == (octaves, True, None)


def test_runs_that_diverge() -> None:
    rows = tuple(
        (None, None, None) if octave > 0 else seeds for octave, seeds in zip(OCTAVES, bowl(0.0)[0], strict=True)
    )
    beside = judge((32, 256), OCTAVES, (rows, bowl(0.0)[0]))
    assert beside.verdict == "transfers"
    never = judge((32, 256), OCTAVES, (bowl(0.0)[0], ((None, None, None),) * len(OCTAVES)))
    assert never.verdict == "inconclusive"
    assert never.reason == "every run at width 256 diverges; add rates: --octaves -7:4"


def test_uneven_steps_have_the_same_vertex() -> None:
    octaves = (-3.0, -1.0, 0.0, 4.0)
    assert optimum(8, octaves, [(o + 0.7) ** 2 for o in octaves]).octave == pytest.approx(-0.7)


def test_a_wide_model_that_is_worse_is_noted() -> None:
    narrow, wide = bowl(0.0, 0.0)
    worse = tuple(tuple((loss or 0.0) + 0.5 for loss in seeds) for seeds in wide)
    (note,) = judge((32, 256), OCTAVES, (narrow, worse)).notes
    assert "under μP wider is better" in note


# The factor of the rates -----------------------------------------------------------------------------------


def rates_used(schedule: Any, factor: float) -> list[float]:
    """The rates with which an optimizer stepped."""
    model = nn.Linear(2, 1)
    seen: list[float] = []

    class Watched(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            seen.extend(group["lr"] for group in self.param_groups)
            return super().step(closure)

    def optimizer(model: Any) -> torch.optim.Optimizer:
        return Watched([{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.02}])

    def loss(model: Any, batch: Any) -> Tensor:
        value: Tensor = model(batch).square().mean()
        return value

    built = Built(2, 0, model, torch.ones(1, 2), loss, optimizer, schedule)
    training.run(training.prepare(built), factor, 4)
    return seen


@pytest.mark.parametrize(
    "schedule",
    [
        None,
        lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4, eta_min=0.001),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=[0.1, 0.02], total_steps=10),
        lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0),
    ],
)
def test_every_rate_is_multiplied_whatever_the_schedule(schedule: Any) -> None:
    torch.manual_seed(0)
    plain = rates_used(schedule, 1.0)
    assert len(plain) == 8
    torch.manual_seed(0)
    assert rates_used(schedule, 0.5) == pytest.approx([rate / 2 for rate in plain])


# Finished runs ---------------------------------------------------------------------------------------------


def test_a_journal_keeps_what_is_finished(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs.jsonl", "code")
    assert journal.known() == {}
    runs: dict[Key, float | None] = {(8.0, -1.0, 0): 1.25, (8.0, 0.0, 0): None}
    for key, loss in runs.items():
        journal.add(key, loss)
    assert journal.known() == runs
    assert Journal(journal.path, "other code").known() == {}
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-9])  # a power cut
    assert journal.known() == {(8.0, -1.0, 0): 1.25}
    journal.add((8.0, 0.0, 0), 2.0)
    assert journal.known() == {(8.0, -1.0, 0): 1.25, (8.0, 0.0, 0): 2.0}


def run(folder: Path, *arguments: str, optimizer: str = SGD, before: str = "pass") -> Result:
    (folder / "pyproject.toml").touch()
    (folder / "cases.py").write_text(CASE.format(optimizer=optimizer, before=before), encoding="utf-8")
    return CliRunner().invoke(group, ["transfer", f"{folder}/cases.py:case", *SMALL, *arguments])


def test_a_sweep_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    points, html, svg = (tmp_path / name for name in ("points.jsonl", "report.html", "plot.svg"))
    files = ("--points", str(points), "--html", str(html), "--plot", str(svg))
    result = run(tmp_path, "--output-format", "json", *files)
    data = json.loads(result.stdout)
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert result.exit_code == {"transfers": 0, "shifted": 1, "inconclusive": 2}[data["verdict"]]
    assert [len(data["losses"]), len(data["losses"][0]), len(data["losses"][0][0])] == [2, 3, 1]
    assert all(math.isfinite(loss) for rows in data["losses"] for (loss,) in rows)
    ET.parse(svg)
    assert data["reason"] in html.read_text(encoding="utf-8")

    lines = points.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    points.write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    again = json.loads(run(tmp_path, "--output-format", "json", *files[:2]).stdout)
    assert again == data, "the run that was missing gives the same loss"
    assert len(points.read_text(encoding="utf-8").splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing.py:case"], "missing.py does not exist"),
        (["cases.py:case", "--octaves", "1"], "write two whole numbers, as in -4:4"),
        (["cases.py:case", "--octaves", "0:1"], "needs three rates or more"),
        (["cases.py:case", "--widths", "64"], "needs two widths or more"),
        (["cases.py:case", "--plot", "plot.pdf"], "ends in .svg or .png"),
        (["cases.py:case", "--points", "no/where.jsonl"], "choose a file in a folder that exists"),
    ],
)
def test_arguments_that_are_wrong(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.py").write_text("raise RuntimeError('run')\n", encoding="utf-8")
    result = CliRunner().invoke(group, ["transfer", *arguments])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_case_without_an_optimizer_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    text = CASE.format(optimizer=SGD, before="pass")
    (tmp_path / "cases.py").write_text(text.replace(", optimizer=lambda m: torch.optim." + SGD, ""))
    result = CliRunner().invoke(group, ["transfer", "cases.py:case", *SMALL])
    assert result.exit_code == 2
    assert "give the case that of the training script" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_interrupt_keeps_the_finished_runs(tmp_path: Path) -> None:
    slow = "time.sleep(1000 if width > 4 else 0)"
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "cases.py").write_text(CASE.format(optimizer=SGD, before=slow), encoding="utf-8")
    points = tmp_path / "points.jsonl"
    command = [sys.executable, "-m", "mulint", "transfer", "cases.py:case", *SMALL, "--points", str(points)]
    sweep = subprocess.Popen([*command, "--jobs", "2"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while (not points.exists() or points.read_text().count("\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(sweep.pid, signal.SIGINT)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 2
    assert said.count("\n") == 1
    assert "interrupted; 3 of 6 finished runs are kept in" in said
    assert len(points.read_text(encoding="utf-8").splitlines()) == 3
