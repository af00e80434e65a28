"""What is found while a recording is read: uses of parameters, scalar factors, products of activations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeGuard

from mulint.tracing.alignment import Aligned
from mulint.tracing.catalogue import ONE
from mulint.tracing.exponents import Law
from mulint.tracing.model import Use
from mulint.tracing.values import Degrees, Factor, Kind, ParameterUse, Site, Source, Value, multiplied


class Ledger:
    """All uses, factors and products of activations, in the order of the run; and what could not be read.

    ``sites`` are the products over a growing dimension, ``steady`` those over one that stays. ``quotients``: pairs
    of sites of which the first is divided by the second, as attention without a softmax by the sum of its weights.
    """

    def __init__(self) -> None:
        self.uses: list[ParameterUse] = []
        self.factors: list[Factor] = []
        self.sites: list[Site] = []
        self.steady: list[Use] = []
        self.unread: list[Use] = []
        self.quotients: list[tuple[Site, Site]] = []
        self.inner: list[tuple[Factor, Site, Fraction, Value]] = []  # factors in front of one side's projection

    def factor(self, operation: Aligned, degrees: dict[Source, Fraction], law: Law) -> dict[Source, Fraction]:
        """Note a scalar that changes with the width; the degrees with it."""
        made: Degrees = {source: degree for source, degree in degrees.items() if not isinstance(source, Factor)}
        factor = Factor(law, operation.event.use, operation.module, made)
        self.factors.append(factor)
        return {**degrees, factor: ONE}

    def site(
        self,
        operation: Aligned,
        sides: Sequence[Value],
        law: Law,
        builtin: Fraction | None,
        *,
        softmax: bool = False,
    ) -> Value:
        """Note a product of two activations over a growing dimension."""
        made = {source.parameter for side in sides for source in side.degrees if made_by_layer(source)}
        site = Site(operation.event.use, operation.module, law, builtin, tuple(sorted(made)), softmax)
        self.sites.append(site)
        makers = [use for side in sides for use in side.degrees if made_by_layer(use)]
        for source, degree in multiplied(factors_in(side.degrees) for side in sides).items():
            if isinstance(source, Factor) and not _scales_its_layer(source, source.producers, makers, operation):
                source.sites[site] = degree
        for side, other in (sides, sides[::-1]):
            alone = {source: degree for source, degree in side.inner.items() if source not in other.inner}
            for source, degree in alone.items():
                if isinstance(source, Factor) and not _scales_its_layer(
                    source, source.consumers, makers, operation
                ):
                    self.inner.append((source, site, degree, side))
        return Value(Kind.ACTIVATION, {site: ONE})

    def divided(self, parts: Iterable[tuple[Value, Fraction]]) -> None:
        """Note which products of activations stand over which others in a product of powers of several parts."""
        powers = [(site, degree * power) for value, power in parts for site, degree in sites_of(value)]
        over, under = ([site for site, power in powers if power * sign > 0] for sign in (1, -1))
        self.quotients += [(one, other) for one in over for other in under]

    def settle(self) -> None:
        """Give a factor in front of the projection of one side, as of the query alone, to the attention product.

        Only if the scaled tensor goes nowhere else: one that stays in the stream belongs to what made it.
        """
        for factor, site, degree, side in self.inner:
            if not factor.spread and factor.consumers.keys() <= side.degrees.keys():
                factor.sites[site] = degree


def sites_of(value: Value) -> list[tuple[Site, Fraction]]:
    """The products of activations that all of a tensor scales with, and by which power."""
    return [
        (site, degree)
        for site, degree in value.degrees.items()
        if isinstance(site, Site) and site not in value.beside
    ]


def _scales_its_layer(
    factor: Factor, scaled: Iterable[Source], makers: Sequence[ParameterUse], operation: Aligned
) -> bool:
    """Whether a factor stands in the module of a layer, away from the attention, and scales all that it makes."""
    own = {use for use in makers if use.module == factor.module}
    return factor.module != operation.module and bool(own) and own <= set(scaled)


def made_by_layer(source: Source) -> TypeGuard[ParameterUse]:
    """A source that is a layer: a contraction or a lookup, not a bias or a gain."""
    return isinstance(source, ParameterUse) and not source.elementwise


def factors_in(degrees: Degrees) -> dict[Source, Fraction]:
    """The factors among the sources."""
    return {source: degree for source, degree in degrees.items() if isinstance(source, Factor)}
