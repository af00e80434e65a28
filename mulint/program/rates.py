"""Optimizers as the rules see them: for every group its roles and the width exponent of its rate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mulint.program.dimensions import Symbol
from mulint.program.numbers import ONE, Number
from mulint.program.parameters import Parameter, rate_of
from mulint.program.records import Weight
from mulint.program.training_records import GroupRecord, OptimizerRecord
from mulint.program.values import Constant, Site, Value, as_number
from mulint.program.widths import growth
from mulint.theory import Optimizer, Role, lookup


@dataclass(frozen=True, slots=True)
class Group:
    """One parameter group.

    ``parameters`` is None when its weights could not be followed; ``exponent`` is the width exponent of its
    rate, None when the rate could not be followed.
    """

    record: GroupRecord
    parameters: tuple[Parameter, ...] | None
    rate: Number
    exponent: Fraction | None

    def holds(self, role: Role) -> bool:
        """Whether a weight of the role is known to be in the group."""
        return self.parameters is not None and any(p.role is role for p in self.parameters)


@dataclass(frozen=True)
class OptimizerView:
    """One construction of an optimizer in one context; ``family`` is None if the theory has no row for it.

    ``rewritten``: some of its rates get a width factor after the construction.
    """

    record: OptimizerRecord
    family: Optimizer | None
    groups: tuple[Group, ...]
    rewritten: bool = False

    @cached_property
    def roles(self) -> frozenset[Role]:
        """The roles of all weights known to be in its groups."""
        return frozenset(p.role for g in self.groups for p in g.parameters or () if p.role is not None)

    def holding(self, *roles: Role) -> list[Parameter]:
        """The weights of some roles known to be in its groups."""
        return [p for g in self.groups for p in g.parameters or () if p.role in roles]

    @property
    def follows_weights(self) -> bool:
        """Whether the weights of every group are known."""
        return all(g.parameters is not None for g in self.groups)

    @property
    def has_one_unknown_rate(self) -> bool:
        """Whether it has one group, whose rate was not followed."""
        return len(self.groups) == 1 and self.groups[0].exponent is None

    @property
    def is_one_rate(self) -> bool:
        """Whether every group's rate is known not to depend on the width.

        Where groups differ by a factor that is itself a knob, that knob may well be a width ratio; two knobs
        that are rates by themselves (one for a backbone, one for the rest) are not.
        """
        first = self.groups[0].rate if self.groups else ONE
        return not self.rewritten and all(g.exponent == 0 and _is_multiple(g.rate, first) for g in self.groups)

    @property
    def is_scaled(self) -> bool:
        """Whether its rates depend on the width, by its groups or by itself."""
        return (self.family is not None and self.family.width_scaled) or any(g.exponent for g in self.groups)

    def exponent_for(self, parameter: Parameter) -> Fraction | None:
        """The exponent of the rate that a weight gets; None if unknown or not in this optimizer."""
        found = {g.exponent for g in self.groups if g.parameters and parameter in g.parameters}
        if not found and not self.follows_weights:
            found = {g.exponent for g in self.groups}
        exponent = found.pop() if len(found) == 1 else None
        if exponent is None or self.family is None or not self.family.width_scaled or parameter.role is None:
            return exponent
        return exponent + self.family.rate_exponent(parameter.role)


def _is_multiple(rate: Number, other: Number) -> bool:
    """Whether two rates are the same, differ by a constant, or are knobs by themselves."""
    return rate == other or (rate / other).constant is not None or (rate.is_knob and other.is_knob)


def optimizer_views(
    records: Sequence[OptimizerRecord],
    parameters: Sequence[Parameter],
    widths: frozenset[Symbol],
    rewritten: Collection[OptimizerRecord] = (),
) -> Iterator[OptimizerView]:
    """All optimizers; of one construction seen in several contexts those where the most is known."""
    judged = Judged(parameters)
    views = [_view(record, judged, widths, record in rewritten) for record in records]
    best: dict[object, list[OptimizerView]] = {}
    for view in views:
        best.setdefault(view.record.site, []).append(view)
    chosen = []
    for candidates in best.values():
        # A construction that is scaled in one context and plain in another keeps both parametrizations.
        scaled_ones = [v for v in candidates if v.is_scaled]
        telling = [v for v in candidates if Role.HIDDEN in v.roles]
        followed = [v for v in candidates if v.follows_weights and v.roles]
        own = [v for v in candidates if any("lr" in g.record.options for g in v.groups)]
        known = [v for v in own if all(g.exponent is not None for g in v.groups)]
        chosen.append((scaled_ones or telling or followed or known or own or candidates)[0])
    # Where one function may build a scaled optimizer or a plain one, the author keeps both parametrizations.
    scaled = {(v.record.site.path, v.record.owner) for v in chosen if v.record.conditional and v.is_scaled}
    for view in chosen:
        alternative = view.record.conditional and (view.record.site.path, view.record.owner) in scaled
        if view.is_scaled or not alternative:
            yield view


class Judged:
    """Parameters by weight; a weight of a script that fixes every size is judged as its site is elsewhere."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._by_weight = {id(p.weight): p for p in parameters}
        self._by_site: dict[tuple[Site, str], list[Parameter]] = {}
        for parameter in parameters:
            self._by_site.setdefault(parameter.key, []).append(parameter)

    def of(self, weights: Iterable[Weight]) -> tuple[Parameter, ...]:
        """The parameters of some weights, as far as they are judged, each once."""
        return tuple(dict.fromkeys(p for w in weights for p in self._one(w)))

    def _one(self, weight: Weight) -> list[Parameter]:
        own = self._by_weight.get(id(weight))
        if own is not None and own.role is not None:
            return [own]
        return self._by_site.get((weight.site, weight.name), [])


def _view(record: OptimizerRecord, judged: Judged, widths: frozenset[Symbol], rewritten: bool) -> OptimizerView:
    groups = []
    for group in record.groups:
        rate = rate_of(record, group)
        known = None if group.weights is None else judged.of(group.weights)
        # A constant that was computed for a group may come from a size that is written as a number.
        unclear = "lr" in group.options and rate.computed and rate.constant is not None
        groups.append(Group(group, known, rate, None if unclear else growth(rate, widths)))
    family = lookup(record.type, {name: plain(value) for name, value in record.options.items()})
    return OptimizerView(record, family, tuple(groups), rewritten)


def plain(value: Value) -> object:
    """A constant argument as Python's own value; None for what is not constant."""
    if isinstance(value, Constant):
        return value.value
    number = as_number(value).constant
    return None if number is None else float(number)
