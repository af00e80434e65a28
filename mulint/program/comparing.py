"""Whether two sizes of one run differ for certain."""

from __future__ import annotations

from collections.abc import Mapping

from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number


def differ(a: Number, b: Number, defaults: Mapping[Symbol, Number], owner: str) -> bool:
    """Whether two sizes differ, with options as they are by default.

    Of options without a default, two are two only where they are arguments of the function ``owner`` or from the
    command line: an object whose arguments are not known has options in place of the very same sizes.

    Args:
        a: a size.
        b: another one.
        defaults: what options are unless they are given.
        owner: the class or function whose code compares them; empty for the top of a file.
    """
    if a.only is None or b.only is None:
        return False
    values = {s: 1.0 if s.kind == "written" else _known(s, defaults) for s in a.symbols | b.symbols}
    known = {symbol: value for symbol, value in values.items() if value is not None}
    free = values.keys() - known.keys()
    if not free:
        return a.only.evaluate(known) != b.only.evaluate(known)
    ratio = (a / b).constant
    if ratio is not None:
        return ratio != 1
    return all(s.name.rpartition(".")[0].partition(".")[0] in (owner, "args") for s in free)


def _known(symbol: Symbol, defaults: Mapping[Symbol, Number]) -> float | None:
    value = defaults[symbol].constant if symbol in defaults else None
    return float(value) if value is not None and value > 0 else None
