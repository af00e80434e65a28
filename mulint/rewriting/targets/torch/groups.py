"""Parameter groups are split by role where they are handed to the optimizer."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.rates import OptimizerView
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets.models import models, spelled
from mulint.rewriting.targets.optimizers import REPEATABLE, Built, built_at
from mulint.rewriting.targets.torch.template import SCALABLE, SCALE_GROUPS, powers_name


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU101 or MU102."""
    split(context, site_of(finding))


def split(context: Context, site: Site) -> None:
    """Split the groups of the optimizer that is built at a site."""
    built = built_at(context, site)
    document, call, groups = built.document, built.call, built.groups
    model = _model(document, call, groups)
    name = powers_name(built.family)
    context.optimizers.setdefault(site.path, [])
    if built.family not in context.optimizers[site.path]:
        context.optimizers[site.path].append(built.family)
    context.imports.need(site.path, SCALE_GROUPS)
    context.imports.need(site.path, name)
    rest = f"{_decay(built)}{_recorded(context, built.view)}"
    arguments = f"{model}, {name}, lr={built.rate}{rest}"
    statement = document.statement(call.span)
    if isinstance(groups, s.Name) and isinstance(statement, s.Assign | s.Return | s.Evaluate):
        line = f"{groups.id} = {SCALE_GROUPS}({groups.id}, {arguments})"
        context.tree.add_line_before(site.path, statement, line)
    else:
        source = document.source(groups)
        context.tree.replace(site.path, groups.span, f"{SCALE_GROUPS}({source}, {arguments})")


def _decay(built: Built) -> str:
    """The weight decay of groups without their own, where the optimizer multiplies it by the rate."""
    family = built.family
    if not family.decays_with_rate or all("weight_decay" in g.record.options for g in built.view.groups):
        return ""
    given = built.call.argument("weight_decay")
    if given is None:
        return f", weight_decay={family.default_decay}" if family.default_decay else ""
    if not isinstance(given, REPEATABLE):
        raise CannotRewrite("the weight decay is computed in the call", "put the weight decay into a variable")
    return f", weight_decay={built.document.source(given)}"


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
    found = models(context, context.optimizers)
    if context.optimizers and not found:
        raise CannotRewrite(
            "no argument of the model that it trains carries a width",
            "make the width an argument of the model, or write the parameter groups by hand",
        )
    for kind in found:
        widths = spelled(context, kind, context.program.widths)
        fixed = [sp for sp in spelled(context, kind, context.bases.symbols) if sp not in widths]
        for spelling in (*widths, *fixed):
            context.bases.need(kind, spelling)
        quote = context.tree.documents[kind.path].quote()
        listed = [", ".join(f"{quote}{sp.name}{quote}" for sp in several) for several in (widths, fixed)]
        extra = f", fixed=[{listed[1]}]" if fixed else ""
        context.models.append(f"{kind.path}:{kind.name}")
        context.imports.need(kind.path, SCALABLE)
        context.tree.add_decorator(kind.path, kind.node, f"@{SCALABLE}(widths=[{listed[0]}]{extra})")
