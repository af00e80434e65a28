"""Files that a command writes beside its report: checked before the work, written after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mulint.cli import CannotRun, write_bytes
from mulint.reporting import plots, plots_png
from mulint.reporting.plots import Panel


def writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work that would be lost.

    Raises:
        CannotRun: its folder does not exist or may not be written.
    """
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CannotRun(f"{path} cannot be written; choose a file in a folder that exists and may be written")


def planned(html: Path | None, plot: Path | None) -> Callable[[Sequence[Panel]], None] | None:
    """What writes plots, if they are wanted; refuses files of reports that could not be written in the end.

    Raises:
        CannotRun: one of them cannot be written.
    """
    plotted = plotting(plot) if plot is not None else None
    if html is not None:
        writable(html)
    return plotted


def plotting(path: Path) -> Callable[[Sequence[Panel]], None]:
    """What writes plots to a file, by its ending.

    Raises:
        CannotRun: it cannot be written, its ending is not known, or what draws it is not installed.
    """
    writable(path)
    ending = path.suffix.lower()
    if ending == ".svg":
        return lambda panels: write_bytes(path, plots.document(panels).encode())
    if ending != ".png":
        raise CannotRun(f"--plot {path}: name a file that ends in .svg or .png")
    if not plots_png.is_installed():
        raise CannotRun(f"--plot {path}: png needs matplotlib: pip install matplotlib, or name a .svg file")
    return lambda panels: write_bytes(path, plots_png.document(panels))
