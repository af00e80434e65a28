"""The README says what is true: its table is that of the rules, its output is what is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readme import README, with_table
from tests.repositories import copy, mulint

_BLOCK = re.compile(r"```text\n\$ mulint (.*?)\n(.*?)```", re.S)
# Measured slopes differ in their last digits between processors.
_SLOPE = re.compile(r"[+-]\d\.\d\d")


def shown() -> list[tuple[str, str]]:
    """(arguments, output) of every command in the README."""
    return [(command, output) for command, output in _BLOCK.findall(README.read_text())]


def pieces(output: str) -> Iterator[str]:
    """What stands between the dots, with measured numbers made equal and spaces of tables evened out."""
    for piece in output.split("\n...\n"):
        yield " ".join(_SLOPE.sub("#", piece).split())


def test_the_rule_table_is_that_of_the_rules() -> None:
    text = README.read_text()
    assert with_table(text) == text


def test_all_three_commands_are_shown() -> None:
    assert [command.split()[0] for command, _ in shown()] == ["check", "trace", "fix"]


@pytest.mark.parametrize(("command", "output"), shown(), ids=[command.split()[0] for command, _ in shown()])
def test_the_output_shown_is_what_is_printed(command: str, output: str, tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    for path in root.rglob("*.py"):  # the marks of what is expected are for our tests
        path.write_text(re.sub(r"  # expect: .*", "", path.read_text()))
    result = mulint(*command.split(), cwd=root)
    (printed,) = pieces(result.stdout.replace("\n...\n", "\n"))
    place = 0
    for piece in pieces(output):
        found = printed.find(piece, place)
        assert found >= 0, piece
        place = found + len(piece)
    assert printed.startswith(next(pieces(output)))
