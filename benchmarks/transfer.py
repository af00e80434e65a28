"""Does the best learning rate move with the width, before and after a patch?

Trains the example transformer at two widths over a grid of learning rates, as it is and patched, and prints by
what factor the best rate falls from the narrow model to the wide one. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import math
import shutil
import statistics
import string
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FIXTURES = Path(__file__).parent.parent / "fixtures"
WIDTHS = NARROW, WIDE = (32, 256)
HEAD_DIM, LAYERS, CONTEXT, ROWS = 16, 2, 32, 8
STEPS, MEASURED = 30, 10
EXPONENTS = range(-12, -5)
SEEDS = range(2)
ALPHABET = string.digits + string.ascii_letters + string.punctuation + " \n"
CHARACTERS = 3_800_000
BASE = {"base_n_embd": NARROW, "base_n_head": NARROW // HEAD_DIM}
# What the patch has to do: the best rate moves by this factor without it, and stays within this factor with it.
MOVES, STAYS = 4.0, 2.0

Losses = dict[int, list[float]]
"""Mean loss over the last steps and over seeds, by width, for every rate of the grid."""


def main() -> int:
    """Sweep both versions, print what was found; 0 when it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, help="a folder with the patched model.py; default: run mulint fix")
    parser.add_argument("--sweep", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sweep is not None:
        print(json.dumps(sweep(arguments.sweep)))
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        patched = arguments.patched or fixed(Path(folder))
        before, after = pool.map(in_a_process, [FIXTURES / "gpt", patched])
    moved, stayed = shift(before), shift(after)
    report("before", before, moved)
    report("after", after, stayed)
    as_due = moved >= MOVES and 1 / STAYS <= stayed <= STAYS
    print(f"due: {MOVES:g}x or more before, {1 / STAYS:g}x to {STAYS:g}x after: {'met' if as_due else 'NOT MET'}")
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if as_due else 1


def fixed(folder: Path) -> Path:
    """A copy of the transformer after mulint fix."""
    target = folder / "gpt"
    shutil.copytree(FIXTURES / "gpt", target)
    base = f"n_embd={NARROW},n_head={NARROW // HEAD_DIM}"
    command = [sys.executable, "-m", "mulint", "fix", ".", "--no-verify", "--base-width", base]
    result = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    if result.returncode == 2:
        raise SystemExit(f"mulint fix failed: {result.stderr.strip()}; or pass --patched FOLDER")
    return target


def in_a_process(folder: Path) -> Losses:
    """The sweep in a process of its own: both versions have modules of the same names."""
    command = [sys.executable, __file__, "--sweep", str(folder)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {int(width): losses for width, losses in json.loads(result.stdout).items()}


def sweep(folder: Path) -> Losses:
    """Losses of the model in a folder at both widths."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder.resolve()))
    module = importlib.import_module("model")
    text = tokens()
    return {
        width: [
            statistics.mean(train(module, width, 2.0**exponent, seed, text) for seed in SEEDS)
            for exponent in EXPONENTS
        ]
        for width in WIDTHS
    }


def train(module: Any, width: int, rate: float, seed: int, text: Tensor) -> float:
    """Mean loss of the last steps of one short run."""
    torch.manual_seed(seed)
    config = module.GPTConfig(
        vocab_size=len(ALPHABET), block_size=CONTEXT, n_layer=LAYERS, n_head=width // HEAD_DIM, n_embd=width
    )
    known = {field.name for field in dataclasses.fields(config)}
    model = module.GPT(dataclasses.replace(config, **{k: v for k, v in BASE.items() if k in known}))
    optimizer = model.configure_optimizers(rate, 0.0, (0.9, 0.95), "cpu")
    losses: list[float] = []
    for inputs, targets in batches(text, seed):
        _, loss = model(inputs, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return statistics.mean(losses[-MEASURED:])


def batches(text: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same batches for every width and rate; both of shape (ROWS, CONTEXT)."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        starts = torch.randint(len(text) - CONTEXT - 1, (ROWS,), generator=generator)
        rows = torch.stack([text[start : start + CONTEXT + 1] for start in starts])
        yield rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def tokens() -> Tensor:
    """The sources of the Python standard library as indices into ALPHABET."""
    index = {character: number for number, character in enumerate(ALPHABET)}
    found: list[int] = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        found += [index[c] for c in path.read_text(encoding="utf-8", errors="ignore") if c in index]
        if len(found) >= CHARACTERS:
            break
    return torch.tensor(found[:CHARACTERS])


def shift(losses: Losses) -> float:
    """By what factor the best rate falls from the narrow model to the wide one."""
    return float(2.0 ** (best(losses[NARROW]) - best(losses[WIDE])))


def best(losses: Sequence[float]) -> float:
    """Exponent of the best rate: the vertex of the parabola through the lowest loss and its neighbours."""
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if 0 < lowest < len(losses) - 1:
        left, middle, right = losses[lowest - 1 : lowest + 2]
        curvature = left - 2 * middle + right
        offset = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
        return EXPONENTS[lowest] + offset
    return float(EXPONENTS[lowest])


def report(name: str, losses: Losses, factor: float) -> None:
    """One line for every width, and the shift between them."""
    for width, row in losses.items():
        shown = " ".join(f"{loss:5.2f}" if math.isfinite(loss) else "    -" for loss in row)
        print(f"{name:>6}  width {width:>3}: losses {shown}  best rate 2^{best(row):.1f}")
    print(f"{name:>6}  the best rate falls by {factor:.2f}x from width {NARROW} to {WIDE}")


if __name__ == "__main__":
    sys.exit(main())
