"""Repairs that change the base model: made only where they are asked for, each by an edit in its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mulint.rules import RULES
from tests.repositories import check, mulint, sites

PAGES = {rule.code: rule.page for rule in RULES}
CASES = [
    ("MU111", "eps=1e-4", "eps=1e-12"),
    ("MU303", "self.mix = nn.Linear(width, width)", "nn.init.zeros_(self.mix.bias)"),
    ("MU304", "nn.init.normal_(self.head.weight, std=0.02)", "nn.init.zeros_(self.head.weight)"),
    ("MU407", ".sum(dim=-1)", ".mean(dim=-1)"),
    ("MU408", "return self.back(self.mix(x).relu())", "x.size(-1) ** 0.5"),
]


def project(code: str, folder: Path) -> Path:
    """The example of a rule's page as a project."""
    found = re.search(r"## Example\n```python\n(.*?)```", PAGES[code], re.S)
    assert found
    text = found[1]
    # Its page normalises a call, whose size has no name.
    text = text.replace(
        "x = F.normalize(self.embed(x), dim=-1)", "x = self.embed(x)\n        x = F.normalize(x, dim=-1)"
    )
    (folder / "net.py").write_text(text)
    return folder


@pytest.mark.parametrize(("code", "before", "after"), CASES, ids=[case[0] for case in CASES])
def test_an_edit_is_made_only_with_the_flag(code: str, before: str, after: str, tmp_path: Path) -> None:
    root = project(code, tmp_path)
    text = (root / "net.py").read_text()
    assert before in text
    assert after not in text
    without = mulint("fix", ".", "--select", code, cwd=root)
    assert without.returncode == 1
    assert "1 more with --unsafe-fixes" in without.stdout
    assert (root / "net.py").read_text() == text
    result = mulint("fix", ".", "--select", code, "--unsafe-fixes", "--output-format", "json", cwd=root)
    assert result.returncode == 0, result.stderr
    assert after in (root / "net.py").read_text()
    assert [item["code"] for item in json.loads(result.stdout)["changing"]] == [code]
    assert code not in {found for _, _, found in sites(check(root))}


def test_json_says_what_the_flag_would_bring(tmp_path: Path) -> None:
    root = project("MU304", tmp_path)
    data = json.loads(mulint("fix", ".", "--select", "MU304", "--output-format", "json", cwd=root).stdout)
    assert [item["applicability"] for item in data["left"]] == ["changes-training"]
    assert data["changing"] == []
