"""Frozen data read back from JSON, by the annotations of its fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")
_Reader = Callable[[Any], Any]


def read(kind: type[T], data: Any) -> T:
    """Rebuild an instance of a dataclass from what JSON made of it: objects, lists, texts and numbers.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the data is something else.
    """
    reader: Callable[[Any], T] = _reader(typing.cast("Any", kind))
    return reader(data)


@cache
def _reader(kind: Any) -> _Reader:
    """What reads a value of an annotated type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        chosen = _reader(next(option for option in arguments if option is not types.NoneType))
        return lambda value: None if value is None else chosen(value)
    if origin is tuple:
        return _tuple_reader(arguments)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        readers = {name: _reader(hint) for name, hint in typing.get_type_hints(kind).items()}
        return lambda value: kind(**{name: readers[name](item) for name, item in value.items()})
    return lambda value: value


def _tuple_reader(arguments: tuple[Any, ...]) -> _Reader:
    if arguments[-1] is Ellipsis:
        item = _reader(arguments[0])
        return lambda value: tuple(map(item, value))
    items = tuple(map(_reader, arguments))
    return lambda value: tuple(one(part) for one, part in zip(items, value, strict=True))
