"""A trace as JSON, in the form of ``schemas/trace.schema.json``."""

from __future__ import annotations

import json

from mulint.traces import Trace


def render(trace: Trace) -> str:
    """The trace as indented JSON text with a final newline."""
    return json.dumps(trace.to_json(), indent=2, ensure_ascii=False) + "\n"
