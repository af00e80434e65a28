"""The facts of a file as JSON and back. A node is a list: the number of its kind, then its fields in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from sys import intern
from typing import Any, get_args

from mulint.facts import syntax as s

_KINDS: tuple[type, ...] = (
    *get_args(s.Expression),
    *get_args(s.Statement),
    s.Keyword,
    s.Generator,
    s.Parameter,
)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_FIELDS = {kind: tuple(getattr(kind, "__dataclass_fields__")) for kind in _KINDS}  # noqa: B009 - not in its type
# What JSON has no word for, in place of the number of a kind.
_TUPLE, _BYTES, _COMPLEX, _LONG = -1, -2, -3, -4
_LONGEST = 128


def dumps(facts: s.FileFacts) -> str:
    """The facts as text, without the path.

    Raises:
        ValueError: it nests too deeply.
    """
    try:
        return json.dumps([facts.lines, _encoded(facts.body)], separators=(",", ":"))
    except RecursionError:
        raise ValueError(f"{facts.path} nests too deeply to be written") from None


def loads(path: str, text: str) -> s.FileFacts:
    """Facts from what ``dumps`` wrote.

    Raises:
        ValueError: the text is something else.
    """
    try:
        lines, body = json.loads(text)
        return s.FileFacts(path, _decoded(body), lines)
    except (TypeError, IndexError, KeyError, RecursionError) as error:
        raise ValueError(f"not the facts of a file: {error}") from None


def _encoded(value: Any) -> Any:
    number = _NUMBERS.get(type(value))
    if number is not None:
        fields = _FIELDS[type(value)]
        return [number, *[_encoded(getattr(value, name)) for name in fields]]
    if isinstance(value, tuple):
        return [_TUPLE, *map(_encoded, value)]
    if isinstance(value, bytes):
        return [_BYTES, value.hex()]
    if isinstance(value, complex):
        return [_COMPLEX, value.real, value.imag]
    if type(value) is int and value.bit_length() > _LONGEST:  # Python refuses to write long ones in decimal
        return [_LONG, hex(value)]
    return value


def _decoded(value: Any) -> Any:
    number = value[0]
    if number >= 0:
        return _KINDS[number](*[_decoded(item) if type(item) is list else _shared(item) for item in value[1:]])
    if number == _TUPLE:
        return tuple([_decoded(item) if type(item) is list else _shared(item) for item in value[1:]])
    return _OTHERS[number](*value[1:])


def _shared(leaf: Any) -> Any:
    """A name stands in many nodes: JSON gives each a string of its own."""
    return intern(leaf) if type(leaf) is str else leaf


_OTHERS: dict[int, Callable[..., object]] = {
    _BYTES: bytes.fromhex,
    _COMPLEX: complex,
    _LONG: lambda text: int(text, 16),
}
