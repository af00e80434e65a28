"""Parameter groups are split by role where they are handed to the optimizer."""

from __future__ import annotations

from collections.abc import Iterable

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.dimensions import Symbol
from mulint.program.library.layers import ROWS
from mulint.program.rates import OptimizerView
from mulint.program.records import Layer
from mulint.program.values import ClassValue, Site
from mulint.rewriting.base import Spelling
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets.torch.template import NAME, SCALABLE, SCALE_GROUPS, powers_name
from mulint.rewriting.tree import Document
from mulint.rules.readouts import readouts
from mulint.theory import Optimizer, Role

_REPEATABLE = (s.Name, s.Attribute, s.Literal, s.Subscript, s.Binary, s.Unary)


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU101 or MU102."""
    split(context, site_of(finding))


def split(context: Context, site: Site) -> None:
    """Split the groups of the optimizer that is built at a site."""
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    view = next((v for v in context.program.optimizers if v.record.site == site), None)
    if call is None or view is None or view.family is None or not view.family.per_group_rate:
        raise CannotRewrite("the optimizer takes no groups", "use an optimizer that takes parameter groups")
    _check(context, view)
    groups = _argument(call, "params", 0)
    rate = _argument(call, "lr", 1)
    if groups is None or rate is None or not isinstance(rate, _REPEATABLE):
        raise CannotRewrite(
            "the learning rate or the parameters are not plain arguments of the optimizer",
            "give the optimizer lr=... as a variable or a number",
        )
    model = _model(document, call, groups)
    name = powers_name(view.family)
    context.optimizers.setdefault(site.path, [])
    if view.family not in context.optimizers[site.path]:
        context.optimizers[site.path].append(view.family)
    context.imports.need(site.path, SCALE_GROUPS)
    context.imports.need(site.path, name)
    decay = _decay(document, call, view, view.family)
    arguments = f"{model}, {name}, lr={document.source(rate)}{decay}{_recorded(context, view)}"
    statement = document.statement(call.span)
    if isinstance(groups, s.Name) and isinstance(statement, s.Assign | s.Return | s.Evaluate):
        line = f"{groups.id} = {SCALE_GROUPS}({groups.id}, {arguments})"
        context.tree.add_line_before(site.path, statement, line)
    else:
        source = document.source(groups)
        context.tree.replace(site.path, groups.span, f"{SCALE_GROUPS}({source}, {arguments})")


def _check(context: Context, view: OptimizerView) -> None:
    """Refuse what the generated helper cannot tell apart from shapes and layers alone."""
    reach = context.program.reachable(view.record.site.path, Role.HIDDEN, Role.OUTPUT, Role.MIXED)
    assert view.family is not None
    # A readout with a multiplier has the shape of an input weight, and gets the rate of one.
    rates = {view.family.rate_exponent(Role.INPUT, context.configuration.embedding_lr)}
    known = context.scaled if rates == {view.family.rate_exponent(Role.OUTPUT)} else set()
    bare = [p.weight.symbol for p in reach if p.weight.layer is None and p.key not in known]
    transposed = [p.weight for p in reach if _is_stored_transposed(p.weight.layer)]
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
        helper = any(
            c.kind.path.endswith(NAME) for c in context.program.seen.constructions if c.site == readout.site
        )
        if readout.site.path in near and readout.multipliers != {0} and not helper:
            raise CannotRewrite(
                f"the readout {readout.name} has a multiplier of its own",
                "give hidden weights the rate that the optimizer's family asks for, by hand",
            )
    for path in near:
        document = context.tree.documents.get(path)
        if document is None or path.endswith(NAME):
            continue
        if any(isinstance(n, s.Literal) and n.value == "lr_scale" for n in s.walk(document.body)):
            raise CannotRewrite(
                f"{path} already uses an lr_scale of its own", "multiply the factors of both by hand"
            )


def _is_stored_transposed(layer: Layer | None) -> bool:
    """Whether a layer of a library is a linear map that sums over the first dimension of its weight."""
    row = None if layer is None else ROWS[layer.type]
    return row is not None and row.behaviour == "linear" and any(w.contracted == (0,) for w in row.weights)


def _argument(call: s.Call, name: str, position: int) -> s.Expression | None:
    given = {k.name: k.value for k in call.keywords}
    if name in given:
        return given[name]
    return call.arguments[position] if position < len(call.arguments) else None


def _decay(document: Document, call: s.Call, view: OptimizerView, family: Optimizer) -> str:
    """The weight decay of groups without their own, where the optimizer multiplies it by the rate."""
    if not family.decays_with_rate or all("weight_decay" in g.record.options for g in view.groups):
        return ""
    given = next((k.value for k in call.keywords if k.name == "weight_decay"), None)
    if given is None:
        return f", weight_decay={family.default_decay}" if family.default_decay else ""
    if not isinstance(given, _REPEATABLE):
        raise CannotRewrite("the weight decay is computed in the call", "put the weight decay into a variable")
    return f", weight_decay={document.source(given)}"


def _recorded(context: Context, view: OptimizerView) -> str:
    """No ``lr_scale`` for a schedule that multiplies by it itself: the rate has the factor already."""
    near = context.program.near(view.record.site.path)
    schedulers = [c for c in context.program.seen.schedulers if c.scales_groups and c.site.path in near]
    if any(c.optimizer is None for c in schedulers):
        raise CannotRewrite(
            "a scheduler of timm in reach multiplies rates by lr_scale, and its optimizer was not recognised",
            f"pass the groups through {SCALE_GROUPS} of the generated file, with recorded=False if it is this one",
        )
    trained = any(c.optimizer is not None and c.optimizer.site == view.record.site for c in schedulers)
    return ", recorded=False" if trained else ""


def _model(document: Document, call: s.Call, groups: s.Expression) -> str:
    """The model whose parameters the optimizer takes, as the code around spells it."""
    function = document.innermost(call.span, s.Function)
    owner = document.class_at(call.span)
    searched: object = groups if not isinstance(groups, s.Name) else function.body if function else document.body
    sources = [
        document.source(n.function.value)
        for n in s.walk(searched)
        if isinstance(n, s.Call)
        and isinstance(n.function, s.Attribute)
        and n.function.name in ("parameters", "named_parameters")
        and isinstance(n.function.value, s.Name | s.Attribute)
    ]
    found = list(dict.fromkeys(sources))
    if "self" in found or (not found and owner is not None):
        return "self"
    if len(found) != 1:
        raise CannotRewrite(
            "the model whose parameters it takes was not recognised",
            f"pass the groups through {SCALE_GROUPS} of the generated file by hand",
        )
    return found[0]


def make_scalable(context: Context) -> None:
    """Have the models of the optimizers remember how they were built, with every size that has a base."""
    models = _models(context)
    if context.optimizers and not models:
        raise CannotRewrite(
            "no argument of the model that it trains carries a width",
            "make the width an argument of the model, or write the parameter groups by hand",
        )
    for kind in models:
        widths = _spelled(context, kind, context.program.widths)
        fixed = [sp for sp in _spelled(context, kind, context.bases.symbols) if sp not in widths]
        for spelling in (*widths, *fixed):
            context.bases.need(kind, spelling)
        quote = context.tree.documents[kind.path].quote()
        listed = [", ".join(f"{quote}{sp.name}{quote}" for sp in several) for several in (widths, fixed)]
        extra = f", fixed=[{listed[1]}]" if fixed else ""
        context.models.append(f"{kind.path}:{kind.name}")
        context.imports.need(kind.path, SCALABLE)
        context.tree.add_decorator(kind.path, kind.node, f"@{SCALABLE}(widths=[{listed[0]}]{extra})")


def _models(context: Context) -> list[ClassValue]:
    """The model classes in reach of the optimizers that no other model class builds, and that have a width."""
    seen = context.program.seen
    kinds = {id(c.kind.node): c.kind for c in seen.constructions if (c.kind.path, c.kind.name) in seen.modules}
    parents: dict[int, set[int]] = {key: set() for key in kinds}
    for construction in seen.constructions:
        around = context.bases.kind_at(construction.site)
        if around is not None and around.node is not construction.kind.node:
            parents.setdefault(id(construction.kind.node), set()).add(id(around.node))
    used = {id(need.kind.node) for need in context.bases.needs}
    if not used:
        hidden = (p for path in context.optimizers for p in context.program.reachable(path, Role.HIDDEN))
        places = (context.bases.kind_at(p.weight.site) for p in hidden)
        used = {id(kind.node) for kind in places if kind is not None}
    while grown := {p for key in used for p in parents.get(key, ())} - used:
        used = used | grown
    near = {path for start in context.optimizers for path in context.program.near(start)}
    return [
        kind
        for key, kind in kinds.items()
        if key in used and not parents[key] & kinds.keys() and kind.path in near
        if _spelled(context, kind, context.program.widths)
    ]


def _spelled(context: Context, kind: ClassValue, symbols: Iterable[Symbol]) -> list[Spelling]:
    found = [context.bases.spelling(kind, symbol) for symbol in symbols]
    return sorted({sp for sp in found if sp is not None}, key=lambda sp: (sp.line, sp.name))
