"""A trace as text: a row for every kind of parameter, then what decides the verdict and what was assumed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from mulint.findings import Evidence, Finding
from mulint.traces import ActivationTrace, AttentionTrace, Contribution, Culprit, ParameterTrace, Trace, UseSite

Shown = Callable[[str], str]

HEADER = ("parameter", "role", "used at", "fan-in", "init", "learning rate", "multiplier", "update", "verdict")
_MARKED = ("init", "update")
MARKS = {True: "", False: " !", None: ""}
# Exponents of code are simple fractions; slopes are measured.
DENOMINATOR = 4
# Beyond what a measured slope is off by: readouts may be drawn with a larger power than μP has.
TOLERATED = 0.4
_MOST_ELSEWHERE = 5
_LAYER = re.compile(r"(?<=\.)\d+(?=\.)|^\d+(?=\.)")


def render(trace: Trace, shown: Shown) -> str:
    """The whole report; ``shown`` turns a path of the project into the one to print."""
    return "\n".join(_lines(trace, shown)) + "\n"


def _lines(trace: Trace, shown: Shown) -> Iterator[str]:
    widths = ", ".join(f"{width:g}" for width in trace.widths)
    yield f"{trace.model} at widths {widths} on {trace.device} ({trace.dtype}), base {_pairs(trace.base)}"
    yield ""
    yield from _columns([HEADER, *_rows(trace.parameters, shown)])
    yield "Powers of the width: found (want expected), ! where they differ; update is its measured slope."
    if trace.attention:
        yield ""
        yield "Attention (products of activations over a growing dimension)"
        yield from _columns([_attention(site, shown) for site in trace.attention], indent="  ")
    if trace.activations:
        yield ""
        yield "Coordinate check (slopes in log width)"
        yield from _columns(list(_activations(trace.activations, shown)), indent="  ")
    if trace.contributions:
        yield ""
        yield "Where changes come from: initial weights pass them on, updates add to them (slopes in log width)"
        yield from _columns(list(_contributions(trace.contributions, shown)), indent="  ")
    yield from _section("Culprits", _culprits(trace, shown))
    yield from _section("Found by `mulint check`, not measured here", _unmeasured(trace, shown))
    yield from _section("Assumed", trace.assumptions)
    yield from _section("Not seen", trace.cannot_see)
    yield ""
    yield closing(trace)
    if trace.verdict == "fail":
        yield _next(trace)


# Parameters -----------------------------------------------------------------------------------------------


def _rows(parameters: Sequence[ParameterTrace], shown: Shown) -> Iterator[tuple[str, ...]]:
    """Layers that repeat and agree in everything but their number share a row."""
    groups: dict[tuple[str, ...], list[ParameterTrace]] = {}
    for parameter in parameters:
        groups.setdefault((_pattern(parameter.name), *cells(parameter, shown)), []).append(parameter)
    for (pattern, role, uses, fan_in, init, rate, multiplier, verdict), same in groups.items():
        first = same[0]
        name = first.name if len(same) == 1 else f"{pattern} ×{len(same)}"
        name = " = ".join((name, *first.aliases))
        yield (name, role, uses, fan_in, init, rate, multiplier, slopes(same), verdict)
        for rows, kind, wanted, wanted_rate in packed(first):
            yield (f"  rows {rows}", kind, "", "", wanted, wanted_rate, "", "", "")


def _pattern(name: str) -> str:
    return _LAYER.sub("*", name)


def cells(parameter: ParameterTrace, shown: Shown) -> tuple[str, ...]:
    """A parameter's row from its role to its multiplier, and its verdict."""
    return (
        parameter.role,
        _uses(parameter.uses, shown),
        _fan_in(parameter),
        _found(parameter, "init", parameter.init.exponent),
        _found(parameter, "update", parameter.lr.exponent),
        _exponent(parameter.multiplier.exponent),
        _judged(parameter),
    )


def packed(parameter: ParameterTrace) -> Iterator[tuple[str, str, str, str]]:
    """Rows of several roles in one parameter, neighbours of one role together: where, role, init and rate."""
    for (role, init, rate), same in groupby(parameter.rows or (), key=lambda row: (row.role, row.init, row.lr)):
        parts = list(same)
        wanted = (f"want {_exponent(value)}" if value is not None else "" for value in (init, rate))
        yield (f"{parts[0].start}:{max(row.end for row in parts)}", role, *wanted)


def _judged(parameter: ParameterTrace) -> str:
    """The verdict; the reason where the marks in the row do not say it."""
    marked = any(i.ok is False and i.name in ("init", "update") for i in parameter.invariants)
    reasons = [
        text for text in parameter.reason.split("; ") if text and not (marked and text.split()[0] in _MARKED)
    ]
    return f"{parameter.verdict}: {'; '.join(reasons)}" if reasons else parameter.verdict


