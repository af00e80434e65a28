"""Merging what `check` says with what `trace` measured: one list of findings, joined on the source site.

Both agree: one finding with both kinds of evidence. Measured as it must be: the static finding is withdrawn and
kept as a note. Not part of the traced model: the static finding as it is. Only measured: a finding at the
place of the culprit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from mulint.findings import Evidence, Finding, Place, Severity
from mulint.rules import RULES
from mulint.rules.precedence import kin
from mulint.traces import Culprit, ParameterTrace, Trace

Site = tuple[str, int]
_OPTIMIZER, _READOUT, _INIT, _ATTENTION = kin("MU101"), kin("MU401"), kin("MU301"), kin("MU405")
# The products that settle whether a static finding of these codes is true.
_SETTLED_BY: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (_OPTIMIZER, ("update",)),
    (_READOUT, ("init", "update")),
    (kin("MU404"), ("init", "update")),
    (_INIT, ("init",)),
)
_NAMES = {rule.code: rule.name for rule in RULES}


def merge(static: Sequence[Finding], trace: Trace) -> tuple[Finding, ...]:
    """All findings about the traced project, in source order.

    Args:
        static: what ``check`` finds in the same project, with paths relative to the same root.
        trace: the measurement; nothing is confirmed or withdrawn by a stage that did not run.
    """
    left = {id(c): c for c in trace.culprits}
    merged: list[Finding] = []
    for finding in static:
        proof = _proof(finding, trace.culprits)
        if proof:
            for culprit in proof:
                left.pop(id(culprit), None)
            merged.append(_confirmed(finding))
        elif _withdrawn(finding, trace):
            merged.append(_as_note(finding))
        else:
            merged.append(finding)
    merged.extend(_measured(left.values()))
    return tuple(sorted(merged, key=lambda f: (f.place, f.code)))


def _sites(finding: Finding) -> set[Site]:
    return {(finding.place.path, finding.place.line), *((r.path, r.line) for r in finding.related)}


def _proof(finding: Finding, culprits: Iterable[Culprit]) -> list[Culprit]:
    """The culprits that are the same fault. One optimizer is one fault, however many weights suffer from it."""
    same = [c for c in culprits if c.code in kin(finding.code)]
    sites = _sites(finding)
    if not any((c.path, c.line) in sites for c in same):
        return []
    return same if finding.code in _OPTIMIZER else [c for c in same if (c.path, c.line) in sites]


def _withdrawn(finding: Finding, trace: Trace) -> bool:
    sites = _sites(finding)
    if finding.code in _ATTENTION:
        judged = [a.ok for a in trace.attention if (a.path, a.line) in sites]
        judged += [True for use in trace.steady if (use.path, use.line) in sites]
        return bool(judged) and all(judged)
    names = next((names for codes, names in _SETTLED_BY if finding.code in codes), ())
    here = [p for p in trace.parameters if any((s.path, s.line) in sites for s in p.sites)]
    return bool(names and here) and all(_is_right(p, names) for p in here)


def _is_right(parameter: ParameterTrace, names: Sequence[str]) -> bool:
    judged = [i.ok for i in parameter.invariants if i.name in names]
    return bool(judged) and all(judged)


def _confirmed(finding: Finding) -> Finding:
    """A measured fault is one, also where nobody asked for μP before asking for the trace."""
    return dataclasses.replace(finding, evidence=Evidence.BOTH, severity=finding.severity_if_scaled)


def _as_note(finding: Finding) -> Finding:
    message = f"{finding.message} (withdrawn: measured as it must be)"
    return dataclasses.replace(
        finding, message=message, severity=Severity.NOTE, severity_if_scaled=Severity.NOTE, evidence=Evidence.TRACE
    )


def _measured(culprits: Iterable[Culprit]) -> Iterator[Finding]:
    """One finding for each code and place that no static finding stands for."""

    def key(culprit: Culprit) -> tuple[str, int, str]:
        return (culprit.path, culprit.line, culprit.code)

    for (path, line, code), group in groupby(sorted(culprits, key=key), key):
        same = list(group)
        content = f"{code}\0{path}\0{same[0].parameter}"
        yield Finding(
            code=code,
            name=_NAMES.get(code, "measured"),
            severity=Severity.ERROR,
            severity_if_scaled=Severity.ERROR,
            place=Place(path, line, 1, line, 1),
            symbol=same[0].parameter,
            message=f"{', '.join(c.parameter for c in same)}: {same[0].what}",
            expected="the product of exponents that the role needs",
            found=same[0].what,
            subject=f"measured {path}:{line}",
            evidence=Evidence.TRACE,
            fingerprint=hashlib.sha256(content.encode()).hexdigest()[:16],
        )
