"""Who may import whom: the rooms of the architecture, read from the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mulint

PACKAGE = Path(mulint.__file__).parent
ROOMS: dict[str, set[str]] = {
    "theory": set(),
    "source": set(),
    "findings": set(),
    "wire": set(),
    "facts": {"theory", "source"},
    "program": {"facts", "theory", "findings"},
    "rules": {"program", "theory", "findings"},
    "notices": {"findings"},
    "configuration": {"theory"},
    "baseline": {"configuration", "findings"},
    "gathering": {"source", "facts", "findings"},
    "judgement": {"findings", "wire"},
    "analysis": {"source", "gathering", "facts", "program", "rules", "findings", "notices", "configuration"},
    "judging": {
        "source",
        "gathering",
        "facts",
        "program",
        "findings",
        "judgement",
        "notices",
        "configuration",
        "analysis",
    },
    "checking": {"source", "findings", "judgement", "notices", "configuration", "judging"},
    "case": set(),
    "traces": {"findings", "wire"},
    "tracing": {"theory", "traces", "case", "findings"},
    "evidence": {"rules", "findings", "traces"},
    "sweeps": set(),
    "transfer": {"tracing", "sweeps", "source"},
    "testing": {"case", "configuration", "reporting", "source", "tracing"},
    "pages": {"rules", "notices"},
    "reporting": {"findings", "traces", "sweeps", "rewriting", "pages"},
    "rewriting": {
        "rules",
        "program",
        "facts",
        "findings",
        "theory",
        "configuration",
        "analysis",
        "checking",
        "source",
    },
    "proposing": {"program", "facts", "findings"},
    "verification": {"rewriting", "tracing", "traces", "findings", "theory", "case", "checking", "source"},
}
MAY_IMPORT_TORCH = ("tracing", "verification", "case", "testing", "transfer")
LONGEST_MODULE = 480


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    allowed = ROOMS.get(room(path))
    if allowed is None:  # the command line, and the package's face
        assert room(path) in ("cli", "__init__", "__main__")
        return
    inner = {name.split(".")[1] for name in imports(path) if name.startswith("mulint.")}
    assert inner <= allowed | {room(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_torch_stays_in_its_rooms(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports(path)} & {"torch", "numpy", "mup"}
    assert not heavy or room(path) in MAY_IMPORT_TORCH
    if room(path) in ("cli", "reporting", "checking", "rules"):
        assert "libcst" not in {name.split(".")[0] for name in imports(path)}


def test_rules_are_found_by_their_file_alone() -> None:
    from mulint.rules import RULES

    files = {p.name.split("_")[0].upper() for p in (PACKAGE / "rules").glob("mu*.py")}
    assert files == {rule.code for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_no_module_grows_into_a_god() -> None:
    long = {p.name: n for p in modules() if (n := len(p.read_text().splitlines())) > LONGEST_MODULE}
    assert not long
