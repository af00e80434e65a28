"""A trace as JSON, in the form of ``schemas/trace.schema.json``."""

from __future__ import annotations

import json

from mulint.reporting.check_json import finding_data
from mulint.traces import Trace


def render(trace: Trace) -> str:
    """The trace as indented JSON text with a final newline."""
    data = trace.to_json() | {"findings": [finding_data(finding) for finding in trace.findings]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
