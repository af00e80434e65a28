"""What was computed from files, kept beside the project until the files, mulint or Python change.

Entries are text with a digest of what they were computed from and of themselves: one that is foreign, cut off or
changed is as good as none. Nothing here can fail; where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mulint import __version__

NAME = ".mulint_cache"
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file marks a cache that mulint wrote. It may be deleted at any time.\n"
    "# See https://bford.info/cachedir/\n"
)
# Several installations may share a folder: a few others that were used last keep their entries.
_OTHERS = 2
_STAMP = re.compile(r"\d[\w.+]*-\w+-\d+-[0-9a-f]{16}")


class Store:
    """The entries of one project, for this mulint and this Python."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._top = folder
        self._folder = folder / _stamp()
        self._root = str(root.resolve())
        with contextlib.suppress(OSError):
            os.utime(self._folder)  # the time of the last use: a folder's own time tells of new names only

    def get(self, name: str, origin: str) -> str | None:
        """The text under a name, if it was computed from the same origin.

        Args:
            name: what the text is of.
            origin: a digest of all that it depends on.
        """
        try:
            head, _, text = self._path(name).read_text(encoding="utf-8").partition("\n")
        except (OSError, UnicodeDecodeError):
            return None
        return text if head == digest(origin, text) else None

    def put(self, name: str, origin: str, text: str) -> None:
        """Keep a text under a name, in place of what was there."""
        path = self._path(name)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError, UnicodeEncodeError):
            if not self._folder.is_dir():
                self._remove_former()
            prepare(self._top, path.parent)
            try:
                beside.write_text(f"{digest(origin, text)}\n{text}", encoding="utf-8")
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise

    def _path(self, name: str) -> Path:
        mark = digest(self._root, name)
        return self._folder / mark[:2] / mark[2:]

    def _remove_former(self) -> None:
        """Remove the entries of former versions, which nothing reads again."""
        if not self._top.is_dir():
            return
        former = [p for p in self._top.iterdir() if _STAMP.fullmatch(p.name) and p.is_dir() and not p.is_symlink()]
        former.sort(key=lambda p: p.stat().st_mtime_ns, reverse=True)
        for path in former[_OTHERS:]:
            shutil.rmtree(path, ignore_errors=True)


def prepare(top: Path, folder: Path) -> None:
    """Make a folder inside a cache, and mark the cache as one, which no repository and no backup should hold.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("CACHEDIR.TAG", _TAG), (".gitignore", "*\n")):
        if not (top / name).exists():
            (top / name).write_text(text, encoding="utf-8")


def digest(*texts: str) -> str:
    """One mark for some texts in order."""
    found = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        found.update(b"%d:" % len(data))
        found.update(data)
    return found.hexdigest()


def _stamp() -> str:
    """The version of mulint, down to the state of its files, and that of Python."""
    state = digest(sys.version, *_files(Path(__file__).parent.parent))
    return f"{__version__}-{sys.implementation.cache_tag}-{state[:16]}"


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_dir() and entry.name != "__pycache__":
                yield from _files(Path(entry.path))
            elif entry.name.endswith(".py"):
                status = entry.stat()
                yield f"{entry.path} {status.st_size} {status.st_mtime_ns}"
