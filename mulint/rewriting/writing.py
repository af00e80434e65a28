"""Writes several files as one change.

A journal in the project root names every file with the digests of its old and new bytes before anything is
touched. New bytes go into a file beside the real one, the old file gets a second name, then each file is
replaced by a rename. At the end, whether it came to that or not, ``_settle`` looks at what is there: if every
file is new the second names go, otherwise every file gets its old bytes back.

What that guarantees on a POSIX file system: a single file is old or new at any moment, never half. After an
error or an interruption of the program all are old or all are new. After a kill or a power cut some may be
old and some new until the next ``recover``, which `mulint fix` calls first. What it does not: a program that
writes into a file in the instant between the last comparison and the rename loses that write, and a second
hard link to a replaced file keeps the old bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mulint.rewriting.patch import FilePatch
from mulint.source.reading import CannotRead, decode, encode

JOURNAL = ".mulint-journal"
CHANGED = "changed while it was being fixed; nothing was written: run mulint fix again"


class CannotWrite(Exception):
    """The files could not be written; one line that says what is on disk now and what to do."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file of the change: its real path, and digests of its bytes before (None: not there) and after."""

    path: Path
    before: str | None
    after: str

    @property
    def new(self) -> Path:
        """Where the new bytes wait."""
        return self.path.with_name(f".{self.path.name}.mulint-new")

    @property
    def old(self) -> Path:
        """The second name of the old file."""
        return self.path.with_name(f".{self.path.name}.mulint-old")


def write(root: Path, files: Sequence[FilePatch]) -> None:
    """Write all files or none; links are followed; modes, encodings and byte order marks are kept.

    Raises:
        CannotWrite: a file changed since it was read, appeared meanwhile, is read-only or cannot be encoded.
    """
    contents = [_content(root, patch) for patch in files if patch.before != patch.after]
    if not contents:
        return
    if len({entry.path for entry, _ in contents}) < len(contents):
        raise CannotWrite("two of the files are one file under different names; fix one of them at a time")
    try:
        with _journal(root) as journal:
            if _read(journal, root):
                raise CannotWrite("an interrupted run was undone; nothing else was written: run mulint fix again")
            _replace(journal, contents)
    except OSError as error:
        name = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        raise CannotWrite(
            f"{name} cannot be written: {error.strerror or error}; all files are as they were: "
            "make the folder writable, or free space on its disk, and run mulint fix again"
        ) from error


def recover(root: Path) -> bool:
    """Undo, or complete, what a killed run left behind; False when there is nothing to do.

    Raises:
        CannotWrite: a file was edited since, the folder cannot be written, or another run is writing.
    """
    if not (root / JOURNAL).exists():
        return False
    try:
        with _journal(root) as journal:
            return bool(_read(journal, root))
    except OSError as error:
        raise CannotWrite(
            f"an interrupted run cannot be undone: {error.strerror or error}; "
            f"make {root} writable and run mulint fix again"
        ) from error


def _content(root: Path, patch: FilePatch) -> tuple[_Entry, bytes]:
    """The file as it is now, compared with the patch, and its new bytes."""
    path = root / patch.path
    if patch.before is None:
        if os.path.lexists(path):
            raise CannotWrite(f"{patch.path} exists by now; nothing was written: run mulint fix again")
        data = patch.after.encode()
        return _Entry(path.parent.resolve() / path.name, None, _digest(data)), data
    try:
        real = path.resolve(strict=True)
        original = real.read_bytes()
        mode = real.stat().st_mode
        before = decode(patch.path, original).text
    except (OSError, CannotRead):
        raise CannotWrite(f"{patch.path} {CHANGED}") from None
    if before != patch.before:
        raise CannotWrite(f"{patch.path} {CHANGED}")
    if not mode & 0o222 or not os.access(real, os.W_OK):
        raise CannotWrite(f"{patch.path} is read-only; nothing was written: chmod u+w {patch.path}")
    try:
        data = encode(patch.after, original)
    except UnicodeEncodeError as error:
        raise CannotWrite(
            f"{patch.path} cannot be written as {error.encoding}; save it as UTF-8 and run mulint fix again"
        ) from None
    return _Entry(real, _digest(original), _digest(data)), data


