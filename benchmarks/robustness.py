"""Runs the static pass over every Python file below some paths, one at a time: does it fail, or take long?

    python benchmarks/robustness.py /usr/lib/python3 .venv/lib

Prints how many files and lines were read, how many are no Python 3, and the slowest; then one line for each file
where mulint failed, took longer than ``--limit`` seconds, or found something although the file does not mention
torch. Exit code 1 if there is such a line.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mulint.analysis import analyse
from mulint.configuration import Configuration
from mulint.source.reading import CannotRead, read

_LARGEST = 1_000_000  # bytes; larger files are skipped by default
_SLOWEST = 5
_OWN = "MU9"  # codes of mulint itself: its own comments may stand in any file


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; ``status`` is ``read``, ``skipped`` (cannot be read) or ``no python``."""

    path: Path
    status: str
    lines: int = 0
    seconds: float = 0.0
    fault: str = ""


def main() -> None:
    """Run, print what was measured, and exit with 1 if a file makes trouble."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds of processor time for one file")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    files = sorted({path.resolve() for folder in options.paths for path in _files(folder)})
    with ProcessPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(judge, files, chunksize=32))
    sys.exit(1 if report(outcomes, options.limit) else 0)


def judge(path: Path) -> Outcome:
    """Read one file as a project of its own and run all rules on it."""
    before = time.process_time()
    try:
        source = read(path.parent, path.name, _LARGEST)
    except CannotRead:
        return Outcome(path, "skipped")
    fault = ""
    status = "read"
    try:
        analysis = analyse([source], Configuration())
    except Exception as error:  # any failure is what is looked for
        fault = f"{type(error).__name__}: {error}"
    else:
        failures = [f"{type(f.error).__name__}: {f.error}" for f in analysis.program.failures]
        found = [f"{f.code} in line {f.place.line}" for f in analysis.findings if not f.code.startswith(_OWN)]
        fault = next(iter([*failures, *(found if not source.mentions_torch else ())]), "")
        status = "no python" if analysis.errors else status
    return Outcome(path, status, source.text.count("\n"), time.process_time() - before, fault)


def report(outcomes: Sequence[Outcome], limit: float) -> list[str]:
    """Print the figures; returns and prints one line for each file that makes trouble."""
    counts = {status: sum(o.status == status for o in outcomes) for status in ("read", "no python", "skipped")}
    print(f"{counts['read']} files, {sum(o.lines for o in outcomes)} lines were read;", end=" ")
    print(f"{counts['no python']} are no Python 3, {counts['skipped']} cannot be read or are too large")
    for outcome in sorted(outcomes, key=lambda o: -o.seconds)[:_SLOWEST]:
        print(f"  {outcome.seconds:6.2f} s  {outcome.lines} lines  {outcome.path}")
    trouble = [f"{o.path}: {o.fault}" for o in outcomes if o.fault]
    trouble += [f"{o.path}: took {o.seconds:.1f} s" for o in outcomes if o.seconds > limit]
    print("\n".join([*trouble, f"{len(trouble)} files make trouble"]))
    return trouble


def _files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else (p for p in path.rglob("*.py") if p.is_file())


if __name__ == "__main__":
    main()
