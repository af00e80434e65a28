"""``mulint rules``: the catalogue."""

from __future__ import annotations

import json

import click

from mulint.rules import RULES


@click.command()
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def rules(output_format: str) -> None:
    """List all rules."""
    if output_format == "json":
        data = [
            {
                "code": r.code,
                "name": r.name,
                "severity": r.severity.value,
                "default": r.default,
                "summary": r.summary,
                "page": r.page,
            }
            for r in RULES
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    width = max(len(r.name) for r in RULES)
    for rule in RULES:
        click.echo(f"{rule.code}  {rule.name:<{width}}  {rule.summary}{'' if rule.default else ' (opt-in)'}")
