"""``mulint config``: what is in force."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from mulint.analysis import CODES, OPT_IN
from mulint.cli import CannotRun, options
from mulint.configuration import ConfigurationError, selected, settings
from mulint.source.discovery import project_root


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@options.selection
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def config(path: Path, output_format: str, **given: Any) -> None:
    """Print the configuration that is in force for PATH (default: here), and where it comes from."""
    root = project_root([path])
    try:
        found = options.configuration(root, given)
        codes = sorted(selected(CODES, found, OPT_IN))
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    source = os.path.relpath(found.path) if found.path else None
    values = settings(found)
    if output_format == "json":
        data = {"path": source, "root": os.path.relpath(root), **values, "selected": codes}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    click.echo(
        f"# {f'from {source}' if source else 'defaults: no pyproject.toml above has a [tool.mulint] table'}"
    )
    click.echo(f"# project root: {os.path.relpath(root)}")
    click.echo(f"# selected: {', '.join(codes)}")
    click.echo("[tool.mulint]")
    for key, value in values.items():
        click.echo(f"{key} = {_toml(value)}")


def _toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(str(k), ensure_ascii=False)} = {_toml(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
