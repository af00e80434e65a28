"""Subscripts, slices, unpacking and assignment to any target."""

from __future__ import annotations

from dataclasses import replace

from mulint.facts import syntax as s
from mulint.facts.spans import Span
from mulint.program.dimensions import Dimension, Symbol
from mulint.program.joining import join, join_all
from mulint.program.library import groups
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.run import Run, iterate, site_of, sources_of
from mulint.program.scopes import Scope
from mulint.program.values import (
    Choice,
    Constant,
    DictValue,
    External,
    GroupsValue,
    GroupValue,
    Knob,
    ListValue,
    ModuleValue,
    ObjectValue,
    SavedState,
    Site,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)


def make_slice(lower: Value, upper: Value, step: Value) -> Value:
    """A slice as a value: a list that starts with a marker no program can build."""
    return ListValue([Constant(b"slice"), lower, upper, step])


ELLIPSIS = Constant(b"...")


def _slice_parts(value: Value) -> tuple[Value, Value, Value] | None:
    if isinstance(value, ListValue) and value.items and value.items[0] == Constant(b"slice"):
        return value.items[1], value.items[2], value.items[3]
    return None


def subscript(run: Run, container: Value, index: Value, site: Site) -> Value:
    """The value of ``container[index]``."""
    match container:
        case Choice(options=several):
            present = [o for o in several if not isinstance(o, Constant)]
            return join_all([subscript(run, o, index, site) for o in present])
        case ListValue():
            return _list_item(container, index)
        case DictValue():
            return _dict_item(container, index)
        case Tensor():
            return _tensor_item(container, index)
        case ModuleValue():
            return _module_item(container, index)
        case Knob():
            if isinstance(index, Constant) and isinstance(index.value, str):
                return run.attribute(container, index.value, site)
            return Knob(container.symbol)
        case SavedState():
            container.opened = True
            return Unknown("a part of a state")
        case GroupsValue(record=record):
            return GroupValue(record, every=as_number(index).whole != 0)
        case External(name=name) if name.endswith(".__dict__"):
            inner = index.value if isinstance(index, Constant) and isinstance(index.value, str) else "?"
            return External(f"{name.removesuffix('.__dict__')}.{inner}")
        case GroupValue():
            return groups.item(run, index)
        case _:
            return Unknown("an item of an unknown value")


def _list_item(container: ListValue, index: Value) -> Value:
    parts = _slice_parts(index)
    items = container.items
    if parts is not None:
        bounds = [None if p == Constant(None) else as_number(p).whole for p in parts]
        known = all(b is not None or p == Constant(None) for b, p in zip(bounds, parts, strict=True))
        if known and container.complete:
            return ListValue(items[bounds[0] : bounds[1] : bounds[2]])
        if known and is_known_from_end(container):
            return _end_slice(items, *bounds[:2])
        return ListValue(list(items), complete=False)
    position = as_number(index).whole
    if position is not None and container.complete:
        return items[position] if -len(items) <= position < len(items) else Unknown("an index out of range")
    if position is not None and position < 0 and -position <= len(items) and is_known_from_end(container):
        return items[position]
    return join_all(items) if items else Unknown("an item of an unknown list")


def is_known_from_end(sizes: ListValue) -> bool:
    """Whether these are the sizes of a tensor of which only the last ones are known."""
    return not sizes.complete and all(isinstance(i, Number | Knob) for i in sizes.items)


def _end_slice(items: list[Value], lower: int | None, upper: int | None) -> ListValue:
    """``shape[lower:upper]`` where the leading sizes are not known."""
    if upper is not None and upper > 0:
        return ListValue([], complete=False)
    kept = items if upper is None else items[:upper]
    if lower is None or (lower < 0 and -lower > len(items)):
        return ListValue(kept, complete=False)
    if lower < 0:
        return ListValue(items[lower:upper])
    # Leading sizes are dropped, of which none may be among the known ones.
    return ListValue(kept[-1:], complete=False)


def _dict_item(container: DictValue, index: Value) -> Value:
    key = index.value if isinstance(index, Constant) else as_number(index).whole
    if key is not None and key in container.entries:
        return container.entries[key]
    if not isinstance(index, Constant) and container.entries:
        return join_all(list(container.entries.values()))
    return Unknown("a key that is not known")


