"""Which symbols are widths, decided by how sizes flow, not by how they are spelt.

A symbol is a width if it is part of a size that one weight produces and another weight, fed by the first,
contracts. A size that only enters (features, patches) or only leaves (classes, vocabulary) is none, nor is one
at which a model takes both data and what a model returned (the images that a discriminator is shown), or of
which a score is read while it is returned.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from mulint.program.dimensions import Symbol
from mulint.program.numbers import UNKNOWN_NUMBER, Number, product
from mulint.program.observations import Observations
from mulint.program.records import Application, Weight

_FEW_CHANNELS = 16

# Spelling decides nothing: it only keeps a size from being taken for a number of classes.
_WIDTH_WORDS = frozenset("dmodel embd embed embedding emb hidden model proj projection width".split())


@dataclass(frozen=True, slots=True)
class Named:
    """Sizes that a user declares to be widths, or to be none, by their name or the end of it."""

    knobs: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    def among(self, symbols: Iterable[Symbol], names: Collection[str]) -> frozenset[Symbol]:
        """The knobs that some names mean: ``n_embd``, ``GPTConfig.n_embd`` or ``model.GPTConfig.n_embd``."""
        return frozenset(
            s for s in symbols if s.kind == "knob" and any(_ends(_full_name(s), name) for name in names)
        )

    def applied(self, seen: Observations, widths: frozenset[Symbol]) -> frozenset[Symbol]:
        """The widths found by structure, with what was declared put in and taken out."""
        known = size_symbols(seen) | widths
        return (widths | self.among(known, self.knobs)) - self.among(known, self.fixed)

    def unknown(self, sizes: Collection[str]) -> list[str]:
        """The names that none of some sizes has, whose full names are given."""
        names = dict.fromkeys((*self.knobs, *self.fixed))
        return [name for name in names if not any(_ends(size, name) for size in sizes)]


def full_names(seen: Observations) -> tuple[str, ...]:
    """The full names of all sizes that a user can declare something about: ``model.GPTConfig.n_embd``."""
    return tuple(sorted({_full_name(symbol) for symbol in size_symbols(seen) if symbol.kind == "knob"}))


def _full_name(symbol: Symbol) -> str:
    module = symbol.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return f"{module}.{symbol.name}"


def _ends(full_name: str, name: str) -> bool:
    return f".{full_name}".endswith(f".{name}")


def width_symbols(seen: Observations) -> frozenset[Symbol]:
    """All width symbols of a program."""
    fixed = fixed_head_dims(seen)
    flows = (
        (application.fan_in, size)
        for application, source in fed(seen)
        if source.sources or not source.is_channelwise
        for size in source.produced
    )
    links = dict.fromkeys((*flows, *_matching(seen)))
    found: set[Symbol] = set()
    # Sums last: in `8/3·dim + multiple_of` the width is whatever is known to be one from elsewhere.
    for sums in (False, True):
        for contracted, produced in links:
            shared = _growing(contracted, sums=sums, known=found) & _growing(produced, sums=sums, known=found)
            found |= shared - fixed
    found -= _ranks(seen)
    return frozenset(found - _ratios(seen, found))


def _ratios(seen: Observations, widths: frozenset[Symbol] | set[Symbol]) -> set[Symbol]:
    """What only multiplies a width that is contracted by itself elsewhere: how much wider a layer is inside.

    Where that width is written as a number, the ratio stands beside the number alone.
    """
    sizes = {size for weight in seen.weights for number in weight.dims for size in number.alternatives}
    terms = [(frozenset(s for s, _ in powers), factor) for size in sizes for powers, factor in size.terms]
    alone = {symbol for term, factor in terms if len(term) == 1 and factor == 1 for symbol in term}
    contracted = {w.dims[index] for w in seen.weights for index in w.contracted or () if index < len(w.dims)}
    wide = widths & {symbol for number in contracted if number.is_knob for symbol in number.symbols}
    products = [term for term, _ in terms if len(term) > 1]
    ratios = {symbol for term in products if term & wide for symbol in term}
    return {s for s in ratios - alone if all(term & wide for term in products if s in term)}


def data_channels(seen: Observations) -> frozenset[Symbol]:
    """Sizes at which data enter and that are a handful by default: the channels of images."""
    return frozenset(symbol for symbol in entering(seen.applications) if is_handful(seen, symbol))


def entering(applications: Iterable[Application]) -> set[Symbol]:
    """Sizes at which data enter some layers."""
    return {symbol for a in applications if not a.sources for symbol in a.fan_in.symbols}


def is_handful(seen: Observations, symbol: Symbol) -> bool:
    """Whether a size is by default no larger than a number of channels of data."""
    return (seen.defaults.get(symbol, UNKNOWN_NUMBER).constant or inf) <= _FEW_CHANNELS


def _ranks(seen: Observations) -> set[Symbol]:
    """Ranks of low-rank maps: sizes only between two linear maps, with nothing entrywise in between.

    Beside them a map of full rank goes the same way, or the second of them starts at zero, as an adapter does that
    is put beside a map which is not seen. That several of them are packed into one says nothing against it.
    """
    whole = {(a.fan_in, product(a.produced)) for a in seen.applications if a.kind == "linear"}
    ranks: set[Symbol] = set()
    others: set[Symbol] = set()
    for application, source in fed(seen):
        sides = source.fan_in, product(application.produced)
        produced = product(source.produced)
        between = application.fan_in.symbols & produced.symbols
        is_linear = application.kind == source.kind == "linear" and source in application.linear
        is_apart = not between & (sides[0].symbols | sides[1].symbols)  # a part of the width is no rank
        is_beside = sides in whole or _starts_at_zero(application.weight)
        if is_linear and is_apart and is_beside:
            ranks |= between
        elif not any(len(size.terms) > 1 for size in produced.alternatives):
            others |= between
    return ranks - others


def _starts_at_zero(weight: Weight) -> bool:
    last = max(weight.inits, key=lambda init: init.moment.order, default=None)
    return last is not None and last.certain and last.std.constant == 0


def fixed_head_dims(seen: Observations) -> frozenset[Symbol]:
    """Symbols that are a head dimension by themselves: a parameter of its own counts as fixed.

    A part of a symbol is none: with a number of heads that is written down, `d_model / 8` grows with it. Nor is
    what a weight maps to itself: that is the size of what goes on through the model, which one head takes whole.
    """
    found: set[Symbol] = set()
    streams = {a.fan_in for a in seen.applications if a.kind == "linear" and a.produced == (a.fan_in,)}
    for attention in seen.attentions:
        # A size that was not followed shows in the scale: 1/√s is the scale of heads of size s.
        for size in attention.head_dim.alternatives or attention.factor.power(Fraction(-2)).alternatives:
            if len(size.terms) == 1 and len(size.terms[0][0]) == 1 and size.terms[0][1] == 1:
                found |= size.symbols if Number((size,)) not in streams else set()
    return frozenset(found)


def head_counts(seen: Observations) -> frozenset[Symbol]:
    """Numbers of heads: what multiplies a head dimension that is a parameter of its own in a weight's size."""
    fixed = fixed_head_dims(seen)
    found: set[Symbol] = set()
    for weight in seen.weights:
        for size in (a for number in weight.dims for a in number.alternatives):
            for powers, _ in size.terms:
                symbols = {symbol for symbol, _ in powers}
                found |= symbols - fixed if symbols & fixed else set()
    return frozenset(found)


