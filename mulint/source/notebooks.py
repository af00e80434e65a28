"""Jupyter notebooks as one Python module: the code of all cells in order, with what only IPython reads blanked."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

SUFFIX = ".ipynb"
# Magics whose cell is Python all the same.
_PYTHON = frozenset({"%%time", "%%timeit", "%%capture", "%%prun"})
_MAGIC = re.compile(r"\s*(%|!|\?)|.*\?\s*$")
_ASSIGNED = re.compile(r"(\s*[\w\s,.\[\]]+=\s*)[%!]")

Cells = tuple[tuple[int, int], ...]


class NotANotebook(ValueError):
    """The bytes are no notebook that can be read; the message says what they are and what to do."""


def code(data: bytes) -> tuple[str, Cells]:
    """The code of a notebook.

    Returns:
        the text, in which each cell starts on a line of its own; and for each cell with code its number in the
        notebook, counted from 1, and its first line in the text. Nothing at all for other languages than Python.

    Raises:
        NotANotebook: it is no JSON, or not a notebook of format 4.
    """
    try:
        notebook = json.loads(data)
    except ValueError as error:
        raise NotANotebook(f"not a notebook: {error}; save it anew in Jupyter") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise NotANotebook("not a notebook of format 4; save it anew in Jupyter")
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    for number, cell in enumerate(cells if _is_python(notebook) else [], 1):
        text = _source(cell)
        if text is not None:
            starts.append((number, len(lines) + 1))
            lines.extend(_blanked(text))
    return "".join(f"{line}\n" for line in lines), tuple(starts)


def _is_python(notebook: dict[str, Any]) -> bool:
    metadata = notebook.get("metadata", {})
    language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
    return language in (None, "python")


def _source(cell: Any) -> str | None:
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return None
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _blanked(text: str) -> list[str]:
    """The lines of a cell; what is no Python is blanked, and every other line stays where it is."""
    lines = re.split(r"\r\n|\r|\n", text)
    first = next((line for line in lines if line.strip()), "").split(maxsplit=1)
    if first and first[0].startswith("%%") and first[0] not in _PYTHON:
        return [""] * len(lines)
    return lines if _is_valid(text) else list(_without_magics(lines))


def _is_valid(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _without_magics(lines: Iterable[str]) -> Iterator[str]:
    continued = False
    for line in lines:
        assigned = _ASSIGNED.match(line)
        if continued:
            kept = ""
        elif assigned:
            kept = f"{assigned[1]}None"
        elif _MAGIC.match(line):
            # A block that held nothing else stays a block.
            kept = f"{line[: len(line) - len(line.lstrip())]}pass"
        else:
            yield line
            continue
        continued = line.rstrip().endswith("\\")
        yield kept
