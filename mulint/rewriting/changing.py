"""Rewrites that change the base model: local, certain, and made only where they are asked for.

None of them needs an import or a base, so that an edit of theirs stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.rewriting.context import Context
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.theory import ratio_power, root_scale_exponent

# Far below the gradients of any width, and above the smallest float32.
_SMALL_EPSILON = "1e-12"
_FLOORS = ("eta_min", "min_lr", "lr_min", "warmup_lr_init")
_DRAWS = ("normal_", "trunc_normal_", "uniform_")


def _epsilon(context: Context, finding: Finding) -> None:
    """MU111: an ε that is written at the optimizer becomes one that never matters."""
    document, call = _call(context, finding)
    given = call.argument("eps")
    if not isinstance(given, s.Literal):
        raise CannotRewrite("ε is no number in the call", f"give the optimizer eps={_SMALL_EPSILON}")
    context.tree.replace(document.path, given.span, _SMALL_EPSILON)


def _floor(context: Context, finding: Finding) -> None:
    """MU203: a floor that the scheduler has only one of becomes 0, where it is a number in the call."""
    document, call = _call(context, finding)
    floors = [k.value for k in call.keywords if k.name in _FLOORS]
    given = [f for f in floors if not (isinstance(f, s.Literal) and f.value == 0)]
    if not given or not all(isinstance(floor, s.Literal) for floor in given):
        raise CannotRewrite(
            "the floor is no number in the call",
            "give it a floor of 0, or use LambdaLR with a factor that goes down to the floor",
        )
    for floor in given:
        context.tree.replace(document.path, floor.span, "0.0")


def _bias(context: Context, finding: Finding) -> None:
    """MU303: the bias of a layer that an attribute holds starts at zero; the layer draws what it drew before."""
    document, call = _call(context, finding)
    statement = document.statement(call.span)
    held = isinstance(statement, s.Assign) and len(statement.targets) == 1 and statement.value == call
    flag = call.argument("bias")
    module = call.function.value if isinstance(call.function, s.Attribute) else None
    if not held or not isinstance(statement.targets[0], s.Attribute) or module is None:  # type: ignore[union-attr]
        raise CannotRewrite(
            "the layer is not built into an attribute by itself", "zero its bias after it is built"
        )
    if flag is not None and not (isinstance(flag, s.Literal) and flag.value is True):
        raise CannotRewrite("the layer may have no bias", "zero its bias where it has one")
    layer = document.source(statement.targets[0])  # type: ignore[union-attr]
    line = f"{document.source(module)}.init.zeros_({layer}.bias)"
    context.tree.add_line_after(document.path, statement, line)


def _readout(context: Context, finding: Finding) -> None:
    """MU304: a readout without a multiplier that is drawn by a call of its own starts at zero."""
    document, call = _call(context, finding)
    site = site_of(finding)
    drawn = [p for p in context.program.parameters if any(i.site == site for i in p.weight.inits)]
    function = call.function
    manual = "fill the readout's weight with zeros after its init"
    if not drawn or not all(context.program.reads_out(p) for p in drawn):
        raise CannotRewrite("the same call draws weights that are no readouts", manual)
    if not isinstance(function, s.Attribute) or function.name not in _DRAWS:
        raise CannotRewrite("the draw is no call of normal_, trunc_normal_ or uniform_", manual)
    if document.source(function.value).rpartition(".")[2] == "init":
        if not call.arguments:
            raise CannotRewrite("the weight is not the first argument of the draw", manual)
        zeros = f"{document.source(function.value)}.zeros_({document.source(call.arguments[0])})"
    else:
        zeros = f"{document.source(function.value)}.zero_()"
    context.tree.replace(document.path, call.span, zeros)


def _product(context: Context, finding: Finding) -> None:
    """MU407: the mean over the width in place of the sum over it."""
    site = site_of(finding)
    document = context.tree.at(site)
    for call in (n for n in document.around(site.span) if isinstance(n, s.Call)):
        function = call.function
        if not isinstance(function, s.Attribute) or function.name != "sum":
            continue
        module = document.qualified(function) == "torch.sum"
        summed = next(iter(call.arguments), None) if module else function.value
        dims = [*call.arguments[1 if module else 0 :], *(k.value for k in call.keywords if k.name == "dim")]
        if summed is not None and site.span in (summed.span, call.span) and dims and _is_number(dims[0]):
            context.tree.rename(document.path, function, "mean")
            return
    raise CannotRewrite(
        "it is no sum over one dimension", "divide the product by the width, or multiply it by base / width"
    )


def _norm(context: Context, finding: Finding) -> None:
    """MU408: what has length one gets entries of size one."""
    document, call = _call(context, finding)
    if not call.arguments or not isinstance(call.arguments[0], s.Name | s.Attribute):
        raise CannotRewrite(
            "what is normalised has no name, and so its size has none",
            "multiply the result by the root of its size",
        )
    size = f"{document.source(call.arguments[0])}.size(-1)"
    power = -root_scale_exponent(Fraction(1))
    context.tree.times(document.path, call, ratio_power(power, size), enclosed=True)


def _call(context: Context, finding: Finding) -> tuple[Document, s.Call]:
    site = site_of(finding)
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    if call is None:
        raise CannotRewrite("it is no call", f"see `mulint explain {finding.code}` for what to write instead")
    return document, call


def _is_number(node: s.Expression) -> bool:
    operand = node.operand if isinstance(node, s.Unary) else node
    return isinstance(operand, s.Literal) and isinstance(operand.value, int)


REWRITES: Mapping[str, Callable[[Context, Finding], None]] = {
    "MU111": _epsilon,
    "MU203": _floor,
    "MU303": _bias,
    "MU304": _readout,
    "MU407": _product,
    "MU408": _norm,
}
