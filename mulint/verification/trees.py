"""Copies of a project that can be imported from, as it is and as a patch makes it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mulint.rewriting.patch import FilePatch
from mulint.source.discovery import DEFAULT_EXCLUDES
from mulint.source.reading import encode

LARGEST = 1 << 20
LARGEST_TREE = 256 << 20
MOST_FILES = 10_000
CODE = (".py", ".pyi", ".so", ".pyd")


def copy(root: Path, target: Path) -> None:
    """Copy the code and the small files beside it; not version control, environments, caches and data.

    Links to files become files. Links to folders inside the project point into the copy, others to where they
    pointed.
    """
    left, others = LARGEST_TREE, MOST_FILES
    for current, folders, names in os.walk(root):
        here, there = Path(current), target / Path(current).relative_to(root)
        folders[:] = sorted(name for name in folders if not _is_skipped(here / name))
        there.mkdir(parents=True, exist_ok=True)
        for name in folders:
            if (here / name).is_symlink():
                (there / name).symlink_to(_counterpart((here / name).resolve(), root, target))
        for name in sorted(names):
            file = here / name
            size = file.stat().st_size if file.is_file() else None
            if size is None or size > left:
                continue
            if name.endswith(CODE) or (size <= LARGEST and others > 0):
                shutil.copyfile(file, there / name)
                left -= size
                others -= not name.endswith(CODE)


def apply(files: Sequence[FilePatch], root: Path, tree: Path) -> None:
    """Give the files of a copy their patched text, in the encoding that they have in the project."""
    for patch in files:
        path = tree / patch.path
        original = (root / patch.path).read_bytes() if patch.before is not None else b""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(patch.after, original))


def _is_skipped(folder: Path) -> bool:
    name = folder.name
    return (
        name in DEFAULT_EXCLUDES
        or name.startswith(".")
        or name.endswith(".egg-info")
        or (folder / "pyvenv.cfg").exists()
    )


def _counterpart(resolved: Path, root: Path, target: Path) -> Path:
    inside = resolved.is_relative_to(root.resolve())
    return target / resolved.relative_to(root.resolve()) if inside else resolved
