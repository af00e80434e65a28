"""The facts of one file: a pure function of its text, with nothing of other files in it."""

from __future__ import annotations

import ast
import sys
import warnings

from mulint.facts.lower import Lowering
from mulint.facts.syntax import FileFacts

__all__ = ["CannotParse", "FileFacts", "extract"]


class CannotParse(Exception):
    """The text is not Python that this interpreter can read; ``line`` is where it stops making sense."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def extract(path: str, text: str) -> FileFacts:
    """Read the facts of one file.

    Args:
        path: relative to the project root, with ``/``.
        text: the decoded source, without a byte order mark.

    Raises:
        CannotParse: the text is not valid for the Python that runs mulint, or nests too deeply.
    """
    if "\0" in text:
        raise CannotParse(text[: text.index("\0")].count("\n") + 1, "it holds a null byte; remove the character")
    try:
        text, tree = _parsed(text)
        return FileFacts(path, Lowering(text).body(tree.body), text.count("\n") + 1)
    except SyntaxError as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotParse(
            error.lineno or 1, f"{error.msg} (read as Python {version}); mend or exclude it"
        ) from None
    except (RecursionError, MemoryError):
        raise CannotParse(1, "expressions nest too deeply; split the longest expression") from None


def _parsed(text: str) -> tuple[str, ast.Module]:
    """The tree of a text; of one that is newer than this interpreter, that of the same in older words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return text, ast.parse(text)
        except SyntaxError:
            from mulint.facts.newer import in_older_words

            older = in_older_words(text)
            if older is None:
                raise
            return older, ast.parse(older)
