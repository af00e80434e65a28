"""The methods of Python's containers and strings."""

from __future__ import annotations

from collections.abc import Sequence

from mulint.program.joining import join, join_all
from mulint.program.library.indexing import unpacked
from mulint.program.numbers import Number
from mulint.program.run import Arguments, Run, iterate, sources_of
from mulint.program.values import (
    Constant,
    DictValue,
    Knob,
    ListValue,
    Method,
    SavedState,
    Tensor,
    Unknown,
    Value,
    as_number,
)


def call_method(run: Run, method: Method, arguments: Arguments) -> Value:
    """A method of a list, set, dict or string."""
    match method.receiver:
        case ListValue():
            return _list_method(run, method.receiver, method.name, arguments)
        case DictValue():
            return _dict_method(run, method.receiver, method.name, arguments)
        case Constant(value=str(text)):
            return _text_method(text, method.name, arguments)
        case SavedState():
            method.receiver.opened = True
            return Unknown("a part of a state")
        case Knob() | Unknown() if method.name == "parameters":
            return ListValue([Tensor(parameter=True)], complete=False)
        case Knob() | Unknown() if method.name == "named_parameters":
            return ListValue([ListValue([Unknown("a name"), Tensor(parameter=True)])], complete=False)
        case _:
            return sources_of(arguments.values) or Unknown(f"the method {method.name} is not followed")


def _list_method(run: Run, receiver: ListValue, name: str, arguments: Arguments) -> Value:
    first = arguments.positional[0] if arguments.positional else None
    match name:
        case "append" | "add" if first is not None:
            if not (isinstance(first, Constant) and first in receiver.items):
                receiver.items.append(first)
            receiver.complete = receiver.complete and not run.uncertainty
        case "extend" | "update" if first is not None:
            items, complete = iterate(first)
            receiver.items.extend(items)
            receiver.complete = receiver.complete and complete and not run.uncertainty
        case "insert" if len(arguments.positional) == 2:
            receiver.items.insert(as_number(arguments.positional[0]).whole or 0, arguments.positional[1])
        case "remove" | "discard":
            if isinstance(first, Constant) and first in receiver.items:
                receiver.items.remove(first)
        case "pop":
            return receiver.items.pop() if receiver.items else Unknown("an item of an empty list")
        case "union" | "intersection" | "copy":
            return ListValue(list(receiver.items), receiver.complete)
        case _:
            return Unknown(f"the method {name} of a list")
    return Constant(None)


def _dict_method(run: Run, receiver: DictValue, name: str, arguments: Arguments) -> Value:
    first = arguments.positional[0] if arguments.positional else None
    match name:
        case "items":
            pairs = [ListValue([_key(k), v]) for k, v in receiver.entries.items()]
            return ListValue(list(pairs), receiver.complete)
        case "keys":
            return ListValue([_key(k) for k in receiver.entries], receiver.complete)
        case "values":
            return ListValue(list(receiver.entries.values()), receiver.complete)
        case "get" | "pop" | "setdefault":
            default: Value = arguments.positional[1] if len(arguments.positional) > 1 else Constant(None)
            if isinstance(first, Constant):
                if first.value in receiver.entries:
                    return receiver.entries[first.value]
                return default if receiver.complete else join(default, Unknown())
            return join_all([*receiver.entries.values(), default])
        case "update":
            other = make_dict(run, arguments)
            if isinstance(other, DictValue):
                receiver.entries.update(other.entries)
                receiver.complete = receiver.complete and other.complete
            return Constant(None)
        case "copy":
            return DictValue(dict(receiver.entries), receiver.complete)
        case _:
            return Unknown(f"the method {name} of a dict")


def _key(key: object) -> Value:
    return Number.of(key) if isinstance(key, int) and not isinstance(key, bool) else Constant(key)  # type: ignore[arg-type]


_TEXT_TESTS = ("endswith", "startswith")
_TEXT_MAPS = ("lower", "upper", "strip", "title", "lstrip", "rstrip")


def _text_method(text: str, name: str, arguments: Arguments) -> Value:
    words = [word for v in arguments.positional for word in _texts(v)]
    if name in _TEXT_TESTS and words:
        return Constant(getattr(text, name)(tuple(words)))
    if name == "find" and len(words) == 1:
        return Number.of(text.find(words[0]))
    if name in _TEXT_MAPS and not arguments.positional:
        return Constant(getattr(text, name)())
    if name == "split" and len(words) == 1 and words[0]:
        return ListValue([Constant(part) for part in text.split(words[0])])
    if name == "replace" and len(words) == 2:
        return Constant(text.replace(words[0], words[1]))
    if name == "join":
        items, complete = iterate(arguments.positional[0]) if arguments.positional else ([], False)
        known = [i.value for i in items if isinstance(i, Constant) and isinstance(i.value, str)]
        if complete and len(known) == len(items):
            return Constant(text.join(known))
    return Unknown(f"the method {name} of a string")


def _texts(value: Value) -> Sequence[str]:
    items = value.items if isinstance(value, ListValue) else [value]
    return [i.value for i in items if isinstance(i, Constant) and isinstance(i.value, str)]


def make_dict(run: Run, arguments: Arguments) -> Value:
    """``dict(pairs, key=value)``."""
    del run
    result = DictValue(dict(arguments.keywords.items()), arguments.complete)
    for value in arguments.positional[:1]:
        if isinstance(value, DictValue):
            result.entries = {**value.entries, **result.entries}
            result.complete = result.complete and value.complete
            continue
        items, complete = iterate(value)
        result.complete = result.complete and complete
        for item in items:
            key, entry = unpacked(item, 2)
            if isinstance(key, Constant):
                result.entries[key.value] = entry
            else:
                result.complete = False
    return result
