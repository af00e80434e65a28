"""What the rules about readouts share: each readout with its multiplier, rate and init as exponents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.layers import ROWS
from mulint.program.numbers import Number
from mulint.program.parameters import Parameter, final_inits, init_exponent, multiplier, same_site
from mulint.program.rates import OptimizerView
from mulint.program.records import Application
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.rules.settings import Withheld
from mulint.rules.steps import remade
from mulint.theory import Kind, Role, law, required_update, table_8


@dataclass(frozen=True, slots=True)
class Readout:
    """One readout: a parameter, and the uses of it that reach the model's output.

    ``paths`` are the places that apply it, each with the width exponents of its multiplier. ``rates`` are those
    of the learning rates it may get; ``init`` that of its scale (None: unknown or zero). ``site`` is where the
    readout is built, which for a tied weight is the layer that applies it, and for a part of a module that is a
    readout in one place and hidden in another the construction of that module. ``sizes`` are its width in every
    context it is built in.
    """

    parameter: Parameter
    uses: tuple[Application, ...]
    site: Site
    paths: Mapping[Site, frozenset[Fraction | None]]
    rates: frozenset[Fraction | None]
    init: Fraction | None
    symbol: str
    sizes: tuple[Number, ...]

    @property
    def multipliers(self) -> frozenset[Fraction | None]:
        """The exponents of all paths."""
        return frozenset(e for exponents in self.paths.values() for e in exponents)

    @property
    def name(self) -> str:
        """The readout as the code spells it."""
        holder, _, last = self.symbol.rpartition(".")
        return f"{holder.rpartition('.')[2]}.{last}" if holder and last.isdigit() else last


def readouts(program: Program) -> Iterator[Readout]:
    """Every readout of the program, once for each construction, but those whose weight the user's code makes."""
    made = remade(program, "torch.nn.utils.parametrize.register_parametrization")
    groups = [
        part
        for group in same_site([p for p in program.parameters if p.is_readout and id(p.weight.layer) not in made])
        for part in _parts(program, group)
    ]
    uses = [use for group in groups for p in group for use in p.readouts]
    instead = [use for use in uses if _multiplier(program, use) == {table_8(Role.OUTPUT).multiplier}]
    scaled = {use.branch for use in instead if use.branch in program.seen.settings}
    called = (use for use in uses if use.branch not in program.seen.settings)
    scaled |= {use.branch for use in called if use.branch and _multiplier(program, use) != {0}}
    for group in groups:
        # Of several contexts the one that an optimizer trains says most.
        held = [p for p in group if any(_holds(view, p) for view in program.optimizers)]
        parameter = max(held or group, key=lambda p: len(p.readouts))
        # Where one call may apply a scaled readout or a plain one, the author keeps both parametrizations.
        plain = [u for u in parameter.readouts if _multiplier(program, u) == {0}]
        kept = {id(u) for u in plain if u.branch in scaled or any(_stands_for(s, u) for s in instead)}
        judged = [u for u in parameter.readouts if id(u) not in kept]
        if judged:
            yield _readout(program, parameter, tuple(judged), group, held or group)


def unscaled(program: Program) -> Iterator[Readout]:
    """Readouts that are not tied, with neither a multiplier nor a rate that makes up for it.

    Not those whose multiplier waits for a setting that is out of reach.
    """
    withheld, due = Withheld.of(program), table_8(Role.OUTPUT).multiplier
    for readout in readouts(program):
        if readout.parameter.tied or readout.multipliers != {0}:
            continue
        if withheld.has(readout.site.path, readout.symbol, due):
            continue
        # Without a multiplier the rate alone has to carry the exponent of the update.
        if not {required_update(Role.OUTPUT, Kind.ADAPTIVE), None} & readout.rates:
            yield readout


def is_layer(readout: Readout) -> bool:
    """Whether it is a linear layer, of any library, and no convolution or raw parameter."""
    layers = [use.layer for use in readout.uses if use.layer is not None]
    return bool(layers) and all(ROWS[layer.type].behaviour == "linear" for layer in layers)


def unscaled_finding(rule: Header, program: Program, readout: Readout, what: str) -> Finding:
    """What the rules say of a readout without multiplier; ``what`` it is completes the message."""
    width = describe.width_name(program, readout.parameter.weight.fan_in)
    due = table_8(Role.OUTPUT).multiplier
    return rule.finding(
        readout.site,
        subject=subject("readout", readout.site),
        symbol=readout.symbol,
        message=f"{what} has no width multiplier: its updates grow with {width}",
        expected=f"multiplier ∝ {law(due, width)} on the readout",
        found="no multiplier, and a learning rate constant in the width",
        related=[
            *((use.site, f"{readout.name} is applied here") for use in readout.uses),
            *describe.origin(program, readout.site.path, readout.sizes),
        ],
        severity=describe.severity([readout.parameter]),
    )


