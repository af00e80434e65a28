"""Writes the README's rule table from the rules' own pages: ``python -m tests.readme``."""

from __future__ import annotations

import re
from pathlib import Path

from mulint.rules import RULES, Rule

README = Path(__file__).parent.parent / "README.md"
_TABLE = re.compile(r"(<!-- rules: .*? -->\n).*?(<!-- end of rules -->)", re.S)


def with_table(text: str) -> str:
    """The README with the table of all rules as they are now."""
    rows = "".join(f"| {rule.code} `{rule.name}` | {rule.summary}{_chosen(rule)} |\n" for rule in RULES)
    return _TABLE.sub(lambda m: f"{m[1]}\n| rule | finds |\n|---|---|\n{rows}\n{m[2]}", text)


def _chosen(rule: Rule) -> str:
    return "" if rule.default else " Only where it is selected by name."


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
