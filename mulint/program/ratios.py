"""Ratios of a width to a base width: computed by the code, or given to it as a knob."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from mulint.program.dimensions import Symbol
from mulint.program.parameters import rate_of
from mulint.program.records import Observations
from mulint.program.values import Number, Site
from mulint.program.widths import size_symbols


def width_multipliers(seen: Observations, widths: frozenset[Symbol]) -> dict[Symbol, Site]:
    """Knobs that are themselves ratios of a width to a base width, each with a place that shows it.

    Such a knob divides in two of three places: the rate of one group but not of another, a hidden weight's std
    (by its root), and the input or output of a weight. A temperature or a depth does so in one at most.
    """
    places: dict[str, dict[Symbol, Site]] = {"rates": {}, "inits": {}, "factors": {}}
    for record in seen.optimizers:
        powers = [_powers(rate_of(record, group), widths) for group in record.groups]
        for found in powers:
            divides = {s for s, p in found.items() if p == -1 and any(s not in other for other in powers)}
            places["rates"].update(dict.fromkeys(divides, record.site))
    for weight in seen.weights:
        for init in weight.inits if len(weight.dims) > 1 else ():
            places["inits"].update(
                {s: init.site for s, p in _powers(init.std, widths).items() if p == Fraction(-1, 2)}
            )
    for use in seen.applications:
        for factor in (use.before, *(after for after, _ in use.after)):
            places["factors"].update({s: use.site for s, p in _powers(factor, widths).items() if p == -1})
    sizes = size_symbols(seen)
    count = Counter(symbol for found in places.values() for symbol in found)
    shown = {s: site for found in places.values() for s, site in found.items()}
    return {s: site for s, site in shown.items() if count[s] > 1 and s not in sizes and s.kind == "knob"}


def _powers(number: Number, widths: frozenset[Symbol]) -> dict[Symbol, Fraction]:
    """The powers of all knobs but those beside a width: there the ratio is computed, and they are its base."""
    terms = [powers for size in number.alternatives for powers, _ in size.terms]
    return {symbol: p for term in terms if not any(s in widths for s, _ in term) for symbol, p in term}


def ratio_base(number: Number, widths: frozenset[Symbol], sizes: frozenset[Symbol]) -> Symbol | None:
    """The base of a ratio of a width to a base width inside a number, if there is one.

    ``sizes`` are all symbols that occur in the shapes of weights or in head dimensions: a head count or a
    depth is no base.
    """
    for size in number.alternatives:
        for powers, _ in size.terms:
            found = _base(powers, widths, sizes)
            if found is not None:
                return found
    return None


def _base(
    powers: tuple[tuple[Symbol, Fraction], ...], widths: frozenset[Symbol], sizes: frozenset[Symbol]
) -> Symbol | None:
    total = sum((p for symbol, p in powers if symbol in widths), Fraction(0))
    if not total:
        return None
    # The customary root in attention takes half of the power by itself: √base/d is (1/√d)·√(base/d).
    due = (-total, -total / 2)
    bases = [s for s, p in powers if s not in widths and s not in sizes and p in due and s.kind == "knob"]
    return bases[0] if bases else None
