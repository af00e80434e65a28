"""``mulint fix``: rewrite code into μP, all or nothing for each model and its optimizers."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mulint.cli import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, CannotRun, choosing
from mulint.cli.options import base_width, codes, force_exclude_option
from mulint.configuration import Configuration, ConfigurationError, Model, load
from mulint.reporting import fix_json, fix_text
from mulint.rewriting import fixing, planning
from mulint.rewriting.patch import Patch
from mulint.rewriting.targets import TARGETS
from mulint.rewriting.writing import CannotWrite, recover, write
from mulint.source.discovery import project_root, shown_from, without_excluded


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--diff", is_flag=True, help="Show the changes and write nothing.")
@click.option("--select", help="Codes or prefixes to fix, separated by commas; parts of a unit are allowed then.")
@click.option("--base-width", "base", metavar="NAME=N|N", help="Sizes of the base model, whose rates were tuned.")
@click.option(
    "--target", type=click.Choice(list(TARGETS)), help="Write plain PyTorch (default) or the mup package."
)
@click.option("--exclude", multiple=True, help="Glob of files or folders to leave out; may be repeated.")
@force_exclude_option
@click.option("--config", type=click.Path(path_type=Path), help="Read [tool.mulint] from this file.")
@click.option("--verify/--no-verify", default=None, help="Prove the patch (default: when a model is configured).")
@click.option("--unsafe-fixes", is_flag=True, help="Also make the repairs that change how the base model trains.")
@click.option("--interactive", is_flag=True, help="Show each repair and ask whether to make it.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def fix(
    paths: tuple[Path, ...],
    diff: bool,
    select: str | None,
    base: str | None,
    target: str | None,
    exclude: tuple[str, ...],
    force_exclude: bool,
    config: Path | None,
    verify: bool | None,
    unsafe_fixes: bool,
    interactive: bool,
    output_format: str,
) -> None:
    """Rewrite PATHS (default: here) into μP. Notes are fixed too: asking for it is intent.

    Exit codes: 0 everything was fixed, 1 something is left, 2 something could not be read or written, or a base
    size is not known.
    """
    chosen = paths or (Path(),)
    root = project_root(chosen)
    ask = None
    if interactive:
        choosing.require_terminal()
        ask = functools.partial(choosing.choose, shown=shown_from(root))
    try:
        if not diff:
            recover(root)
        configuration = _configuration(root, config, target, select, exclude)
        if force_exclude:
            chosen = without_excluded(chosen, root, configuration.exclude)
        plan = planning.Plan(base_width(base), partial=bool(codes(select)), unsafe=unsafe_fixes)
        patch, errors = fixing.fix(chosen, root, configuration, plan, ask)
        certificate: Mapping[str, Any] = fix_json.NOT_CHECKED
        if patch.files and (bool(configuration.models) if verify is None else verify):
            certificate = _certify(root, patch, configuration)
        proved = certificate["base_identical"] is not False and certificate["invariants"] != "fail"
        if not diff and proved:
            write(root, patch.files)
    except (ConfigurationError, CannotWrite) as error:
        raise CannotRun(str(error)) from None
    _print(root, patch, certificate, output_format, diff=diff, written=not diff and proved)
    for unread in errors:
        click.echo(f"{shown_from(root)(unread.path)}:{unread.line}: {unread.code} {unread.message}", err=True)
    left = bool(patch.left) or not proved
    asks = any(item.question for item in patch.left)
    sys.exit(EXIT_ERROR if errors or asks else EXIT_FINDINGS if left else EXIT_CLEAN)


def _configuration(
    root: Path, config: Path | None, target: str | None, select: str | None, exclude: tuple[str, ...]
) -> Configuration:
    configuration = load(root, config)
    return dataclasses.replace(
        configuration,
        target=target or configuration.target,
        select=codes(select) or configuration.select,
        exclude=(*configuration.exclude, *exclude),
    )


def _certify(root: Path, patch: Patch, configuration: Configuration) -> Mapping[str, Any]:
    """Build the model before and after the patch, in a process of its own."""
    from mulint.verification import certify, for_changing

    model = _configured(root, patch, configuration)
    target = next(iter(patch.models), None) if model is None else model.relative_to(root)
    base = {**(model.base if model else {}), **dict(patch.base)}
    settings: dict[str, Any] = {"embedding_lr": configuration.embedding_lr, "packages": patch.packages}
    if model is not None:
        settings |= {"knobs": model.knobs, "follow": model.follow, "settings": model.settings}
    if not patch.changing:
        return dataclasses.asdict(certify(root, patch.files, target, base, **settings))
    kept = certify(root, patch.keeping, target, base, parts=["base"], **settings) if patch.keeping else None
    whole = certify(root, patch.files, target, base, parts=["invariants"], **settings)
    edits = [f"{code} at {path}:{line}" for code, path, line in patch.changing]
    return dataclasses.asdict(for_changing(edits, kept, whole))


def _configured(root: Path, patch: Patch, configuration: Configuration) -> Model | None:
    """The configured model to prove a patch on: one that the patch changes, if it is built by its class."""
    models = configuration.models
    changed = [model for model in models if model.relative_to(root) in patch.models]
    return next(iter((*changed, *models)), None)


def _print(
    root: Path, patch: Patch, certificate: Mapping[str, Any], output_format: str, *, diff: bool, written: bool
) -> None:
    if output_format == "json":
        click.echo(fix_json.render(patch, certificate), nl=False)
        return
    shown = shown_from(root)
    if diff:
        click.echo("".join(file.diff for file in patch.files), nl=False)
    click.echo(fix_text.left(patch.left, shown), nl=False, err=True)
    click.echo(fix_text.summary(patch, shown, written=written), nl=False, err=diff)
    if certificate is not fix_json.NOT_CHECKED:
        click.echo(fix_text.certificate(certificate, patch), nl=False, err=diff)
    elif patch.files:
        click.echo(fix_text.NOT_PROVED, nl=False, err=diff)
    click.echo(fix_text.unsafe(patch), nl=False, err=diff)
    if diff or written:
        click.echo(fix_text.next_step(patch, written=written), nl=False, err=diff)
    elif patch.files:
        click.echo(fix_text.NOT_WRITTEN, nl=False)
