"""What `check` does with every kind of input: exit code, what it says, and where.

Rows that other tests have in more depth are here all the same, so that the whole behaviour reads as one table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.repositories import mulint

MODEL = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.first(x).relu())
"""
FOUND = ":8:21: MU401 error: "
NEWER = (
    "import torch\n\n\ndef first[T](items: list[T]) -> T:\n    return items[0]\n\n\ntype Pair = tuple[int, int]\n"
)
NEWEST = "import torch\n\ntry:\n    x = t'{torch}'\nexcept A, B:\n    pass\n"
Prepare = Callable[[Path], object]


def text(content: str, name: str = "a.py") -> Prepare:
    return lambda root: (root / name).write_text(content)


def data(content: bytes, name: str = "a.py") -> Prepare:
    return lambda root: (root / name).write_bytes(content)


def linked(root: Path) -> None:
    (root / "real.txt").write_text(MODEL)
    (root / "a.py").symlink_to("real.txt")


def looped(root: Path) -> None:
    (root / "a.py").write_text(MODEL)
    (root / "again").symlink_to(".")


def in_folder(name: str) -> Prepare:
    def prepare(root: Path) -> None:
        (root / name).mkdir()
        (root / name / "a.py").write_text(MODEL)

    return prepare


# name, what is there, arguments, exit code, what the output holds
ROWS: list[tuple[str, Prepare, tuple[str, ...], int, str]] = [
    ("clean file", text("import torch\n"), ("a.py",), 0, ""),
    ("violation", text(MODEL), ("a.py",), 1, f"a.py{FOUND}"),
    ("missing file", text("import torch\n"), ("no.py",), 2, "no.py:1: MU904 no such file or directory"),
    ("syntax error", text("import torch\ndef f(:\n"), ("a.py",), 2, "a.py:2: MU901 cannot be parsed"),
    ("python 2", text("import torch\nx = 1\nprint 'a'\n"), ("a.py",), 2, "a.py:3: MU901 cannot be parsed"),
    ("not utf-8", data(b"import torch\nx = '\xe9'\n"), ("a.py",), 2, "a.py:2: MU904 cannot be decoded: byte 0xe9"),
    ("latin-1 cookie", data(b"# coding: latin-1\n# \xe9\n" + MODEL.encode()), ("a.py",), 1, "a.py:10:21: MU401"),
    ("utf-16", data(MODEL.encode("utf-16")), ("a.py",), 2, "a.py:1: MU904 cannot be decoded"),
    ("nul byte", data(b"import torch\nx = 1\n\0\n"), ("a.py",), 2, "a.py:3: MU901 cannot be parsed"),
    ("empty folder", lambda _: None, (".",), 0, "No Python files were found"),
    ("empty file", text(""), ("a.py",), 0, ""),
    ("link to a file", linked, ("a.py",), 1, f"a.py{FOUND}"),
    ("link to a folder", looped, (".",), 1, f"a.py{FOUND}"),
    ("link to itself", lambda root: (root / "a.py").symlink_to("a.py"), (".",), 2, "a.py:1: MU904 cannot be read"),
    (
        "dangling link",
        lambda root: (root / "a.py").symlink_to("b.py"),
        ("a.py",),
        2,
        "a.py:1: MU904 cannot be read",
    ),
    ("crlf", data(MODEL.replace("\n", "\r\n").encode()), ("a.py",), 1, f"a.py{FOUND}"),
    ("cr", data(MODEL.replace("\n", "\r").encode()), ("a.py",), 1, f"a.py{FOUND}"),
    ("mixed ends", data(MODEL.replace("\n", "\r\n", 4).rstrip().encode()), ("a.py",), 1, f"a.py{FOUND}"),
    ("tabs and spaces", data(b"import torch\nif 1:\n\tx = 1\n        y = 2\n"), ("a.py",), 2, "a.py:4: MU901"),
    ("byte order mark", data(b"\xef\xbb\xbf" + MODEL.encode()), ("a.py",), 1, f"a.py{FOUND}"),
    ("form feed", text(MODEL.replace("\n\n\nclass", "\n\f\n\nclass")), ("a.py",), 1, "a.py:8:21: MU401"),
    ("newer syntax", text(NEWER), ("a.py",), 0, ""),
    ("nested parentheses", text(f"import torch\nx = {'(' * 150}1{')' * 150}\n"), ("a.py",), 0, ""),
    ("a long sum", text(f"import torch\nx = {' + '.join(['1'] * 20_000)}\n"), ("a.py",), 2, "a.py:1: MU901"),
    ("a large file", text("import torch\n" + "x = 1\n" * 200_000), ("a.py",), 0, "MU904 skipped: 1.2 MB is over"),
    ("another extension", text(MODEL, "a.txt"), ("a.txt",), 1, f"a.txt{FOUND}"),
    ("a folder called .py", in_folder("dir.py"), (".",), 1, f"dir.py/a.py{FOUND}"),
    ("spaces", in_folder("a b"), ("a b",), 1, f"a b/a.py{FOUND}"),
    ("other letters", in_folder("größe"), ("größe",), 1, f"größe/a.py{FOUND}"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.mulint]\n")
    return tmp_path


@pytest.mark.parametrize(("prepare", "arguments", "code", "said"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_what_is_done_with_an_input(
    root: Path, prepare: Prepare, arguments: tuple[str, ...], code: int, said: str
) -> None:
    prepare(root)
    result = mulint("check", "--output-format", "concise", *arguments, cwd=root)
    if said.startswith("No Python"):
        result = mulint("check", *arguments, cwd=root)
    assert said in result.stdout
    assert result.returncode == code
    assert result.stderr == ""
    assert bool(result.stdout) is bool(said)


def test_syntax_that_is_newer_than_this_python_is_read_or_named(root: Path) -> None:
    (root / "a.py").write_text(NEWEST)
    result = mulint("check", "--output-format", "concise", "a.py", cwd=root)
    assert result.returncode in (0, 2)
    assert (result.returncode == 2) == ("a.py:" in result.stdout)
    assert "Traceback" not in result.stdout + result.stderr


def test_a_name_that_is_not_utf_8_is_printed_somehow(root: Path) -> None:
    name = os.fsdecode(b"b\xff.py")
    try:
        (root / name).write_text(MODEL)
    except OSError:
        pytest.skip("this file system has only names in UTF-8")
    for form in ("concise", "text", "json", "sarif", "github", "gitlab", "junit"):
        result = mulint("check", "--output-format", form, ".", cwd=root)
        assert result.returncode == 1, (form, result.stderr)
        assert "MU401" in result.stdout


def test_an_unreadable_file_as_another_user(root: Path) -> None:
    (root / "a.py").write_text("import torch\n")
    program = (
        "import sys, pathlib\n"
        "inner = pathlib.Path.read_bytes\n"
        "def refused(self):\n"
        "    if self.name == 'a.py': raise PermissionError(13, 'Permission denied')\n"
        "    return inner(self)\n"
        "pathlib.Path.read_bytes = refused\n"
        "sys.argv = ['mulint', 'check', '--no-cache', '.']\n"
        "from mulint.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "a.py:1: MU904 cannot be read: Permission denied" in result.stdout


AUDIT = """\
import json, os, sys

seen = {"open": [], "exec": [], "import": [], "other": []}
FORBIDDEN = ("os.system", "subprocess.Popen", "socket.connect", "os.exec", "os.fork", "ctypes.dlopen")

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes):
        mode, flags = arguments[1], arguments[2]
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        seen["open"].append((os.path.abspath(os.fsdecode(arguments[0])), writes))
    elif event == "exec":
        seen["exec"].append(getattr(arguments[0], "co_filename", ""))
    elif event == "import":
        seen["import"].append(arguments[0])
    elif event in FORBIDDEN:
        seen["other"].append(event)

sys.argv = ["mulint", "check", *sys.argv[2:]]
sys.addaudithook(hook)
from mulint.cli import main
try:
    main()
except SystemExit:
    pass
with open(os.environ["AUDIT"], "w") as file:
    json.dump(seen, file)
"""


@pytest.mark.parametrize("arguments", [("--no-cache", "."), ("--cache-dir", "kept", ".")], ids=["plain", "cached"])
def test_check_opens_only_what_it_must_and_runs_nothing_of_the_users(
    root: Path, tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...]
) -> None:
    (root / "net.py").write_text(MODEL)
    (root / "side.py").write_text("import torch, net\nopen('proof', 'w')\n")
    (root / "conftest.py").write_text("raise SystemExit(3)\n")
    (root / "sitecustomize.py").write_text("open('proof', 'w')\n")
    (root / "secret.txt").write_text("not Python\n")
    log = tmp_path_factory.mktemp("audit") / "log.json"
    command = [sys.executable, "-P", "-c", AUDIT, "-", *arguments]
    environment = {**os.environ, "AUDIT": str(log), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert "MU401" in result.stdout, result.stderr
    seen = json.loads(log.read_text())
    assert seen["other"] == []
    assert not {"torch", "net", "side", "sitecustomize"} & set(seen["import"])
    assert not [name for name in seen["exec"] if Path(name).is_relative_to(root)]
    inside = {Path(name).relative_to(root) for name, _ in seen["open"] if Path(name).is_relative_to(root)}
    kept = {path for path in inside if path.parts[0] == "kept"}
    sources = {Path(name) for name in ("net.py", "side.py", "conftest.py", "sitecustomize.py")}
    assert inside - kept == sources | {Path("pyproject.toml")}
    written = {Path(name) for name, writes in seen["open"] if writes} - {Path(os.devnull), log}
    assert all(path.is_relative_to(root / "kept") for path in written)
    assert bool(kept) is ("kept" in arguments)
    assert not (root / "proof").exists()
