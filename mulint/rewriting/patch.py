"""What a fix proposes: whole files before and after, and what it leaves to the user."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from mulint.rewriting.edits import Cause


@dataclass(frozen=True, slots=True)
class FilePatch:
    """One file before and after; ``before`` is None for a new file.

    ``path`` is relative to the project root, with ``/``. The texts are as decoded: newlines kept, no byte order
    mark. ``edits`` counts the places that change.
    """

    path: str
    before: str | None
    after: str
    edits: int

    @property
    def diff(self) -> str:
        """The change as a unified diff; its lines end in a plain newline whatever those of the file end in."""
        before = (self.before or "").splitlines()
        old = "/dev/null" if self.before is None else f"a/{self.path}"
        lines = difflib.unified_diff(before, self.after.splitlines(), old, f"b/{self.path}", lineterm="")
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Left:
    """A finding that was not repaired: why, and what to do by hand, or what to answer.

    ``unsafe``: its repair changes the base model, and was not asked for. ``behind``: the place in the same unit
    that stands in its way, as (code, path, line).
    """

    code: str
    path: str
    line: int
    reason: str
    manual: str
    question: bool = False
    unsafe: bool = False
    behind: Cause | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Everything one run of ``fix`` proposes.

    ``fixed`` counts the findings that the patch removes; ``notes`` are things to know about it; ``base`` are the
    base sizes that it writes, by knob; ``models`` the classes that got a base, as ``path/model.py:Class``;
    ``packages`` the installed packages that the code did not import before, but for torch.
    ``changing`` are the findings whose repair changes the base model, as (code, path, line); ``keeping`` the files
    as they were without those repairs.
    """

    files: tuple[FilePatch, ...]
    left: tuple[Left, ...]
    fixed: int = 0
    notes: tuple[str, ...] = ()
    base: tuple[tuple[str, float], ...] = ()
    models: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    changing: tuple[Cause, ...] = ()
    keeping: tuple[FilePatch, ...] = ()
