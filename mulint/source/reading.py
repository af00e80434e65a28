"""Bytes to text and back: encodings, byte order marks, sizes; every refusal is one line that says what to do."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

from mulint.source import notebooks

_TORCH = re.compile(rb"\b(torch|mup|unit_scaling|pytorch_lightning|lightning)\b")
_OUTPUTS = 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One decoded file: path relative to the project root, text without a byte order mark.

    ``cells``: of a notebook, the number of each cell and its first line in the text.
    """

    path: str
    text: str
    mentions_torch: bool
    cells: notebooks.Cells = ()

    @property
    def is_notebook(self) -> bool:
        """Whether the text was taken from a notebook; it cannot be written back."""
        return self.path.endswith(notebooks.SUFFIX)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as Python counts them: only CR, LF and CRLF end one."""
        return tuple(re.split(r"\r\n|\r|\n", self.text))


class CannotRead(Exception):
    """A file could not be read or decoded; ``too_large`` marks one that was skipped for its size."""

    def __init__(self, message: str, *, line: int = 1, too_large: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.too_large = too_large


def read(root: Path, path: str, max_size: int) -> SourceFile:
    """Read and decode one file as Python would (PEP 263).

    Raises:
        CannotRead: it is missing, unreadable, larger than ``max_size`` bytes, or not in its encoding.
    """
    try:
        size = (root / path).stat().st_size
        # Most of a notebook is what its cells printed and drew.
        if size > (max_size * _OUTPUTS if path.endswith(notebooks.SUFFIX) else max_size):
            raise CannotRead(
                f"skipped: {size / 1e6:.1f} MB is over the limit of {max_size / 1e6:g} MB; "
                "raise max-file-size in [tool.mulint] to check it",
                too_large=True,
            )
        data = (root / path).read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise CannotRead(f"cannot be read: {reason}; check the path and its permissions") from None
    return decode(path, data)


def decode(path: str, data: bytes) -> SourceFile:
    """Decode the bytes of one file.

    Raises:
        CannotRead: the bytes are not text in the declared encoding, or no notebook.
    """
    if path.endswith(notebooks.SUFFIX):
        try:
            return SourceFile(path, *_notebook(data))
        except notebooks.NotANotebook as error:
            raise CannotRead(str(error)) from None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except SyntaxError as error:
        raise CannotRead(f"cannot be decoded: {error}; fix the coding comment or save it as UTF-8") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CannotRead(
            f"cannot be decoded: byte 0x{data[error.start]:02x} is not {error.encoding}; "
            "save it as UTF-8 or declare its encoding on the first line",
            line=line,
        ) from None
    return SourceFile(path, text.removeprefix("\ufeff"), _TORCH.search(data) is not None)


def _notebook(data: bytes) -> tuple[str, bool, notebooks.Cells]:
    text, cells = notebooks.code(data)
    return text, _TORCH.search(text.encode(errors="replace")) is not None, cells


def encode(text: str, original: bytes) -> bytes:
    """The bytes of a changed text in the encoding of the file it came from, byte order mark included.

    Raises:
        UnicodeEncodeError: the encoding lacks a character of the text.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(original).readline)
    return text.encode(encoding)
