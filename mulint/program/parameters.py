"""The parameters of a program: every weight with its role, its multipliers, its init, its learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from mulint.program.dimensions import Symbol
from mulint.program.library.layers import ROWS
from mulint.program.numbers import ONE, Number, product
from mulint.program.observations import Observations
from mulint.program.records import Application, InitCall, Weight
from mulint.program.training_records import GroupRecord, OptimizerRecord
from mulint.program.values import Site, Value, as_number
from mulint.program.widths import growth, head_counts
from mulint.theory import Role, init_std_exponent, required_init, role_of, table_8

# The mup package's readouts divide by the width multiplier inside.
PACKAGE_READOUT = table_8(Role.OUTPUT).multiplier

Growth = Callable[[Number], Fraction | None]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One weight as built in one context, with its role; the role is None while a size is unknown."""

    weight: Weight
    role: Role | None
    tied: bool

    @property
    def key(self) -> tuple[Site, str]:
        """Where and under which name the code builds it, whatever the context."""
        return (self.weight.site, self.weight.name)

    @property
    def is_written(self) -> bool:
        """Whether what could grow in it is written as numbers."""
        symbols = {s for size in self.weight.dims for s in size.symbols}
        return any(s.kind == "written" for s in symbols)

    @property
    def readouts(self) -> tuple[Application, ...]:
        """Its uses as a linear map whose result flows into the model's output."""
        return tuple(a for a in self.weight.applications if a.kind == "linear" and a.returned and not a.gated)

    @property
    def is_readout(self) -> bool:
        """Whether it maps a width to a finite output of the model."""
        return bool(self.readouts) and (self.role is Role.OUTPUT or (self.tied and self.role is Role.INPUT))

    @property
    def may_be_readout(self) -> bool:
        """Whether it is one, or is built where its use, its tie or its size is not seen."""
        return self.tied or self.role in (None, Role.OUTPUT)


def parameters(
    seen: Observations, widths: frozenset[Symbol], undecided: frozenset[Symbol] = frozenset()
) -> tuple[Parameter, ...]:
    """All weights with their roles; none where ``undecided`` symbols, which may be widths, would decide it.

    A site that is built in several contexts is judged in those where a width reaches it: a script that
    fixes every size says nothing about how the model scales. Likewise a size that it fixes says nothing where
    another context has a width in its place.
    """
    heads = head_counts(seen)
    judged = [_judge(weight, widths, heads, undecided) for weight in seen.weights]
    wide = {_place(p.weight) for p in judged if p.role is Role.HIDDEN}
    judged = [p for p in judged if not (_is_part_fixed(p) and _place(p.weight) in wide)]
    growing = {p.key for p in judged if p.role not in (None, Role.SCALAR)}
    known = {p.key for p in judged if p.role is not None}
    return tuple(
        p
        for p in judged
        if p.role not in (None, Role.SCALAR)
        or (p.key not in growing and (p.role is not None or p.key not in known))
    )


def _judge(
    weight: Weight, widths: frozenset[Symbol], heads: frozenset[Symbol], undecided: frozenset[Symbol]
) -> Parameter:
    looked_up = weight.lookup or any(a.kind == "lookup" for a in weight.applications)
    applied = any(a.kind == "linear" for a in weight.applications)
    tied = looked_up and applied
    contracted = () if looked_up else weight.contracted
    exponents = [growth(size, widths) for size in weight.dims]
    if contracted is None and len(weight.dims) == 1:
        contracted = ()
    known = [e for e in exponents if e is not None]
    if contracted is None or len(known) != len(exponents) or not exponents:
        return Parameter(weight, None, tied)
    if any(index >= len(known) for index in contracted):
        return Parameter(weight, None, tied)  # it is used in another shape than the one that was followed
    if any(known) and not any(growth(size, widths - heads) for size in weight.dims) and _counts(weight, heads):
        return Parameter(weight, None, tied)  # a table over heads: whether their number grows is not known
    if any(known) and any(undecided & a.symbols for size in weight.dims for a in size.alternatives):
        return Parameter(weight, None, tied)
    role = role_of(
        contracts_width=any(known[i] > 0 for i in contracted),
        produces_width=any(e > 0 for i, e in enumerate(known) if i not in contracted),
        is_table=looked_up or len(weight.dims) > 1,
    )
    return Parameter(weight, role, tied)


