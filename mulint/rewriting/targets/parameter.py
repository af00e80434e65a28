"""A readout without a layer, a raw parameter or a table: what it is applied to is multiplied, wherever that is."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.program.records import Application
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rules.readouts import Readout
from mulint.theory import Role, ratio_power, table_8

_PRODUCTS = ("matmul", "mm", "bmm")


def rewrite(context: Context, readout: Readout) -> None:
    """Repair MU409 or MU410 where a weight is applied by a product."""
    key = readout.parameter.key
    group = context.program.built_at(key)
    if readout.site != readout.parameter.weight.site or any(not p.is_readout for p in group):
        raise CannotRewrite(
            f"the class that holds {readout.symbol} is no readout everywhere",
            "multiply its input by the base width over the width where it is the readout",
        )
    uses: dict[Site, list[Application]] = {}
    for application in (a for p in group for a in p.readouts):
        uses.setdefault(application.site, []).append(application)
    for site, several in uses.items():
        operand, enclosed = _activation(context, site, readout)
        ratio = context.bases.ratio(site, [a.fan_in for a in several], widths_only=True)
        factor = ratio_power(table_8(Role.OUTPUT).multiplier, ratio)
        context.tree.times(site.path, operand, factor, enclosed=enclosed)
    context.scaled.add(key)


def _activation(context: Context, site: Site, readout: Readout) -> tuple[s.Expression, bool]:
    """What a use of the parameter applies it to, and whether a product in its place needs brackets."""
    document = context.tree.at(site)
    product = document.exactly(site.span, s.Binary)
    call = document.exactly(site.span, s.Call)
    operands: list[s.Expression] = []
    if product is not None and product.operator == "@":
        operands = [product.left, product.right]
    elif call is not None:
        operands = _operands(call)
    weight = readout.parameter.weight.name
    others = [o for o in operands if not _mentions(o, weight)]
    if len(operands) != 2 or len(others) != 1:
        raise CannotRewrite(
            f"how {readout.symbol} is applied at line {site.line} was not recognised",
            "multiply its input by the base width over the width there",
        )
    return others[0], call is None or others[0] not in call.arguments


def _operands(call: s.Call) -> list[s.Expression]:
    """The two tensors of a product, by the way in which it is written."""
    function = call.function
    name = function.name if isinstance(function, s.Attribute) else getattr(function, "id", "")
    if name == "linear":
        return list(call.arguments[:2])
    if name == "einsum":
        return list(call.arguments[1:])
    if name in _PRODUCTS and len(call.arguments) == 1 and isinstance(function, s.Attribute):
        return [function.value, *call.arguments]
    return list(call.arguments) if name in _PRODUCTS else []


def _mentions(expression: s.Expression, name: str) -> bool:
    return any(isinstance(n, s.Attribute) and n.name == name for n in s.walk(expression))
