"""What a trace returns, as plain data: no torch, and a JSON form described by ``schemas/trace.schema.json``.

Exponents are powers of the width. ``None`` is unknown, never a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from mulint import wire
from mulint.findings import Finding

SCHEMA = 1

ParameterVerdict = Literal["ok", "violates", "unknown"]
Limit = Literal["feature-learning", "kernel", "trivial", "unstable", "unknown"]
Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Row:
    """Rows ``start:end`` of a packed parameter, at the smallest width, and their role.

    ``init`` and ``lr``: the exponents that the role asks for, with the multiplier that the parameter has.
    """

    start: int
    end: int
    role: str
    init: float | None = None
    lr: float | None = None


@dataclass(frozen=True, slots=True)
class UseSite:
    """An operation in the user's code; 1-based line and column."""

    path: str
    line: int
    column: int
    op: str


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Exponent of the scalar factors on a parameter's path, and where they stand."""

    exponent: float | None
    places: tuple[UseSite, ...] = ()


@dataclass(frozen=True, slots=True)
class Init:
    """Exponent of the initial size (root mean square), its confidence interval, and whether it is all zeros."""

    exponent: float | None
    ci: tuple[float, float] | None = None
    zero: bool | None = None


@dataclass(frozen=True, slots=True)
class Exponent:
    """One measured exponent."""

    exponent: float | None


@dataclass(frozen=True, slots=True)
class Update:
    """Slope of the update norm ``A * |dW| * sqrt(fan_in / fan_out)`` in log width; right is 0, for every role."""

    slope: float | None
    ci: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Invariant:
    """One gauge-invariant product of exponents: measured, expected, and whether they agree."""

    name: Literal["init", "update", "weight_decay", "epsilon", "attention"]
    value: float | None
    expected: float | None
    ok: bool | None


@dataclass(frozen=True, slots=True)
class ParameterTrace:
    """Everything found about one parameter; ``sites`` are where its layers are constructed, one for every name."""

    name: str
    aliases: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    role: str
    dims: tuple[float | None, ...]
    rows: tuple[Row, ...] | None
    fan_in_dims: tuple[int, ...]
    fan_out_dims: tuple[int, ...]
    uses: tuple[UseSite, ...]
    multiplier: Multiplier
    sites: tuple[UseSite, ...] = ()
    init: Init = Init(None)
    lr: Exponent = Exponent(None)
    weight_decay: Exponent = Exponent(None)
    epsilon: Exponent = Exponent(None)
    update: Update = Update(None)
    invariants: tuple[Invariant, ...] = ()
    verdict: ParameterVerdict = "unknown"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ActivationTrace:
    """The slope of one statistic of one module's output in log width.

    ``points``: what the slope was fitted to, as (width, value), one for every width and seed.
    """

    module: str
    path: str
    line: int
    quantity: Literal["init", "change", "local-update", "attention-potential"]
    step: int
    slope: float | None
    ci: tuple[float, float] | None
    threshold: float | None
    verdict: ParameterVerdict
    points: tuple[tuple[float, float | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Contribution:
    """The slope in log width of one part of the change of a module's output in training.

    ``part``: ``initial`` is what the initial weights make of a change from below, ``update`` what their updates
    add. ``of``: ``matrices`` are the parameters with two dimensions that grow, ``vectors`` all others.
    ``tends``: ``grows`` beyond what a change in μP may, or, of an update, ``shrinks`` below it.
    """

    module: str
    path: str
    line: int
    part: Literal["initial", "update"]
    of: Literal["matrices", "vectors"]
    slope: float
    tends: Literal["grows", "shrinks", "stays"]


@dataclass(frozen=True, slots=True)
class Culprit:
    """What decides a failing verdict: a parameter, the rule it breaks, and the place in the user's code."""

    parameter: str
    code: str
    path: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class AttentionTrace:
    """A product of two activations over a growing dimension, and the exponent of the factors around it."""

    path: str
    line: int
    column: int
    op: str
    contract_exponent: float | None
    scale_exponent: float | None
    required: float | None
    ok: bool | None


@dataclass(frozen=True, slots=True)
class Trace:
    """The whole answer of ``mulint trace``.

    ``steady``: products of two activations over a dimension that does not grow, which need no scale.
    ``contributions``: where the changes of suspicious layers come from; only of a trace that fails.
    ``unmeasured``: what was measured, what was not, and how to have it; empty where all was.
    """

    model: str
    widths: tuple[float, ...]
    base: dict[str, float]
    held: dict[str, Any]
    device: str
    dtype: str
    assumptions: tuple[str, ...]
    parameters: tuple[ParameterTrace, ...]
    attention: tuple[AttentionTrace, ...] = ()
    steady: tuple[UseSite, ...] = ()
    activations: tuple[ActivationTrace, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    limit: Limit = "unknown"
    verdict: Verdict = "inconclusive"
    culprits: tuple[Culprit, ...] = ()
    findings: tuple[Finding, ...] = ()
    cannot_see: tuple[str, ...] = ()
    unmeasured: str = ""

    def to_json(self) -> dict[str, Any]:
        """The JSON form. Attention products appear in it as invariants of the parameters that feed them."""
        data = {key: value for key, value in self.to_wire().items() if key not in ("attention", "steady")}
        for parameter in data["parameters"]:
            del parameter["sites"]
        return {"schema": SCHEMA, **data}

    def to_wire(self) -> dict[str, Any]:
        """Every field as JSON values, for another process; ``from_wire`` reads it back."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> Trace:
        """Read what ``to_wire`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the data is not a trace.
        """
        return wire.read(cls, data)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no such numbers
        return None
    return value
