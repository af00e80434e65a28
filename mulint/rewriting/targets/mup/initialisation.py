"""Draws with a constant std become those of ``mup.init``, which draw the same numbers and scale hidden weights."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.theory import Role

# The functions with the names of their arguments, in order.
_DRAWS = {
    "normal_": ("tensor", "mean", "std"),
    "trunc_normal_": ("tensor", "mean", "std", "a", "b"),
    "uniform_": ("tensor", "a", "b"),
}
_BY_HAND = "draw it with the function of the same name in mup.init, after set_base_shapes"


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU301."""
    site = site_of(finding)
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    drawn = [p for p in context.program.parameters if any(i.site == site for i in p.weight.inits)]
    public = (call and document.qualified(call.function)) or ""
    package, _, name = public.rpartition(".")
    if call is None or package != "torch.nn.init" or name not in _DRAWS or not drawn:
        raise CannotRewrite("the draw is no call of torch.nn.init that mup.init has too", _BY_HAND)
    if any(p.role in (None, Role.MIXED) for p in drawn):
        raise CannotRewrite("it also draws weights whose role is not known", _BY_HAND)
    given = dict(zip(_DRAWS[name], call.arguments, strict=False))
    given |= call.named
    tensor = given.get("tensor")
    known = len(call.arguments) <= len(_DRAWS[name]) and {k.name for k in call.keywords} <= {*_DRAWS[name]}
    if tensor is None or not known:
        raise CannotRewrite(f"mup.init.{name} does not take all of its arguments", _BY_HAND)
    centred = "mean" not in given or _is_zero(given["mean"])
    bounds = [document.source(given[bound]) for bound in ("a", "b") if bound in given]
    symmetric = not bounds if name != "uniform_" else False
    symmetric = symmetric or (len(bounds) == 2 and bounds[0].strip("()") == f"-{bounds[1].strip('()')}")
    if not centred or not symmetric:
        raise CannotRewrite("mup.init takes only draws around zero for hidden weights", _BY_HAND)
    if isinstance(tensor, s.Attribute) and tensor.name == "data":  # the shapes hang on the parameter itself
        context.tree.remove(site.path, document.range(tensor.value.span)[1], document.range(tensor.span)[1])
    context.imports.put_from_package(site.path, f"mup.init.{name}", call.function)
    context.draws.append(site)


def _is_zero(node: s.Expression) -> bool:
    return isinstance(node, s.Literal) and node.value == 0
