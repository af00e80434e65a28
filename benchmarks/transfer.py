"""Does the best learning rate move with the width, before and after a patch?

Sweeps the example transformer with ``mulint transfer`` at two widths, as it is and patched, and looks at the
factor by which the best rate falls from the narrow model to the wide one. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import string
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

FIXTURES = Path(__file__).parent.parent / "fixtures"
WIDTHS = NARROW, WIDE = (32, 256)
HEAD_DIM, LAYERS, CONTEXT, ROWS = 16, 2, 32, 8
STEPS, SEEDS = 30, 2
MIDDLE, OCTAVES = 2.0**-9, "-3:3"
ALPHABET = string.digits + string.ascii_letters + string.punctuation + " \n"
CHARACTERS = 3_800_000
BASE = {"base_n_embd": NARROW, "base_n_head": NARROW // HEAD_DIM}
# What the patch has to do: the best rate moves by this factor without it, and stays within this factor with it.
MOVES, STAYS = 4.0, 2.0
CASE = f"""
import dataclasses
from pathlib import Path

import torch

import model as code
import mulint

TEXT = torch.load(Path(__file__).parent / "text.pt")


def loss(model, text):
    \"\"\"On rows drawn anew at every step, the same ones at every width and rate.\"\"\"
    starts = torch.randint(len(text) - {CONTEXT} - 1, ({ROWS},))
    rows = torch.stack([text[start : start + {CONTEXT} + 1] for start in starts]).long()
    return model(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())[1]


def gpt(width):
    config = code.GPTConfig(
        vocab_size={len(ALPHABET)},
        block_size={CONTEXT},
        n_layer={LAYERS},
        n_head=width // {HEAD_DIM},
        n_embd=width,
    )
    known = {{field.name for field in dataclasses.fields(config)}}
    config = dataclasses.replace(config, **{{k: v for k, v in {BASE!r}.items() if k in known}})
    return mulint.Case(
        model=code.GPT(config),
        batch=TEXT,
        loss=loss,
        optimizer=lambda model: model.configure_optimizers({MIDDLE!r}, 0.0, (0.9, 0.95), "cpu"),
    )
"""


def main() -> int:
    """Sweep both versions, print what was found; 0 when it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, help="a folder with the patched model.py; default: run mulint fix")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        shutil.copytree(FIXTURES / "gpt", before)
        shutil.copytree(arguments.patched or FIXTURES / "gpt", after)
        if arguments.patched is None:
            fix(after)
        text = tokens()
        moved, stayed = sweep("before", before, text), sweep("after", after, text)
    as_due = moved >= MOVES and 1 / STAYS <= stayed <= STAYS
    print(f"due: {MOVES:g}x or more before, {1 / STAYS:g}x to {STAYS:g}x after: {'met' if as_due else 'NOT MET'}")
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if as_due else 1


def fix(folder: Path) -> None:
    """Patch the transformer in a folder with mulint fix."""
    base = f"n_embd={NARROW},n_head={NARROW // HEAD_DIM}"
    result = mulint("fix", ".", "--no-verify", "--base-width", base, cwd=folder)
    if result.returncode == 2:
        raise SystemExit(f"mulint fix failed: {result.stderr.strip()}; or pass --patched FOLDER")


def sweep(name: str, folder: Path, text: torch.Tensor) -> float:
    """Print the best rates at both widths; by what factor they fall from the narrow model to the wide one."""
    torch.save(text, folder / "text.pt")
    (folder / "transfer_case.py").write_text(CASE, encoding="utf-8")
    widths = ",".join(map(str, WIDTHS))
    options = ("--widths", widths, "--octaves", OCTAVES, "--steps", str(STEPS), "--seeds", str(SEEDS))
    result = mulint("transfer", "transfer_case.py:gpt", *options, "--output-format", "json", cwd=folder)
    if not result.stdout:
        raise SystemExit(f"mulint transfer failed: {result.stderr.strip()}")
    found: dict[str, Any] = json.loads(result.stdout)
    for best in found["optima"]:
        shown = "none" if best["octave"] is None else f"{MIDDLE * 2 ** best['octave']:.2e}"
        print(f"{name:>6}  width {best['width']:>3g}: best rate {shown}")
    if found["shift"] is None:
        raise SystemExit(found["reason"])
    factor = float(1 / found["shift"]["factor"])
    print(f"{name:>6}  the best rate falls by {factor:.2f}x from width {NARROW} to {WIDE}")
    return factor


def mulint(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line, with nothing kept from one time to the next."""
    environment = {**os.environ, "MULINT_CACHE_DIR": str(cwd / ".cache")}
    command = [sys.executable, "-m", "mulint", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)


def tokens() -> torch.Tensor:
    """The sources of the Python standard library as indices into ALPHABET."""
    index = {character: number for number, character in enumerate(ALPHABET)}
    found: list[int] = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        found += [index[c] for c in path.read_text(encoding="utf-8", errors="ignore") if c in index]
        if len(found) >= CHARACTERS:
            break
    return torch.tensor(found[:CHARACTERS], dtype=torch.uint8)


if __name__ == "__main__":
    sys.exit(main())
