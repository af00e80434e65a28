"""What operators give: arithmetic, comparisons, strings put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mulint.facts.spans import Span
from mulint.program.joining import join_all
from mulint.program.library import tensors
from mulint.program.numbers import UNKNOWN_NUMBER, Number, own_of_group
from mulint.program.run import Run, site_of, sources_of, truth
from mulint.program.scopes import Scope
from mulint.program.values import (
    Choice,
    ClassValue,
    Constant,
    DictValue,
    External,
    FunctionValue,
    GroupValue,
    Knob,
    ListValue,
    ModuleValue,
    ObjectValue,
    OptimizerValue,
    SavedState,
    SchedulerValue,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)


def binary(run: Run, operator: str, left: Value, right: Value, scope: Scope, span: Span) -> Value:
    """The value of ``left operator right``."""
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return tensors.binary(run, operator, left, right, site_of(scope, span), scope.symbol)
    if isinstance(left, Choice) or isinstance(right, Choice):
        pairs = [(a, b) for a in options(left) for b in options(right)]
        return join_all([binary(run, operator, a, b, scope, span) for a, b in pairs[:6]])
    match left, right:
        case Constant(value=str(text)), _ if operator == "%":
            return _percent(text, right)
        case Constant(value=str(a)), Constant(value=str(b)) if operator == "+":
            return Constant(a + b)
        case ListValue(), ListValue() if operator in ("+", "|", "&", "-"):
            return _lists(operator, left, right)
        case Number() | Knob(), ListValue() if operator == "*":
            return binary(run, operator, right, left, scope, span)
        case ListValue(), Number() | Knob() if operator == "*":
            times = as_number(right).whole
            known = times is not None and times * len(left.items) <= 64
            return ListValue(left.items * (times or 1) if known else list(left.items), known and left.complete)
        case ((Number() | Knob() | Constant()), (Number() | Knob() | Constant())):
            numbers = as_number(left), as_number(right)
            result = arithmetic(operator, *numbers)
            return result if result.alternatives else own_of_group(numbers) or result
        case _:
            own = own_of_group((as_number(left), as_number(right)))
            return sources_of((left, right)) or own or Unknown("arithmetic on unknown values")


def arithmetic(operator: str, left: Number, right: Number) -> Number:
    """The number ``left operator right``; floor division counts as division."""
    match operator:
        case "+":
            return left.combine(right, lambda a, b: a + b)
        case "-":
            return left.combine(right, lambda a, b: a - b)
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            both = (left.whole, right.whole)
            if both[0] is not None and both[1]:
                return Number.of(both[0] // both[1])
            return left / right
        case "**":
            exponent = right.constant
            if exponent is None:
                return UNKNOWN_NUMBER
            return left.power(Fraction(exponent).limit_denominator(64))
        case "%":
            return (
                Number.of(left.whole % right.whole) if left.whole is not None and right.whole else UNKNOWN_NUMBER
            )
        case _:
            return UNKNOWN_NUMBER


def _lists(operator: str, left: ListValue, right: ListValue) -> Value:
    complete = left.complete and right.complete
    if operator in ("+", "|"):
        return ListValue([*left.items, *right.items], complete)
    keep = operator == "&"
    return ListValue([i for i in left.items if (i in right.items) == keep], complete)


def _percent(text: str, right: Value) -> Value:
    values = right.items if isinstance(right, ListValue) else [right]
    filled = text_of(values)
    if not isinstance(filled, Constant):
        return Unknown("a string built from unknown parts")
    try:
        return Constant(text % tuple(_plain(v) for v in values))
    except (TypeError, ValueError, OverflowError):
        return Unknown("a string format that does not fit")


def _plain(value: Value) -> str | int | float | None:
    if isinstance(value, Constant) and isinstance(value.value, str):
        return value.value
    number = as_number(value)
    return number.whole if number.whole is not None else float(number.constant or 0)


def text_of(parts: Sequence[Value]) -> Value:
    texts: list[str] = []
    for part in parts:
        if isinstance(part, Constant) and isinstance(part.value, str):
            texts.append(part.value)
        elif isinstance(part, Number) and part.whole is not None:
            texts.append(str(part.whole))
        else:
            return Unknown("a string built from unknown parts")
    return Constant("".join(texts))


def unary(operator: str, value: Value) -> Value:
    if operator == "not":
        known = truth(value)
        return Unknown("a condition") if known is None else Constant(not known)
    if isinstance(value, Tensor):
        return replace(value, factor=value.factor * Number.of(-1)) if value.gradient else value
    if operator == "-":
        return as_number(value).map(lambda a: -a)
    return value


_ORDERS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compare(operator: str, left: Value, right: Value) -> bool | None:
    """Whether a comparison holds, if that is known."""
    if isinstance(left, Choice) and isinstance(right, ClassValue | External):
        outcomes = {compare(operator, option, right) for option in left.options}
        return outcomes.pop() if len(outcomes) == 1 else None
    if operator in ("is", "is not"):
        same = _identical(left, right)
        return same if same is None or operator == "is" else not same
    if operator in ("in", "not in"):
        inside = _contains(left, right)
        return inside if inside is None or operator == "in" else not inside
    if isinstance(left, Constant) and isinstance(right, Constant):
        if operator in ("==", "!="):
            return (left.value == right.value) == (operator == "==")
        return None
    if operator in ("==", "!=") and _differ_in_kind(left, right):
        return operator == "!="
    if isinstance(left, Number) and isinstance(right, Number):
        a, b = left.constant, right.constant
        if a is not None and b is not None:
            return bool(_ORDERS[operator](a, b))
        if left.only is not None and left.only == right.only and operator in ("==", "!="):
            return operator == "=="
    if isinstance(left, Knob) and isinstance(right, Number) and right.constant == 0 and _is_count(left):
        return bool(_ORDERS[operator](1, 0))
    if isinstance(left, ClassValue | External) and isinstance(right, ClassValue | External):
        return (left == right) == (operator == "==") if operator in ("==", "!=") else None
    return None


def _is_count(knob: Knob) -> bool:
    """Whether a knob is a number of something that is there unless it is turned off: classes, layers, features."""
    return knob.default is None or (isinstance(knob.default, Number) and (knob.default.whole or 0) > 0)


def _differ_in_kind(left: Value, right: Value) -> bool:
    """A number is no text and not None."""
    pairs = ((left, right), (right, left))
    return any(
        isinstance(a, Number) and isinstance(b, Constant) and not isinstance(b.value, bool) for a, b in pairs
    )


_SURELY_SOMETHING = (
    Number,
    ListValue,
    DictValue,
    ModuleValue,
    ClassValue,
    FunctionValue,
    ObjectValue,
    OptimizerValue,
    SchedulerValue,
    SavedState,
    GroupValue,
)


def _identical(left: Value, right: Value) -> bool | None:
    if isinstance(left, Constant) and isinstance(right, Constant):
        return left.value is right.value or (left.value == right.value and left.value is not None)
    none = Constant(None)
    other = left if right == none else right if left == none else None
    if other is not None:
        # A weight is there for certain; an activation handed to a forward pass may be left out by a caller.
        surely = isinstance(other, _SURELY_SOMETHING) or (isinstance(other, Tensor) and other.weight is not None)
        return False if surely else None
    if isinstance(left, Tensor) and isinstance(right, Tensor) and left.weight and right.weight:
        return left.weight is right.weight
    if isinstance(left, ClassValue | External) and isinstance(right, ClassValue | External):
        return left == right
    return True if left is right and not isinstance(left, Unknown) else None


def _contains(left: Value, right: Value) -> bool | None:
    if isinstance(right, Constant) and isinstance(right.value, str):
        return left.value in right.value if isinstance(left, Constant) and isinstance(left.value, str) else None
    items: list[Value] | None = None
    complete = False
    if isinstance(right, ListValue):
        items, complete = right.items, right.complete
    elif isinstance(right, DictValue) and isinstance(left, Constant | Number):
        key = left.value if isinstance(left, Constant) else left.whole
        return True if key in right.entries else (False if right.complete else None)
    if items is None or not isinstance(left, Constant | Number | ClassValue | ModuleValue):
        return None
    if any(i == left for i in items):
        return True
    comparable = all(isinstance(i, Constant | Number | ClassValue | ModuleValue) for i in items)
    return False if complete and comparable else None
