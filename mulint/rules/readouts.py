"""What the rules about readouts share: each readout with its multiplier, rate and init as exponents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from mulint.program import Program
from mulint.program.library.layers import ROWS
from mulint.program.parameters import Parameter, final_inits, init_exponent, multiplier, same_site
from mulint.program.records import Application
from mulint.program.values import Site


@dataclass(frozen=True, slots=True)
class Readout:
    """One readout: a parameter, and the uses of it that reach the model's output.

    ``multipliers`` are the width exponents on each path. ``rates`` are those of the learning rates it may
    get; ``init`` that of its scale (None: unknown or zero). ``site`` is where the readout is built, which
    for a tied weight is the layer that applies it.
    """

    parameter: Parameter
    uses: tuple[Application, ...]
    site: Site
    multipliers: frozenset[Fraction | None]
    rates: frozenset[Fraction | None]
    init: Fraction | None
    symbol: str
    scaled_by_package: bool

    @property
    def name(self) -> str:
        """The readout as the code spells it."""
        return self.symbol.rpartition(".")[2] or self.symbol


def readouts(program: Program) -> Iterator[Readout]:
    """Every readout of the program, once for each construction."""
    for group in same_site([p for p in program.parameters if p.is_readout]):
        yield _readout(program, max(group, key=lambda p: len(p.readouts)))


def _readout(program: Program, parameter: Parameter) -> Readout:
    uses = parameter.readouts
    layer = next((u.layer for u in uses if u.layer is not None), None)
    site = layer.site if layer else parameter.weight.site
    rates = {view.exponent_for(parameter) for view in program.optimizers if _may_hold(view, parameter)}
    inits = [init_exponent(i, parameter.weight, program.growth) for i in final_inits(parameter.weight)]
    package = layer is not None and ROWS[layer.type].readout
    return Readout(
        parameter,
        uses,
        site,
        frozenset(e for use in uses for e in multiplier(use, program.growth)),
        frozenset(rates),
        inits[-1] if inits else None,
        layer.symbol if layer else parameter.weight.symbol,
        package,
    )


def _may_hold(view: object, parameter: Parameter) -> bool:
    from mulint.program.rates import OptimizerView

    assert isinstance(view, OptimizerView)
    if not view.follows_weights:
        return True
    return any(parameter in (g.parameters or ()) for g in view.groups)
