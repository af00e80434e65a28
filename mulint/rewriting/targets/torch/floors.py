"""A schedule whose floor is one number becomes a class of the generated file, which scales the floor itself."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.rewriting.context import Context
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets import schedule
from mulint.rewriting.targets.torch.template import FLOORS


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU202 or MU203."""
    site = site_of(finding)
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    plain = (call and document.qualified(call.function)) or ""
    if call is not None and plain in FLOORS:
        context.imports.put(site.path, FLOORS[plain], call.function)
    else:
        schedule.rewrite_scheduler(context, finding)
