"""Which files belong to a project, and which of them were asked for."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DEFAULT_EXCLUDES = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".mulint_cache",
    ".ipynb_checkpoints",
    "__pycache__",
    "__pypackages__",
    "node_modules",
    "site-packages",
    "build",
    "dist",
    ".eggs",
)
SUFFIXES = (".py", ".ipynb")


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a project root, and those among them that the command line names.

    Paths are relative to ``root``, with ``/``; ``missing`` are named paths that do not exist.
    """

    root: Path
    files: tuple[str, ...]
    named: frozenset[str]
    missing: tuple[str, ...]

    def with_unsaved(self, paths: Iterable[str]) -> Selection:
        """Also the files whose contents are given and may not be on the disk."""
        files = tuple(sorted({*self.files, *paths}))
        return dataclasses.replace(self, files=files, named=self.named | set(paths))


def project_root(paths: Sequence[Path]) -> Path:
    """The closest folder above the first path that holds pyproject.toml or .git, else the common folder."""
    existing = [p.absolute() for p in paths if p.exists()] or [Path.cwd()]
    folders = [p if p.is_dir() else p.parent for p in existing]
    for candidate in (folders[0], *folders[0].parents):
        if (candidate / "pyproject.toml").is_file() or (candidate / ".git").exists():
            if all(folder.is_relative_to(candidate) for folder in folders):
                return candidate
            break
    return Path(os.path.commonpath(folders))


def select(paths: Sequence[Path], root: Path, excludes: Sequence[str]) -> Selection:
    """All Python files and notebooks under the root, and which of them lie on the named paths.

    A file that is named itself is always taken, whatever is excluded.
    """
    files = dict.fromkeys(_walk(root, root, excludes))
    named: set[str] = set()
    missing: list[str] = []
    for path in paths:
        absolute = path.absolute()
        if absolute.is_dir():
            prefix = _relative(absolute, root)
            inside = [f for f in files if prefix == "." or f.startswith(f"{prefix}/")]
            if not inside and prefix != ".":
                inside = list(_walk(absolute, root, excludes))
                files.update(dict.fromkeys(inside))
            named.update(inside)
        elif os.path.lexists(absolute):
            name = _relative(absolute, root)
            files[name] = None
            named.add(name)
        else:
            missing.append(str(path))
    return Selection(root, tuple(sorted(files)), frozenset(named), tuple(missing))


def without_excluded(paths: Iterable[Path], root: Path, excludes: Sequence[str]) -> tuple[Path, ...]:
    """The paths that are not excluded and lie in no folder that is."""

    def is_excluded(path: Path) -> bool:
        parts = PurePosixPath(_relative(path.absolute(), root)).parts
        return any(_excluded(part, "/".join(parts[: n + 1]), excludes) for n, part in enumerate(parts))

    return tuple(path for path in paths if not is_excluded(path))


def shown_from(root: Path) -> Callable[[str], str]:
    """How paths of a project are printed: relative to the working directory."""
    return lambda path: _relative(root / path, Path())


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _walk(folder: Path, root: Path, excludes: Sequence[str]) -> Iterator[str]:
    """Python files and notebooks below a folder; links to folders are not followed, so loops end."""
    for current, folders, names in os.walk(folder):
        here = _relative(Path(current), root)
        folders[:] = sorted(d for d in folders if not _excluded(d, _join(here, d), excludes))
        for name in sorted(names):
            path = _join(here, name)
            if name.endswith(SUFFIXES) and not _excluded(name, path, excludes):
                yield path


def _join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _excluded(name: str, path: str, excludes: Sequence[str]) -> bool:
    if name in DEFAULT_EXCLUDES or name.endswith(".egg-info"):
        return True
    patterns = [pattern.rstrip("/") for pattern in excludes]
    return any(fnmatch.fnmatch(name, p) or fnmatch.fnmatch(path, p) or path.startswith(f"{p}/") for p in patterns)
