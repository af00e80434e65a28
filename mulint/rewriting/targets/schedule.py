"""Schedules respect the factor of each group: what is written is multiplied by it, scalars become lists."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of

FACTOR = "lr_scale"  # the key of a parameter group that holds its factor of the rate
# Arguments of torch's schedulers that are rates and may be lists with one for each group.
_LISTS = {
    "OneCycleLR": ("max_lr",),
    "CyclicLR": ("base_lr", "max_lr"),
    "SWALR": ("swa_lr",),
    "ReduceLROnPlateau": ("min_lr",),
}
_POSITIONS = {"max_lr": {"OneCycleLR": 1, "CyclicLR": 2}, "base_lr": {"CyclicLR": 1}, "swa_lr": {"SWALR": 1}}


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU201: the value written is multiplied by the group's factor, 1.0 for a group without one.

    An optimizer state saved before there were factors replaces the groups by those it was saved with.
    """
    site = site_of(finding)
    document = context.tree.at(site)
    _require_factors(context, site)
    target = document.exactly(site.span, s.Subscript)
    statement = document.statement(site.span)
    plain = isinstance(statement, s.Assign) and statement.value is not None and len(statement.targets) == 1
    if target is None or not plain or statement.targets[0] != target:  # type: ignore[union-attr]
        raise CannotRewrite(
            "the rate is not written by a plain assignment",
            f'multiply what is written by group.get("{FACTOR}", 1.0)',
        )
    quote = document.source(target.index)[0]
    group = document.source(target.value)
    factor = f"{group}.get({quote}{FACTOR}{quote}, 1.0)"
    context.tree.times(site.path, statement.value, factor)  # type: ignore[union-attr, arg-type]


def _require_factors(context: Context, site: Site) -> None:
    """Refuse where groups have a factor already that none of them records: a schedule could not know it."""
    near = context.program.near(site.path)
    recorded = any(w.key == FACTOR and w.site.path in near for w in context.program.seen.rate_writes)
    for view in context.program.optimizers:
        record, built = view.record, view.record.site
        if built.path not in near or not view.is_scaled or recorded:
            continue
        if not any(FACTOR in group.options for group in record.groups):
            raise CannotRewrite(
                f"the optimizer at {built.path}:{built.line} does not record the factors of its groups",
                f'give each group its own, as in {{"params": ..., "lr": rate * factor, "{FACTOR}": factor}}, '
                f'and write the rate times group["{FACTOR}"]',
            )


def rewrite_scheduler(context: Context, finding: Finding) -> None:
    """Repair MU202 or MU203: a rate given to a scheduler becomes one for every group, by the factor of each."""
    site = site_of(finding)
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    record = next((r for r in context.program.seen.schedulers if r.site == site), None)
    name = "" if record is None else record.type.rpartition(".")[2]
    optimizer = None if call is None else call.argument("optimizer", 0)
    if call is None or name not in _LISTS or not isinstance(optimizer, s.Name | s.Attribute):
        raise CannotRewrite(
            f"{name or 'the scheduler'} takes one rate for all groups",
            "give it a floor of 0, or use LambdaLR with a factor that goes down to the floor",
        )
    _require_factors(context, site)
    for argument in _LISTS[name]:
        position = _POSITIONS.get(argument, {}).get(name, len(call.arguments))
        value = call.argument(argument, position)
        if value is None or isinstance(value, s.Display | s.Comprehension):
            continue
        quote = document.quote()
        each = f"group.get({quote}{FACTOR}{quote}, 1.0) for group in {document.source(optimizer)}.param_groups"
        start, end = document.range(value.span)
        context.tree.insert(site.path, start, "[")
        context.tree.times(site.path, value, each)
        context.tree.insert(site.path, end, "]")
