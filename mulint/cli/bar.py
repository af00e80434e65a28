"""A progress bar on standard error, when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def bar(stages: Sequence[str]) -> Iterator[Callable[[str, float], None] | None]:
    """One bar for every stage, shown from its first report; None where nobody is watching."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        tasks = {stage: shown.add_task(stage, total=1.0, visible=False) for stage in stages}
        yield (
            lambda stage, done: (
                shown.update(tasks[stage], completed=done, visible=True) if stage in tasks else None
            )
        )
