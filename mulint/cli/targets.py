"""What a command that runs a model is asked to run: a target on the command line, or a configured model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mulint.cli import CannotRun
from mulint.configuration import Model, load, nearest
from mulint.source.discovery import project_root
from mulint.tracing.process import TraceFailed


def model(target: str, config: Path | None) -> Model:
    """What is to be run: a configured model, or one that only the target tells of.

    Raises:
        CannotRun: there is no such model.
        ConfigurationError: the configuration is not valid.
    """
    if all(target.rpartition(":")):
        return Model(Path.cwd(), target, target, is_case=False)
    models = load(project_root([Path()]), config).models
    known = [model.name for model in models]
    if target not in known:
        names = f"; configured: {', '.join(known)}" if known else ""
        raise CannotRun(
            f"no model under [[tool.mulint.models]] is called {target}{nearest(target, known)}{names}; "
            "or write path/file.py:name"
        )
    return models[known.index(target)]


@contextmanager
def running(*, verbose: bool) -> Iterator[None]:
    """A run of the user's code; with ``verbose`` what it printed is shown if it fails.

    Raises:
        CannotRun: it fails.
    """
    try:
        yield
    except TraceFailed as failure:
        if verbose and failure.output:
            click.echo(failure.output.rstrip(), err=True)
        raise CannotRun(str(failure)) from None


def widths(text: str | None) -> tuple[float, ...]:
    """Different positive numbers separated by commas; none without a text.

    Raises:
        CannotRun: they are not.
    """
    if not text:
        return ()
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise CannotRun(f"--widths {text}: write numbers with commas, as in 64,128,256") from None
    if not found or min(found) <= 0 or len(set(found)) != len(found):
        raise CannotRun(f"--widths {text}: write different positive numbers, as in 64,128,256")
    return found
