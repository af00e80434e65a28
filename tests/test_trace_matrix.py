"""Four small models with each fault of the parametrization alone: the right verdict, and the culprit by name.

``benchmarks/verdicts.py`` runs the same with many seeds, and at larger widths.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mulint.traces import Trace
from mulint.tracing import building, stages
from mulint.tracing.request import STAGES
from tests.fault_matrix import VARIATIONS, Variation, request, write
from tests.repositories import mulint


def quickly_traced(variation: Variation, folder: Path, *, stage: tuple[str, ...] = STAGES) -> Trace:
    asked = request(variation, write(variation, folder))
    asked = replace(asked, widths=(32.0, 64.0, 128.0, 256.0), seeds=1, stages=stage)
    return stages.run(building.plan(asked), asked, lambda _stage, _done: None)


@pytest.mark.parametrize("variation", VARIATIONS, ids=str)
def test_every_variation_has_its_verdict_and_its_culprits(variation: Variation, tmp_path: Path) -> None:
    trace = quickly_traced(variation, tmp_path)
    found = {(culprit.code, culprit.parameter) for culprit in trace.culprits}
    assert {code for code, _ in found} == variation.codes
    assert trace.verdict == ("fail" if variation.faults else "pass")
    for code, name in variation.faults:
        assert any(name in parameter.split(", ") for other, parameter in found if other == code)


def test_the_declared_rate_of_embeddings_is_read_from_the_configuration(tmp_path: Path) -> None:
    variation = next(v for v in VARIATIONS if v.embedding_lr == "sqrt")
    file = write(variation, tmp_path)
    arguments = ("trace", f"{file.name}:case", "--seeds", "1", "--stages", "roles,invariants")
    assert "MU104" in mulint(*arguments, cwd=tmp_path).stdout
    (tmp_path / "pyproject.toml").write_text('[tool.mulint]\nembedding-lr = "sqrt"\n')
    assert "MU104" not in mulint(*arguments, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("name", "line"), [("one cycle with one peak", "OneCycleLR("), ("an absolute rate", 'group["lr"] = ')]
)
def test_a_broken_schedule_is_found_where_it_is_built_or_writes(name: str, line: str, tmp_path: Path) -> None:
    variation = next(v for v in VARIATIONS if v.name == name)
    trace = quickly_traced(variation, tmp_path, stage=("roles", "invariants"))
    lines = (tmp_path / "mlp.py").read_text().splitlines()
    assert trace.culprits
    assert all(line in lines[culprit.line - 1] for culprit in trace.culprits)


def test_what_the_steps_of_a_schedule_do_not_show_is_said(tmp_path: Path) -> None:
    cosine = next(v for v in VARIATIONS if str(v) == "mlp: a cosine")
    long = replace(cosine, changes=tuple((old, new.replace("50", "100_000")) for old, new in cosine.changes))
    wanting = replace(next(v for v in VARIATIONS if v.name == "an absolute rate"), faults=())
    wanting = replace(
        wanting,
        changes=tuple((old, new.replace("step(self)", "step(self, loss)")) for old, new in wanting.changes),
    )
    for variation, seen in (
        (cosine, []),
        (long, ["the schedule after step 9999"]),
        (wanting, ["the schedule after step 0"]),
    ):
        trace = quickly_traced(variation, tmp_path, stage=("roles", "invariants"))
        assert trace.culprits == ()
        assert [text for text in trace.cannot_see if text.startswith("the schedule after")] == seen


@pytest.mark.parametrize(
    ("name", "module", "tending"),
    [
        (
            "hidden rate",
            "blocks.0.up",
            {"updates of matrices": "grows", "updates of vectors": "stays", "initial matrices": "grows"},
        ),
        (
            "constant std of hidden weights",
            "blocks.0.up",
            {"initial matrices": "grows", "updates of matrices": "stays", "updates of vectors": "stays"},
        ),
        ("no readout multiplier", "head", {"initial vectors": "grows", "updates of vectors": "grows"}),
        ("groups by number of dimensions", "tokens", {"updates of vectors": "shrinks"}),
    ],
)
def test_a_failing_trace_says_which_part_of_the_changes_grows(
    name: str, module: str, tending: dict[str, str], tmp_path: Path
) -> None:
    variation = next(v for v in VARIATIONS if str(v) == f"transformer: {name}")
    trace = quickly_traced(variation, tmp_path)
    found = {
        f"{'updates of' if one.part == 'update' else 'initial'} {one.of}": one.tends
        for one in trace.contributions
        if one.module == module
    }
    assert found == tending
