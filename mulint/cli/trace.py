"""``mulint trace``: build a model at several widths and say what every parameter is and how it scales."""

from __future__ import annotations

import ast
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mulint.checking import check
from mulint.cli import EXIT_CLEAN, EXIT_ERROR, EXIT_FINDINGS, CannotRun, write_text
from mulint.cli.bar import bar
from mulint.cli.files import planned
from mulint.cli.options import base_width, pair
from mulint.cli.targets import model, running, widths
from mulint.configuration import ConfigurationError, load
from mulint.evidence import merge
from mulint.findings import Finding
from mulint.reporting import trace_html, trace_json, trace_plot, trace_text
from mulint.source.discovery import project_root, shown_from
from mulint.traces import Trace
from mulint.tracing.process import run
from mulint.tracing.request import STAGES, Limits, Request

EXIT = {"pass": EXIT_CLEAN, "fail": EXIT_FINDINGS, "inconclusive": EXIT_ERROR}


@click.command()
@click.argument("target")
@click.option(
    "--knob", "knobs", multiple=True, metavar="NAME", help="A setting that is the width; may be repeated."
)
@click.option(
    "--follow", multiple=True, metavar="NAME=EXPR", help="A setting computed from knobs: 'd_ff=4 * d_model'."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Give a setting a value: n_layer=2.")
@click.option("--widths", metavar="W,W,W", help="Widths to build at, at least three.")
@click.option("--base-width", metavar="NAME=N|N", help="Base width of the parametrization.")
@click.option("--device", default="cpu", show_default=True, help="Device of training: cpu, cuda, mps or auto.")
@click.option("--dtype", default="float32", show_default=True, help="float32, float64, bfloat16 or float16.")
@click.option("--autocast", default="", metavar="DTYPE", help="Compute losses in bfloat16 or float16.")
@click.option("--steps", type=click.IntRange(1), help="Training steps of the coordinate check.")
@click.option("--seeds", type=click.IntRange(1), help="Number of seeds of the coordinate check.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--stages", default=",".join(STAGES), show_default=True, help="Which stages to run.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--html", type=click.Path(path_type=Path), help="Also write a report as one HTML file.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also write the coordinate plots: .svg or .png.")
@click.option("--timeout", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds.")
@click.option("--memory", type=click.FloatRange(min=0.1), default=8.0, show_default=True, help="GiB.")
@click.option("--config", type=click.Path(path_type=Path), help="Read [tool.mulint] from this file.")
@click.option("--verbose", is_flag=True, help="On failure also show what the model's code printed.")
def trace(**options: Any) -> None:
    """Trace TARGET: a case function `cases.py:gpt`, a class `model.py:GPT`, or a configured model's name `gpt`.

    Models of installed packages are named by module: a Hugging Face configuration `transformers:LlamaConfig`,
    a timm model `timm:vit_tiny_patch16_224`, a class or a case function `package.module:name`. They need no
    case: their widths are found by building them on the meta device.

    A case that shards its model with fully_shard runs under `torchrun --nproc-per-node 2 -m mulint trace`.

    Exit codes: 0 the trace passes, 1 it fails, 2 the model cannot be built or the trace is inconclusive.
    """
    plotted = planned(options["html"], options["plot"])
    limits = Limits(seconds=options["timeout"], memory=int(options["memory"] * 2**30))
    try:
        request = _request(options)
        if plotted is not None and "coordinates" not in request.stages:
            raise CannotRun("--plot shows the coordinate check; add coordinates to --stages")
        with running(verbose=options["verbose"]), bar(STAGES) as progress:
            result = run(request, limits, progress)
        static = () if request.module else _static(Path(request.root), options["config"])
        result = dataclasses.replace(result, findings=merge(static, result))
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    if os.environ.get("RANK", "0") != "0":
        return  # under torchrun every process has the same result, and the first one tells it
    root = Path(request.root)
    _show(result, root, options["output_format"])
    if options["html"] is not None:
        write_text(options["html"], trace_html.render(result, shown_from(root)))
    if plotted is not None:
        plotted(trace_plot.overview(result))
    sys.exit(EXIT[result.verdict])


def _static(root: Path, config: Path | None) -> Sequence[Finding]:
    return check([root], root, load(root, config)).findings


def _show(result: Trace, root: Path, output_format: str) -> None:
    text = trace_json.render(result) if output_format == "json" else trace_text.render(result, shown_from(root))
    click.echo(text, nl=False)


def _request(options: dict[str, Any]) -> Request:
    found = model(options["target"], options["config"])
    path, _, name = found.target.rpartition(":")
    module = path if not path.endswith(".py") and all(map(str.isidentifier, path.split("."))) else ""
    file = (found.folder / path).absolute()
    stages = tuple(stage.strip() for stage in options["stages"].split(",") if stage.strip())
    root = project_root([file if file.exists() else file.parent])
    wrong = [stage for stage in stages if stage not in STAGES]
    if wrong or not stages:
        raise CannotRun(f"--stages {options['stages']}: choose from {', '.join(STAGES)}")
    settings = [pair("--set", text) for text in options["settings"]]
    return Request(
        file="" if module else str(file),
        module=module,
        name=name,
        root=str(root),
        knobs=options["knobs"] or found.knobs,
        follow={**found.follow, **dict(pair("--follow", text) for text in options["follow"])},
        settings={**found.settings, **{key: _literal(value) for key, value in settings}},
        widths=widths(options["widths"]) or found.widths,
        base=base_width(options["base_width"]) or dict(found.base),
        device=options["device"],
        dtype=options["dtype"],
        autocast=options["autocast"],
        steps=options["steps"],
        seeds=options["seeds"],
        seed=options["seed"],
        stages=stages,
        embedding_lr="constant" if module else load(root, options["config"]).embedding_lr,
    )


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
