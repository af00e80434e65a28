"""The gauge algebra: multiplier, init and rate exponents, and the products that decide.

With a forward multiplier ``A ~ n^a``, entries drawn with std ``B ~ n^b`` and a learning rate ``C ~ n^c``, the
trained function is unchanged under ``A -> A·θ, B -> B/θ`` and a change of C that depends on the optimizer
(Tensor Programs V, Lemma J.1). Only the products below are therefore compared with what a role needs; every
table (3, 8, 9) and every mixture of them is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from mulint.theory.formulas import Exponent
from mulint.theory.roles import Role

HALF = Fraction(1, 2)


class Kind(Enum):
    """How an optimizer's update responds to the size of its gradient.

    The value is the pair of weights of the multiplier and of the init in the update product: entrywise
    adaptive ``a + c``, SGD ``2a + c``, relative norm ``a + b + c``, orthogonalised ``a + c`` up to the power of
    the shape that the optimizer itself puts in.
    """

    ADAPTIVE = (1, 0)
    SGD = (2, 0)
    RELATIVE = (1, 1)
    ORTHOGONAL = (1, 0, "shape")

    @property
    def multiplier_weight(self) -> int:
        """How often the forward multiplier counts."""
        return int(self.value[0])

    @property
    def init_weight(self) -> int:
        """How often the init exponent counts."""
        return int(self.value[1])


@dataclass(frozen=True, slots=True)
class Gauge:
    """Width exponents of one weight: forward multiplier, std of its entries at init, learning rate."""

    multiplier: Exponent
    init: Exponent
    rate: Exponent

    @property
    def init_product(self) -> Exponent:
        """``a + b``: the size of the weight's contribution at init."""
        return self.multiplier + self.init

    def update_product(self, kind: Kind) -> Exponent:
        """``a·(times the multiplier counts) + b·(times the init counts) + c``: the size of one update."""
        return self.multiplier * kind.multiplier_weight + self.init * kind.init_weight + self.rate

    def shifted(self, theta: Exponent, kind: Kind) -> Gauge:
        """The same training in another gauge: the multiplier times ``n^theta`` (Lemma J.1)."""
        rate = self.rate - theta * (kind.multiplier_weight - kind.init_weight)
        return Gauge(self.multiplier + theta, self.init - theta, rate)


def _gauge(multiplier: Exponent | int, init: Exponent | int, rate: Exponent | int) -> Gauge:
    return Gauge(Fraction(multiplier), Fraction(init), Fraction(rate))


# Tensor Programs V, Tables 3, 8 and 9: (multiplier, std, Adam rate). Biases and gains follow the input column.
_ADAM = {
    3: {
        Role.INPUT: _gauge(0, 0, 0),
        Role.HIDDEN: _gauge(0, -HALF, -1),
        Role.OUTPUT: _gauge(0, -1, -1),
    },
    8: {
        Role.INPUT: _gauge(0, 0, 0),
        Role.HIDDEN: _gauge(0, -HALF, -1),
        Role.OUTPUT: _gauge(-1, 0, 0),
    },
    9: {
        Role.INPUT: _gauge(HALF, -HALF, -HALF),
        Role.HIDDEN: _gauge(0, -HALF, -1),
        Role.OUTPUT: _gauge(-HALF, -HALF, -HALF),
    },
}
# The same tables' rows for SGD: only the rates differ.
_SGD_RATES = {
    3: {Role.INPUT: 1, Role.HIDDEN: 0, Role.OUTPUT: -1},
    8: {Role.INPUT: 1, Role.HIDDEN: 0, Role.OUTPUT: 1},
    9: {Role.INPUT: 0, Role.HIDDEN: 0, Role.OUTPUT: 0},
}
_SCALAR = _gauge(0, 0, 0)


def _row(role: Role) -> Role:
    return Role.INPUT if role is Role.VECTOR else role


def table(number: int, role: Role, kind: Kind = Kind.ADAPTIVE) -> Gauge:
    """One cell of Table 3, 8 or 9 for Adam (``Kind.ADAPTIVE``) or SGD.

    Raises:
        ValueError: there is no such table, or the table has no row for this kind of optimizer or role.
    """
    if number not in _ADAM or kind not in (Kind.ADAPTIVE, Kind.SGD) or role is Role.MIXED:
        raise ValueError(f"Tables 3, 8 and 9 have no cell for table {number}, {role}, {kind.name}")
    if role is Role.SCALAR:
        return _SCALAR
    cell = _ADAM[number][_row(role)]
    if kind is Kind.ADAPTIVE:
        return cell
    return Gauge(cell.multiplier, cell.init, Fraction(_SGD_RATES[number][_row(role)]))


def table_3(role: Role, kind: Kind = Kind.ADAPTIVE) -> Gauge:
    """Table 3: no multipliers."""
    return table(3, role, kind)


def table_8(role: Role, kind: Kind = Kind.ADAPTIVE) -> Gauge:
    """Table 8: a multiplier on the readout only; what ``fix`` emits and the mup package implements."""
    return table(8, role, kind)


def table_9(role: Role, kind: Kind = Kind.ADAPTIVE) -> Gauge:
    """Table 9: multipliers on inputs and outputs."""
    return table(9, role, kind)


def required_init(role: Role) -> Exponent:
    """The init product that a role needs; for a readout the canonical value, see ``init_departure``."""
    return table_8(role).init_product


def required_update(role: Role, kind: Kind) -> Exponent:
    """The update product that a role needs under an adaptive optimizer or SGD."""
    return table_8(role, kind).update_product(kind)


def init_departure(role: Role, gauge: Gauge) -> Exponent:
    """By which power of the width the init product is off; 0 is right.

    A readout may be anything up to ``n^-1/2``: the forward pass stays bounded, and zero is the limit.
    """
    product = gauge.init_product
    if role is Role.OUTPUT and product <= -HALF:
        return Fraction(0)
    return product - required_init(role)


def update_departure(role: Role, kind: Kind, gauge: Gauge) -> Exponent:
    """By which power of the width the update product is off; 0 is right."""
    return gauge.update_product(kind) - required_update(role, kind)


def attention_scale_exponent(head_dim: Exponent) -> Exponent:
    """The exponent that the scale of attention logits needs: one over the head dimension (Definition 4.1)."""
    return -head_dim


def root_scale_exponent(head_dim: Exponent) -> Exponent:
    """The exponent of the customary scale, one over the root of the head dimension."""
    return -head_dim / 2
