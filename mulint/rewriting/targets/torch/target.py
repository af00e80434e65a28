"""Plain PyTorch as a target."""

from __future__ import annotations

from fractions import Fraction

from mulint.rewriting.base import Spelling
from mulint.rewriting.imports import Imports
from mulint.rewriting.targets import attention, schedule
from mulint.rewriting.targets.target import Generated, Target
from mulint.rewriting.targets.torch import floors, groups, initialisation, readout, template
from mulint.theory import ratio_power


def _written(imports: Imports, path: str, spelling: Spelling, power: Fraction) -> str:
    imports.need(path, template.RATIO)
    return ratio_power(power, f"{template.RATIO}({spelling.own}, {spelling.base})")


TARGET = Target(
    rewrites={
        "MU401": readout.rewrite,
        "MU409": readout.rewrite,
        "MU410": readout.rewrite,
        "MU405": attention.rewrite,
        "MU406": attention.rewrite,
        "MU301": initialisation.rewrite,
        "MU101": groups.rewrite,
        "MU102": groups.rewrite,
        "MU201": schedule.rewrite,
        "MU202": floors.rewrite,
        "MU203": floors.rewrite,
    },
    split=groups.split,
    finish=groups.make_scalable,
    written=_written,
    by_hand=f"pass its parameter groups through {template.SCALE_GROUPS} of {{home}} where it is built",
    generated=Generated(template.NAME, template.render),
)
