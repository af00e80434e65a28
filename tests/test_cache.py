"""The cache changes how long a check takes and nothing else; neither does the number of processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mulint.configuration import Configuration
from mulint.facts import extract
from mulint.facts.coding import dumps, loads
from mulint.gathering import gather
from mulint.judging import judge
from mulint.source.cache import Store
from mulint.source.reading import SourceFile
from tests.repositories import FIXTURES, copy, mulint

CHECK = ("check", "--output-format", "json", "--cache-dir", "kept")
SCRIPT = "import torch\nfrom model import GPT, GPTConfig\n\nmodel = GPT(GPTConfig(n_embd=64))\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy("gpt", tmp_path)


def entries(root: Path) -> list[Path]:
    return sorted(p for p in (root / "kept").rglob("*") if p.is_file() and p.parent != root / "kept")


def test_a_second_run_reports_the_same_without_loading_the_rules(project: Path) -> None:
    first = mulint(*CHECK, cwd=project)
    program = (
        "import sys\n"
        "from mulint.cli import group\n"
        "try:\n"
        f"    group.main({list(CHECK)!r})\n"
        "except SystemExit: pass\n"
        "heavy = ('mulint.rules', 'mulint.program', 'mulint.facts')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program]
    second = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert second.stdout == first.stdout
    assert second.stderr == "[]\n"
    assert mulint(*CHECK, "--no-cache", cwd=project).stdout == first.stdout


def test_the_folder_is_marked_as_a_cache_and_ignored_by_git(project: Path) -> None:
    mulint(*CHECK, cwd=project)
    assert (project / "kept" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172")
    assert (project / "kept" / ".gitignore").read_text() == "*\n"
    assert not (project / ".mulint_cache").exists()


def test_nothing_is_kept_when_nothing_is_wanted(project: Path) -> None:
    mulint(*CHECK, "--no-cache", cwd=project)
    assert not (project / "kept").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "model.py").write_text(
            (root / "model.py").read_text().replace("lm_head", "out_head")
        ),
        lambda root: (root / "extra.py").write_text(SCRIPT + "torch.optim.SGD(model.parameters(), lr=0.1)\n"),
        lambda root: (root / "train.py").unlink(),
        lambda root: (root / "pyproject.toml").write_text('[tool.mulint]\nignore = ["MU409"]\n'),
        lambda root: (root / "train.py").write_text("def f(:\n"),
    ],
    ids=["changed", "new", "gone", "configured", "broken"],
)
def test_what_changed_is_seen(project: Path, change: object) -> None:
    assert callable(change)
    before = mulint(*CHECK, cwd=project).stdout
    status = (project / "model.py").stat()
    change(project)
    os.utime(project / "model.py", ns=(status.st_atime_ns, status.st_mtime_ns))  # contents decide, not times
    after = mulint(*CHECK, cwd=project)
    assert after.stdout != before
    assert after.stdout == mulint(*CHECK, "--no-cache", cwd=project).stdout


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:0],
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"lm_head", b"lm_haed").replace(b"n_embd", b"n_edmb"),
        lambda data: b"\x80\x04\x95" + data,
        lambda data: data.partition(b"\n")[0] + b"\n[[]]",
    ],
    ids=["empty", "cut off", "changed", "foreign", "other json"],
)
def test_spoilt_entries_are_as_good_as_none(project: Path, spoil: object) -> None:
    assert callable(spoil)
    first = mulint(*CHECK, cwd=project).stdout
    for path in entries(project):
        path.write_bytes(spoil(path.read_bytes()))
    assert mulint(*CHECK, cwd=project).stdout == first
    assert mulint(*CHECK, cwd=project).stdout == first


def test_entries_of_another_mulint_are_not_read(project: Path) -> None:
    first = mulint(*CHECK, cwd=project).stdout
    (stamp,) = {p.parents[1] for p in entries(project)}
    stamp.rename(stamp.with_name("0.0.1-cpython-39-0"))
    assert mulint(*CHECK, cwd=project).stdout == first
    assert stamp.is_dir()


def test_entries_of_former_versions_are_removed_and_nothing_else_is(project: Path) -> None:
    kept = project / "kept"
    former = [kept / f"0.0.{i}-cpython-311-{i:016x}" for i in range(5)]
    others = [kept / "0.0.1-mine", kept / "notes"]
    for age, folder in enumerate([*former, *others]):
        (folder / "ab").mkdir(parents=True)
        (folder / "ab" / "entry").write_text("x")
        os.utime(folder, (1e9 - age, 1e9 - age))
    (project / "elsewhere").mkdir()
    (kept / f"0.0.9-cpython-311-{9:016x}").symlink_to(project / "elsewhere")
    mulint(*CHECK, cwd=project)
    # Those that were used last may belong to an installation that shares the folder.
    assert [folder.is_dir() for folder in former] == [True, True, False, False, False]
    assert all((folder / "ab" / "entry").is_file() for folder in others)
    assert (project / "elsewhere").is_dir()


def test_an_installation_in_use_keeps_its_entries(project: Path) -> None:
    mulint(*CHECK, cwd=project)
    (own,) = {p.parents[1] for p in entries(project)}
    os.utime(own, (1, 1))
    mulint(*CHECK, cwd=project)
    assert own.stat().st_mtime > 1


def test_where_nothing_can_be_kept_the_check_goes_on(project: Path) -> None:
    (project / "kept").write_text("a file")
    result = mulint(*CHECK, cwd=project)
    assert result.returncode == 0
    assert json.loads(result.stdout)["findings"]


def test_facts_survive_being_written() -> None:
    text = (
        "import torch\nA = b'\\xff', 3j, 1e400, -0.0, 0x" + "f" * 9000 + ", True, None, ..., '\\udc80 é'\n"
        "class C[T](A, metaclass=B):\n"
        "    x: int = 1\n"
        "    def f(self, *a, b=lambda q: q, **k):\n"
        "        with a as b, c: pass\n"
        "        return [i async for i in x if i], {1: 2, **d}, x[1:2, ...], (y := 3), f'{x}{y!r}'\n"
    )
    for path in [*FIXTURES.rglob("*.py"), *Path(__file__).parent.glob("*.py")]:
        facts = extract("a.py", path.read_text())
        assert loads("a.py", dumps(facts)) == facts
    facts = extract("a.py", text)
    assert loads("a.py", dumps(facts)) == facts


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[1,[99]]", '[1,["x"]]', "[1,[0]]", "[1,[]]", "[1,5]", "null"])
def test_what_are_no_facts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads("a.py", text)


def test_processes_change_neither_facts_nor_errors_nor_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mulint.gathering.LARGE", 0)
    paths = sorted(FIXTURES.rglob("*.py"))
    sources = [SourceFile(p.relative_to(FIXTURES).as_posix(), p.read_text(), True) for p in paths]
    broken = [SourceFile("broken.py", "def f(:", True), SourceFile("deep.py", "(" * 300 + ")" * 300, True)]
    sources[3:3] = broken
    assert gather(sources, jobs=3) == gather(sources, jobs=1)
    alone, together = (judge(sources, Configuration(), jobs=jobs) for jobs in (1, 2))
    assert [f.fingerprint for f in alone.findings] == [f.fingerprint for f in together.findings]
    assert alone.errors == together.errors


def test_facts_of_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [SourceFile(f"m{i}.py", f"x = {i}\n", True) for i in range(4)]
    store = Store(tmp_path / "kept", tmp_path)
    first = gather(sources, store)
    read: list[str] = []

    def noted(path: str, text: str) -> object:
        read.append(path)
        return extract(path, text)

    monkeypatch.setattr("mulint.gathering.extract", noted)
    assert gather(sources, store) == first
    sources[2] = SourceFile("m2.py", "y = 2\n", True)
    facts, _ = gather(sources, store)
    assert read == ["m2.py"]
    assert facts[2] == extract("m2.py", "y = 2\n")


def test_two_runs_at_once_leave_whole_entries(project: Path) -> None:
    command = [sys.executable, "-m", "mulint", *CHECK]
    running = [subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE) for _ in range(3)]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert len(outputs) == 1
    assert all(path.suffix == "" for path in entries(project))
    assert mulint(*CHECK, cwd=project).stdout.encode() in outputs
