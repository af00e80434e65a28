"""The worker process: builds and runs the user's code, and answers on a private pipe."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ENDING = 10.0


def main() -> None:
    """Read the request from the environment, run the task, answer with one line of JSON."""
    _end_with_parent()
    task, channel = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(channel, False)
    request = os.environ.pop("MULINT_REQUEST")
    pipe = os.fdopen(channel, "wb", buffering=0)

    def send(message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        while line:
            line = line[pipe.write(line) :]

    send(_answer(task, request, lambda stage, done: send({"stage": stage, "done": done})))
    sys.stdout.flush()
    time.sleep(ENDING)  # the command line ends this process, and finds what it started by it
    os._exit(0)  # nothing of the user's code, no thread and no atexit handler, may keep the process


def _end_with_parent() -> None:
    """Ask Linux to kill this process when the command line dies without saying so, and to keep its descendants.

    A daemon stays a child of the worker, where the command line finds it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            system = ctypes.CDLL(None)
            system.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            system.prctl(PR_SET_CHILD_SUBREAPER, 1)


def _answer(task: str, request: str, progress: Callable[[str, float], None]) -> dict[str, Any]:
    try:
        import torch  # before the user's folders come onto the path, so that nothing in them can shadow it
    except ImportError:
        return _error("mulint trace needs torch; install it beside mulint: pip install 'mulint[trace]'")
    from mulint.tracing.model import CannotBuild

    run = importlib.import_module(task).answer
    torch.set_num_threads(1)
    try:
        return {"answer": run(request, progress)}
    except CannotBuild as error:
        return _error(str(error), of_code=True)
    except SystemExit as error:
        return _error(
            f"the model's code called exit ({error.code}); remove the call, "
            "or guard the script part with `if __name__ == '__main__':`",
            of_code=True,
        )
    except MemoryError:
        return _error("the model does not fit into memory; pass smaller --widths or --set a smaller vocabulary")
    except Exception:
        traceback.print_exc()
        return _error("mulint failed in its worker; run with --verbose and report what it shows (MU905)")
    except BaseException as error:
        return _error(f"the model's code raised {type(error).__name__}; remove the raise", of_code=True)


def _error(message: str, *, of_code: bool = False) -> dict[str, Any]:
    return {"error": message, "of_code": of_code}


if __name__ == "__main__":
    main()
