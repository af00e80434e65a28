"""Runs a sweep: its points in parallel worker processes, each written down as soon as it is finished."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

from mulint.sweeps import Sweep
from mulint.tracing.process import POLL, call
from mulint.tracing.request import Limits
from mulint.transfer.journal import Journal
from mulint.transfer.optimum import Losses, judge
from mulint.transfer.request import Job, Point

Progress = Callable[[int, int], None]
"""Told how many points are finished, and of how many."""


def sweep(name: str, job: Job, journal: Journal, limits: Limits, jobs: int, progress: Progress) -> Sweep:
    """Run what is missing of a sweep, and judge it.

    Args:
        name: of the model, for the report.
        job: what to run.
        journal: what is finished, and where it is written down.
        limits: of one run.
        jobs: how many runs go on at once.
        progress: called in this thread.

    Raises:
        TraceFailed: a run failed; those that were finished are written down.
        OSError: the journal cannot be read or written.
    """
    _run(job, journal, limits, jobs, progress)
    known = journal.known()
    first = job.request.seed
    losses: Losses = tuple(
        tuple(
            tuple(known[(width, octave, seed)] for seed in range(first, first + job.seeds))
            for octave in job.octaves
        )
        for width in job.request.widths
    )
    judgement = judge(job.request.widths, job.octaves, losses)
    return Sweep(
        model=name,
        widths=tuple(int(width) if width.is_integer() else width for width in job.request.widths),
        octaves=job.octaves,
        seeds=job.seeds,
        steps=job.steps,
        averaged=job.averaged,
        device=job.request.device,
        dtype=job.request.dtype,
        losses=losses,
        optima=judgement.optima,
        shift=judgement.shift,
        verdict=judgement.verdict,
        reason=judgement.reason,
        notes=judgement.notes,
    )


def _run(job: Job, journal: Journal, limits: Limits, jobs: int, progress: Progress) -> None:
    known = journal.known()
    points = job.points()
    due = [point for point in points if point.key not in known]
    stop = threading.Event()

    def run(point: Point) -> None:
        answer = call("mulint.transfer.point", point.to_json(), limits, stopped=stop.is_set)
        journal.add(point.key, settled(answer["losses"], job))

    done = len(points) - len(due)
    progress(done, len(points))
    with _interrupts() as interrupted, ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run, point) for point in due}
        try:
            while waiting:
                finished, waiting = wait(waiting, POLL, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    done += 1
                    progress(done, len(points))
                if interrupted.is_set():
                    raise KeyboardInterrupt
        except BaseException:  # an interrupt too: nothing that was started may go on
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Tells of an interrupt instead of raising it anywhere: inside a lock of the pool it would hang."""
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    taken = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if taken:
        signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        if taken:
            signal.signal(signal.SIGINT, before)


def settled(losses: Sequence[float], job: Job) -> float | None:
    """The mean of the last losses; None where the run diverged."""
    last = losses[-job.averaged :]
    return sum(last) / len(last) if len(losses) == job.steps and all(map(math.isfinite, last)) else None
