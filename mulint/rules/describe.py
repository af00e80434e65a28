"""Phrases that several rules share: names of widths, exponents as laws, lists of weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from mulint.findings import Severity
from mulint.program import Program
from mulint.program.numbers import Number
from mulint.program.parameters import Parameter, same_site
from mulint.program.values import Site
from mulint.theory import law


def width_name(program: Program, *numbers: Number) -> str:
    """The width knob inside some sizes, as the code spells it; ``width`` if there are several."""
    names = sorted(
        {
            symbol.short
            for number in numbers
            for size in number.alternatives
            for symbol in size.symbols
            if symbol in program.widths
        }
    )
    return names[0] if len(names) == 1 else "width"


def severity(parameters: Iterable[Parameter]) -> Severity | None:
    """A warning where all that could grow is written as numbers; else None, for the rule's own."""
    return Severity.WARNING if all(p.is_written for p in parameters) else None


def weights(parameters: Sequence[Parameter]) -> list[tuple[Site, str]]:
    """Where each of some weights is built, for a finding's related places."""
    first = [group[0].weight for group in same_site(parameters)]
    return [
        (w.site, f"{w.owner} of {w.package} is built here" if w.package else f"{w.symbol} is built here")
        for w in first
    ]


def listed(names: Iterable[str], most: int = 3) -> str:
    """``a, b and 2 more``."""
    unique = list(dict.fromkeys(names))
    shown = unique[:most]
    if len(unique) > most:
        return f"{', '.join(shown)} and {len(unique) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def proportional(exponent: Fraction, width: str, constant: str = "constant in the width") -> str:
    """``∝ 1/width``, or the words for what does not depend on it."""
    return f"∝ {law(exponent, width)}" if exponent else constant


def origin(program: Program, near: str, sizes: Iterable[Number]) -> list[tuple[Site, str]]:
    """Where the width inside some sizes is declared, in the file ``near`` if it is declared there."""
    symbols = {s for number in sizes for s in number.symbols & program.widths}
    declared = sorted((s.path != near, s) for s in symbols if s.line)
    return [(Site.of_line(s.path, s.line), f"{_width(s.short)} comes from here") for _, s in declared[:1]]


def _width(name: str) -> str:
    return "the width" if name == "width" else f"the width {name}"