def fed(seen: Observations) -> Iterator[tuple[Application, Application]]:
    """Each application that contracts something, with each one that feeds it inside the same model, once."""
    entered = {id(a.weight) for a in seen.applications if not a.sources}
    known: set[tuple[int, int, bool]] = set()
    for application in seen.applications:
        if not application.contracted:
            continue
        for source in application.sources:
            pair = (id(application.weight), id(source.weight), source.returned)
            if pair in known:
                continue
            known.add(pair)
            if not (source.returned and (id(application.weight) in entered or _is_single(application))):
                yield application, source


def _is_single(application: Application) -> bool:
    """Whether it maps to a fixed number of values: a score or a gate read off something."""
    return all(size.constant is not None for size in application.produced)


def _matching(seen: Observations) -> Iterable[tuple[Number, Number]]:
    """For weights whose use was not seen: sizes that one produces and another of the same class contracts."""
    contracted: dict[str, set[Number]] = {}
    produced: dict[str, set[Number]] = {}
    used = {(w.site, w.name) for w in seen.weights if w.applications}
    for weight in seen.weights:
        if (weight.site, weight.name) in used or len(weight.dims) < 2 or not weight.contracted:
            continue
        contracted.setdefault(weight.owner, set()).add(weight.fan_in)
        outer = {size for index, size in enumerate(weight.dims) if index not in weight.contracted}
        produced.setdefault(weight.owner, set()).update(outer)
    for owner, sizes in contracted.items():
        yield from itertools.product(sizes, produced[owner])


def _growing(number: Number, *, sums: bool, known: Collection[Symbol]) -> set[Symbol]:
    found: set[Symbol] = set()
    for size in number.alternatives:
        if (len(size.terms) > 1) is not sums:
            continue
        if sums and size.symbols & set(known):
            continue
        # What occurs squared is the side of an area: a patch, a kernel.
        found |= {symbol for powers, _ in size.terms for symbol, power in powers if 0 < power <= 1}
    return found


def growth(number: Number, widths: frozenset[Symbol]) -> Fraction | None:
    """The width exponent of a number, or None if it is unknown or its alternatives differ."""
    if any(symbol.kind == "size" for symbol in number.symbols):
        return None
    exponents = {size.growth(widths) for size in number.alternatives}
    return exponents.pop() if len(exponents) == 1 else None


def undecided_symbols(seen: Observations, widths: frozenset[Symbol]) -> frozenset[Symbol]:
    """Knobs of the project that no flow shows to be widths, but that are named like one.

    Another model may contract them (the width of a text model that an image model projects to).
    """
    others = size_symbols(seen) - widths - fixed_head_dims(seen) - _ratios(seen, widths)
    return frozenset(s for s in others if s.kind == "knob" and _WIDTH_WORDS & set(s.short.lower().split("_")))


def size_symbols(seen: Observations) -> frozenset[Symbol]:
    """All symbols that occur in the shapes of weights and in head dimensions."""
    numbers = [size for weight in seen.weights for size in weight.dims]
    numbers += [attention.head_dim for attention in seen.attentions]
    return frozenset(symbol for number in numbers for symbol in number.symbols)
