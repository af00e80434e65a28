"""How much the static pass says of packages, and a sample of it to be judged by hand.

    python benchmarks/precision.py --sample 50 --seed 1 PATH...

Each path is checked as a project of its own, without configuration. Prints how many findings of which code and
severity there are for each thousand lines, then a random sample, one line each, with place, symbol and message.
Exit code 1 if mulint failed on a file.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mulint.checking import check
from mulint.configuration import Configuration
from mulint.findings import Report


def main() -> None:
    """Check the packages, and print what was found and a sample of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reports = [check([path], path.resolve(), Configuration(), jobs=2) for path in options.paths]
    for report in reports:
        summarise(report)
    rows = [
        f"{r.root.name}/{f.place.path}:{f.place.line} {f.code} {f.symbol}: {f.message}"
        for r in reports
        for f in r.findings
    ]
    print(f"\n{options.sample} of {len(rows)}, seed {options.seed}:")
    drawn = random.Random(options.seed).sample(rows, min(options.sample, len(rows)))
    for number, row in enumerate(sorted(drawn), 1):
        print(f"{number:3} {row}")
    sys.exit(1 if failures(reports) else 0)


def summarise(report: Report) -> None:
    """Findings per thousand lines of one package."""
    lines = sum(text.count("\n") for text in _texts(report.root))
    counts = Counter(f"{f.code} {f.severity.value}" for f in report.findings)
    print(f"{report.root.name}: {report.files} files, {lines:,} lines, {len(report.findings)} findings")
    for code, count in sorted(counts.items()):
        print(f"  {code:16} {count:5}  {1000 * count / lines:.3f} per thousand lines")


def failures(reports: Sequence[Report]) -> bool:
    """Whether mulint itself failed somewhere; said on standard error."""
    errors = [e for report in reports for e in report.errors if e.code == "MU905"]
    for error in errors:
        print(f"{error.path}:{error.line}: {error.message}", file=sys.stderr)
    return bool(errors)


def _texts(root: Path) -> list[str]:
    return [path.read_text(encoding="utf-8", errors="replace") for path in sorted(root.rglob("*.py"))]


if __name__ == "__main__":
    main()
