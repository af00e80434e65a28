"""How often a trace is wrong: correct, legal and faulty models, each with ten seeds.

    python benchmarks/verdicts.py [--seeds 10] [--first 100] [--only TEXT] [--jobs 2] [--device cpu]

Prints every verdict that is not the right one, and the number of all. A fault counts as found only if the verdict
fails and names that rule, the parameter where one is known, and no other rule. ``inconclusive`` is counted apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from mulint.traces import Trace
from mulint.tracing.request import Request
from tests import fault_matrix
from tests.injections import INJECTIONS
from tests.repositories import copy, inject
from tests.test_trace_verdicts import ILLEGAL, LEGAL, TRACED_FAULTS, write

WIDTHS = (64.0, 128.0, 256.0, 512.0)
BETWEEN = 10  # a run takes up to five seeds of its own


@dataclass(frozen=True)
class Subject:
    """One model, and the rules that its trace has to name, with their parameters where known."""

    name: str
    request: Request
    codes: frozenset[str] = frozenset()
    culprits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What was found with one seed: the verdict with its rules, and whether it is the right one."""

    seed: int
    found: str
    right: bool
    inconclusive: bool = False


def subjects(folder: Path) -> Iterator[Subject]:
    """The example GPT and small models: as they are, in every legal gauge, and with one fault at a time."""

    def place(name: str) -> Path:
        path = folder / "".join(c if c.isalnum() else "-" for c in name)
        path.mkdir()
        return path

    def gpt(root: Path) -> Request:
        return Request(str(root / "model.py"), "GPT", str(root))

    def case(root: Path) -> Request:
        return Request(str(root / "cases.py"), "case", str(root), widths=WIDTHS)

    yield Subject("gpt", gpt(copy("gpt", place("gpt"))), frozenset({"MU101", "MU301", "MU405", "MU409"}))
    yield Subject("gpt_mup", gpt(copy("gpt_mup", place("gpt_mup"))))
    for name, code, *_ in TRACED_FAULTS:
        injection = next(i for i in INJECTIONS if i.name == name)
        yield Subject(name, gpt(inject(injection, place(name))), frozenset({code}))
    for variant in LEGAL:
        yield Subject(variant.name, case(write(variant, place(variant.name))))
    for variant, code, parameter in ILLEGAL:
        root = write(variant, place(variant.name))
        yield Subject(variant.name, case(root), frozenset({code}), ((code, parameter),))
    for variation in fault_matrix.VARIATIONS:
        file = fault_matrix.write(variation, place(str(variation)))
        yield Subject(str(variation), fault_matrix.request(variation, file), variation.codes, variation.faults)


def outcomes(subject: Subject, seeds: Sequence[int], device: str) -> list[Outcome]:
    """The verdicts on one subject, in a process of its own, so that no two models share modules."""
    from mulint.tracing import building, stages

    found = []
    for seed in seeds:
        request = dataclasses.replace(subject.request, seed=seed, device=device)
        try:
            trace = stages.run(building.plan(request), request, lambda _stage, _done: None)
        except Exception as error:
            found.append(Outcome(seed, f"{type(error).__name__}: {error}", right=False))
        else:
            found.append(_judged(subject, seed, trace))
    return found


def _judged(subject: Subject, seed: int, trace: Trace) -> Outcome:
    codes = frozenset(culprit.code for culprit in trace.culprits)
    named = {(c.code, name) for c in trace.culprits for name in c.parameter.split(", ")}
    right = trace.verdict == ("fail" if subject.codes else "pass")
    right = right and codes == subject.codes and named >= set(subject.culprits)
    rows = [f"{row.quantity} of {row.module} {row.slope:+.2f}" for row in trace.activations if row.verdict != "ok"]
    text = f"{trace.verdict} {' '.join(sorted(codes))} {'; '.join(rows[:3])}"
    return Outcome(seed, text.strip(), right, trace.verdict == "inconclusive")


def main() -> int:
    """Trace everything and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--only", default="", help="subjects whose name contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="where to train: cpu, cuda or mps")
    given = parser.parse_args()
    seeds = range(given.first, given.first + BETWEEN * given.seeds, BETWEEN)
    count = wrong = inconclusive = 0
    fresh = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(given.jobs, mp_context=fresh, max_tasks_per_child=1) as pool,
    ):
        chosen = [subject for subject in subjects(Path(folder)) if given.only in subject.name]
        runs = [(subject, pool.submit(outcomes, subject, seeds, given.device)) for subject in chosen]
        for subject, run in runs:
            for outcome in run.result():
                count += 1
                wrong += not outcome.right and not outcome.inconclusive
                inconclusive += outcome.inconclusive
                if not outcome.right:
                    print(f"{subject.name}, seed {outcome.seed}: {outcome.found}", flush=True)
    print(f"{wrong} wrong and {inconclusive} inconclusive of {count} verdicts")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
