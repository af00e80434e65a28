"""One fault, one finding: of several findings about one thing, the most exact one is kept."""

from __future__ import annotations

from collections.abc import Iterable

from mulint.findings import Finding

# What speaks of the rates of one optimizer, strongest first.
_RATES = tuple("MU108 MU116 MU103 MU104 MU105 MU109 MU110 MU113 MU106 MU114 MU102 MU101".split())
# Named inside a stronger finding, but no learning rate: a measured update settles nothing about them.
_APART = ("MU112", "MU111", "MU119")
# For each subject, strongest first. Codes that are not listed do not compete.
_ORDER: tuple[tuple[str, ...], ...] = (
    ("MU403", "MU409", "MU402", "MU401", "MU410", "MU304"),
    (*_RATES, *_APART),
    ("MU201", "MU202", "MU205", "MU204", "MU203", "MU206"),
    ("MU405", "MU406"),
    ("MU308", "MU301", "MU302", "MU305", "MU306", "MU311"),
)
_RANK = {code: (group, place) for group, codes in enumerate(_ORDER) for place, code in enumerate(codes)}


def kin(code: str) -> frozenset[str]:
    """The codes that speak of the same product of the same subject, itself included."""
    if code not in _RANK or code in _APART:
        return frozenset((code,))
    return frozenset(_ORDER[_RANK[code][0]]) - set(_APART)


def strongest(findings: Iterable[Finding]) -> list[Finding]:
    """Drop findings that a stronger one about the same subject makes redundant."""
    best: dict[tuple[int, str], Finding] = {}
    kept: list[Finding] = []
    for finding in findings:
        rank = _RANK.get(finding.code)
        if rank is None:
            kept.append(finding)
            continue
        key = (rank[0], finding.subject)
        held = best.get(key)
        if held is None or rank < _RANK[held.code]:
            best[key] = finding
    return [*kept, *best.values()]
