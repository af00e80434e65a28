"""``mulint check``: the static pass over files and folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mulint import baseline
from mulint.checking import check as run_check
from mulint.cli import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, CannotRun, options, write_text
from mulint.configuration import Configuration, ConfigurationError
from mulint.findings import Report, Severity
from mulint.reporting.formats import FORMATS, TEXT, render
from mulint.source import cache
from mulint.source.discovery import project_root, select, shown_from, without_excluded

STDIN = Path("-")
_ENOUGH_CORES = 4


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@options.selection
@options.force_exclude_option
@click.option(
    "--fail-on",
    type=click.Choice([*(s.value for s in Severity), "never"]),
    default="error",
    show_default=True,
    help="Exit with 1 from this severity on.",
)
@click.option("--output-format", type=click.Choice(FORMATS), default=TEXT, show_default=True)
@click.option("--output-file", "-o", type=click.Path(path_type=Path), help="Write the report to this file.")
@click.option(
    "--baseline", "baseline_file", type=click.Path(path_type=Path), help="Leave out what this file holds."
)
@click.option("--write-baseline", is_flag=True, help="Write all findings to the baseline file, and accept them.")
@click.option("--stdin-filename", type=click.Path(path_type=Path), help="The path of what `-` reads from stdin.")
@click.option("--show-files", is_flag=True, help="Print the files that would be checked, and stop.")
@click.option("--statistics", is_flag=True, help="Print only how often each code was found.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Processes that read a large tree.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache.")
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    envvar="MULINT_CACHE_DIR",
    help=f"Where the cache lies (default: {cache.NAME} in the project).",
)
@click.option("--verbose", "-v", is_flag=True, help="List everything that was not understood; show tracebacks.")
@click.option("--quiet", "-q", is_flag=True, help="Print findings and errors only.")
def check(paths: tuple[Path, ...], **given: Any) -> None:
    """Report where PATHS (default: here) depart from μP. No code is run and torch is not needed.

    `-` reads one file from standard input. Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 something
    could not be checked.
    """
    unsaved = _stdin(paths, given["stdin_filename"])
    chosen = tuple(unsaved) or paths or (Path(),)
    root = project_root(chosen)
    try:
        configuration = options.configuration(root, given)
        if given["force_exclude"]:
            chosen = without_excluded(chosen, root, configuration.exclude)
            unsaved = {path: data for path, data in unsaved.items() if path in chosen}
        if given["show_files"]:
            _show_files(chosen, root, configuration)
            return
        file = given["baseline_file"] or configuration.baseline or root / baseline.NAME
        known = not given["write_baseline"] and (given["baseline_file"] or configuration.baseline)
        report = run_check(
            [p for p in chosen if p not in unsaved],
            root,
            configuration,
            unsaved={Path(os.path.relpath(p.absolute(), root)).as_posix(): data for p, data in unsaved.items()},
            accepted=frozenset(entry.fingerprint for entry in baseline.load(file)) if known else frozenset(),
            verbose=given["verbose"],
            store=None if given["no_cache"] else cache.Store(given["cache_dir"] or root / cache.NAME, root),
            jobs=given["jobs"] or _cores(),
        )
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    if given["write_baseline"]:
        checked = select(chosen, root, configuration.exclude).named
        _write_baseline(file, report, baseline.outside(file, checked, root))
        if configuration.baseline is None:
            click.echo(
                f"Next: `mulint check --baseline {os.path.relpath(file)}` leaves them out; "
                f'baseline = "{Path(os.path.relpath(file, root)).as_posix()}" under [tool.mulint] always does.'
            )
        sys.exit(EXIT_ERROR if report.errors else EXIT_CLEAN)
    _print(report, given)
    sys.exit(_exit_code(report, given["fail_on"]))


def _stdin(paths: tuple[Path, ...], name: Path | None) -> Mapping[Path, bytes]:
    if STDIN not in paths:
        return {}
    if len(paths) > 1:
        raise CannotRun("`-` stands for all of the input; leave out the other paths")
    return {name or Path("stdin.py"): sys.stdin.buffer.read()}


def _write_baseline(file: Path, report: Report, kept: list[baseline.Entry]) -> None:
    write_text(file, baseline.render([*kept, *baseline.of(report.findings)]))
    count = len(report.findings)
    others = f"; {len(kept)} of files that were not checked are kept" if kept else ""
    click.echo(f"{count} finding{'s' if count != 1 else ''} written to {os.path.relpath(file)}{others}.")


def _cores() -> int:
    """The number of cores, or 1 where they are too few for what processes have to send back."""
    cores = os.cpu_count() or 1
    return cores if cores >= _ENOUGH_CORES else 1


def _show_files(paths: tuple[Path, ...], root: Path, configuration: Configuration) -> None:
    chosen = select(paths, root, configuration.exclude)
    for path in map(shown_from(root), sorted(chosen.named)):
        click.echo(path)


def _exit_code(report: Report, fail_on: str) -> int:
    if report.errors:
        return EXIT_ERROR
    if fail_on == "never":
        return EXIT_CLEAN
    failing = any(f.severity.rank >= Severity(fail_on).rank for f in report.findings)
    return EXIT_FINDINGS if failing else EXIT_CLEAN


def _print(report: Report, given: dict[str, Any]) -> None:
    relative = shown_from(report.root)

    def shown(path: str) -> str:
        # Names of files may be any bytes.
        return os.fsencode(relative(path)).decode(errors="backslashreplace")

    file: Path | None = given["output_file"]
    if given["output_format"] != TEXT:
        text = render(given["output_format"], report, shown)
    else:
        from mulint.reporting import text as plain

        if given["statistics"]:
            text = plain.statistics(report)
        else:
            rendered = plain.render(report, shown, verbose=given["verbose"], quiet=given["quiet"])
            if file is None:
                plain.to_terminal(rendered)
                return
            text = rendered.plain
    text = text.encode(errors="backslashreplace").decode()
    if file is None:
        click.echo(text, nl=False)
    else:
        write_text(file, text)
