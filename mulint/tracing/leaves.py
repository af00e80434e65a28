"""The numbers in a nested configuration by their paths: ``text_config.hidden_size``, ``hidden_sizes.0``."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

Leaf = int | float | bool | str | None


def leaves(value: object, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every number, flag, text and ``None`` below a value, with its path."""
    if isinstance(value, bool | int | float | str | type(None)):
        yield prefix, value
        return
    for key, item in children(value):
        yield from leaves(item, f"{prefix}.{key}".lstrip("."))


def children(value: object) -> Iterator[tuple[str, object]]:
    """The parts of a container that numbers are looked for in; nothing of other objects."""
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items() if isinstance(key, str | int))
    elif isinstance(value, list | tuple):
        yield from ((str(index), item) for index, item in enumerate(value))
    elif isinstance(value, functools.partial):
        yield from value.keywords.items()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((entry.name, getattr(value, entry.name)) for entry in dataclasses.fields(value) if entry.init)


def by_part(changes: Mapping[str, Leaf]) -> dict[str, dict[str, Leaf]]:
    """Changes by the part that they are in, each with the rest of its path."""
    below: dict[str, dict[str, Leaf]] = {}
    for path, new in changes.items():
        head, _, rest = path.partition(".")
        below.setdefault(head, {})[rest] = new
    return below


def changed(value: Any, changes: Mapping[str, Leaf]) -> Any:
    """A copy of a container in which the leaves of some paths have other values."""
    if "" in changes:
        return changes[""]
    below = by_part(changes)
    if not below:
        return value
    parts = {key: changed(item, below[key]) for key, item in children(value) if key in below}
    if isinstance(value, Mapping):
        own = {**value, **{key: parts[str(key)] for key in value if str(key) in parts}}
        return own if type(value) is dict else type(value)(own)  # type: ignore[call-arg]
    if isinstance(value, list | tuple):
        items = [parts.get(str(index), item) for index, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, functools.partial):
        return functools.partial(value.func, *value.args, **{**value.keywords, **parts})
    return dataclasses.replace(value, **parts)
