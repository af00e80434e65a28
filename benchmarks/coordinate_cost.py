"""What the measurement of a trace costs beside ``mup.coord_check``, and what a whole trace costs.

    python benchmarks/coordinate_cost.py [--runs 3]

First the encoder of fixtures/mup_package, 4 layers, is measured by both: the same widths, seeds, steps, batch and
optimizer, one thread, in one process and in turn. Then a transformer of 12 layers with the vocabulary of GPT-2 is
traced from the command line to its verdict. Counted is CPU time; the best run counts. Needs mup and pandas. Exit
code 0 if mulint takes at most 1.5 times what mup takes, and the whole trace at most 30 s.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mulint
from mulint.tracing import cases, coordinates, roles
from mulint.tracing.measurement import measure

FIXTURES = Path(__file__).parent.parent / "fixtures"
WIDTHS, SEEDS, STEPS = (64.0, 128.0, 256.0, 512.0), 3, 3
VOCABULARY, CLASSES, RATE = 96, 2, 1e-4
RATIO, SECONDS = 1.5, 30.0


def encoder(width: int) -> nn.Module:
    """The fixture's model with its base shapes set."""
    from mup import set_base_shapes

    spec = importlib.util.spec_from_file_location("encoder", FIXTURES / "mup_package" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def build(size: int) -> nn.Module:
        model: nn.Module = module.Encoder(VOCABULARY, CLASSES, d_model=size, d_ffn=4 * size, layers=4)
        return model

    model = build(width)
    set_base_shapes(model, build(64), delta=build(128))
    return model


def batch() -> tuple[Tensor, Tensor]:
    """Tokens and classes."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(VOCABULARY, (4, 32), generator=generator)
    return tokens, torch.randint(CLASSES, (4,), generator=generator)


def case(width: float) -> mulint.Case:
    """The same for mulint."""
    from mup import MuAdamW

    def loss(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(given[0]), given[1])

    return mulint.Case(encoder(int(width)), batch(), loss, lambda model: MuAdamW(model.parameters(), lr=RATE))


def by_mulint() -> float:
    """CPU seconds of all runs and the slopes; the roles are found before."""
    builder = cases.from_case(case, WIDTHS, None)
    found = roles.trace(builder, FIXTURES)
    start, factor, runs = time.process_time(), None, []
    for seed in range(SEEDS):
        for width in WIDTHS:
            run, factor = measure(builder, found.parameters, width, seed, torch.device("cpu"), factor, STEPS)
            runs.append(run)
    coordinates.check(runs, coordinates.Modules({}, {}))
    return time.process_time() - start


def by_mup() -> float:
    """CPU seconds of the same with ``get_coord_data``."""
    from mup.coord_check import get_coord_data

    models = {int(width): lambda width=width: encoder(int(width)) for width in WIDTHS}
    options = {"optimizer": "adamw", "lr": RATE, "nsteps": STEPS, "nseeds": SEEDS}
    start = time.process_time()
    get_coord_data(models, [batch()], cuda=False, show_progress=False, **options)
    return time.process_time() - start


def whole() -> float:
    """CPU seconds of the command line and its worker, with all imports."""
    sizes = ["--set", "n_layer=12", "--set", "vocab_size=50304"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "mulint", "trace", "model.py:GPT", *sizes]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, cwd=FIXTURES / "gpt", capture_output=True, text=True, check=False, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(next(line for line in result.stdout.splitlines() if line.startswith("Verdict")))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    ours, theirs = [], []
    for _ in range(given.runs):
        theirs.append(by_mup())
        ours.append(by_mulint())
        print(f"mup {theirs[-1]:.2f} s, mulint {ours[-1]:.2f} s", flush=True)
    ratio = min(ours) / min(theirs)
    print(f"best: {ratio:.2f} times what mup takes, of {RATIO}")
    seconds = whole()
    print(f"a whole trace: {seconds:.1f} s of {SECONDS:g}")
    return 0 if ratio <= RATIO and seconds <= SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
