"""A baseline: the findings that a team has accepted for now, by fingerprints that survive moved lines."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mulint.configuration import ConfigurationError
from mulint.findings import Finding

SCHEMA = 1
NAME = ".mulint-baseline.json"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One accepted finding; ``path`` is relative to the project root."""

    path: str
    code: str
    fingerprint: str


def of(findings: Iterable[Finding]) -> list[Entry]:
    """The entries that accept some findings."""
    return [Entry(f.place.path, f.code, f.fingerprint) for f in findings]


def load(path: Path) -> list[Entry]:
    """The entries of a baseline file.

    Raises:
        ConfigurationError: the file is missing or is no baseline.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return [Entry(one["path"], one["code"], one["fingerprint"]) for one in data["findings"]]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; write the baseline with --write-baseline") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path}: not a baseline of mulint; write it anew with --write-baseline"
        ) from None


def outside(path: Path, checked: Collection[str], root: Path) -> list[Entry]:
    """What a baseline file already holds of files that are there and were not checked."""
    try:
        return [e for e in load(path) if e.path not in checked and (root / e.path).is_file()]
    except ConfigurationError:  # there is none, or it is written anew
        return []


def render(entries: Iterable[Entry]) -> str:
    """The text of a baseline: sorted, one entry a line, so that changes read well."""
    lines = [json.dumps(asdict(entry)) for entry in sorted(entries)]
    body = ",\n    ".join(lines)
    return (
        f'{{\n  "schema": {SCHEMA},\n  "findings": [\n    {body}\n  ]\n}}\n'
        if lines
        else (f'{{\n  "schema": {SCHEMA},\n  "findings": []\n}}\n')
    )
