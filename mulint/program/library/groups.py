"""Parameter groups as values: what is read from one, and what is written into it."""

from __future__ import annotations

from mulint.program.dimensions import Symbol
from mulint.program.run import Arguments, Run
from mulint.program.training_records import SIZES_OF_WEIGHTS, RateWrite
from mulint.program.values import (
    Constant,
    DictValue,
    GroupValue,
    Knob,
    ListValue,
    Site,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)

_RATE_KEYS = ("lr", "initial_lr", "lr_scale")


def item(run: Run, index: Value) -> Value:
    """A value read back from a parameter group; ``params`` are its weights."""
    key = str(index.value) if isinstance(index, Constant) else "?"
    run.group_reads.add(key)
    if key != "params":
        return of_group(key)
    return ListValue([Tensor(tuple(of_group(size).number for size in SIZES_OF_WEIGHTS))], complete=False)


def of_group(key: str) -> Knob:
    """Something that every parameter group has its own value of."""
    return Knob(Symbol(f"group.{key}", kind="group"))


def write(run: Run, group: GroupValue, index: Value, value: Value, site: Site, owner: str) -> None:
    """``group["lr"] = value``: kept if it is a rate, or a part of one."""
    if not isinstance(index, Constant) or index.value not in _RATE_KEYS:
        return
    numbers = [option.factor if isinstance(option, Tensor) else as_number(option) for option in options(value)]
    keys = {symbol.short for number in numbers for symbol in number.symbols if symbol.kind == "group"}
    reads = frozenset(run.group_reads | keys)
    key, order = str(index.value), run.next_order()
    run.seen.group_writes.append(
        RateWrite(site, value, group.every, reads, owner, group.record, key, order, run.asks_group)
    )


def write_all(run: Run, group: GroupValue, entries: Value, site: Site, owner: str) -> None:
    """``group |= {"lr": value}``."""
    if isinstance(entries, DictValue):
        for key, value in entries.entries.items():
            if isinstance(key, str):
                write(run, group, Constant(key), value, site, owner)


def call_method(run: Run, group: GroupValue, name: str, arguments: Arguments) -> Value:
    """``group.get("lr")`` and ``group.update(lr=value)``."""
    if name == "update":
        for entries in (*arguments.positional, DictValue(dict(arguments.keywords.items()))):
            write_all(run, group, entries, arguments.site, arguments.owner)
        return Constant(None)
    index = arguments.get("key", 0)
    return item(run, index) if index is not None else Unknown(f"{name}() of a parameter group")
