"""How often a trace is wrong: correct, legal and faulty models, each with ten seeds.

    python benchmarks/verdicts.py [--seeds 10] [--first 100]

Prints every verdict that is not the right one, and the number of all. A fault counts as found only if the verdict
fails and names that rule and no other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.injections import INJECTIONS
from tests.repositories import copy, inject
from tests.test_trace_verdicts import ILLEGAL, LEGAL, TRACED_FAULTS, write

WIDTHS = ("--widths", "64,128,256,512")


@dataclass(frozen=True)
class Subject:
    """One model, and the rules that its trace has to name; none if it has to pass."""

    name: str
    folder: Path
    target: str
    codes: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()


def subjects(folder: Path) -> Iterator[Subject]:
    """The example GPT as it is, in μP, and with one fault at a time; a small model in every gauge."""

    def place(name: str) -> Path:
        path = folder / "".join(c if c.isalnum() else "-" for c in name)
        path.mkdir()
        return path

    gpt = "model.py:GPT"
    yield Subject("gpt", copy("gpt", place("gpt")), gpt, frozenset({"MU101", "MU301", "MU405", "MU409"}))
    yield Subject("gpt_mup", copy("gpt_mup", place("gpt_mup")), gpt)
    for name, code, *_ in TRACED_FAULTS:
        injection = next(i for i in INJECTIONS if i.name == name)
        yield Subject(name, inject(injection, place(name)), gpt, frozenset({code}))
    for variant in LEGAL:
        yield Subject(variant.name, write(variant, place(variant.name)), "cases.py:case", arguments=WIDTHS)
    for variant, code, _ in ILLEGAL:
        root = write(variant, place(variant.name))
        yield Subject(variant.name, root, "cases.py:case", frozenset({code}), WIDTHS)


def wrong(subject: Subject, seed: int) -> str | None:
    """What is wrong about one verdict, or None."""
    command = [sys.executable, "-m", "mulint", "trace", subject.target, "--output-format", "json"]
    command += ["--seed", str(seed), *subject.arguments]
    result = subprocess.run(command, cwd=subject.folder, capture_output=True, text=True, check=False)
    if not result.stdout:
        return result.stderr.strip()
    trace = json.loads(result.stdout)
    codes = frozenset(culprit["code"] for culprit in trace["culprits"])
    due = "fail" if subject.codes else "pass"
    return None if (trace["verdict"], codes) == (due, subject.codes) else f"{trace['verdict']} {sorted(codes)}"


def main() -> int:
    """Trace everything and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=100)
    given = parser.parse_args()
    failures = count = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        runs = [
            (subject, seed, pool.submit(wrong, subject, seed))
            for subject in list(subjects(Path(folder)))
            # A run takes up to five seeds of its own.
            for seed in range(given.first, given.first + 10 * given.seeds, 10)
        ]
        for subject, seed, run in runs:
            count += 1
            found = run.result()
            if found is not None:
                failures += 1
                print(f"{subject.name}, seed {seed}: {found}", flush=True)
    print(f"{failures} wrong of {count} verdicts")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