def _uses(uses: Sequence[UseSite], shown: Shown) -> str:
    if not uses:
        return "-"
    places = list(dict.fromkeys(f"{shown(use.path)}:{use.line} {use.op}" for use in uses))
    return ", ".join(places[:2]) + (f" (+{len(places) - 2})" if len(places) > 2 else "")


def _fan_in(parameter: ParameterTrace) -> str:
    """Size at the smallest width and growth of what is summed over."""
    if not parameter.fan_in_dims:
        return "-"
    size = 1
    for axis in parameter.fan_in_dims:
        size *= parameter.shapes[0][axis] if parameter.shapes[0] else 1
    exponents = [parameter.dims[axis] for axis in parameter.fan_in_dims]
    total = None if None in exponents else sum(exponent or 0.0 for exponent in exponents)
    return f"{size} ~ {power(total)}"


def _found(parameter: ParameterTrace, name: str, exponent: float | None) -> str:
    """The measured exponent, and what the invariant expects where it is judged."""
    if name == "init" and parameter.init.zero:
        return "zero"
    judged = next((invariant for invariant in parameter.invariants if invariant.name == name), None)
    if judged is None or judged.expected is None:
        return _exponent(exponent)
    offset = 0.0 if judged.value is None or exponent is None else judged.value - exponent
    wanted = judged.expected - offset
    allowed = judged.ok is True and exponent is not None and abs(exponent - wanted) > TOLERATED
    return f"{_exponent(exponent)} ({'allowed, ' if allowed else ''}want {_exponent(wanted)}){MARKS[judged.ok]}"


def slopes(parameters: Sequence[ParameterTrace]) -> str:
    """The measured slope, or the range of those of several layers."""
    found = sorted(p.update.slope for p in parameters if p.update.slope is not None)
    if not found:
        return "?"
    low, high = (f"{slope:+.2f}".replace("-0.00", "+0.00") for slope in (found[0], found[-1]))
    return low if low == high else f"{low} … {high}"


# What decides ---------------------------------------------------------------------------------------------


def _attention(site: AttentionTrace, shown: Shown) -> tuple[str, ...]:
    verdict = {True: "ok", False: f"should be {power(site.required)}", None: "unknown"}[site.ok]
    return (
        f"{shown(site.path)}:{site.line}:{site.column}",
        site.op,
        f"contracts {power(site.contract_exponent)}",
        f"scaled by {power(site.scale_exponent)}",
        verdict,
    )


def _activations(activations: Sequence[ActivationTrace], shown: Shown) -> Iterator[tuple[str, ...]]:
    """Per statistic how many modules keep its threshold, and the one that is farthest beyond."""
    for quantity in dict.fromkeys(activation.quantity for activation in activations):
        group = [activation for activation in activations if activation.quantity == quantity]
        ok = sum(activation.verdict == "ok" for activation in group)
        worst = max(group, key=_beyond)
        where = f"at {shown(worst.path)}:{worst.line}" if worst.path else ""
        slope = f"steepest {worst.slope or 0.0:+.2f}{_interval(worst.ci)}, limit {worst.threshold or 0.0:+.2f}"
        yield quantity, f"{ok} of {len(group)} ok", slope, f"{worst.module} {where}"


def _contributions(contributions: Sequence[Contribution], shown: Shown) -> Iterator[tuple[str, ...]]:
    """Per part of the changes, in how many layers it grows or shrinks, and the one where it does so most."""
    for name, group in _parts(contributions).items():
        worst = max(group, key=lambda one: (one.tends != "stays", abs(one.slope)))
        where = f"{worst.module} at {shown(worst.path)}:{worst.line}" if worst.path else worst.module
        counts = Counter(one.tends for one in group)
        course = ", ".join(f"{tends} in {counts[tends]}" for tends in ("grows", "shrinks") if counts[tends])
        yield name, f"{course or 'stays in all'} of {len(group)}", f"steepest {worst.slope:+.2f}", where


def _parts(contributions: Sequence[Contribution]) -> dict[str, list[Contribution]]:
    found: dict[str, list[Contribution]] = {}
    for one in contributions:
        found.setdefault(part(one), []).append(one)
    return found


def part(one: Contribution) -> str:
    """The part of a change in words."""
    return f"{'initial' if one.part == 'initial' else 'updates of'} {one.of}"


def _beyond(activation: ActivationTrace) -> float:
    slope, threshold = activation.slope or 0.0, activation.threshold or 0.0
    return threshold - slope if threshold < 0 else slope - threshold


@dataclass(frozen=True, slots=True)
class Fault:
    """What is off, the findings with the code that decides it, and the layers that suffer, each with its line."""

    code: str
    what: str
    decided: tuple[Finding, ...]
    layers: tuple[tuple[str, int, str], ...]


