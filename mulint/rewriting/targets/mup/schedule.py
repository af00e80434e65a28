"""Schedules are written as for plain PyTorch; the optimizer has to record the factor of each group for them."""

from __future__ import annotations

from mulint.findings import Finding
from mulint.rewriting.context import Context
from mulint.rewriting.targets import schedule


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU201."""
    schedule.rewrite(context, finding)
    context.recorded = True


def rewrite_scheduler(context: Context, finding: Finding) -> None:
    """Repair MU202 or MU203."""
    schedule.rewrite_scheduler(context, finding)
    context.recorded = True
