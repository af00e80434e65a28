"""What rewritten code is written for. A new target is one package with its ``Target``, and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from mulint.rewriting.targets import mup, torch
from mulint.rewriting.targets.target import Target

__all__ = ["TARGETS", "Target"]
TARGETS: Mapping[str, Target] = {"torch": torch.TARGET, "mup": mup.TARGET}
