"""Optimizers as the rewrites of every target see them: what they are given, and what cannot be split by role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mulint.facts import syntax as s
from mulint.program.library.layers import ROWS
from mulint.program.rates import OptimizerView
from mulint.program.records import Layer
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rules.readouts import readouts
from mulint.theory import Optimizer, Role

# The learning rates of torch's classes, of each that has one, where a script leaves it out.
DEFAULT_RATES: Mapping[str, float] = {
    "torch.optim.SGD": 1e-3,
    "torch.optim.Adam": 1e-3,
    "torch.optim.AdamW": 1e-3,
    "torch.optim.RAdam": 1e-3,
    "torch.optim.NAdam": 2e-3,
    "torch.optim.Adamax": 2e-3,
    "torch.optim.Adagrad": 1e-2,
    "torch.optim.RMSprop": 1e-2,
}
REPEATABLE = (s.Name, s.Attribute, s.Literal, s.Subscript, s.Binary, s.Unary)


@dataclass(frozen=True, slots=True)
class Built:
    """The construction of an optimizer whose groups can be split: its first argument, and its rate as code."""

    document: Document
    call: s.Call
    view: OptimizerView
    family: Optimizer
    groups: s.Expression
    rate: str


def built_at(context: Context, site: Site) -> Built:
    """The optimizer that is built at a site.

    Raises:
        CannotRewrite: its groups cannot be split.
    """
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    view = next((v for v in context.program.optimizers if v.record.site == site), None)
    if call is None or view is None or view.family is None or not view.family.per_group_rate:
        raise CannotRewrite("the optimizer takes no groups", "use an optimizer that takes parameter groups")
    _check(context, view)
    groups = call.argument("params", 0)
    rate = _rate(document, call)
    if groups is None or rate is None:
        raise CannotRewrite(
            "the learning rate or the parameters are not plain arguments of the optimizer",
            "give the optimizer lr=... as a variable or a number",
        )
    return Built(document, call, view, view.family, groups, rate)


def _rate(document: Document, call: s.Call) -> str | None:
    """The learning rate as code that can be repeated; that of the class where the call gives none."""
    given = call.argument("lr", 1)
    if given is not None:
        return document.source(given) if isinstance(given, REPEATABLE) else None
    default = DEFAULT_RATES.get(document.qualified(call.function) or "")
    hidden = call.unpacked or any(isinstance(a, s.Starred) for a in call.arguments)
    return None if default is None or hidden else f"{default:g}"


def _check(context: Context, view: OptimizerView) -> None:
    """Refuse what cannot be told apart from shapes and layers alone."""
    reach = context.program.reachable(view.record.site.path, Role.HIDDEN, Role.OUTPUT, Role.MIXED)
    assert view.family is not None
    # A readout with a multiplier has the shape of an input weight, and gets the rate of one.
    rates = {view.family.rate_exponent(Role.INPUT, context.configuration.embedding_lr)}
    known = context.scaled if rates == {view.family.rate_exponent(Role.OUTPUT)} else set()
    unseen = [p.weight for p in reach if p.weight.package]
    bare = [p.weight.symbol for p in reach if p.weight.layer is None and p.key not in known]
    transposed = [p.weight for p in reach if _is_stored_transposed(p.weight.layer)]
    if unseen:
        raise CannotRewrite(
            f"the layers of {unseen[0].owner} are those of {unseen[0].package}, which are not read",
            "put its hidden weights into a group of their own by hand; `mulint trace` lists them",
        )
    if transposed:
        raise CannotRewrite(
            f"{transposed[0].symbol} is stored as (in, out), which its shape does not say",
            f"put {transposed[0].symbol} into a group of its own and scale that by hand",
        )
    if bare:
        raise CannotRewrite(
            f"{bare[0]} is a bare parameter that contracts a width: its shape does not say along which dimension",
            f"put {bare[0]} into a group of its own and scale that by hand",
        )
    near = context.program.near(view.record.site.path)
    for readout in readouts(context.program):
        built = (c for c in context.program.seen.constructions if c.site == readout.site)
        helper = any(context.imports.is_home(c.kind.path) for c in built)
        if readout.site.path in near and readout.multipliers != {0} and not helper:
            raise CannotRewrite(
                f"the readout {readout.name} has a multiplier of its own",
                "give hidden weights the rate that the optimizer's family asks for, by hand",
            )
    for path in near:
        document = context.tree.documents.get(path)
        if document is None or context.imports.is_home(path):
            continue
        if any(isinstance(n, s.Literal) and n.value == "lr_scale" for n in s.walk(document.body)):
            raise CannotRewrite(
                f"{path} already uses an lr_scale of its own", "multiply the factors of both by hand"
            )


def _is_stored_transposed(layer: Layer | None) -> bool:
    """Whether a layer of a library is a linear map that sums over the first dimension of its weight."""
    row = None if layer is None else ROWS[layer.type]
    return row is not None and row.behaviour == "linear" and any(w.contracted == (0,) for w in row.weights)
