"""The JSON of ``check`` keeps its contract."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import mulint
from tests.repositories import FIXTURES, check

SCHEMAS = Path(mulint.__file__).parent / "reporting" / "schemas"


@pytest.mark.parametrize("fixture", ["gpt", "gpt_mup", "mlp", "mup_package"])
def test_reports_fit_the_schema(fixture: str) -> None:
    schema = json.loads((SCHEMAS / "check.schema.json").read_text())
    jsonschema.validate(check(FIXTURES / fixture), schema)


def test_a_worked_example() -> None:
    report = check(FIXTURES / "mlp")
    assert report["schema"] == 1
    assert report["version"] == mulint.__version__
    assert report["packages"] == [
        {"path": ".", "intent": "none", "because": "no use of the mup package and no width multiplier"}
    ]
    assert report["understood"] == {"files": 4, "modules": 1, "parameters": 6, "optimizers": 2, "schedulers": 2}
    finding = report["findings"][0]
    fingerprint = finding.pop("fingerprint")
    assert len(fingerprint) == 16
    assert finding == {
        "code": "MU401",
        "name": "unscaled-readout",
        "severity": "note",
        "severity_if_scaled": "error",
        "path": "model.py",
        "line": 12,
        "column": 21,
        "end_line": 12,
        "end_column": 47,
        "symbol": "Classifier.head",
        "message": "the readout head has no width multiplier: its updates grow with hidden",
        "expected": "multiplier ∝ 1/hidden on the readout",
        "found": "no multiplier, and a learning rate constant in the width",
        "evidence": "static",
        "related": [
            {"path": "model.py", "line": 18, "what": "head is applied here"},
            {"path": "model.py", "line": 7, "what": "the width hidden comes from here"},
        ],
        "fix": None,
    }
