"""What one file imports, wherever in it: all that decides which files can have a part in what is said of it."""

from __future__ import annotations

from mulint.facts import syntax as s

Import = tuple[str, str | None, int]


def imports(facts: s.FileFacts) -> tuple[Import, ...]:
    """The imported module, the name taken from it (None: the module itself) and the dots in front, each once."""
    found = (n for n in s.statements(facts.body) if isinstance(n, s.Import))
    return tuple(dict.fromkeys((n.module, n.name, n.level) for n in found))
