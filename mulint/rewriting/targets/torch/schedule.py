"""Writes of a learning rate respect the factor of each group."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU201: the value written is multiplied by the group's factor, 1.0 for a group without one.

    An optimizer state saved before there were factors replaces the groups by those it was saved with.
    """
    site = site_of(finding)
    document = context.tree.at(site)
    target = document.exactly(site.span, s.Subscript)
    statement = document.statement(site.span)
    plain = isinstance(statement, s.Assign) and statement.value is not None and len(statement.targets) == 1
    if target is None or not plain or statement.targets[0] != target:  # type: ignore[union-attr]
        raise CannotRewrite(
            "the rate is not written by a plain assignment",
            'multiply what is written by group.get("lr_scale", 1.0)',
        )
    quote = document.source(target.index)[0]
    group = document.source(target.value)
    factor = f"{group}.get({quote}lr_scale{quote}, 1.0)"
    context.tree.times(site.path, statement.value, factor)  # type: ignore[union-attr, arg-type]