def _module_item(container: ModuleValue, index: Value) -> Value:
    values = list(container.attributes.values())
    if isinstance(index, Constant) and isinstance(index.value, str):
        return container.attributes.get(index.value, Unknown("a submodule that is not known"))
    parts = _slice_parts(index)
    if parts is not None:
        return ListValue(values, complete=False)
    position = as_number(index).whole
    if position is not None and container.container != "repeated" and -len(values) <= position < len(values):
        return values[position]
    return join_all(values) if values else Unknown("an empty container")


def _tensor_item(tensor: Tensor, index: Value) -> Value:
    """Sizes after indexing: exact for a tensor whose dimensions are all known, else from the last one on."""
    single = _slice_parts(index) is not None or not isinstance(index, ListValue)
    indices = [index] if single else (index.items if isinstance(index, ListValue) else [])
    before, after = _around_ellipsis(indices)
    consumed = sum(1 for i in indices if i not in (Constant(None), ELLIPSIS))
    if tensor.open:
        if before and len(indices) == len(before):
            # Without an ellipsis indices count from the front; (batch, time, heads, size) is the most there is.
            keeps_last = consumed < 4 or _is_full(indices[-1])
            return replace(tensor, dims=tensor.dims[-1:] if keeps_last else (), weight=None)
        if _consumes(after) > len(tensor.dims):
            return replace(tensor, dims=(), weight=None)
        kept = tensor.dims[: len(tensor.dims) - _consumes(after)]
        tail = _indexed(tensor.dims[len(kept) :], after)
        return replace(tensor, dims=() if tail is None else (*kept, *tail), weight=None)
    if consumed > len(tensor.dims):
        return replace(tensor, dims=(), open=True, weight=None)
    middle = tensor.dims[_consumes(before) : len(tensor.dims) - _consumes(after)]
    head = _indexed(tensor.dims[: _consumes(before)], before)
    tail = _indexed(tensor.dims[len(tensor.dims) - _consumes(after) :], after) if after else ()
    if head is None or tail is None:
        return replace(tensor, dims=(), open=True, weight=None)
    dims = (*head, *middle, *tail)
    # A slice of a weight with all its dimensions is still used as that weight.
    sliced = len(dims) == len(tensor.dims) and consumed == len(indices)
    return replace(tensor, dims=dims, weight=tensor.weight if sliced else None)


def _around_ellipsis(indices: list[Value]) -> tuple[list[Value], list[Value]]:
    if ELLIPSIS not in indices:
        return indices, []
    place = indices.index(ELLIPSIS)
    return indices[:place], indices[place + 1 :]


def _consumes(indices: list[Value]) -> int:
    return sum(1 for i in indices if i != Constant(None))


def _indexed(dims: tuple[Number, ...], indices: list[Value]) -> tuple[Number, ...] | None:
    """The sizes left of the dimensions that the indices apply to, one by one; None if an index is not known."""
    left = list(dims)
    found: list[Number] = []
    for index in indices:
        parts = _slice_parts(index)
        if index == Constant(None):
            found.append(ONE)
        elif parts is not None:
            found.append(_sliced_size(left.pop(0), parts))
        elif isinstance(index, Number):
            left.pop(0)
        else:
            return None
    return tuple(found)


def _sliced_size(size: Number, parts: tuple[Value, Value, Value]) -> Number:
    lower, upper, step = (None if p == Constant(None) else as_number(p) for p in parts)
    if step is not None:
        size = size / step
    if lower is None and upper is None:
        return size
    if lower is None and upper is not None and not _is_negative(upper):
        return upper
    if upper is None and lower is not None and not _is_negative(lower):
        return size.combine(lower, lambda a, b: a - b)
    return UNKNOWN_NUMBER


def _is_negative(number: Number) -> bool:
    return (number.constant or 0) < 0


def _is_full(index: Value) -> bool:
    parts = _slice_parts(index)
    return parts is not None and all(p == Constant(None) for p in parts[:2])


# Assignment


def assign(run: Run, target: s.Expression, value: Value, scope: Scope) -> None:
    """Bind a value to a name, attribute, item or pattern of these."""
    match target:
        case s.Name(id=name):
            scope.names[name] = value
        case s.Attribute():
            holder = run.evaluate(target.value, scope)
            for option in options(holder):
                run.set_attribute(option, target.name, value, site_of(scope, target.span))
        case s.Subscript():
            with run.reading_groups():  # what is read to find the place has no part in the value
                holder = run.evaluate(target.value, scope)
                index = run.evaluate(target.index, scope)
            _store_item(run, holder, index, value, scope, target.span)
        case s.Display(items=targets):
            _unpack(run, targets, value, scope)
        case s.Starred(value=inner):
            assign(run, inner, value, scope)
        case _:
            pass


