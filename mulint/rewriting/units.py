"""Units: findings that are repaired together or not at all, those of one model and its optimizers."""

from __future__ import annotations

from collections.abc import Sequence

from mulint.findings import Finding
from mulint.program import Program


def units(program: Program, findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings by unit, in source order: two belong together if the file of one imports that of the other."""
    reach = {f.place.path: _imported(program, f.place.path) for f in findings}
    groups: list[list[Finding]] = []
    for finding in findings:
        path = finding.place.path
        joined = [g for g in groups if any(_linked(reach, path, other.place.path) for other in g)]
        merged = [f for g in joined for f in g]
        groups = [*(g for g in groups if g not in joined), [*merged, finding]]
    return groups


def _imported(program: Program, path: str) -> frozenset[str]:
    """A file and all files that it imports, directly or not."""
    found = {path}
    while grown := {target for importer, target in program.imports if importer in found} - found:
        found |= grown
    return frozenset(found)


def _linked(reach: dict[str, frozenset[str]], a: str, b: str) -> bool:
    return b in reach[a] or a in reach[b]
