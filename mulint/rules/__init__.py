"""The rules: one file each. A file named ``mu*.py`` here with a ``RULE`` and a ``find`` is a rule."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection

from mulint.findings import Finding
from mulint.program import Program
from mulint.rules.precedence import strongest
from mulint.rules.rule import Rule, page_of

__all__ = ["RULES", "Rule", "run"]


def _load() -> tuple[Rule, ...]:
    found: list[Rule] = []
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("mu"):
            module = importlib.import_module(f"{__name__}.{info.name}")
            header = module.RULE
            page = page_of(module.__doc__)
            found.append(
                Rule(header.code, header.name, header.severity, module.find, page, default=header.default)
            )
    return tuple(sorted(found, key=lambda rule: rule.code))


RULES = _load()


def run(program: Program, codes: Collection[str] | None = None) -> list[Finding]:
    """All findings of the selected rules, one for each fault, in source order.

    Every rule is asked before the selection, so that leaving a rule out does not let a weaker one speak in
    its place.
    """
    found = strongest([finding for rule in RULES for finding in rule.find(program)])
    chosen = [f for f in found if codes is None or f.code in codes]
    return sorted(chosen, key=lambda f: (f.place, f.code))
