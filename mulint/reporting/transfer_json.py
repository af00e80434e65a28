"""A sweep as JSON, in the form of ``schemas/transfer.schema.json``."""

from __future__ import annotations

import json

from mulint.sweeps import Sweep


def render(sweep: Sweep) -> str:
    """The sweep as indented JSON text with a final newline."""
    return json.dumps(sweep.to_json(), indent=2, ensure_ascii=False) + "\n"
