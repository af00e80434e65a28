"""What mulint says of itself and of its input beside what the rules find: MU901 to MU905 and their pages."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from mulint.findings import Severity


@dataclass(frozen=True, slots=True)
class Notice:
    """One code of mulint itself; ``page`` says what it means and what to do."""

    code: str
    name: str
    severity: Severity
    page: str

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.page.partition("\n")[0]


def _notice(code: str, name: str, page: str, severity: Severity = Severity.ERROR) -> Notice:
    return Notice(code, name, severity, textwrap.dedent(page).strip() + "\n")


NOT_PARSED = _notice(
    "MU901",
    "file-cannot-be-parsed",
    """
    A file that cannot be parsed.

    The file is no Python that the interpreter running mulint understands, so nothing in it was checked and the
    exit code is 2. Mend it, run mulint on a newer Python, or leave it out with `exclude` under [tool.mulint].
    """,
)
SUPPRESSION = _notice(
    "MU902",
    "unused-suppression",
    """
    A comment for mulint that silences nothing.

    Either there is no finding of its code at its place, and it can go, or it is written in a way that mulint does
    not read. These are read:

    - `# mulint: ignore[MU401] reason` at any line of a statement, or alone above it;
    - `# mulint: ignore[MU401, MU1] reason` for several codes and prefixes;
    - `# mulint: file-ignore[MU401] reason` for the whole file.
    """,
    Severity.WARNING,
)
UNKNOWN_NAME = _notice(
    "MU903",
    "unknown-name-in-configuration",
    """
    A name in the configuration that no size of the project has.

    Names under [tool.mulint.widths] are arguments and fields: `n_embd`, `GPTConfig.n_embd` or
    `model.GPTConfig.n_embd`, as long as it must be to be unique.
    """,
    Severity.WARNING,
)
NOT_READ = _notice(
    "MU904",
    "file-cannot-be-read",
    """
    A file that cannot be read, or that is skipped for its size.

    It is missing, may not be opened, is not text in its encoding, or no notebook: the exit code is 2. A file over
    `max-file-size` bytes (under [tool.mulint]; 1000000 without it) is skipped and listed, which is no failure.
    """,
)
INTERNAL = _notice(
    "MU905",
    "internal-error",
    """
    A fault of mulint itself.

    The rest of the project was checked; the exit code is 2. Run again with `--verbose`, which prints a traceback,
    and report it with the file.
    """,
)

NOTICES = (NOT_PARSED, SUPPRESSION, UNKNOWN_NAME, NOT_READ, INTERNAL)
