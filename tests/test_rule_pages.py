"""Every rule's page is true: its example is reported with its code, its replacement is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mulint.checking import check
from mulint.configuration import Configuration
from mulint.rules import RULES, Rule

SECTIONS = (
    "What it does",
    "Why is this bad?",
    "Example",
    "Use instead",
    "What it leaves alone",
    "Fix safety",
    "References",
)


def block(page: str, section: str) -> str:
    found = re.search(rf"## {re.escape(section)}\n```python\n(.*?)```", page, re.S)
    assert found, f"no code under {section}"
    return found[1]


def merged(example: str, instead: str) -> str:
    """The example with the definitions that the replacement writes anew, and star imports that it spells out."""
    new = ast.parse(instead)
    names = {n.name for n in new.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    old = ast.parse(example)
    kept = [n for n in old.body if not (isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name in names)]
    spelled = {n.module for n in new.body if isinstance(n, ast.ImportFrom)}
    kept = [
        n for n in kept if not (isinstance(n, ast.ImportFrom) and n.module in spelled and n.names[0].name == "*")
    ]
    imported = [n for n in new.body if isinstance(n, ast.Import | ast.ImportFrom)]
    defined = [n for n in new.body if n not in imported]
    return "\n\n".join(ast.unparse(n) for n in [*imported, *kept, *defined]) + "\n"


def codes(source: str, folder: Path, rule: Rule) -> set[str]:
    (folder / "code.py").write_text(source)
    chosen = Configuration(path=folder / "pyproject.toml", extend_select=(rule.code,))
    report = check([folder], folder, chosen)
    assert not report.errors
    return {f.code for f in report.findings}


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_the_example_is_reported_and_the_replacement_is_not(rule: Rule, tmp_path: Path) -> None:
    example = block(rule.page, "Example")
    assert rule.code in codes(example, tmp_path, rule)
    assert rule.code not in codes(merged(example, block(rule.page, "Use instead")), tmp_path, rule)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_pages_have_all_sections_in_order(rule: Rule) -> None:
    assert re.findall(r"^## (.*)$", rule.page, re.M) == list(SECTIONS)
    assert rule.summary.endswith(".")
    assert len(rule.summary) < 100
