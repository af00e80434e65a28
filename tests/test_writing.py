"""Writing a fix: all files or none, whatever is interrupted, and nothing else about them changes."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mulint.rewriting.patch import FilePatch
from mulint.rewriting.writing import CannotWrite, recover, write
from mulint.source.reading import decode

# Every call that changes something, or that lies between two that do.
CALLS = ("open", "pwrite", "fdopen", "fchmod", "fsync", "close", "link", "replace", "rename", "unlink")
CLOSE = os.close
OLD = {"model.py": "old model\n", "sub/train.py": "old train\r\n"}
NEW = {"model.py": "new model\n", "sub/train.py": "new train\r\n", "mup_scaling.py": "helper\n"}
PATCHES = [FilePatch(path, OLD.get(path), text, 1) for path, text in NEW.items()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for path, text in OLD.items():
        (tmp_path / path).write_bytes(text.encode())
    (tmp_path / "model.py").chmod(0o755)
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): p.read_bytes().decode() for p in root.rglob("*") if p.is_file()}


def sources(root: Path) -> dict[str, str]:
    return {path: text for path, text in contents(root).items() if path.endswith(".py")}


class Cut:
    """Counts the calls of ``os`` and does something at one of them, before or after it has had its effect."""

    def __init__(self, at: int, then: Callable[[], None], *, after: bool, stays: bool = False) -> None:
        self.at, self.then, self.after, self.stays = at, then, after, stays
        self.count = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            patch.setattr(os, name, self._around(getattr(os, name)))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            number, self.count = self.count, self.count + 1
            due = number == self.at or (self.stays and number > self.at)
            before = due and not self.after and function is not CLOSE  # a close that fails has closed
            if before:
                self.then()
            try:
                return function(*arguments, **keywords)
            finally:
                if due and not before:
                    self.then()

        return call


def calls_of_a_write(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("count")
    (folder / "sub").mkdir()
    for path, text in OLD.items():
        (folder / path).write_bytes(text.encode())
    cut = Cut(-1, lambda: None, after=False)
    with pytest.MonkeyPatch.context() as patch:
        cut.install(patch)
        write(folder, PATCHES)
    return cut.count


@pytest.fixture(scope="session")
def number_of_calls(tmp_path_factory: pytest.TempPathFactory) -> int:
    return calls_of_a_write(tmp_path_factory)


def fresh(root: Path, number: int) -> Iterator[tuple[int, Path]]:
    """A folder with the old files for each call."""
    for index in range(number):
        folder = root / str(index)
        (folder / "sub").mkdir(parents=True)
        for path, text in OLD.items():
            (folder / path).write_bytes(text.encode())
        yield index, folder


def full(error: str = "No space left on device") -> Callable[[], None]:
    def raising() -> None:
        raise OSError(28, error, "model.py")

    return raising


def interrupted() -> None:
    raise KeyboardInterrupt


def test_all_files_are_written(root: Path) -> None:
    write(root, PATCHES)
    assert contents(root) == NEW
    assert stat.S_IMODE((root / "model.py").stat().st_mode) == 0o755
    assert not recover(root)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("then", [full(), interrupted])
def test_one_failure_at_any_call(
    tmp_path: Path, number_of_calls: int, then: Callable[[], None], after: bool
) -> None:
    outcomes, lines = set(), []
    for index, folder in fresh(tmp_path, number_of_calls):
        with pytest.MonkeyPatch.context() as patch:
            Cut(index, then, after=after).install(patch)
            try:
                write(folder, PATCHES)
            except (CannotWrite, KeyboardInterrupt) as error:
                lines.append(str(error))
        assert sources(folder) in (OLD, NEW), f"half written after call {index}"
        recover(folder)
        assert contents(folder) in (OLD, NEW), f"something is left after call {index}"
        outcomes.add(len(contents(folder)))
    assert outcomes == {len(OLD), len(NEW)}
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("after", [False, True])
def test_a_disk_that_fails_from_one_call_on(tmp_path: Path, number_of_calls: int, after: bool) -> None:
    for index, folder in fresh(tmp_path, number_of_calls):
        with pytest.MonkeyPatch.context() as patch:
            Cut(index, full(), after=after, stays=True).install(patch)
            with pytest.raises(CannotWrite):
                write(folder, PATCHES)
        recover(folder)
        assert contents(folder) in (OLD, NEW), f"not put right after call {index}"


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_call_is_put_right(tmp_path: Path, number_of_calls: int, after: bool) -> None:
    half = 0
    for index, folder in fresh(tmp_path, number_of_calls):
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                Cut(index, lambda: os._exit(9), after=after).install(patch)
                write(folder, PATCHES)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, index
        half += sources(folder) not in (OLD, NEW)
        recover(folder)
        assert contents(folder) in (OLD, NEW), f"not put right after call {index}"
    assert half, "no kill fell between two files: the journal was never needed"


def test_a_run_after_a_killed_one_undoes_it_first(root: Path) -> None:
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", lambda *_: os._exit(9))
            write(root, PATCHES)
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(CannotWrite, match="an interrupted run was undone"):
        write(root, PATCHES)
    assert contents(root) == OLD
    write(root, PATCHES)
    assert contents(root) == NEW


def test_an_edit_after_a_killed_run_is_kept(root: Path) -> None:
    renames = iter([False, True])
    child = os.fork()
    if child == 0:
        rename = os.replace
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", lambda *names: os._exit(9) if next(renames) else rename(*names))
            write(root, PATCHES)
        os._exit(0)
    os.waitpid(child, 0)
    (root / "model.py").write_text("edited by hand\n")
    with pytest.raises(CannotWrite, match=r"model\.py was edited after .* \S+\.model\.py\.mulint-old"):
        recover(root)
    kept = {"model.py": "edited by hand\n", ".model.py.mulint-old": "old model\n"}
    assert contents(root) == {**OLD, **kept}


def test_another_run_that_is_writing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.replace

    def meanwhile(source: Path, target: Path) -> None:
        with pytest.raises(CannotWrite, match="another mulint fix is writing here"):
            recover(root)
        rename(source, target)

    monkeypatch.setattr(os, "replace", meanwhile)
    write(root, PATCHES)
    assert contents(root) == NEW


@pytest.mark.parametrize("path", ["model.py", "sub/train.py"])
def test_a_file_that_changed(root: Path, path: str) -> None:
    (root / path).write_text("edited\n")
    with pytest.raises(CannotWrite, match=rf"{path} changed while it was being fixed; nothing was written"):
        write(root, PATCHES)
    assert contents(root) == {**OLD, path: "edited\n"}


def test_a_file_that_changes_during_the_write(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def meanwhile(source: Path, target: Path, **keywords: bool) -> None:
        link(source, target, **keywords)
        (root / "model.py").write_text("edited\n")

    monkeypatch.setattr(os, "link", meanwhile)
    with pytest.raises(CannotWrite, match=r"model\.py changed while it was being fixed"):
        write(root, PATCHES)
    assert contents(root) == {**OLD, "model.py": "edited\n"}


def test_a_file_that_was_removed(root: Path) -> None:
    (root / "model.py").unlink()
    with pytest.raises(CannotWrite, match=r"model\.py changed"):
        write(root, PATCHES)


def test_a_new_file_that_exists_meanwhile(root: Path) -> None:
    (root / "mup_scaling.py").write_text("mine\n")
    with pytest.raises(CannotWrite, match=r"mup_scaling\.py exists by now; nothing was written"):
        write(root, PATCHES)
    assert contents(root) == {**OLD, "mup_scaling.py": "mine\n"}


def test_a_new_file_that_appears_during_the_write(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.replace

    def meanwhile(source: Path, target: Path) -> None:
        rename(source, target)
        (root / "mup_scaling.py").write_text("mine\n")

    monkeypatch.setattr(os, "replace", meanwhile)
    with pytest.raises(CannotWrite, match=r"mup_scaling\.py exists by now"):
        write(root, PATCHES)
    assert contents(root)["mup_scaling.py"] == "mine\n"
    assert {path: contents(root)[path] for path in OLD} == OLD


def test_a_read_only_file(root: Path) -> None:
    (root / "model.py").chmod(0o444)
    with pytest.raises(CannotWrite, match=r"model\.py is read-only; nothing was written: chmod u\+w model\.py"):
        write(root, PATCHES)
    assert contents(root) == OLD


def test_a_folder_that_cannot_be_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def read_only(path: str | Path, flags: int, *rest: int) -> int:
        if flags & os.O_CREAT and Path(path).parent.name == "sub":
            raise OSError(30, "Read-only file system", str(path))
        return opened(path, flags, *rest)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(CannotWrite, match=r"Read-only file system; all files are as they were: make the folder"):
        write(root, PATCHES)
    assert contents(root) == OLD


def test_without_hard_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    write(root, PATCHES)
    assert contents(root) == NEW


def test_links_are_followed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    real = tmp_path_factory.mktemp("elsewhere") / "real.py"
    real.write_text("old\n")
    (root / "link.py").symlink_to(real)
    write(root, [FilePatch("link.py", "old\n", "new\n", 1)])
    assert (root / "link.py").is_symlink()
    assert real.read_text() == "new\n"


def test_one_file_under_two_names(root: Path) -> None:
    (root / "link.py").symlink_to(root / "model.py")
    twice = [FilePatch(path, "old model\n", "new\n", 1) for path in ("model.py", "link.py")]
    with pytest.raises(CannotWrite, match="one file under different names"):
        write(root, twice)


@pytest.mark.parametrize(
    "original",
    [
        b"\xef\xbb\xbfx = 1\n",
        "# coding: latin-1\nx = 'é'\n".encode("latin-1"),
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2",
        b"\x0cx = 1\n",
    ],
)
def test_the_bytes_outside_an_edit_stay(root: Path, original: bytes) -> None:
    (root / "a.py").write_bytes(original)
    before = decode("a.py", original).text
    write(root, [FilePatch("a.py", before, before.replace("x", "longer"), 1)])
    assert (root / "a.py").read_bytes() == original.replace(b"x", b"longer")


def test_a_character_that_the_encoding_lacks(root: Path) -> None:
    text = "# coding: latin-1\nx = 1\n"
    (root / "a.py").write_text(text)
    with pytest.raises(CannotWrite, match=r"cannot be written as (latin-1|iso-8859-1); save it as UTF-8"):
        write(root, [FilePatch("a.py", text, text + "# μ\n", 1)])


def test_a_journal_that_came_with_a_repository(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    victim = tmp_path_factory.mktemp("home") / "profile"
    victim.write_bytes(b"known")
    rows = [(str(victim), None, hashlib.sha256(b"known").hexdigest()), (str(root / "model.py"), "0", "1")]
    (root / ".mulint-journal").write_text(json.dumps(rows))
    recover(root)
    assert victim.read_bytes() == b"known"
    assert sources(root) == OLD
