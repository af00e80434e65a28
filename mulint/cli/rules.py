"""``mulint rules``: the catalogue."""

from __future__ import annotations

import json

import click

from mulint.pages import PAGES
from mulint.rules import RULES


@click.command()
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def rules(output_format: str) -> None:
    """List all rules, and what mulint says of its input (MU9)."""
    opt_in = {rule.code for rule in RULES if not rule.default}
    if output_format == "json":
        data = [
            {
                "code": entry.code,
                "name": entry.name,
                "severity": entry.severity.value,
                "default": entry.code not in opt_in,
                "summary": entry.summary,
                "page": entry.page,
            }
            for entry in PAGES.values()
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    width = max(len(entry.name) for entry in PAGES.values())
    for entry in PAGES.values():
        chosen = " (opt-in)" if entry.code in opt_in else ""
        click.echo(f"{entry.code}  {entry.name:<{width}}  {entry.summary}{chosen}")
