"""A trace as text: a row for every parameter, then what decides the verdict and what was assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

from mulint.traces import ActivationTrace, AttentionTrace, Culprit, ParameterTrace, Trace, UseSite

Shown = Callable[[str], str]

HEADER = ("parameter", "role", "used at", "fan-in", "init", "lr", "multiplier", "update slope", "verdict")
MARKS = {True: "", False: " !", None: ""}
# Exponents of code are simple fractions; slopes are measured.
DENOMINATOR = 4


def render(trace: Trace, shown: Shown) -> str:
    """The whole report; ``shown`` turns a path of the project into the one to print."""
    return "\n".join(_lines(trace, shown)) + "\n"


def _lines(trace: Trace, shown: Shown) -> Iterator[str]:
    widths = ", ".join(f"{width:g}" for width in trace.widths)
    yield f"{trace.model} at widths {widths} on {trace.device} ({trace.dtype}), base {_pairs(trace.base)}"
    yield ""
    yield from _columns([HEADER, *(_row(parameter, shown) for parameter in trace.parameters)])
    if trace.attention:
        yield ""
        yield "Attention (products of activations over a growing dimension)"
        yield from _columns([_attention(site, shown) for site in trace.attention], indent="  ")
    if trace.activations:
        yield ""
        yield "Activations"
        yield from _columns(list(_activations(trace.activations, shown)), indent="  ")
    yield from _section("Culprits", _culprits(trace.culprits, shown))
    yield from _section("Assumed", trace.assumptions)
    yield from _section("Not seen", trace.cannot_see)
    yield ""
    yield _verdict(trace)


def _culprits(culprits: Sequence[Culprit], shown: Shown) -> Iterator[str]:
    """One line a fault in the code: layers that repeat are built at one place."""
    places: dict[tuple[str, str, int], list[Culprit]] = {}
    for culprit in culprits:
        places.setdefault((culprit.code, culprit.path, culprit.line), []).append(culprit)
    for (code, path, line), same in places.items():
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield f"{shown(path)}:{line}: {code} {same[0].parameter}{more}: {same[0].what}"


def _row(parameter: ParameterTrace, shown: Shown) -> tuple[str, ...]:
    name = " = ".join((parameter.name, *parameter.aliases))
    role = parameter.role
    if parameter.rows is not None:
        role += " (" + ", ".join(f"{row.start}:{row.end} {row.role}" for row in parameter.rows) + ")"
    return (
        name,
        role,
        _uses(parameter.uses, shown),
        _fan_in(parameter),
        _found(parameter, "init", parameter.init.exponent),
        _found(parameter, "update", parameter.lr.exponent),
        _exponent(parameter.multiplier.exponent),
        _slope(parameter.update.slope, parameter.update.ci),
        parameter.verdict if not parameter.reason else f"{parameter.verdict}: {parameter.reason}",
    )


def _uses(uses: Sequence[UseSite], shown: Shown) -> str:
    if not uses:
        return "-"
    text = ", ".join(f"{shown(use.path)}:{use.line} {use.op}" for use in uses[:2])
    return text + (f" (+{len(uses) - 2})" if len(uses) > 2 else "")


def _fan_in(parameter: ParameterTrace) -> str:
    """Size at the smallest width and growth of what is summed over."""
    if not parameter.fan_in_dims:
        return "-"
    size = 1
    for axis in parameter.fan_in_dims:
        size *= parameter.shapes[0][axis] if parameter.shapes[0] else 1
    exponents = [parameter.dims[axis] for axis in parameter.fan_in_dims]
    total = None if None in exponents else sum(exponent or 0.0 for exponent in exponents)
    return f"{size} ~ {_power(total)}"


def _found(parameter: ParameterTrace, name: str, exponent: float | None) -> str:
    """The measured exponent, and what the invariant expects where it is judged."""
    if name == "init" and parameter.init.zero:
        return "zero"
    judged = next((invariant for invariant in parameter.invariants if invariant.name == name), None)
    if judged is None or judged.expected is None:
        return _exponent(exponent)
    offset = 0.0 if judged.value is None or exponent is None else judged.value - exponent
    return f"{_exponent(exponent)} (want {_exponent(judged.expected - offset)}){MARKS[judged.ok]}"


def _attention(site: AttentionTrace, shown: Shown) -> tuple[str, ...]:
    verdict = {True: "ok", False: f"should be {_power(site.required)}", None: "unknown"}[site.ok]
    return (
        f"{shown(site.path)}:{site.line}:{site.column}",
        site.op,
        f"contracts {_power(site.contract_exponent)}",
        f"scaled by {_power(site.scale_exponent)}",
        verdict,
    )


def _activations(activations: Sequence[ActivationTrace], shown: Shown) -> Iterator[tuple[str, ...]]:
    """Per statistic how many modules keep its threshold, and those that do not."""
    for quantity in dict.fromkeys(activation.quantity for activation in activations):
        group = [activation for activation in activations if activation.quantity == quantity]
        ok = sum(activation.verdict == "ok" for activation in group)
        yield quantity, f"{ok} of {len(group)} ok", "", ""
        for activation in group:
            if activation.verdict == "violates":
                yield (
                    quantity,
                    activation.module,
                    f"slope {_slope(activation.slope, activation.ci)}",
                    f"{shown(activation.path)}:{activation.line}",
                )


def _verdict(trace: Trace) -> str:
    words = {
        "pass": "pass: what was measured scales as μP asks",
        "fail": f"fail: {len(trace.culprits)} culprit{'s' if len(trace.culprits) != 1 else ''}",
        "inconclusive": "inconclusive: not enough was measured to decide",
    }
    limit = "" if trace.limit == "unknown" else f" (limit as written: {trace.limit})"
    return f"Verdict {words[trace.verdict]}{limit}"


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
    return str(near) if abs(float(near) - value) < 1e-6 else f"{value:+.2f}"


def _power(value: float | None) -> str:
    return "?" if value is None else "1" if value == 0 else "w" if value == 1 else f"w^{_exponent(value)}"


def _slope(slope: float | None, ci: tuple[float, float] | None) -> str:
    if slope is None:
        return "?"
    return f"{slope:+.2f}" + (f" [{ci[0]:+.2f}, {ci[1]:+.2f}]" if ci else "")


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
