"""``mulint check``: the static pass over files and folders."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import click

from mulint.checking import check as run_check
from mulint.cli import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, CannotRun
from mulint.cli.options import codes
from mulint.configuration import Configuration, ConfigurationError, load
from mulint.findings import Report, Severity
from mulint.source.discovery import project_root

FORMATS = ("text", "concise", "json")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--select", help="Codes or prefixes to report, separated by commas.")
@click.option("--ignore", help="Codes or prefixes to leave out.")
@click.option("--extend-select", help="Codes or prefixes to report as well.")
@click.option("--exclude", multiple=True, help="Glob of files or folders to leave out; may be repeated.")
@click.option("--config", type=click.Path(path_type=Path), help="Read [tool.mulint] from this file.")
@click.option(
    "--fail-on",
    type=click.Choice([*(s.value for s in Severity), "never"]),
    default="error",
    show_default=True,
    help="Exit with 1 from this severity on.",
)
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--statistics", is_flag=True, help="Print only how often each code was found.")
@click.option("--verbose", "-v", is_flag=True, help="List everything that was not understood; show tracebacks.")
@click.option("--quiet", "-q", is_flag=True, help="Print findings and errors only.")
def check(
    paths: tuple[Path, ...],
    select: str | None,
    ignore: str | None,
    extend_select: str | None,
    exclude: tuple[str, ...],
    config: Path | None,
    fail_on: str,
    output_format: str,
    statistics: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Report where PATHS (default: here) depart from μP. No code is run and torch is not needed.

    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 something could not be checked.
    """
    chosen = paths or (Path(),)
    root = project_root(chosen)
    try:
        configuration = load(root, config)
        configuration = _overridden(configuration, select, ignore, extend_select, exclude)
        report = run_check(chosen, root, configuration, verbose=verbose)
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    _print(report, output_format, statistics=statistics, verbose=verbose, quiet=quiet)
    sys.exit(_exit_code(report, fail_on))


def _overridden(
    configuration: Configuration,
    select: str | None,
    ignore: str | None,
    extend_select: str | None,
    exclude: tuple[str, ...],
) -> Configuration:
    """The command line beats the file; ``--exclude`` and ``--extend-select`` add to it."""
    return dataclasses.replace(
        configuration,
        select=codes(select) or configuration.select,
        ignore=codes(ignore) or configuration.ignore,
        extend_select=(*configuration.extend_select, *codes(extend_select)),
        exclude=(*configuration.exclude, *exclude),
    )


def _exit_code(report: Report, fail_on: str) -> int:
    if report.errors:
        return EXIT_ERROR
    if fail_on == "never":
        return EXIT_CLEAN
    failing = any(f.severity.rank >= Severity(fail_on).rank for f in report.findings)
    return EXIT_FINDINGS if failing else EXIT_CLEAN


def _print(report: Report, output_format: str, *, statistics: bool, verbose: bool, quiet: bool) -> None:
    def shown(path: str) -> str:
        return Path(os.path.relpath(report.root / path)).as_posix()

    if output_format == "json":
        from mulint.reporting import check_json

        click.echo(check_json.render(report), nl=False)
    elif output_format == "concise":
        from mulint.reporting import concise

        click.echo(concise.render(report, shown), nl=False)
    else:
        from rich.console import Console

        from mulint.reporting import text

        # Source code is no markup, and its lines are not ours to wrap.
        console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
        if statistics:
            click.echo(text.statistics(report), nl=False)
        else:
            console.print(text.render(report, shown, verbose=verbose, quiet=quiet), end="")
