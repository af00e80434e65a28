"""Runs a task in a worker process with limits. User code never runs in the process of the command line.

The worker gets its own session, no standard input, and a private pipe for its answer; what the user's code
prints is read and bounded. Whatever happens, the whole process group is killed at the end, and what left it too.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mulint.traces import Trace
from mulint.tracing.request import Limits, Request

POLL = 0.1
MARK = "MULINT_WORKER"  # in the environment of the worker and of all that it starts
KEPT_OUTPUT = 20_000
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",  # sets of names have one order in every worker
    "TQDM_DISABLE": "1",
    "WANDB_MODE": "disabled",
    "HF_HUB_OFFLINE": "1",
}

Progress = Callable[[str, float], None]


class TraceFailed(Exception):
    """The trace could not be made. The message is one line with the remedy; ``output`` is what was printed.

    ``of_code`` tells whether the user's code is at fault, rather than a limit or mulint itself.
    """

    def __init__(self, message: str, output: str = "", *, of_code: bool = True) -> None:
        super().__init__(message)
        self.output = output
        self.of_code = of_code


def run(request: Request, limits: Limits = Limits(), progress: Progress | None = None) -> Trace:  # noqa: B008
    """Make a trace in a worker process.

    Raises:
        TraceFailed: the model could not be built or run, or went over a limit.
    """
    return Trace.from_wire(call("mulint.tracing.stages", request.to_json(), limits, progress))


def call(
    task: str,
    request: str,
    limits: Limits,
    progress: Progress | None = None,
    folder: Path | None = None,
    stopped: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Run ``answer(request, progress)`` of one of mulint's modules in a worker process.

    Args:
        task: the module's dotted name.
        request: what it is asked, as one line of JSON.
        limits: what the worker may use.
        progress: told the stage and how much of it is done.
        folder: the worker's working directory; the caller's own when None.
        stopped: asked again and again whether to give up.

    Raises:
        TraceFailed: the task raised ``CannotBuild``, ended the process, went over a limit, or was stopped.
    """
    read, write = os.pipe()
    command = [sys.executable, "-P", "-m", "mulint.tracing.worker", task, str(write)]
    mark = secrets.token_hex(16)
    try:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ENVIRONMENT, "MULINT_REQUEST": request, MARK: mark},
            cwd=folder,
            pass_fds=(write,),
            start_new_session=True,
        )
    finally:
        os.close(write)
    try:
        with os.fdopen(read, "rb", buffering=0) as answers:
            return _Watch(worker, answers, limits, progress, stopped).result()
    finally:
        _end(worker, mark)


@dataclass(slots=True)
class _Watch:
    """Reads a worker's pipes until it answers, ends, or goes over a limit."""

    worker: subprocess.Popen[bytes]
    answers: IO[bytes]
    limits: Limits
    progress: Progress | None
    stopped: Callable[[], bool] | None
    printed: bytearray = field(default_factory=bytearray)
    total: int = 0
    pending: bytearray = field(default_factory=bytearray)
    traced: bool = False

    def result(self) -> dict[str, Any]:
        deadline = time.monotonic() + self.limits.seconds
        assert self.worker.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            selector.register(self.worker.stdout, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(POLL):
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                        if key.fileobj is self.answers:
                            raise self.failed(self.ended())
                    elif key.fileobj is self.answers:
                        answer = self.answer(data)
                        if answer is not None:
                            return answer
                    else:
                        self.note(data)
                self.check(deadline)

    def answer(self, data: bytes) -> dict[str, Any] | None:
        """Read complete lines of the private pipe: progress, an error, or the answer."""
        self.pending += data
        *lines, rest = bytes(self.pending).split(b"\n")
        self.pending = bytearray(rest)
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise self.failed(message["error"], of_code=message["of_code"])
            if "answer" in message:
                answer: dict[str, Any] = message["answer"]
                return answer
            self.traced = True
            if self.progress is not None:
                self.progress(message["stage"], message["done"])
        return None

    def note(self, data: bytes) -> None:
        self.total += len(data)
        self.printed += data
        del self.printed[:-KEPT_OUTPUT]

    def check(self, deadline: float) -> None:
        limits = self.limits
        if self.stopped is not None and self.stopped():
            raise self.failed("it was stopped before it was done", of_code=False)
        if time.monotonic() > deadline:
            why = "the model hangs or is too large: "
            if not self.traced:
                why = "nothing was traced yet: guard what its file runs with `if __name__ == '__main__':`, or "
            raise self.failed(
                f"the trace took longer than {limits.seconds:g} s; {why}"
                "pass smaller --widths, --set a smaller depth, or a longer --timeout",
                of_code=False,
            )
        if self.total > limits.output:
            raise self.failed(
                f"the model's code printed more than {limits.output >> 20} MiB; remove the printing", of_code=False
            )
        used = _resident(self.worker.pid)
        if used > limits.memory:
            raise self.failed(
                f"the model used more than {limits.memory / 2**30:g} GiB of memory; "
                "pass smaller --widths, --set a smaller vocabulary or depth, or a larger --memory",
                of_code=False,
            )

    def ended(self) -> str:
        """The worker closed its pipe without an answer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.worker.wait(5)
        code = self.worker.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"the model's code crashed the process ({name}); run it by itself to see where"
        return (
            f"the model's code ended the process (exit code {code}); "
            "remove the call of exit, or guard the script part with `if __name__ == '__main__':`"
        )

    def failed(self, message: str, *, of_code: bool = True) -> TraceFailed:
        return TraceFailed(message, bytes(self.printed).decode("utf-8", "replace"), of_code=of_code)


def _resident(pid: int) -> int:
    """Resident bytes of a process, 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _marked(mark: str) -> Iterator[int]:
    """The processes that inherited a mark, where the system tells."""
    entry = f"{MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry in (process / "environ").read_bytes():
                yield int(process.name)


def _descendants(pid: int) -> set[int]:
    """The processes below one, where the system tells."""
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            status = (process / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(process.name)] = int(status.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _end(worker: subprocess.Popen[bytes], mark: str) -> None:
    """Kill the worker and everything it started, and collect it."""
    below = _descendants(worker.pid)  # as long as the worker lives, also those in sessions of their own
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    for pid in (*below, *_marked(mark)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    if worker.stdout is not None:
        worker.stdout.close()
