"""``mulint transfer``: train at several widths and learning rates, and see whether the best rate moves."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from mulint.cli import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, CannotRun, write_text
from mulint.cli.bar import bar
from mulint.cli.files import planned, writable
from mulint.cli.options import base_width
from mulint.cli.targets import model, running, widths
from mulint.configuration import ConfigurationError
from mulint.reporting import transfer_html, transfer_json, transfer_plot, transfer_text
from mulint.source.cache import NAME, prepare
from mulint.source.discovery import project_root
from mulint.sweeps import Sweep
from mulint.tracing.request import Limits, Request
from mulint.transfer.journal import Journal
from mulint.transfer.request import Job
from mulint.transfer.sweeping import sweep

EXIT = {"transfers": EXIT_CLEAN, "shifted": EXIT_FINDINGS, "inconclusive": EXIT_ERROR}
WIDTHS = (64.0, 128.0, 256.0)


@click.command()
@click.argument("case")
@click.option("--widths", metavar="W,W", help="Two widths or more.  [default: 64,128,256]")
@click.option("--octaves", metavar="LOW:HIGH", default="-4:4", show_default=True, help="Rates: powers of two.")
@click.option("--steps", type=click.IntRange(1), default=30, show_default=True, help="Training steps of a run.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Number of seeds.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--base-width", metavar="NAME=N|N", help="Base width of the parametrization.")
@click.option("--device", default="cpu", show_default=True, help="Device of training: cpu, cuda, mps or auto.")
@click.option("--dtype", default="float32", show_default=True, help="float32, float64, bfloat16 or float16.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at once.  [default: one a core, one on cuda]")
@click.option("--points", type=click.Path(path_type=Path), help="File of the finished runs, to go on from.")
@click.option("--fresh", is_flag=True, help="Forget the finished runs.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--html", type=click.Path(path_type=Path), help="Also write a report as one HTML file.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also write the plot: .svg or .png.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds of a run."
)
@click.option("--memory", type=click.FloatRange(min=0.1), default=8.0, show_default=True, help="GiB of a run.")
@click.option("--config", type=click.Path(path_type=Path), help="Read [tool.mulint] from this file.")
@click.option("--verbose", is_flag=True, help="On failure also show what the model's code printed.")
def transfer(**options: Any) -> None:
    """Sweep the learning rates of CASE, `cases.py:gpt` or a configured model's name, over widths.

    All rates of the case's optimizer, and of its schedule, are multiplied by powers of two: -4:4 is a 16th to 16
    times. Every step uses the case's batch; a loss function that draws its own data gets the same draws at
    every width. Finished runs are kept: the same command goes on where it was, and more rates or seeds only add
    runs.

    Exit codes: 0 the best rate stays within a factor of two from the narrowest width to the widest, 1 it moves
    further, 2 it could not be judged.
    """
    plotted = planned(options["html"], options["plot"])
    try:
        job = _job(options)
        journal = _journal(job, options)
        result = _run(job, journal, options)
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    render = transfer_json.render if options["output_format"] == "json" else transfer_text.render
    click.echo(render(result), nl=False)
    if options["html"] is not None:
        write_text(options["html"], transfer_html.render(result))
    if plotted is not None:
        plotted([transfer_plot.panel(result)])
    sys.exit(EXIT[result.verdict])


def _run(job: Job, journal: Journal, options: dict[str, Any]) -> Sweep:
    limits = Limits(seconds=options["timeout"], memory=int(options["memory"] * 2**30))
    jobs = options["jobs"] or (1 if job.request.device != "cpu" else os.cpu_count() or 1)
    count = [0, 0]
    kept = f"finished runs are kept in {journal.path}; the same command goes on from there"
    with ExitStack() as stack:
        shown = stack.enter_context(bar(["runs"]))

        def progress(done: int, total: int) -> None:
            count[:] = done, total
            if shown is not None:
                shown("runs", done / total)

        try:
            name = f"{Path(job.request.file).name}:{job.request.name}"
            with running(verbose=options["verbose"]):
                return sweep(name, job, journal, limits, jobs, progress)
        except KeyboardInterrupt:
            raise CannotRun(f"interrupted; {count[0]} of {count[1]} {kept}") from None
        except OSError as error:
            raise CannotRun(f"{journal.path}: {error.strerror}; name another file with --points") from None


def _job(options: dict[str, Any]) -> Job:
    found = model(options["case"], options["config"])
    path, _, name = found.target.rpartition(":")
    file = (found.folder / path).absolute()
    chosen = tuple(sorted(widths(options["widths"]) or found.widths or WIDTHS))
    if len(chosen) < 2:
        raise CannotRun(f"--widths {options['widths']}: a shift needs two widths or more")
    if not file.is_file():
        raise CannotRun(f"{found.target}: {path} does not exist; name a file as path/file.py:function")
    request = Request(
        file=str(file),
        name=name,
        root=str(project_root([file])),
        knobs=found.knobs,
        follow=dict(found.follow),
        settings=dict(found.settings),
        widths=chosen,
        base=base_width(options["base_width"]) or dict(found.base),
        device=options["device"],
        dtype=options["dtype"],
        seed=options["seed"],
    )
    return Job(request, octaves(options["octaves"]), options["seeds"], options["steps"])


def octaves(text: str) -> tuple[float, ...]:
    """``-4:4`` as all whole numbers from the first to the last.

    Raises:
        CannotRun: it is not that.
    """
    low, _, high = text.partition(":")
    try:
        first, last = int(low), int(high)
    except ValueError:
        raise CannotRun(f"--octaves {text}: write two whole numbers, as in -4:4") from None
    if last - first < 2:
        raise CannotRun(f"--octaves {text}: a best rate needs three rates or more, as in -4:4")
    return tuple(float(octave) for octave in range(first, last + 1))


def _journal(job: Job, options: dict[str, Any]) -> Journal:
    path = options["points"]
    if path is None:
        cache = Path(os.environ.get("MULINT_CACHE_DIR") or Path(job.request.root) / NAME)
        path = cache / "transfer" / f"{Path(job.request.file).stem}-{job.request.name}.jsonl"
        try:
            prepare(cache, path.parent)
        except OSError as error:
            raise CannotRun(f"{path.parent}: {error.strerror}; name a file with --points") from None
    writable(path)
    if options["fresh"]:
        path.unlink(missing_ok=True)
    return Journal(path, job.origin())
