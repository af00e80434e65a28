"""μP as a test of a project's own test suite.

The case is written once, as a function of the width, beside the tests or in them::

    import torch
    from mulint import Case
    from mulint.testing import assert_mup
    from model import GPT, configure_optimizer


    def gpt(width):
        tokens = torch.randint(256, (4, 33))
        return Case(
            model=GPT(n_embd=width, n_head=4, n_layer=2, base_n_embd=64),
            batch=(tokens[:, :-1], tokens[:, 1:]),
            loss=lambda model, batch: model(*batch)[1],
            optimizer=lambda model: configure_optimizer(model, lr=1e-3),
        )


    def test_gpt_is_in_mup():
        assert_mup(gpt)

A model that departs from μP fails the test, with the parameters at fault, their lines, and the exponent of the
width that was found against the one that is expected.
"""

from __future__ import annotations

import functools
import inspect
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mulint.case import Case
from mulint.configuration import load
from mulint.reporting import trace_failure
from mulint.source.discovery import project_root, shown_from
from mulint.tracing import building, devices, stages
from mulint.tracing.model import CannotBuild
from mulint.tracing.request import Request

__all__ = ["assert_mup"]


def assert_mup(
    case: Callable[[Any], Case],
    *,
    widths: Sequence[float] = (),
    steps: int | None = None,
    seeds: int | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Assert that a model scales as μP asks: what ``mulint trace`` measures, with its verdict.

    The case is called in this process, so that it may be a local function, a closure or a
    ``functools.partial``. The state of the random generators is put back afterwards. Give it the model before
    ``torch.compile``: what is compiled cannot be followed.

    Args:
        case: a function of the width that returns a ``mulint.Case`` with its optimizer.
        widths: at least three, of which the smallest is the base; by default 64, 128, 256 and 512.
        steps: training steps of the coordinate check; by default 3.
        seeds: how many; by default they are added until the verdict is clear.
        seed: the first.
        device: where to train: as torch calls it, or ``auto``.

    Raises:
        AssertionError: the model departs from μP, or it cannot be judged (without an optimizer the rates
            are not known); the message says what, where, and what to do.
        ValueError: the case cannot be built or run.
    """
    __tracebackhide__ = True
    file, name = _source(case)
    root = project_root([file])
    request = Request(
        file=str(file),
        name=name,
        root=str(root),
        widths=tuple(float(width) for width in widths),
        device=device,
        steps=steps,
        seeds=seeds,
        seed=seed,
        embedding_lr=load(root).embedding_lr,
    )
    try:
        request = replace(request, device=devices.chosen(device))
        with _state_kept():
            trace = stages.run(building.of_case(case, request), request, lambda _stage, _done: None)
    except CannotBuild as error:
        raise ValueError(str(error)) from error.__cause__
    if trace.verdict != "pass":
        raise AssertionError(trace_failure.render(trace, shown_from(Path(request.root))))


def _source(case: Callable[..., Any]) -> tuple[Path, str]:
    """The file and the name of a function."""
    function: Any = case
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not hasattr(function, "__name__"):
        function = type(function)
    file = inspect.getsourcefile(function)
    return (Path(file) if file else Path.cwd() / "case").absolute(), function.__name__


@contextmanager
def _state_kept() -> Iterator[None]:
    """Put back what a trace changes in its process: random states and the number of threads."""
    threads, state = torch.get_num_threads(), random.getstate()
    numpy = sys.modules.get("numpy")
    of_numpy = numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(state)
        if numpy:
            numpy.random.set_state(of_numpy)
