"""Runs functions in forks of a process that has torch loaded: a new interpreter without its start.

A trace starts a worker, which loads torch and its compiler for three seconds before it does anything. Here that is
a fork as well; it starts as a new process would, with the modules of mulint still to be imported. What is about
starting and ending processes themselves is tested with real ones.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from mulint.tracing.request import Limits

WORKER = "mulint.tracing.worker"
AVAILABLE = sys.platform == "linux"  # elsewhere a fork is not safe after libraries are loaded
_POPEN = subprocess.Popen


def script(arguments: Sequence[str], cwd: Path) -> str:
    """What a script prints: its path, or ``-m`` and its module, and its own arguments."""
    if not AVAILABLE:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, timeout=300, check=True).stdout
    return _ask(cwd, _script, (list(arguments),))[1]


def call(task: str, request: str, limits: Limits, folder: Path | None) -> dict[str, Any]:
    """What a worker answers, as ``mulint.tracing.process.call`` does."""
    return _ask(Path.cwd(), _call, (task, request, limits, folder))[0]  # type: ignore[no-any-return]


def command_line(
    arguments: Sequence[str], cwd: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """``mulint`` with some arguments in a folder."""
    code, printed, errors = _ask(cwd, _main, (list(arguments),), variables)
    return subprocess.CompletedProcess(["mulint", *arguments], code, printed, errors)


def _main(arguments: list[str]) -> int:
    from mulint.cli import main

    sys.argv = ["mulint", *arguments]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _script(arguments: list[str]) -> None:
    sys.path.insert(0, str(Path.cwd()))
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def _call(task: str, request: str, limits: Limits, folder: Path | None) -> dict[str, Any]:
    from mulint.tracing import process

    return process.call(task, request, limits, folder=folder)


def _ask(
    cwd: Path,
    function: Callable[..., object],
    arguments: Sequence[object],
    variables: Mapping[str, str] | None = None,
) -> tuple[Any, str, str]:
    """The function's result, and what was printed."""
    requests, answers = _server()
    pickle.dump((str(cwd), {**os.environ, **(variables or {})}, function, arguments), requests)
    requests.flush()
    result, printed, errors = pickle.load(answers)
    if isinstance(result, BaseException):
        raise result
    return result, printed, errors


@cache
def _server() -> tuple[IO[bytes], IO[bytes]]:
    from mulint.tracing.process import ENVIRONMENT

    process = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    atexit.register(process.kill)
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _serve() -> None:
    """Load what every worker needs, then fork for every request."""
    import torch

    importlib.import_module("tests.forking")
    sys.path.remove(str(Path(__file__).parent.parent))  # a worker does not find the tests

    linear = torch.nn.Linear(1, 1, device="meta")
    torch.nn.init.normal_(linear.weight)  # loads what torch computes shapes with
    torch.optim.AdamW(linear.parameters())  # loads its compiler
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        with tempfile.TemporaryFile() as result:
            child = os.fork()
            if child == 0:
                _answer(request, result)
            os.waitpid(child, 0)
            result.seek(0)
            answers.write(result.read())
            answers.flush()


def _answer(request: tuple[Any, ...], result: IO[bytes]) -> None:
    cwd, variables, function, arguments = request
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:0] = [folder for folder in variables.get("PYTHONPATH", "").split(os.pathsep) if folder]
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(printed.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        subprocess.Popen = _started  # type: ignore[assignment, misc]
        try:
            value: object = function(*arguments)
        except BaseException as error:
            value = error
        sys.stdout.flush()
        sys.stderr.flush()
        texts = []
        for file in (printed, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        pickle.dump((value, *texts), result)
        result.flush()
    os._exit(0)


class _Worker:
    """A worker of mulint as ``subprocess.Popen`` would start it, as far as its caller knows it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None) -> None:
        reads, writes = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(reads)
                os.setsid()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(writes, 1)
                os.dup2(writes, 2)
                _work(command, env, cwd)
            finally:
                os._exit(1)
        os.close(writes)
        self.stdout = os.fdopen(reads, "rb")

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end as a process is waited for."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, 0 if deadline is None else os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            else:
                time.sleep(0.01)
        return self.returncode


def _work(command: Sequence[str], env: Mapping[str, str], cwd: Path | None) -> None:
    os.environ.clear()
    os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    sys.argv = ["worker", *command[command.index(WORKER) + 1 :]]
    for name in [name for name in sys.modules if name.partition(".")[0] == "mulint"]:
        del sys.modules[name]  # some look at where they are imported
    subprocess.Popen = _POPEN  # type: ignore[misc]
    importlib.import_module(WORKER).main()


def _started(command: Sequence[str], **options: Any) -> object:
    """A fork for a worker, a process for any other program."""
    return _Worker(command, options["env"], options["cwd"]) if WORKER in command else _POPEN(command, **options)


if __name__ == "__main__":
    _serve()
