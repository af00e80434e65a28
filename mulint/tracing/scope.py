"""What a trace measured, what it did not, and what to pass to have the rest: one line."""

from __future__ import annotations

from collections.abc import Collection

CASE = "def case(width): return mulint.Case(model, batch, loss, optimizer=make_optimizer)"
ALWAYS = ("roles", "multipliers", "attention scales")
RATES = ("learning rates", "weight decay", "ε", "updates")


def unmeasured(stages: Collection[str], *, trained: bool, searching: str = "") -> str:
    """The line, or nothing where all was measured.

    Args:
        stages: those that were run.
        trained: whether the model was trained.
        searching: the name of an optimizer that has no rate for each parameter.
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
        none = f"{searching} moves all parameters along one line" if searching else "no optimizer is known"
        which = "one that has rates" if searching else "that of the training script"
        ways.append(f"{none}: pass a case with {which}, `{CASE}`")
    if not ways:
        return ""
    return f"measured: {', '.join(measured)}; not measured: {', '.join(missing)}; {'; '.join(ways)}"
