"""The numbers that one instance of a class is built with, under the names that its options have."""

from __future__ import annotations

from collections.abc import Iterator

from mulint.program import classes
from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.records import Construction
from mulint.program.values import ClassValue, DictValue, Knob, ObjectValue, Value, as_number

Options = dict[Symbol, float]


def options_of(construction: Construction) -> Options:
    """Each option as the knob that stands for it where nothing is given, and its number; only those with one.

    Options in a configuration count: fields of an object, entries of a dict.
    """
    initialiser = classes.method(construction.kind, "__init__")
    owner = initialiser.owner if initialiser is not None else None
    found: Options = {}
    if owner is not None:
        for name, value in construction.given.items():
            for symbol, inner in _named(Symbol(f"{owner.name}.{name}", owner.path), value):
                number = settled(inner).constant
                if number is not None:
                    found[symbol] = float(number)
    return found


def settled(value: Value) -> Number:
    """A value as a number, a setting as it is written."""
    if isinstance(value, Knob) and isinstance(value.default, Number):
        return value.default
    return as_number(value)


def _named(symbol: Symbol, value: Value) -> Iterator[tuple[Symbol, Value]]:
    """An option and what is inside it, with every name that it may have."""
    match value:
        case DictValue(entries=entries):
            yield from ((Symbol(f"{symbol.name}.{key}", symbol.path), entry) for key, entry in entries.items())
        case ObjectValue(kind=kind, attributes=attributes):
            for name, entry in attributes.items():
                yield Symbol(f"{symbol.name}.{name}", symbol.path), entry
                yield Symbol(f"{_owner(kind, name).name}.{name}", _owner(kind, name).path), entry
        case _:
            yield symbol, value


def _owner(kind: ClassValue, name: str) -> ClassValue:
    """The class of an object's lineage that declares a field, or has the initialiser."""
    declared = next((owner for field, owner, _ in classes.fields(kind) if field == name), None)
    initialiser = classes.method(kind, "__init__")
    return declared or (initialiser.owner if initialiser and initialiser.owner else kind)
