"""Why a trace does not pass, in a few lines: the message of a failing test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mulint.reporting import trace_text
from mulint.reporting.trace_text import power
from mulint.traces import ActivationTrace, Culprit, ParameterTrace, Trace

Shown = Callable[[str], str]


def render(trace: Trace, shown: Shown) -> str:
    """One line for every fault, with its place and what was found against what is expected."""
    widths = ", ".join(f"{width:g}" for width in trace.widths)
    lines = [f"{trace.model} at widths {widths}: {trace_text.closing(trace)}"]
    lines += _culprits(trace, shown)
    if not trace.culprits:
        lines += [_activation(one, shown) for one in trace.activations if one.verdict == "violates"]
    return "\n".join(lines)


def _culprits(trace: Trace, shown: Shown) -> Iterator[str]:
    parameters = {parameter.name: parameter for parameter in trace.parameters}
    for culprit in trace.culprits:
        yield f"  {_place(culprit.path, culprit.line, shown)}{culprit.code} {culprit.parameter}: {culprit.what}"
        parameter = parameters.get(culprit.parameter)
        if parameter is not None:
            yield from _products(parameter, culprit)


def _products(parameter: ParameterTrace, culprit: Culprit) -> Iterator[str]:
    """The products that the culprit breaks, in powers of the width w."""
    for one in parameter.invariants:
        if one.ok is False and culprit.what.split()[0] == one.name and one.expected is not None:
            yield f"    {one.name}: expected {power(one.expected)}, found {power(one.value)}"


def _activation(one: ActivationTrace, shown: Shown) -> str:
    slope, limit = one.slope or 0.0, one.threshold or 0.0
    return (
        f"  {_place(one.path, one.line, shown)}{one.module}: the slope of {one.quantity} in log width is "
        f"{slope:+.2f}; its limit is {limit:+.2f}"
    )


def _place(path: str, line: int, shown: Shown) -> str:
    return f"{shown(path)}:{line}: " if path else ""
