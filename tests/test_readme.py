"""The README says what is true."""

from __future__ import annotations

from tests.readme import README, with_table
from tests.repositories import FIXTURES, mulint


def test_the_rule_table_is_that_of_the_rules() -> None:
    text = README.read_text()
    assert with_table(text) == text


def test_the_output_shown_is_what_is_printed() -> None:
    printed = mulint("check", ".", cwd=FIXTURES / "gpt").stdout
    block = README.read_text().split("$ mulint check .\n")[1].split("```")[0]
    first, last = block.split("\n...\n")
    assert printed.startswith(first)
    assert printed.endswith(last)
