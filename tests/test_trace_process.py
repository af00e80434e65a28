"""What happens when the user's code misbehaves: one clear line, exit 2, and no process left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mulint.cli import group
from mulint.tracing.process import TraceFailed, run
from mulint.tracing.request import Limits, Request

HEAD = "import os, sys, time\nimport torch\nfrom torch import nn\nimport mulint\n"
BODY = """
def case(width):
    {before}
    model = nn.Linear(width, 3)
    return mulint.Case(model, torch.randn(2, width), lambda m, b: m(b).mean())
"""

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@pytest.fixture(autouse=True)
def _work_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def failure(tmp_path: Path, source: str, name: str = "case", limits: Limits = Limits(seconds=60)) -> str:  # noqa: B008
    """The message of a trace that must fail, after checking that nothing it started is still there."""
    file = tmp_path / "cases.py"
    file.write_text(HEAD + source, encoding="utf-8")
    request = Request(str(file), name, str(tmp_path), widths=(8, 16, 32), stages=("roles",))
    with pytest.raises(TraceFailed) as caught:
        run(request, limits)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert "MU905" not in message, caught.value.output
    assert processes_in(tmp_path) == []
    return message


def processes_in(folder: Path, patience: int = 50) -> list[int]:
    """Other processes whose working directory is a folder; killed ones may take a moment to go."""
    found: list[int] = []
    for _ in range(patience):
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cwd").readlink() == folder and entry.name != str(os.getpid()):
                    found.append(int(entry.name))
            except OSError:
                continue
        if not found:
            break
        time.sleep(0.1)
    return found


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("raise ValueError('no such head')", "ValueError: no such head (cases.py:7)"),
        ("sys.exit(3)", "called exit (3)"),
        ("os._exit(5)", "ended the process (exit code 5)"),
        ("import ctypes; ctypes.string_at(0)", "crashed the process (SIGSEGV)"),
        pytest.param("torch.zeros(1, device='cuda')", "pass --device cuda", marks=no_cuda),
        pytest.param("nn.Linear(width, width).cuda()", "pass --device cuda", marks=no_cuda),
        ("raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')", "pass smaller --widths"),
        ("raise RuntimeError('CUDA error: device-side assert triggered')", "trace with --device cpu"),
        ("return nn.Linear(3, 3)", "return mulint.Case(model="),
        ("return mulint.Case('gpt', 1, len)", "must be a torch.nn.Module"),
        ("return mulint.Case(nn.Linear(3, 3), 1, 'mse')", "pass a function of (model, batch)"),
        ("return mulint.Case(nn.Linear(3, 3), torch.randn(2, 4), lambda m, b: m(b).mean())", "width 8"),
        ("input('go on? ')", "remove the call of input"),
        ("breakpoint()", "remove the call of input or breakpoint"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("raise type('Stop', (BaseException,), {})", "raised Stop"),
        ("os.chdir('/'); raise ValueError('no such head')", "ValueError: no such head (cases.py:7)"),
        ("import tempfile as t; gone = t.mkdtemp(); os.chdir(gone); os.rmdir(gone); 1 / 0", "zero (cases.py:7)"),
    ],
)
def test_code_that_fails(tmp_path: Path, statement: str, expected: str) -> None:
    assert expected in failure(tmp_path, BODY.format(before=statement))


def test_code_that_hangs(tmp_path: Path) -> None:
    started = time.monotonic()
    message = failure(tmp_path, BODY.format(before="time.sleep(1000)"), limits=Limits(seconds=4))
    assert "longer than 4 s" in message
    assert time.monotonic() - started < 15


def test_a_file_that_trains_when_it_is_imported(tmp_path: Path) -> None:
    source = "time.sleep(1000)\n" + BODY.format(before="pass")
    message = failure(tmp_path, source, limits=Limits(seconds=8))
    assert "longer than 8 s; nothing was traced yet: guard what its file runs" in message


def test_a_module_in_a_folder_that_a_script_puts_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "own_layers.py").touch()
    message = failure(tmp_path, "import own_layers\n" + BODY.format(before="pass"))
    assert message.endswith("parts has it: run mulint with PYTHONPATH=parts")


def test_code_that_prints_without_end(tmp_path: Path) -> None:
    source = BODY.format(before="while True: print('x' * 10000)")
    assert "printed more than 1 MiB" in failure(tmp_path, source, limits=Limits(seconds=60, output=1 << 20))


def test_code_that_takes_all_memory(tmp_path: Path) -> None:
    source = BODY.format(before="kept = [bytearray(1 << 24) for _ in iter(lambda: time.sleep(0.005), 1)]")
    assert "more than 1 GiB of memory" in failure(tmp_path, source, limits=Limits(seconds=60, memory=1 << 30))


def test_children_are_ended_too(tmp_path: Path) -> None:
    statement = "import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']); 1/0"
    assert "ZeroDivisionError" in failure(tmp_path, BODY.format(before=statement))


@pytest.mark.parametrize("environment", ["None", "{}"])
def test_children_in_a_session_of_their_own_are_ended_too(tmp_path: Path, environment: str) -> None:
    command = "[sys.executable, '-c', 'import time; time.sleep(1000)']"
    start = f"subprocess.Popen({command}, start_new_session=True, env={environment})"
    assert "ZeroDivisionError" in failure(tmp_path, BODY.format(before=f"import subprocess; {start}; 1/0"))


def test_daemons_are_ended_too(tmp_path: Path) -> None:
    source = """
