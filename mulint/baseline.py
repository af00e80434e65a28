"""A baseline: the findings that a team has accepted for now, by fingerprints that survive moved lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mulint.configuration import ConfigurationError
from mulint.findings import Finding

SCHEMA = 1
NAME = ".mulint-baseline.json"


def load(path: Path) -> frozenset[str]:
    """The fingerprints of a baseline file.

    Raises:
        ConfigurationError: the file is missing or is no baseline.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(entry["fingerprint"] for entry in data["findings"])
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; write the baseline with --write-baseline") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path}: not a baseline of mulint; write it anew with --write-baseline"
        ) from None


def render(findings: Iterable[Finding]) -> str:
    """The text of a baseline that accepts some findings: sorted, one entry a line, so that changes read well."""
    entries = sorted((f.place.path, f.code, f.fingerprint) for f in findings)
    lines = [json.dumps({"path": path, "code": code, "fingerprint": mark}) for path, code, mark in entries]
    body = ",\n    ".join(lines)
    return (
        f'{{\n  "schema": {SCHEMA},\n  "findings": [\n    {body}\n  ]\n}}\n'
        if lines
        else (f'{{\n  "schema": {SCHEMA},\n  "findings": []\n}}\n')
    )
