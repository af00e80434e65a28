"""What the rules about init share: the draws that may be the last ones of a weight, call by call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.parameters import Parameter, final_inits, init_exponent, multiplier
from mulint.program.records import InitCall
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, required_init

# An identity keeps the size of what it maps at every width, and a constant fill is no draw.
FILLS = ("eye_", "dirac_", "ones_", "constant_")


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of one weight, with the width exponent of the scale that it gives."""

    init: InitCall
    parameter: Parameter
    exponent: Fraction


@dataclass(frozen=True, slots=True)
class Call:
    """One init call of the code, with all draws that it makes."""

    draws: tuple[Draw, ...]

    @property
    def init(self) -> InitCall:
        """The first draw's call, which stands for all."""
        return self.draws[0].init

    @property
    def exponent(self) -> Fraction:
        """The exponent of the first draw."""
        return self.draws[0].exponent

    @property
    def weights(self) -> list[Parameter]:
        """What it draws."""
        return [draw.parameter for draw in self.draws]

    @property
    def names(self) -> str:
        """What it draws, in words."""
        return describe.listed(p.weight.symbol for p in self.weights)

    @property
    def is_certain(self) -> bool:
        """Whether any draw is made whenever its weight exists."""
        return any(draw.init.certain for draw in self.draws)


def draws_of(program: Program, parameter: Parameter) -> Iterator[Draw]:
    """The draws of a weight that may be the last, as far as their scale is known."""
    for init in final_inits(parameter.weight):
        exponent = init_exponent(init, parameter.weight, program.growth)
        if exponent is not None:
            yield Draw(init, parameter, exponent)


def calls(draws: Iterable[Draw]) -> list[Call]:
    """Some draws by the call that makes them."""
    found: dict[Site, list[Draw]] = {}
    for draw in draws:
        found.setdefault(draw.init.site, []).append(draw)
    return [Call(tuple(several)) for several in found.values()]


def is_balanced(program: Program, draw: Draw, role: Role, kinds: tuple[str, ...]) -> bool:
    """Whether a factor on what uses of some kinds give makes up for the scale, or could."""
    uses = [use for use in draw.parameter.weight.applications if use.kind in kinds]
    factors = {e for use in uses for e in multiplier(use, program.growth)}
    return None in factors or required_init(role) - draw.exponent in factors


def finding(
    rule: Header, call: Call, *, message: str, expected: str, found: str, is_explicit: bool = True
) -> Finding:
    """What a rule says of a call: a warning where it hangs on a condition, or where the code gives no scale."""
    return rule.finding(
        call.init.site,
        subject=subject("init", call.init.site),
        symbol=call.names,
        message=message,
        expected=expected,
        found=found,
        related=describe.weights(call.weights)[:6],
        severity=describe.severity(call.weights) if call.is_certain and is_explicit else Severity.WARNING,
    )
