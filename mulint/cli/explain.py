"""``mulint explain CODE``: the page of a rule."""

from __future__ import annotations

import click

from mulint.cli import CannotRun
from mulint.configuration import nearest
from mulint.rules import RULES


@click.command()
@click.argument("code")
def explain(code: str) -> None:
    """Print the page of the rule CODE (a code such as MU405, or its name)."""
    for rule in RULES:
        if code.upper() == rule.code or code == rule.name:
            click.echo(f"# {rule.name} ({rule.code}, {rule.severity})\n\n{rule.page}", nl=False)
            click.echo(
                f"\nNext: `mulint fix --diff --select {rule.code}` shows what it rewrites; a line that is right "
                f"as it is ends with `# mulint: ignore[{rule.code}] reason`."
            )
            return
    known = [*(r.code for r in RULES), *(r.name for r in RULES)]
    raise CannotRun(f"no rule {code!r}{nearest(code, known)} (`mulint rules` lists all)")
