"""A patch as JSON; its form is ``schemas/fix.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mulint.findings import Applicability
from mulint.rewriting.patch import Left, Patch

SCHEMA = 1
NOT_CHECKED: Mapping[str, Any] = {"base_identical": None, "invariants": "not-checked", "details": []}


def render(patch: Patch, certificate: Mapping[str, Any] = NOT_CHECKED) -> str:
    """The patch and its certificate as JSON text, ended by a newline."""
    data = {
        "schema": SCHEMA,
        "files": [{"path": f.path, "edits": f.edits, "diff": f.diff} for f in patch.files],
        "changing": [{"code": code, "path": path, "line": line} for code, path, line in patch.changing],
        "left": [_left(left) for left in patch.left],
        "certificate": dict(certificate),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _left(left: Left) -> dict[str, Any]:
    applicability = Applicability.CHANGES_TRAINING if left.unsafe else Applicability.MANUAL
    known = ("code", "path", "line", "reason", "manual")
    return {**{name: getattr(left, name) for name in known}, "applicability": applicability.value}