def _multiplier(program: Program, use: Application) -> set[Fraction | None]:
    """The exponents of one use's multiplier; unknown where it reads vectors of length one, which shrink."""
    norm = use.norm
    if norm is not None and norm.unit and program.growth(norm.size) != 0:
        return {None}
    return multiplier(use, program.growth)


def _stands_for(scaled: Application, plain: Application) -> bool:
    """Whether another construction of what the code gives the same name is applied at the same place, scaled."""
    here, other = plain.weight, scaled.weight
    return plain.site == scaled.site and here.symbol == other.symbol and here.site != other.site


def _parts(program: Program, group: list[Parameter]) -> list[list[Parameter]]:
    """One construction, or where it is no readout in other modules, one group for each module it is part of."""
    if not _is_shared(program, group[0]):
        return [group]
    parts: dict[Site | None, list[Parameter]] = {}
    for parameter in group:
        parts.setdefault(parameter.weight.inside, []).append(parameter)
    return list(parts.values())


def _is_shared(program: Program, parameter: Parameter) -> bool:
    """Whether the same construction also builds weights that are no readouts, and not by tying."""
    return not parameter.tied and any(not p.may_be_readout for p in program.built_at(parameter.key))


def _readout(
    program: Program,
    parameter: Parameter,
    uses: tuple[Application, ...],
    group: list[Parameter],
    held: list[Parameter],
) -> Readout:
    layer = next((u.layer for u in uses if u.layer is not None), None)
    built = layer.site if layer else parameter.weight.site
    inside = layer.inside if layer else parameter.weight.inside
    # Where nothing asks for μP, one rate for all that was not followed is none that depends on the width.
    near = program.near(parameter.weight.site.path)
    asked = any(path in near for _, path, _, _ in program.signs.evidence)
    held_by = (v for v in program.optimizers if _may_hold(program, v, parameter))
    views = [v for v in held_by if asked or not v.has_one_unknown_rate]
    views = [v for v in views if v.follows_weights or not _is_own(v)]
    unknown = bool(views) and all(map(_is_own, views))
    rates = {None if unknown else view.exponent_for(parameter) for view in views}
    inits = [init_exponent(i, parameter.weight, program.growth) for i in final_inits(parameter.weight)]
    return Readout(
        parameter,
        uses,
        inside if inside is not None and _is_shared(program, parameter) else built,
        _paths(program, uses, group, held),
        frozenset(rates),
        inits[-1] if inits else None,
        layer.symbol if layer else parameter.weight.symbol,
        tuple(p.weight.dims[-1] for p in group),
    )


def _paths(
    program: Program, uses: tuple[Application, ...], group: list[Parameter], held: list[Parameter]
) -> dict[Site, frozenset[Fraction | None]]:
    """The exponents at each place in the contexts that are ``held``.

    Where any context has it right, the author keeps both parametrizations.
    """
    due = table_8(Role.OUTPUT).multiplier
    everywhere, here = (_exponents(program, uses, several) for several in (group, held))
    return {site: frozenset({due} if due in everywhere[site] else e - {None} or e) for site, e in here.items()}


def _exponents(
    program: Program, uses: tuple[Application, ...], contexts: list[Parameter]
) -> dict[Site, set[Fraction | None]]:
    found: dict[Site, set[Fraction | None]] = {use.site: set() for use in uses}
    for use in (use for p in contexts for use in p.readouts):
        if use.site in found:
            found[use.site] |= _multiplier(program, use)
    return found


def _is_own(view: OptimizerView) -> bool:
    """Whether it is of a class of the user's own, named after its file: what that does with a rate is unknown."""
    return view.family is None and ":" in view.record.type


def _may_hold(program: Program, view: OptimizerView, parameter: Parameter) -> bool:
    """Whether it holds a weight, or may: its weights are not known, and imports connect the two."""
    if view.follows_weights or _holds(view, parameter):
        return _holds(view, parameter)
    return parameter.weight.site.path in program.near(view.record.site.path)


def _holds(view: OptimizerView, parameter: Parameter) -> bool:
    return any(parameter in (g.parameters or ()) for g in view.groups)