def _unpack(run: Run, targets: tuple[s.Expression, ...], value: Value, scope: Scope) -> None:
    for target, item in zip(targets, _shared_out(targets, value), strict=True):
        assign(run, target, item, scope)


def _shared_out(targets: tuple[s.Expression, ...], value: Value) -> list[Value]:
    """A value for each target; a starred one (``first, *rest``) gets all that the others leave."""
    starred = next((place for place, target in enumerate(targets) if isinstance(target, s.Starred)), None)
    if isinstance(value, Choice) and starred is not None:
        several = [o for o in value.options if not isinstance(o, Constant)]
        return _side_by_side([_shared_out(targets, o) for o in several], len(targets))
    if starred is None or not isinstance(value, ListValue) or not value.complete:
        return unpacked(value, len(targets))
    after = len(value.items) - (len(targets) - 1 - starred)
    if after < starred:
        return unpacked(value, len(targets))
    return [*value.items[:starred], ListValue(value.items[starred:after]), *value.items[after:]]


def unpacked(value: Value, count: int) -> list[Value]:
    """``count`` values out of one; sizes of an open tensor fill from the end."""
    match value:
        case ListValue(items=items, complete=True) if len(items) == count:
            return list(items)
        case ListValue(items=items, complete=False) if items and all(isinstance(i, Number) for i in items):
            missing = max(0, count - len(items))
            return [*_axes(count, missing), *items[len(items) - (count - missing) :]]
        case ListValue(items=[], complete=False):
            return [*_axes(count, count)]
        case ListValue(items=items, complete=False) if items:
            merged = join_all(items)
            return [merged] * count
        case Tensor():
            part = sources_of((value,)) or Unknown()
            return [part] * count
        case Choice(options=several):
            return _side_by_side([unpacked(o, count) for o in several if _may_have(o, count)], count)
        case Knob():
            return [Knob(value.symbol)] * count
        case ModuleValue():
            items, _ = iterate(value)
            return items[:count] if len(items) >= count else [Unknown("unpacked from a container")] * count
        case _:
            return [Unknown("unpacked from an unknown value")] * count


def _side_by_side(rows: list[list[Value]], count: int) -> list[Value]:
    """What each of ``count`` targets may get, where one of some rows is shared out."""
    columns = [join_all([row[i] for row in rows]) for i in range(count)]
    return columns if rows else [Unknown("nothing that can be unpacked into so many")] * count


def _may_have(value: Value, count: int) -> bool:
    """Whether a value can be unpacked into so many."""
    if isinstance(value, ListValue) and value.complete:
        return len(value.items) == count
    return not isinstance(value, Constant)


_AXIS = "axis"
# What the last axis of an activation is called of which nothing is known.
LAST_AXIS = f"{_AXIS} -1"


def _axes(count: int, missing: int) -> list[Value]:
    """Sizes of leading axes that are not known, but are themselves wherever they appear again."""
    names = [f"{_AXIS} {index - count}" for index in range(missing)]
    return [Number((Dimension.of(Symbol(name, kind="size")),)) for name in names]


def _store_item(run: Run, holder: Value, index: Value, value: Value, scope: Scope, span: Span) -> None:
    for option in options(holder):
        match option:
            case DictValue():
                key = index.value if isinstance(index, Constant) else as_number(index).whole
                if key is None:
                    option.complete = False
                elif run.uncertainty and key in option.entries:
                    option.entries[key] = join(option.entries[key], value)
                else:
                    option.entries[key] = value
            case ListValue():
                position = as_number(index).whole
                if position is not None and -len(option.items) <= position < len(option.items):
                    option.items[position] = value
                else:
                    option.complete = False
            case GroupValue():
                groups.write(run, option, index, value, site_of(scope, span), scope.symbol)
            case SavedState():
                option.opened = True
            case ModuleValue() if isinstance(index, Constant):
                run.set_attribute(option, str(index.value), value, site_of(scope, span))
            case ObjectValue() | Knob() if isinstance(index, Constant) and isinstance(index.value, str):
                run.set_attribute(option, index.value, value, site_of(scope, span))
            case _:
                pass