def multiplier(application: Application, of: Growth) -> set[Fraction | None]:
    """The width exponents of the scalar factors around one use, one for each way its output is taken.

    Where another use may stand in its place later on, with other factors, the way until there says which is its.
    """
    layer = application.layer
    inside = PACKAGE_READOUT if layer is not None and ROWS[layer.type].readout else Fraction(0)
    factors = [application.before * after for after, _ in application.after] or [application.before]
    own = {of(factor) for factor in factors if factor.only is not None}
    together = {e for factor in factors if factor.only is None for e in growths(factor, of)}
    exponents = own if own and own <= together else own | together
    return {None if e is None else e + inside for e in exponents}


def _place(weight: Weight) -> tuple[object, ...]:
    """One construction inside one construction of a module; of a list of layers, one of them."""
    return (weight.site, weight.symbol, weight.inside)


def _is_part_fixed(parameter: Parameter) -> bool:
    """Whether one side of a matrix is a plain number."""
    sizes = [s for s in parameter.weight.dims if s != ONE]
    return parameter.role in (Role.INPUT, Role.OUTPUT) and any(size.constant is not None for size in sizes)


def _counts(weight: Weight, heads: frozenset[Symbol]) -> bool:
    """Whether some size is nothing but a number of heads."""
    return any(size.only is not None and size.only.symbols and size.only.symbols <= heads for size in weight.dims)


def growths(number: Number, of: Growth) -> set[Fraction | None]:
    """The width exponents that a number may have, one for each of its alternatives."""
    return {of(Number((size,))) for size in number.alternatives} or {None}


def final_inits(weight: Weight) -> tuple[InitCall, ...]:
    """The draws that can be the last one: the last certain one and all uncertain ones after it."""
    kept: list[InitCall] = []
    for init in sorted(weight.inits, key=lambda i: i.moment.order):
        kept = [init] if init.certain else [*kept, init]
    return tuple(kept)


def init_exponent(init: InitCall, weight: Weight, of: Growth) -> Fraction | None:
    """The width exponent of the scale that one draw gives to a weight's entries; zero fills have none."""
    if init.std.constant == 0:
        return None
    scale = of(init.std)
    fan_in = of(weight.fan_in)
    produced = [of(size) for i, size in enumerate(weight.dims) if i not in (weight.contracted or ())]
    if scale is None or fan_in is None or any(p is None for p in produced):
        return None
    if init.origin == "mup" and not init.function.startswith(("kaiming", "xavier")):
        # mup.init scales what it is given for weights with two wide dimensions.
        return scale - fan_in / 2 if any(produced) else scale
    # torch reads the fans off the layout, whichever dimension is contracted.
    rows, kernel = of(product(weight.dims[:1])), of(product(weight.dims[2:]))
    columns = of(product(weight.dims[1:2]))
    if rows is None or columns is None or kernel is None:
        return None
    return init_std_exponent(
        init.function,
        fan_in_exponent=columns + kernel,
        fan_out_exponent=rows + kernel,
        ndim=len(weight.dims),
        mode=init.mode,
        std_exponent=scale,
    )


def kept_right(program_parameters: Iterable[Parameter], role: Role, of: Growth) -> frozenset[tuple[Site, str]]:
    """Weights of a role with a draw of the right scale among those that may be the last, in any context.

    Their author keeps both parametrizations; a draw of another scale in another branch is no fault. Nor is it
    where a size was followed in one context only, so that the weight has another role in the other.
    """
    due = required_init(role)
    known = tuple(program_parameters)
    keys = {p.key for p in known if p.role is role}
    return frozenset(
        p.key
        for p in known
        if p.key in keys
        for init in final_inits(p.weight)
        for std in init.std.alternatives
        if len(final_inits(p.weight)) > 1 or len(init.std.alternatives) > 1
        if init_exponent(replace(init, std=Number((std,))), p.weight, of) == due
    )


def rate_of(record: OptimizerRecord, group: GroupRecord) -> Number:
    """The learning rate of a group, unknown if it could not be followed; a constant if it is not given."""
    given: Value | None = group.options.get("lr", record.options.get("lr"))
    rate = ONE if given is None else as_number(given)
    factor = group.options.get("lr_scale")
    # The schedule multiplies it in; a group that has a rate of its own as well carries it there already.
    return rate if factor is None or "lr" in group.options else rate * as_number(factor)


def same_site(items: Sequence[Parameter]) -> list[list[Parameter]]:
    """Parameters grouped by the construction they come from, in source order."""
    groups: dict[tuple[Site, str], list[Parameter]] = {}
    for item in items:
        groups.setdefault(item.key, []).append(item)
    return [groups[key] for key in sorted(groups, key=lambda k: (k[0].path, k[0].span, k[1]))]
