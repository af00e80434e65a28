"""Optimizers become those of the mup package, which read the rates of roles from the base shapes."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets.optimizers import Built, built_at
from mulint.theory import EmbeddingPolicy, Role, WeightDecayPolicy

_CLASSES = ("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD")
# Layers whose fan-in is not the last dimension of their weight that grows, where the package looks for it.
_OTHER_FANS = ("ConvTranspose", "Bilinear")
_MANUAL = 'write the parameter groups by hand, or use target = "torch"'


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU101 or MU102."""
    split(context, site_of(finding))


def split(context: Context, site: Site) -> None:
    """Put the package's twin in place of the optimizer that is built at a site."""
    built = built_at(context, site)
    document, call = built.document, built.call
    plain = document.qualified(call.function)
    if plain not in _CLASSES or built.family.twin is None:
        raise CannotRewrite(f"{document.source(call.function)} has no twin in the mup package", _MANUAL)
    _check_arguments(built)
    _check_policies(context, built)
    _check_weights(context, site)
    context.optimizers.setdefault(site.path, [])
    context.imports.put_from_package(site.path, built.family.twin, call.function)
    if len(call.arguments) > 1:  # the second argument of the twin is the class that it makes groups for
        context.tree.insert(site.path, document.range(call.arguments[1].span)[0], "lr=")
    if _lacks_decay(built) and built.family.default_decay:
        context.tree.add_keywords(site.path, call, f"weight_decay={built.family.default_decay}")
    if context.recorded:
        _record(context, built)


def _check_arguments(built: Built) -> None:
    call = built.call
    named = isinstance(built.groups, s.Call) and isinstance(built.groups.function, s.Attribute)
    if named and built.groups.function.name == "named_parameters":  # type: ignore[union-attr]
        raise CannotRewrite(f"{built.family.twin} takes no named parameters", "give it model.parameters()")
    if len(call.arguments) > 2:
        raise CannotRewrite("options of the optimizer are given by position", "give them by name")
    if call.unpacked and _lacks_decay(built) and built.family.default_decay:
        raise CannotRewrite("the weight decay may be in a dictionary", "give weight_decay=... in the call")


def _lacks_decay(built: Built) -> bool:
    """Whether a group takes the class's default, for which the package has another one: 0."""
    own = all("weight_decay" in g.record.options for g in built.view.groups)
    return not own and built.call.argument("weight_decay") is None


def _check_policies(context: Context, built: Built) -> None:
    """Refuse declared choices that the package does not have."""
    configuration, family = context.configuration, built.family
    if configuration.embedding_lr != EmbeddingPolicy.CONSTANT:
        raise CannotRewrite(f'mup has no embedding-lr = "{configuration.embedding_lr}"', _MANUAL)
    given = built.call.argument("weight_decay")
    literal = given is not None and not (isinstance(given, s.Literal) and given.value == 0)
    decays = literal or any("weight_decay" in g.record.options for g in built.view.groups)
    if decays and not family.decays_with_rate:
        raise CannotRewrite(
            f"{family.twin} multiplies a weight decay that is added to the gradient by the width",
            "use AdamW, whose weight decay is decoupled",
        )
    decays = decays or (_lacks_decay(built) and family.default_decay > 0)
    if decays and configuration.weight_decay != WeightDecayPolicy.CONSTANT_LR_WD:
        raise CannotRewrite(f'mup has no weight-decay = "{configuration.weight_decay}"', _MANUAL)


def _check_weights(context: Context, site: Site) -> None:
    """Refuse weights of which the package assumes what is not so."""
    reach = context.program.reachable(site.path, Role.HIDDEN, Role.MIXED)
    for weight in (p.weight for p in reach):
        if any(kind in (weight.layer.type if weight.layer else "") for kind in _OTHER_FANS):
            raise CannotRewrite(f"mup takes another dimension of {weight.symbol} for its fan-in", _MANUAL)
    if mixed := [p.weight.symbol for p in reach if p.role is Role.MIXED]:
        raise CannotRewrite(f"rows of {mixed[0]} have several roles", _MANUAL)


def _record(context: Context, built: Built) -> None:
    """Have the groups keep their factor for schedules, after the optimizer is built."""
    document, call = built.document, built.call
    path, near = document.path, context.program.near(document.path)
    if any("lr" in g.record.options for g in built.view.groups):
        raise CannotRewrite("groups have rates of their own, which a schedule replaces", _MANUAL)
    if any(c.scales_groups and c.site.path in near for c in context.program.seen.schedulers):
        raise CannotRewrite("a scheduler of timm in reach multiplies rates by lr_scale as well", _MANUAL)
    statement = document.statement(call.span)
    quote, inner = document.quote(), document.step()
    rate = f"({built.rate})" if " " in built.rate else built.rate
    match statement:
        case s.Assign(targets=(s.Name() | s.Attribute() as target,), value=value) if value == call:
            name, after = document.source(target), []
        case s.Return(value=value) if value == call:
            name = "optimizer"
            function = document.innermost(call.span, s.Function)
            if any(isinstance(n, s.Name) and n.id == name for n in s.walk(function.body if function else ())):
                raise CannotRewrite(f"the name {name} is taken in {path}", f"give the optimizer a name in {path}")
            start, end = document.range(statement.span)[0], document.range(call.span)[0]
            context.tree.insert(path, start, f"{name} = ")
            context.tree.remove(path, start, end)
            after = [f"return {name}"]
        case _:
            raise CannotRewrite("the optimizer gets no name where it is built", "give it a name there")
    key = f"group[{quote}lr_scale{quote}]"
    context.tree.add_line_after(
        path,
        statement,
        f"for group in {name}.param_groups:",
        f"{inner}{key} = group[{quote}lr{quote}] / {rate}  # for schedules",
        *after,
    )
