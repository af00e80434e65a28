"""How long a check of a whole large package takes without a cache, and how much memory its largest process.

python benchmarks/check_whole.py --tree PATH/transformers
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import subprocess
import sys
import time
from pathlib import Path

# The aims, on two cores: seconds of wall time, and MiB.
SECONDS, MEMORY = 120, 1024


def main() -> None:
    """Measure, print one line, and exit with 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", type=Path, default=_installed("transformers"), help="the package to check")
    options = parser.parse_args()
    if options.tree is None:
        parser.error("transformers is not installed; name a package with --tree")
    began = time.monotonic()
    command = [sys.executable, "-m", "mulint", "check", "--no-cache", str(options.tree)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    lines = sum(path.read_bytes().count(b"\n") for path in options.tree.rglob("*.py"))
    print(
        f"{options.tree.name}, {lines:,} lines: {seconds:.0f} s (aim {SECONDS}), {memory:.0f} MiB (aim {MEMORY})"
    )
    sys.exit(1 if done.returncode > 1 or seconds > SECONDS or memory > MEMORY else 0)


def _installed(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin else None


if __name__ == "__main__":
    main()
