"""What is found while a recording is read: uses of parameters, scalar factors, products of activations."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeGuard

from mulint.tracing.alignment import Aligned
from mulint.tracing.catalogue import ONE
from mulint.tracing.exponents import Law
from mulint.tracing.model import Use
from mulint.tracing.values import Degrees, Factor, Kind, ParameterUse, Site, Source, Value, multiplied


class Ledger:
    """All uses, factors and products of activations, in the order of the run; and what could not be read.

    ``sites`` are the products over a growing dimension, ``steady`` those over one that stays.
    """

    def __init__(self) -> None:
        self.uses: list[ParameterUse] = []
        self.factors: list[Factor] = []
        self.sites: list[Site] = []
        self.steady: list[Use] = []
        self.unread: list[Use] = []

    def factor(self, operation: Aligned, degrees: dict[Source, Fraction], law: Law) -> dict[Source, Fraction]:
        """Note a scalar that changes with the width; the degrees with it."""
        made: Degrees = {source: degree for source, degree in degrees.items() if not isinstance(source, Factor)}
        factor = Factor(law, operation.event.use, operation.module, made)
        self.factors.append(factor)
        return {**degrees, factor: ONE}

    def site(self, operation: Aligned, sides: Sequence[Value], law: Law, builtin: Fraction | None) -> Value:
        """Note a product of two activations over a growing dimension."""
        made = {source.parameter for side in sides for source in side.degrees if made_by_layer(source)}
        site = Site(operation.event.use, law, builtin, tuple(sorted(made)))
        self.sites.append(site)
        for source, degree in multiplied(factors_in(side.degrees) for side in sides).items():
            if isinstance(source, Factor):
                source.sites[site] = degree
        first, second = (factors_in(side.inner) for side in sides)
        for source in first.keys() ^ second.keys():  # a factor on the query alone, in front of its projection
            if isinstance(source, Factor) and not any(made_by_layer(use) for use in source.producers):
                source.sites[site] = first.get(source, second.get(source, ONE))
        return Value(Kind.ACTIVATION, {site: ONE})


def made_by_layer(source: Source) -> TypeGuard[ParameterUse]:
    """A source that is a layer: a contraction or a lookup, not a bias or a gain."""
    return isinstance(source, ParameterUse) and not source.elementwise


def factors_in(degrees: Degrees) -> dict[Source, Fraction]:
    """The factors among the sources."""
    return {source: degree for source, degree in degrees.items() if isinstance(source, Factor)}
