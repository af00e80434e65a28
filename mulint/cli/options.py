"""Options that several commands share: what is configured, selected and left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mulint.configuration import Configuration, load

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--select", help="Codes or prefixes to report, separated by commas."),
    click.option("--ignore", help="Codes or prefixes to leave out."),
    click.option("--extend-select", help="Codes or prefixes to report as well."),
    click.option("--exclude", multiple=True, help="Glob of files or folders to leave out; may be repeated."),
    click.option("--config", type=click.Path(path_type=Path), help="Read [tool.mulint] from this file."),
)


def selection(command: F) -> F:
    """Give a command the options of selection and configuration."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def configuration(root: Path, options: dict[str, Any]) -> Configuration:
    """What is in force: the command line beats the file; ``--exclude`` and ``--extend-select`` add to it.

    Raises:
        ConfigurationError: the configuration is not valid.
    """
    found = load(root, options["config"])
    return dataclasses.replace(
        found,
        select=_codes(options["select"]) or found.select,
        ignore=_codes(options["ignore"]) or found.ignore,
        extend_select=(*found.extend_select, *_codes(options["extend_select"])),
        exclude=(*found.exclude, *options["exclude"]),
    )


def _codes(text: str | None) -> tuple[str, ...]:
    return tuple(code.strip() for code in (text or "").split(",") if code.strip())
