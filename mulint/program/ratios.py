"""Ratios of a width to a base width: computed by the code, or given to it as a knob."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.observations import Observations
from mulint.program.parameters import rate_of
from mulint.program.values import Site
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


def ratio_bases(number: Number, widths: frozenset[Symbol], sizes: frozenset[Symbol]) -> tuple[Symbol, ...]:
    """What may be the base of a ratio of a width to a base width inside a number; nothing where there is none.

    ``sizes`` are all symbols that occur in the shapes of weights or in head dimensions: a head count or a
    depth is no base.
    """
    terms = (powers for size in number.alternatives for powers, _ in size.terms)
    return tuple(dict.fromkeys(base for powers in terms for base in _bases(powers, widths, sizes)))


def _bases(
    powers: tuple[tuple[Symbol, Fraction], ...], widths: frozenset[Symbol], sizes: frozenset[Symbol]
) -> list[Symbol]:
    total = sum((p for symbol, p in powers if symbol in widths), Fraction(0))
    if not total:
        return []
    # The customary root in attention takes half of the power by itself: √base/d is (1/√d)·√(base/d).
    due = (-total, -total / 2)
    return [s for s, p in powers if s not in widths and s not in sizes and p in due and s.kind == "knob"]


def likeliest_bases(
    numbers: Sequence[Number], widths: frozenset[Symbol], sizes: frozenset[Symbol]
) -> list[Symbol | None]:
    """The base of the ratio in each of some numbers, None where it has none.

    A rate or a std takes part with the same power. It also stands as it is without a width somewhere, as a base
    does not (the std of a readout may be its root); of several that do not the base is in most numbers.
    """
    found = [ratio_bases(number, widths, sizes) for number in numbers]
    count = Counter(base for bases in found for base in bases)
    terms = {powers for number in numbers for size in number.alternatives for powers, _ in size.terms}
    plain = (powers for powers in terms if not any(s in widths for s, _ in powers))
    alone = {symbol for powers in plain for symbol, p in powers if p == 1}
    return [max((b for b in bases if b not in alone), key=lambda b: count[b], default=None) for bases in found]
