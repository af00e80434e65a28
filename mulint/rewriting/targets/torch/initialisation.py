"""The std of hidden weights gets the missing power of the width ratio; everything else keeps its own."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.numbers import Number
from mulint.program.parameters import Parameter
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets.torch.template import READOUTS
from mulint.theory import Role, ratio_power, required_init

# Where init functions and methods of tensors take the scale of the entries: names and positions.
_FUNCTIONS = {"normal_": (("std", 2),), "trunc_normal_": (("std", 2),), "uniform_": (("a", 1), ("b", 2))}
_METHODS = {"normal_": (("std", 1),), "uniform_": (("from", 0), ("to", 1))}


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU301."""
    site = site_of(finding)
    call = context.tree.at(site).exactly(site.span, s.Call)
    name = "" if call is None else _name(call.function)
    drawn = [p for p in context.program.parameters if any(i.site == site for i in p.weight.inits)]
    hidden = [p for p in drawn if p.role in (Role.HIDDEN, Role.OUTPUT) and not context.program.reads_out(p)]
    if call is None or name not in _FUNCTIONS or not hidden:
        raise CannotRewrite(
            "the scale of this draw is not an argument of a call", "multiply the weight, in place, after its init"
        )
    fans: dict[tuple[Site, str], list[Number]] = {}
    for parameter in hidden:
        fans.setdefault((parameter.weight.site, parameter.weight.name), []).append(parameter.weight.fan_in)
    ratios = {context.bases.ratio(site, numbers, widths_only=True) for numbers in fans.values()}
    if len(ratios) != 1:
        raise CannotRewrite(
            "it draws weights whose fan-ins have different ratios", "draw each kind of weight by a call of its own"
        )
    factor = ratio_power(required_init(Role.HIDDEN), ratios.pop())
    excluded = _excluded(context, site, call, [p for p in drawn if p not in hidden])
    if excluded:
        value = f"1.0 if {' or '.join(excluded)} else {factor}"
        factor = context.tree.name_before(site.path, site.span, "factor", value)
        factor = factor if factor != value else f"({value})"
    _scale(context, site, call, name, factor)


def _excluded(context: Context, site: Site, call: s.Call, others: list[Parameter]) -> list[str]:
    """Conditions under which a draw keeps its scale: it draws something else than a hidden weight."""
    tensor = _drawn(context, site, call)
    document = context.tree.at(site)
    conditions: list[str] = []
    for parameter in others:
        holder = tensor.value if isinstance(tensor, s.Attribute) else None
        if holder is None:
            raise CannotRewrite(
                f"it also draws {parameter.weight.symbol}, which has to keep its scale",
                f"draw {parameter.weight.symbol} by a call of its own",
            )
        module = document.source(holder)
        readout = _readout(context, parameter)
        if readout:
            context.imports.need(site.path, readout)
            conditions.append(f"isinstance({module}, {readout})")
        elif parameter.role is None:
            raise CannotRewrite(
                f"it also draws {parameter.weight.symbol}, whose role is not known",
                f"draw {parameter.weight.symbol} by a call of its own",
            )
        else:
            conditions.append(f"{module} is {_attribute(context, site, parameter)}")
    return list(dict.fromkeys(conditions))


def _readout(context: Context, parameter: Parameter) -> str:
    """The class in the generated file that the layer becomes; empty if it is no readout, or no layer."""
    uses = [use for p in context.program.built_at(parameter.key) if p.is_readout for use in p.readouts]
    return next((READOUTS[u.layer.type] for u in uses if u.layer and u.layer.type in READOUTS), "")


def _drawn(context: Context, site: Site, call: s.Call) -> s.Expression:
    """The tensor that a call draws: its first argument, or what it is a method of."""
    tensor = call.arguments[0] if call.arguments else call.function
    if _is_method(context, site, call):
        assert isinstance(call.function, s.Attribute)
        tensor = call.function.value
    return tensor.value if isinstance(tensor, s.Attribute) and tensor.name == "data" else tensor


def _attribute(context: Context, site: Site, parameter: Parameter) -> str:
    """A layer as the class around the draw spells it."""
    layer = parameter.weight.layer
    place = context.bases.kind_at(parameter.weight.site)
    here = context.bases.kind_at(site)
    document = context.tree.at(parameter.weight.site)
    if layer is not None and place is not None and here is not None and place.node is here.node:
        statement = document.statement(layer.site.span)
        if (
            isinstance(statement, s.Assign)
            and statement.value is not None
            and statement.value.span == layer.site.span
        ):
            return document.source(statement.targets[0])
    raise CannotRewrite(
        f"it also draws {parameter.weight.symbol}, which has to keep its scale",
        f"draw {parameter.weight.symbol} by a call of its own",
    )


def _name(function: s.Expression) -> str:
    return (
        function.name if isinstance(function, s.Attribute) else function.id if isinstance(function, s.Name) else ""
    )


def _scale(context: Context, site: Site, call: s.Call, name: str, factor: str) -> None:
    """Multiply the arguments that carry the scale."""
    method = _is_method(context, site, call)
    for keyword, position in (_METHODS if method else _FUNCTIONS).get(name, ()):
        given = call.argument(keyword, position)
        if given is None and name == "uniform_":
            raise CannotRewrite("the bounds of the draw are not given", "give the bounds and multiply both")
        if given is None:
            context.tree.add_keywords(site.path, call, f"{keyword}={factor}")
        elif not (isinstance(given, s.Literal) and given.value == 0):
            context.tree.times(site.path, given, factor)


def _is_method(context: Context, site: Site, call: s.Call) -> bool:
    """Whether a call is a method of the tensor that it draws, and no function of an init module."""
    if not isinstance(call.function, s.Attribute):
        return False
    source = context.tree.at(site).source(call.function.value)
    return source != "init" and not source.endswith(".init")
