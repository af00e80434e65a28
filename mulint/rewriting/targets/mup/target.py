"""The mup package as a target."""

from __future__ import annotations

from fractions import Fraction

from mulint.rewriting.base import Spelling
from mulint.rewriting.imports import Imports
from mulint.rewriting.targets import attention
from mulint.rewriting.targets.mup import initialisation, optimizers, readout, schedule, shapes
from mulint.rewriting.targets.target import Target
from mulint.theory import ratio_power


def _written(_: Imports, __: str, spelling: Spelling, power: Fraction) -> str:
    ratio = f"1.0 if {spelling.base} is None else {spelling.own} / {spelling.base}"
    return ratio if power == 1 else ratio_power(power, f"({ratio})")


TARGET = Target(
    rewrites={
        "MU401": readout.rewrite,
        "MU409": readout.rewrite,
        "MU410": readout.rewrite,
        "MU405": attention.rewrite,
        "MU406": attention.rewrite,
        "MU301": initialisation.rewrite,
        "MU101": optimizers.rewrite,
        "MU102": optimizers.rewrite,
        "MU201": schedule.rewrite,
        "MU202": schedule.rewrite_scheduler,
        "MU203": schedule.rewrite_scheduler,
    },
    split=optimizers.split,
    finish=shapes.set_in_models,
    written=_written,
    by_hand="build it with mup.MuAdam, mup.MuAdamW or mup.MuSGD",
)