def case(width):
    if not (child := os.fork()):
        if not os.fork():
            os.setsid()
            os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)"], {})
        os._exit(0)
    os.waitpid(child, 0)
    1 / 0
"""
    assert "ZeroDivisionError" in failure(tmp_path, source)


@pytest.mark.parametrize("statement", ["os.chdir('/')", "sys.stdin.read()", "sys.stdout.close()"])
def test_code_that_meddles_with_the_process(tmp_path: Path, statement: str) -> None:
    found = []
    for before in ("pass", statement):
        (tmp_path / "cases.py").write_text(HEAD + BODY.format(before=before), encoding="utf-8")
        arguments = ["cases.py:case", "--widths", "8,16,32", "--stages", "roles", "--output-format", "json"]
        found.append(json.loads(CliRunner().invoke(group, ["trace", *arguments]).stdout))
    assert found[0] == found[1]
    assert [use["path"] for use in found[1]["parameters"][0]["uses"]] == ["cases.py"]
    assert processes_in(tmp_path) == []


def test_the_worker_ends_with_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.py"
    file.write_text(HEAD + BODY.format(before="open('started', 'w').close(); time.sleep(1000)"), encoding="utf-8")
    command = subprocess.Popen([sys.executable, "-m", "mulint", "trace", f"{file}:case"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(processes_in(tmp_path, patience=1)) == 2
    command.kill()
    command.wait()
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("def case(width): ...\n", "gpt", "cases.py has no gpt; it has case"),
        ("import not_installed_anywhere\n", "case", "No module named 'not_installed_anywhere'"),
        ("def case(width:\n", "case", "cannot be imported: SyntaxError"),
        ("case = 3\n", "case", "case is int"),
        ("sys.exit()\n", "case", "called exit"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, source: str, name: str, expected: str) -> None:
    assert expected in failure(tmp_path, source, name)


def test_command_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.py"
    file.write_text(HEAD + BODY.format(before="print('chatter', flush=True)"), encoding="utf-8")
    runner = CliRunner()
    arguments = [f"{file}:case", "--widths", "8,16", "--stages", "roles", "--output-format", "json"]
    result = runner.invoke(group, ["trace", *arguments])
    assert result.exit_code == 2, result.output
    answer = json.loads(result.stdout)
    assert answer["verdict"] == "inconclusive"
    assert answer["widths"] == [8, 16, 32]
    assert {p["name"]: p["role"] for p in answer["parameters"]} == {"weight": "output", "bias": "scalar"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing.py:case"], "missing.py does not exist"),
        (["model.py"], "write path/file.py:name"),
        (["cases.py:case", "--widths", "a,b"], "write numbers with commas"),
        (["cases.py:case", "--stages", "all"], "choose from roles, invariants, coordinates"),
        (["cases.py:case", "--set", "n_layer"], "write NAME=VALUE"),
        (["cases.py:case", "--knob", "n_embd"], "is for model classes"),
        (["cases.py:case", "--dtype", "int3"], "choose one of float32"),
    ],
)
def test_arguments_that_are_wrong(tmp_path: Path, arguments: list[str], expected: str) -> None:
    (tmp_path / "cases.py").write_text(HEAD + BODY.format(before="pass"), encoding="utf-8")
    result = CliRunner().invoke(group, ["trace", *arguments])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
