"""Everything that has a code and a page: the rules, and what mulint says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from mulint.notices import NOTICES, Notice
from mulint.rules import RULES, Rule

_ENTRIES: tuple[Rule | Notice, ...] = (*RULES, *NOTICES)
PAGES: Mapping[str, Rule | Notice] = {entry.code: entry for entry in _ENTRIES}
