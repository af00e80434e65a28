"""What is known of a value that is one of several: after a branch, a call that may return either, a loop."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mulint.program.numbers import MOST_ALTERNATIVES, ONE, Number, number_of, own_of_group
from mulint.program.values import (
    Choice,
    Constant,
    External,
    Knob,
    ListValue,
    ModuleValue,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)


def join(a: Value, b: Value) -> Value:
    """What is known of a value that is either ``a`` or ``b``."""
    if a is b or (isinstance(a, Number | Constant | External | Tensor) and a == b):
        return a
    if isinstance(a, Unknown):
        return b
    if isinstance(b, Unknown):
        return a
    if isinstance(a, ModuleValue) and isinstance(b, ModuleValue) and a.itself is b.itself:
        return a if a.compiled else b
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.weight is b.weight is None:
        if a.factor != b.factor and not a.linear & b.linear:
            # Together they no longer show which of them has which factor.
            keep_factor(a)
            keep_factor(b)
        return join_tensors(a, b)
    # Two knobs stay as they are: each may be an object, or None.
    if isinstance(a, Knob) and isinstance(b, Knob) and a.symbol == b.symbol and not a.attributes | b.attributes:
        return a if a.default == b.default else Knob(a.symbol)
    if (isinstance(a, Number) and isinstance(b, Number | Knob)) or (isinstance(a, Knob) and isinstance(b, Number)):
        numbers = as_number(a), as_number(b)
        either = number_of(size for number in numbers for size in number.alternatives)
        return either if either.alternatives else own_of_group(numbers) or either
    if isinstance(a, ListValue) and isinstance(b, ListValue):
        grown = _join_lists(a, b)
        if grown is not None:
            return grown
    merged = dict.fromkeys((*options(a), *options(b)))
    return Choice(tuple(merged)) if len(merged) <= MOST_ALTERNATIVES else Unknown("too many alternatives")


def _join_lists(a: ListValue, b: ListValue) -> ListValue | None:
    """Two lists of modules that began as one and were extended under a condition: all that either may hold."""
    shared = sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] is pair[1], zip(a.items, b.items, strict=False))
    )
    extra = [*a.items[shared:], *b.items[shared:]]
    if (
        a.fixed
        or b.fixed
        or not extra
        or not shared
        or not all(isinstance(i, ModuleValue | Choice) for i in extra)
    ):
        return None
    return ListValue([*a.items[:shared], *extra], complete=False)


def join_tensors(a: Tensor, b: Tensor) -> Tensor:
    """A tensor that is either of two, or a sum of both."""
    length = min(len(a.dims), len(b.dims))
    pairs = zip(a.dims[len(a.dims) - length :], b.dims[len(b.dims) - length :], strict=True)
    return Tensor(
        dims=tuple(_join_sizes(x, y) for x, y in pairs),
        open=a.open or b.open or len(a.dims) != len(b.dims),
        sources=a.sources | b.sources,
        linear=a.linear | b.linear,
        factor=a.factor if a.factor == b.factor else number_of((*a.factor.alternatives, *b.factor.alternatives)),
        factor_sites=tuple(dict.fromkeys((*a.factor_sites, *b.factor_sites))),
        score=a.score or b.score,
        probability=a.probability or b.probability,
        norm=a.norm if a.norm == b.norm else None,
    )


def _join_sizes(a: Number, b: Number) -> Number:
    if not a.alternatives or a == b:
        return b
    if not b.alternatives or b == ONE:
        return a
    return b if a == ONE else number_of((*a.alternatives, *b.alternatives))


def join_all(values: Sequence[Value]) -> Value:
    """The join of any number of values; ``None`` where there are none."""
    if not values:
        return Constant(None)
    result = values[0]
    for value in values[1:]:
        result = join(result, value)
    return result


def keep_factor(tensor: Tensor) -> None:
    """The scalar factor on a tensor is final: write it to the applications that it scales."""
    for application in tensor.linear:
        entry = (tensor.factor, tensor.factor_sites)
        if entry not in application.after:
            application.after.append(entry)
