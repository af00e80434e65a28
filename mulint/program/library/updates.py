"""Updates written by hand: a gradient, times a rate, subtracted from a weight."""

from __future__ import annotations

from mulint.program.numbers import ONE, Number
from mulint.program.run import Arguments, Run, number_argument
from mulint.program.training_records import ManualUpdate
from mulint.program.values import ListValue, Site, Tensor, Value, as_number

_MINUS_ONE = Number.of(-1)


def subtract(run: Run, operator: str, left: Tensor, right: Tensor, site: Site, owner: str) -> bool:
    """Record ``weight - rate * gradient``, or a sum with a negative rate; False if this is none."""
    if not right.gradient or left.gradient or (left.weight is None and not left.parameter):
        return False
    rate = right.factor if operator == "-" else right.factor * _MINUS_ONE
    if operator == "+" and not _is_negative(right.factor):
        return False
    run.seen.manual_updates.append(ManualUpdate(site, left.weight, rate, owner))
    return True


def method(run: Run, tensor: Tensor, name: str, arguments: Arguments) -> bool:
    """Record ``weight.add_(gradient, alpha=-rate)`` and its siblings; False if this is none."""
    first, second = (arguments.positional[i] if i < len(arguments.positional) else None for i in (0, 1))
    gradient: Value | None = first if first is not None else arguments.get("other")
    alpha = number_argument(arguments, "alpha") or ONE
    if isinstance(second, Tensor) and second.gradient:  # add_(-rate, gradient), the older order
        gradient, alpha = second, as_number(first) if first is not None else ONE
    if not isinstance(gradient, Tensor):
        return False
    operator = "-" if name.startswith("sub") else "+"
    scaled = gradient.scaled(alpha, arguments.site) if gradient.gradient else gradient
    return subtract(run, operator, tensor, scaled, arguments.site, arguments.owner)


def gradients(run: Run, arguments: Arguments) -> Value:
    """``torch.autograd.grad(loss, weights)``."""
    del run, arguments
    return ListValue([Tensor(gradient=True)], complete=False)


def _is_negative(number: Number) -> bool:
    """Whether every term of a rate has a negative coefficient, as in ``-lr``."""
    coefficients = [c for size in number.alternatives for _, c in size.terms]
    return bool(coefficients) and all(c < 0 for c in coefficients)
