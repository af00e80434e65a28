"""How much processor time a check takes, against linters that users know.

Cold: every fortieth file of a tree without a cache, against TorchFix. Warm: the same with a filled cache, against
``ruff check --select ALL --no-cache``. Hook: one file of a small repository that has changed. Processor time of
all processes, so that neither the number of cores nor their load decides.

    python benchmarks/check_speed.py --tree PATH/transformers --torchfix VENV/bin/torchfix --ruff VENV/bin/ruff
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

EVERY = 40
FIXTURE = Path(__file__).parent.parent / "fixtures" / "gpt"
# The aims: processor time relative to TorchFix and to ruff, and seconds.
COLD, WARM, HOOK = 0.15, 1.0, 0.35


def main() -> None:
    """Measure, print one line for each figure, and exit with 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", type=Path, default=_installed("transformers"), help="the tree to sample")
    parser.add_argument("--torchfix", help="the command of TorchFix")
    parser.add_argument("--ruff", default=shutil.which("ruff"), help="the command of ruff")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.tree is None:
        parser.error("transformers is not installed; name a tree with --tree")
    with tempfile.TemporaryDirectory() as folder:
        missed = measure(Path(folder), options)
    sys.exit(1 if missed else 0)


def measure(folder: Path, options: argparse.Namespace) -> list[str]:
    """The names of the aims that are missed."""
    sample = folder / "sample"
    lines = copy_sample(options.tree, sample)
    print(f"{len(list(sample.rglob('*.py')))} files, {lines} lines of {options.tree.name}")
    check = [sys.executable, "-m", "mulint", "check", "-o", str(folder / "report.txt")]
    missed: list[str] = []

    def report(
        name: str, seconds: float, other: str | None, command: Sequence[str], aim: float, rounds: int
    ) -> None:
        if other is None:
            print(f"{name}: {seconds:.2f} s; nothing to compare with was named")
            return
        against = cpu_seconds([other, *command], rounds)
        ratio = seconds / against
        print(f"{name}: {seconds:.2f} s, {Path(other).name} {against:.2f} s, ratio {ratio:.3f} (aim {aim})")
        missed.extend([name] if ratio > aim else [])

    cold = cpu_seconds([*check, "--no-cache", str(sample)], options.rounds)
    report("cold", cold, options.torchfix, ["--select", "ALL", str(sample)], COLD, 1)
    cached = [*check, "--cache-dir", str(folder / "kept"), str(sample)]
    cpu_seconds(cached, 1)
    warm = cpu_seconds(cached, options.rounds)
    ruff = ["check", "--isolated", "--no-cache", "--select", "ALL", str(sample)]
    report("warm", warm, options.ruff, ruff, WARM, options.rounds)

    repository = folder / "repository"
    shutil.copytree(FIXTURE, repository)
    hook = [*check, "--cache-dir", str(folder / "kept"), str(repository / "train.py")]
    cpu_seconds(hook, 1)
    times = []
    for number in range(options.rounds):
        with (repository / "train.py").open("a") as file:
            file.write(f"# change {number}\n")
        times.append(cpu_seconds(hook, 1))
    print(f"hook: {statistics.median(times):.2f} s (aim {HOOK} s)")
    return [*missed, *(["hook"] if statistics.median(times) > HOOK else [])]


def copy_sample(tree: Path, target: Path) -> int:
    """Copy every fortieth Python file of a tree; returns the number of lines."""
    lines = 0
    for path in sorted(tree.rglob("*.py"))[::EVERY]:
        copied = target / path.relative_to(tree)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
        lines += copied.read_bytes().count(b"\n")
    return lines


def cpu_seconds(command: Sequence[str], rounds: int) -> float:
    """The median processor time of a command and all its processes."""
    times = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def _installed(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin else None


if __name__ == "__main__":
    main()
