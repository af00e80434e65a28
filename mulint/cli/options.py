"""What several commands share: options of selection and configuration, and how values are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mulint.cli import CannotRun
from mulint.configuration import Configuration, load

# For hooks, which name files that nobody chose.
force_exclude_option = click.option(
    "--force-exclude", is_flag=True, help="Leave out excluded files also where they are named."
)

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
        select=codes(options["select"]) or found.select,
        ignore=codes(options["ignore"]) or found.ignore,
        extend_select=(*found.extend_select, *codes(options["extend_select"])),
        exclude=(*found.exclude, *options["exclude"]),
    )


def codes(text: str | None) -> tuple[str, ...]:
    """Codes or prefixes separated by commas."""
    return tuple(code.strip() for code in (text or "").split(",") if code.strip())


def pair(flag: str, text: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two parts."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise CannotRun(f"{flag} {text}: write NAME=VALUE")
    return name.strip(), value.strip()


def base_width(text: str | None) -> dict[str, float]:
    """``N`` or ``NAME=N,NAME=N`` as sizes by name; a plain number is called ``width``."""
    if not text:
        return {}
    base = {}
    for part in text.split(","):
        name, value = pair("--base-width", part) if "=" in part else ("width", part)
        try:
            base[name] = float(value)
        except ValueError:
            raise CannotRun(f"--base-width {text}: write a number, or NAME=NUMBER") from None
    return base