def faults(trace: Trace) -> Iterator[Fault]:
    """The culprits of a trace by fault; layers that repeat are one."""
    found: dict[tuple[str, str], list[Culprit]] = {}
    for culprit in trace.culprits:
        found.setdefault((culprit.code, culprit.what), []).append(culprit)
    for (code, what), same in found.items():
        sites = {(c.path, c.line) for c in same}
        both = (f for f in trace.findings if f.code == code and f.evidence is Evidence.BOTH)
        layers: Counter[tuple[str, int, str]] = Counter()
        for culprit in same:
            names = dict.fromkeys(map(_pattern, culprit.parameter.split(", ")))
            layers[culprit.path, culprit.line, ", ".join(names)] += 1
        counted = (
            (path, line, f"{name} ×{count}" if count > 1 else name) for (path, line, name), count in layers.items()
        )
        yield Fault(code, what, tuple(f for f in both if _touches(f, sites)), tuple(counted))


def _culprits(trace: Trace, shown: Shown) -> Iterator[str]:
    for fault in faults(trace):
        yield f"{fault.code} {fault.what}"
        for finding in fault.decided:
            yield f"    decided at {shown(finding.place.path)}:{finding.place.line}: {finding.message}"
        for path, line, name in fault.layers:
            yield f"    {shown(path)}:{line}: {name}"


def _touches(finding: Finding, sites: set[tuple[str, int]]) -> bool:
    places = {(finding.place.path, finding.place.line), *((r.path, r.line) for r in finding.related)}
    return bool(places & sites)


def _unmeasured(trace: Trace, shown: Shown) -> Iterator[str]:
    """What only ``check`` says: all of it about the files of the traced model, a few lines about the others."""
    files = {site.path for parameter in trace.parameters for site in (*parameter.sites, *parameter.uses)}
    static = [finding for finding in trace.findings if finding.evidence is Evidence.STATIC]
    own = [f for f in static if files & {f.place.path, *(related.path for related in f.related)}]
    others = [finding for finding in static if finding not in own]
    yield from (_brief(finding, shown) for finding in (*own, *others[:_MOST_ELSEWHERE]))
    if len(others) > _MOST_ELSEWHERE:
        yield f"and {len(others) - _MOST_ELSEWHERE} more in other files: `mulint check` lists them"


def _next(trace: Trace) -> str:
    """The command that leads on from a failing trace; only what `check` sees as well can be rewritten."""
    if any(finding.evidence is Evidence.BOTH for finding in trace.findings):
        return "Next: `mulint fix --diff` shows what it rewrites."
    code = trace.culprits[0].code if trace.culprits else ""
    return f"Next: `mulint explain {code}` says what to write instead." if code else "Next: `mulint check`."


def _brief(finding: Finding, shown: Shown) -> str:
    place = finding.place
    return f"{shown(place.path)}:{place.line}:{place.column}: {finding.code} {finding.severity}: {finding.message}"


def closing(trace: Trace) -> str:
    """The verdict in one line, with what was not measured or would make it certain."""
    count = len({(c.code, c.what) for c in trace.culprits})
    words = {
        "pass": "pass: what was measured scales as μP asks",
        "fail": f"fail: {count} fault{'s' if count != 1 else ''}"
        if count
        else "fail: activations leave their limits",
        "inconclusive": f"inconclusive: {_missing(trace)}",
    }
    limit = "" if trace.limit == "unknown" else f" (limit as written: {trace.limit})"
    rest = f"; {trace.unmeasured}" if trace.unmeasured and trace.verdict != "inconclusive" else ""
    return f"Verdict {words[trace.verdict]}{limit}{_changing(trace.contributions)}{rest}"


def _changing(contributions: Sequence[Contribution]) -> str:
    """Which parts of the changes grow, else which shrink."""
    for tends in ("grows", "shrinks"):
        names = [name for name, group in _parts(contributions).items() if any(one.tends == tends for one in group)]
        if names:
            return f"; what {tends}: {', '.join(names)}"
    return ""


def _missing(trace: Trace) -> str:
    """What would make the verdict certain."""
    if trace.unmeasured:
        return trace.unmeasured
    unclear = [a for a in trace.activations if a.verdict == "unknown"]
    if unclear:
        names = ", ".join(dict.fromkeys(f"{a.quantity} of {a.module}" for a in unclear[:3]))
        return f"{names} too close to the limit; add --seeds or larger --widths"
    return "some products could not be measured; see the rows with ?"


# Words ----------------------------------------------------------------------------------------------------


def _section(title: str, entries: Iterable[str]) -> Iterator[str]:
    found = list(entries)
    if found:
        yield ""
        yield title
        yield from (f"  {entry}" for entry in found)


def _columns(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _exponent(value: float | None) -> str:
    if value is None:
        return "?"
    near = Fraction(value).limit_denominator(DENOMINATOR)
    if abs(float(near) - value) < 1e-6:
        return str(near)
    return f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"


def power(value: float | None) -> str:
    """A power of the width ``w``."""
    return "?" if value is None else "1" if value == 0 else "w" if value == 1 else f"w^{_exponent(value)}"


def _interval(ci: tuple[float, float] | None) -> str:
    return f" [{ci[0]:+.2f}, {ci[1]:+.2f}]" if ci else ""


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
