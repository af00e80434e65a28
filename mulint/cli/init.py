"""``mulint init``: write the ``[tool.mulint]`` table, and a case file, from what the code shows."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import click

from mulint import proposing
from mulint.analysis import analyse
from mulint.checking import load_sources
from mulint.cli import CannotRun
from mulint.configuration import Configuration, ConfigurationError, load_from
from mulint.facts.spans import line_of
from mulint.findings import Cells, where
from mulint.program.values import Site
from mulint.rewriting.patch import FilePatch
from mulint.rewriting.writing import CannotWrite, write
from mulint.source.discovery import project_root, select
from mulint.source.reading import CannotRead, read

PROJECT = "pyproject.toml"
_SHOWN = 5


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path())
@click.option("--exclude", multiple=True, help="Glob of files or folders to leave out; may be repeated.")
@click.option("--diff", is_flag=True, help="Show the changes and write nothing.")
def init(path: Path, exclude: tuple[str, ...], diff: bool) -> None:
    """Ask for μP in the project at PATH (default: here): find its model, widths, base sizes and optimizers.

    Writes a [tool.mulint] table into pyproject.toml, and a case function to complete. No code is run. Nothing that
    exists is overwritten: a project that has the table exits with 2.
    """
    root = project_root([path])
    before = _without_table(root)
    configuration = Configuration(exclude=exclude)
    sources, _, _ = load_sources(select([path], root, exclude), configuration)
    if not any(source.mentions_torch for source in sources):
        raise CannotRun(f"no Python file below {os.path.relpath(root)} mentions torch; name the project's folder")
    analysis = analyse(sources, configuration)
    # What stands in a notebook cannot be imported, and so is neither built nor traced.
    found = [m for m in proposing.models(analysis.program, analysis.facts) if m.kind.path.endswith(".py")]
    model = found[0] if found else None
    cells = {source.path: source.cells for source in sources}
    packages = {str(PurePosixPath(p).parent) for p in cells if PurePosixPath(p).name == "__init__.py"}
    case = proposing.case_file(model, packages, cells) if model else None
    files = [FilePatch(PROJECT, before, _appended(before, proposing.table(model, case)), 1)]
    files += [FilePatch(case.path, None, case.text, 1)] if case else []
    if diff:
        click.echo("".join(file.diff for file in files), nl=False)
    else:
        try:
            write(root, files)
        except CannotWrite as error:
            raise CannotRun(str(error)) from None
    said = _said(found, proposing.optimizers(analysis.program), cells)
    for line in (*said, *_next(model, files, written=not diff)):
        click.echo(line, err=diff)


def _without_table(root: Path) -> str | None:
    """The text of pyproject.toml, which has no table yet; None if there is no such file."""
    path = root / PROJECT
    if not path.exists():
        return None
    try:
        if load_from(path) is not None:
            raise CannotRun(f"{os.path.relpath(path)} has a [tool.mulint] table already; change it by hand")
        return read(root, PROJECT, 1 << 30).text
    except (ConfigurationError, CannotRead) as error:
        raise CannotRun(str(error)) from None


def _appended(before: str | None, table: str) -> str:
    """The file with the table at its end, in its own kind of newlines."""
    newline = "\r\n" if before and "\r\n" in before else "\n"
    kept = (before or "").rstrip("\r\n")
    text = f"{kept}{newline * 2 if kept else ''}{table.replace(chr(10), newline)}"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotRun(
            f"{PROJECT} cannot take the table at its end ({error}); add it by hand:\n{table}"
        ) from None
    return text


def _said(
    found: Sequence[proposing.Found], optimizers: Sequence[tuple[str, Site]], cells: Mapping[str, Cells]
) -> Iterator[str]:
    if not found:
        yield (
            "No model with a size that can be followed to a knob was found in a .py file: "
            "the table names no model."
        )
    for model in found[:1]:
        path = model.kind.path
        yield f"Model: {model.kind.name} ({where(path, line_of(model.kind.node.span), cells[path])})."
        yield f"Width: {', '.join(setting.name for setting in model.widths)}."
        sizes = ", ".join(f"{name} = {size:g}" for name, size in model.base.items())
        yield f"Base: {sizes or 'not known'}."
        if model.unknown:
            yield f"Not found: the base size of {', '.join(model.unknown)}; give it under base."
    others = [f"{m.kind.path}:{m.kind.name}" for m in found[1:]]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield f"Other models: {', '.join(others[:_SHOWN])}{more}; each can have a table of its own."
    if not optimizers:
        yield "Not found: an optimizer; learning rates are not judged until a case gives one."
    for kind, site in optimizers[:_SHOWN]:
        yield f"Optimizer: {kind.rpartition('.')[2]} ({where(site.path, site.line, cells[site.path])})."


def _next(model: proposing.Found | None, files: Sequence[FilePatch], *, written: bool) -> Iterator[str]:
    names = ", ".join(file.path for file in files)
    yield f"Written: {names}." if written else f"Would write: {names}."
    steps = (
        "`mulint check`" if model is None else f"`mulint check`, then `mulint trace {proposing.name_of(model)}`"
    )
    yield f"Next: {steps} and `mulint fix --diff`."