@contextmanager
def _journal(root: Path) -> Iterator[int]:
    """The journal, open and locked. However the block ends, the files are settled and the journal removed."""
    path = root / JOURNAL
    journal = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotWrite("another mulint fix is writing here; wait until it has ended") from None
        try:
            yield journal
        finally:
            _end(path, _read(journal, root))
    finally:
        os.close(journal)


def _end(journal: Path, entries: Sequence[_Entry]) -> None:
    try:
        edited = _settle(entries)
        journal.unlink()
        _sync(journal.parent)
    except OSError as error:
        raise CannotWrite(
            f"some files may be new and some old: {error.strerror or error}; "
            "when the folder can be written, run mulint fix again, which puts them right"
        ) from error
    if edited:
        raise CannotWrite(
            f"{edited[0].path.name} was edited after a run that was cut off; what it was before is in "
            f"{edited[0].old}: take from it what you need, and delete it"
        )


def _read(journal: int, root: Path) -> list[_Entry]:
    """The entries; none when the journal itself was cut off, since until it is complete no file is touched."""
    size = os.fstat(journal).st_size
    try:
        rows = json.loads(os.pread(journal, size, 0)) if size else []
    except ValueError:
        return []
    entries = [_Entry(Path(path), before, after) for path, before, after in rows]
    # A journal may have come with a repository: it must not make mulint delete a file outside of it.
    return [e for e in entries if e.before is not None or e.path.is_relative_to(root.resolve())]


def _replace(journal: int, contents: Sequence[tuple[_Entry, bytes]]) -> None:
    rows = [(str(entry.path), entry.before, entry.after) for entry, _ in contents]
    os.pwrite(journal, json.dumps(rows).encode(), 0)
    os.fsync(journal)
    for entry, data in contents:
        _prepare(entry, data)
    for entry, _ in contents:
        if _digest_of(entry.path) != entry.before:
            raise CannotWrite(f"{entry.path.name} {CHANGED}")
    for entry, _ in contents:
        if entry.before is None:
            _claim(entry)
        else:
            entry.new.replace(entry.path)
    for folder in {entry.path.parent for entry, _ in contents}:
        _sync(folder)


def _prepare(entry: _Entry, data: bytes) -> None:
    """The new bytes on disk beside the file, with its mode and owner, and a second name for the old file."""
    file = os.open(entry.new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(file, "wb", closefd=False) as stream:
            stream.write(data)
        if entry.before is not None:
            made, old = os.fstat(file), entry.path.stat()
            if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
                os.fchown(file, old.st_uid, old.st_gid)
            os.fchmod(file, stat.S_IMODE(old.st_mode))
        os.fsync(file)
    finally:
        os.close(file)
    if entry.before is not None:
        try:
            entry.old.hardlink_to(entry.path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            shutil.copy2(entry.path, entry.old)


def _claim(entry: _Entry) -> None:
    """Give a new file its name, which nobody else may have taken meanwhile."""
    try:
        entry.path.hardlink_to(entry.new)
    except FileExistsError:
        raise CannotWrite(f"{entry.path.name} exists by now; nothing was written: run mulint fix again") from None
    except OSError:  # a file system without hard links
        entry.new.rename(entry.path)


def _settle(entries: Sequence[_Entry]) -> list[_Entry]:
    """Bring all files to one side, old or new, and remove what was beside them.

    Returns:
        The files that were edited after they had been replaced; their old bytes stay beside them.
    """
    edited: list[_Entry] = []
    complete = all(_digest_of(entry.path) == entry.after for entry in entries)
    for entry in entries:
        now = _digest_of(entry.path)
        if not complete and now == entry.after:
            if entry.before is None:
                entry.path.unlink()
            else:
                entry.old.replace(entry.path)
        elif not complete and now != entry.before and entry.old.exists() and not entry.new.exists():
            edited.append(entry)
            continue
        entry.new.unlink(missing_ok=True)
        entry.old.unlink(missing_ok=True)
    return edited


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of(path: Path) -> str | None:
    return _digest(path.read_bytes()) if path.is_file() else None


def _sync(folder: Path) -> None:
    """Make renames in a folder last."""
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
