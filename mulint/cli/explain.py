"""``mulint explain CODE``: the page of a rule, or of a code of mulint itself."""

from __future__ import annotations

import click

from mulint.cli import CannotRun
from mulint.configuration import nearest
from mulint.pages import PAGES
from mulint.rules import RULES


@click.command()
@click.argument("code")
def explain(code: str) -> None:
    """Print the page of the rule CODE (a code such as MU405, or its name)."""
    known = {name: entry for entry in PAGES.values() for name in (entry.code, entry.name)}
    found = known.get(code.upper()) or known.get(code)
    if found is None:
        raise CannotRun(f"no rule {code!r}{nearest(code, known)} (`mulint rules` lists all)")
    click.echo(f"# {found.name} ({found.code}, {found.severity})\n\n{found.page}", nl=False)
    if found in RULES:
        click.echo(
            f"\nNext: `mulint fix --diff --select {found.code}` shows what it rewrites; a line that is right "
            f"as it is ends with `# mulint: ignore[{found.code}] reason`."
        )
