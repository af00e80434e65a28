"""What a trace measured, what it did not, and what to pass to have the rest: one line."""

from __future__ import annotations

from collections.abc import Collection

CASE = "def case(width): return mulint.Case(model, batch, loss, optimizer=make_optimizer)"
ALWAYS = ("roles", "multipliers", "attention scales")
RATES = ("learning rates", "weight decay", "ε", "updates")


def unmeasured(stages: Collection[str], *, trained: bool) -> str:
    """The line, or nothing where all was measured.

    Args:
        stages: those that were run.
        trained: whether there was an optimizer.
    """
    values, slopes = "invariants" in stages, "coordinates" in stages
    measured, missing = list(ALWAYS), list[str]()
    (measured if values or slopes else missing).append("init")
    (measured if trained else missing).extend(RATES)
    if not slopes:
        missing.append("activations")
    else:
        measured.append("activations" if trained else "activations at init")
    left = [stage for stage in ("invariants", "coordinates") if stage not in stages]
    ways = []
    if left:
        ways.append(f"add {','.join(left)} to --stages")
    if not trained and (values or slopes):
        ways.append(f"no optimizer is known: pass a case with that of the training script, `{CASE}`")
    if not ways:
        return ""
    return f"measured: {', '.join(measured)}; not measured: {', '.join(missing)}; {'; '.join(ways)}"
