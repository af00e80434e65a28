"""Python's own functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from mulint.program import classes
from mulint.program.dimensions import Dimension, Symbol
from mulint.program.joining import join_all
from mulint.program.library import command_line
from mulint.program.library.groups import of_group
from mulint.program.library.indexing import unpacked
from mulint.program.library.methods import make_dict
from mulint.program.numbers import UNKNOWN_NUMBER, Number, own_of_group
from mulint.program.run import Arguments, Run, iterate, read_off_data, sources_of, truth
from mulint.program.values import (
    Constant,
    DictValue,
    External,
    GroupsValue,
    Knob,
    ListValue,
    ModuleValue,
    ObjectValue,
    Partial,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)

Handler = Callable[[Run, Arguments], Value]
_FEW_ROUNDS = 4
# As in a kernel size for each dimension, or a setting for each stage.
_MOST_REPEATED = 16


def _first(arguments: Arguments) -> Value:
    return arguments.positional[0] if arguments.positional else Unknown("a missing argument")


def _repeated(run: Run, arguments: Arguments) -> Value:
    """``itertools.repeat(x, n)``."""
    del run
    times = as_number(arguments.get("times", 1) or Unknown()).whole
    item = arguments.get("object", 0) or Unknown("a missing argument")
    return (
        ListValue([item], complete=False) if times is None or times > _MOST_REPEATED else ListValue([item] * times)
    )


def _range(run: Run, arguments: Arguments) -> Value:
    del run
    numbers = [as_number(v) for v in arguments.positional]
    bounds = [number.whole for number in numbers]
    known = [b for b in bounds if b is not None]
    # Longer repetitions build the same thing again: one round stands for all.
    if len(known) == len(bounds) and 1 <= len(known) <= 3 and 0 not in known[2:]:
        rounds = range(*known)[: _FEW_ROUNDS + 1]  # its own length may be more than Python can count
        if len(rounds) <= _FEW_ROUNDS:
            return ListValue([Number.of(i) for i in rounds])
    return ListValue([UNKNOWN_NUMBER], complete=False, length=_length_of_range(numbers))


def _length_of_range(bounds: list[Number]) -> Number:
    if len(bounds) == 1:
        return bounds[0]
    start, stop, *rest = bounds or (UNKNOWN_NUMBER, UNKNOWN_NUMBER)
    length = stop.combine(start, lambda a, b: a - b)
    return length / rest[0] if rest else length


def _enumerate(run: Run, arguments: Arguments) -> Value:
    del run
    items, complete = iterate(_first(arguments))
    # What is looked up by the number of a parameter group is a value of its own for each of them.
    unknown: Value = of_group("number") if isinstance(_first(arguments), GroupsValue) else UNKNOWN_NUMBER
    pairs: list[Value] = [ListValue([Number.of(i) if complete else unknown, item]) for i, item in enumerate(items)]
    return ListValue(pairs, complete)


def _zip(run: Run, arguments: Arguments) -> Value:
    del run
    # What is not known and runs beside parameter groups holds a value for each of them.
    beside = any(isinstance(v, GroupsValue) for v in arguments.positional)
    columns = [
        ([of_group("value")], False) if beside and isinstance(v, Knob | Unknown) else iterate(v)
        for v in arguments.positional
    ]
    # One item that stands for all of an unknown number is there beside each of those that are known.
    longest = max((len(items) for items, known in columns if known), default=0)
    filled = [items * longest if _is_typical(items, known) else items for items, known in columns]
    rows = zip(*filled, strict=False)
    complete = all(known for _, known in columns) and arguments.complete
    return ListValue([ListValue(list(row)) for row in rows], complete)


def _is_typical(items: Sequence[Value], known: bool) -> bool:
    item = items[0] if len(items) == 1 and not known else None
    return isinstance(item, Unknown) or (isinstance(item, Tensor) and item.parameter)


def _map(run: Run, arguments: Arguments) -> Value:
    function, *sequences = arguments.positional or (Unknown(),)
    items, complete = iterate(sequences[0]) if sequences else ([], False)
    results = [run.call(function, replace(arguments, positional=(item,), keywords={})) for item in items]
    return ListValue(results, complete)


def _filter(run: Run, arguments: Arguments) -> Value:
    function, *sequences = arguments.positional or (Unknown(),)
    items, complete = iterate(sequences[0]) if sequences else ([], False)
    kept: list[Value] = []
    for item in items:
        outcome = truth(run.call(function, replace(arguments, positional=(item,), keywords={})))
        complete = complete and outcome is not None
        if outcome is not False:
            kept.append(item)
    return ListValue(kept, complete)


def _sequence(run: Run, arguments: Arguments) -> Value:
    del run
    if not arguments.positional:
        return ListValue()
    items, complete = iterate(arguments.positional[0])
    return ListValue(
        list(dict.fromkeys(items)) if all(isinstance(i, Constant) for i in items) else items, complete
    )


def _list(run: Run, arguments: Arguments) -> Value:
    del run
    if not arguments.positional:
        return ListValue()
    value = arguments.positional[0]
    if isinstance(value, DictValue):
        return ListValue([Constant(k) for k in value.entries if isinstance(k, str)], value.complete)
    items, complete = iterate(value)
    return ListValue(items, complete)


def _length(run: Run, arguments: Arguments) -> Value:
    del run
    value = _first(arguments)
    if isinstance(value, Knob) and isinstance(value.default, ListValue):
        value = value.default  # how many stages a model has is no matter of its width
    if isinstance(value, ListValue | DictValue) and value.complete:
        return Number.of(len(value.items if isinstance(value, ListValue) else value.entries))
    if isinstance(value, Constant) and isinstance(value.value, str):
        return Number.of(len(value.value))
    if isinstance(value, ModuleValue) and value.container and value.container != "repeated":
        return Number.of(len(value.attributes))
    return read_off_data("len", arguments.site)


def _same_number(run: Run, arguments: Arguments) -> Value:
    """Rounding does not change growth."""
    del run
    value = _first(arguments)
    if isinstance(value, Constant) and isinstance(value.value, str):
        return UNKNOWN_NUMBER
    number = as_number(value)
    constant = number.constant
    return Number.of(int(constant)) if constant is not None else number


def _float(run: Run, arguments: Arguments) -> Value:
    del run
    return replace(as_number(_first(arguments)), boxed=False)


def _maximum(run: Run, arguments: Arguments) -> Value:
    """``max(n, 64)``: what grows decides, so constants drop out."""
    del run
    numbers = [as_number(v) for v in arguments.positional]
    constants = [c for n in numbers if (c := n.constant) is not None]
    if len(constants) == len(numbers) > 1:
        return Number.of(max(constants))
    if (own := own_of_group(numbers)) is not None:
        return own
    growing = [n for n in numbers if n.constant is None]
    return growing[0] if len(numbers) > 1 and len(growing) == 1 else UNKNOWN_NUMBER


def _minimum(run: Run, arguments: Arguments) -> Value:
    """A size capped by a constant may stop growing, so nothing is known of it."""
    del run
    numbers = [as_number(v) for v in arguments.positional]
    known = [c for n in numbers if (c := n.constant) is not None]
    if len(known) == len(numbers) > 1:
        return Number.of(min(known))
    return own_of_group(numbers) or UNKNOWN_NUMBER


def _sum(run: Run, arguments: Arguments) -> Value:
    del run
    items, complete = iterate(_first(arguments))
    if not complete:
        return sources_of(items) or UNKNOWN_NUMBER
    total = Number.of(0)
    for item in items:
        total = total.combine(as_number(item), lambda a, b: a + b)
    return total


def _isinstance(run: Run, arguments: Arguments) -> Value:
    del run
    if len(arguments.positional) != 2:
        return Unknown("a condition")
    outcome = classes.instance_of(arguments.positional[0], arguments.positional[1])
    return Unknown("a condition") if outcome is None else Constant(outcome)


def _getattr(run: Run, arguments: Arguments) -> Value:
    name, holder = arguments.get("name", 1), _first(arguments)
    if not isinstance(name, Constant) or not isinstance(name.value, str):
        if isinstance(holder, External):
            return External(f"{holder.name}.?")
        return Unknown("an attribute whose name is not known")
    found = run.attribute(_first(arguments), name.value, arguments.site)
    default = arguments.get("default", 2)
    if isinstance(found, Unknown) and default is not None:
        return default
    if isinstance(found, Knob) and default is not None and found.default is None:
        found.default = default
    return found


def _setattr(run: Run, arguments: Arguments) -> Value:
    name, value = arguments.get("name", 1), arguments.get("value", 2)
    if isinstance(name, Constant) and isinstance(name.value, str) and value is not None:
        run.set_attribute(_first(arguments), name.value, value, arguments.site)
    return Constant(None)


def _hasattr(run: Run, arguments: Arguments) -> Value:
    value, name = _first(arguments), arguments.get("name", 1)
    if isinstance(name, Constant) and isinstance(name.value, str):
        if isinstance(value, ModuleValue | ObjectValue):
            found = run.attribute(value, name.value, arguments.site)
            return Constant(not isinstance(found, Unknown))
        if isinstance(value, Tensor):
            return Unknown("a condition")
    return Unknown("a condition")


def _type(run: Run, arguments: Arguments) -> Value:
    value = _first(arguments)
    if isinstance(value, ModuleValue | ObjectValue):
        return run.attribute(value, "__class__", arguments.site)
    return Unknown("a type")


def _identity_number(run: Run, arguments: Arguments) -> Value:
    """``id(p)``: good for nothing but comparing, so a text that is the same for the same weight or module."""
    del run
    value = _first(arguments)
    if isinstance(value, Tensor) and value.weight is not None:
        return Constant(f"id {id(value.weight)}")
    return Constant(f"id {id(value)}") if isinstance(value, ModuleValue) else Unknown("an identity")


def _partial(run: Run, arguments: Arguments) -> Value:
    del run
    function = _first(arguments)
    return Partial(function, arguments.positional[1:], tuple(arguments.keywords.items()))


def _next(run: Run, arguments: Arguments) -> Value:
    del run
    items, _ = iterate(_first(arguments))
    return items[0] if items else Unknown("an empty iterator")


def _root(run: Run, arguments: Arguments) -> Value:
    del run
    value = _first(arguments)
    return as_number(value).power(Fraction(1, 2))


def _power(run: Run, arguments: Arguments) -> Value:
    del run
    base, exponent = (as_number(v) for v in unpacked(ListValue(list(arguments.positional)), 2))
    constant = exponent.constant
    return UNKNOWN_NUMBER if constant is None else base.power(Fraction(constant).limit_denominator(64))


def _joined_path(run: Run, arguments: Arguments) -> Value:
    """``os.path.join(folder, name)``: where the parts are the same, one knob."""
    parts = arguments.positional
    texts = [part.value for part in parts if isinstance(part, Constant) and isinstance(part.value, str)]
    if len(texts) == len(parts):
        return Constant("/".join(texts))
    joined = Knob(Symbol("join", arguments.site.path, arguments.site.line))
    if all(isinstance(part, Constant | Knob) for part in parts):
        return run.paths.setdefault(parts, joined)
    return joined


def _opaque(run: Run, arguments: Arguments) -> Value:
    """A number of its own, so that what it is multiplied with stays known."""
    del run
    site = arguments.site
    line, column, *_ = site.ends
    name = f"number {site.path}:{line}:{column}"
    return Number((Dimension.of(Symbol(name, site.path, site.line, kind="size")),))


def _reversed(run: Run, arguments: Arguments) -> Value:
    del run
    items, complete = iterate(_first(arguments))
    return ListValue(items[::-1], complete)


def _any_of(run: Run, arguments: Arguments) -> Value:
    del run
    items, complete = iterate(_first(arguments))
    outcomes = [truth(i) for i in items]
    if True in outcomes:
        return Constant(True)
    return Constant(False) if complete and None not in outcomes else Unknown("a condition")


def _replaced(run: Run, arguments: Arguments) -> Value:
    """``dataclasses.replace(config, width=64)``: the fields of an object with some of them changed."""
    results = [_replaced_one(run, o, arguments) for o in options(_first(arguments))]
    return join_all(results)


def _replaced_one(run: Run, value: Value, arguments: Arguments) -> Value:
    changes = replace(arguments, positional=())
    if isinstance(value, Knob):
        return replace(value, attributes={**value.attributes, **arguments.keywords})
    if not isinstance(value, ObjectValue) or not classes.is_dataclass(value.kind):
        return Unknown("a changed copy of something that is not followed")
    if arguments.complete:
        names = classes.given_fields(value.kind)
        kept = {name: value.attributes[name] for name in names if name in value.attributes}
        changes = replace(changes, keywords={**kept, **arguments.keywords})
    return run.call(value.kind, changes)


def _identity(run: Run, arguments: Arguments) -> Value:
    del run
    return _first(arguments)


FUNCTIONS: dict[str, Handler] = {
    **command_line.FUNCTIONS,
    "builtins.range": _range,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.map": _map,
    "builtins.filter": _filter,
    "builtins.list": _list,
    "builtins.tuple": _list,
    "builtins.sorted": _list,
    "builtins.iter": _list,
    "builtins.set": _sequence,
    "builtins.frozenset": _sequence,
    "builtins.dict": make_dict,
    "collections.OrderedDict": make_dict,
    "builtins.len": _length,
    "itertools.repeat": _repeated,
    "builtins.int": _same_number,
    "builtins.round": _same_number,
    "math.floor": _same_number,
    "math.ceil": _same_number,
    "builtins.float": _float,
    "builtins.abs": _float,
    "builtins.max": _maximum,
    "builtins.min": _minimum,
    "builtins.sum": _sum,
    "builtins.isinstance": _isinstance,
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "builtins.hasattr": _hasattr,
    "builtins.type": _type,
    "builtins.id": _identity_number,
    "builtins.next": _next,
    "builtins.reversed": _reversed,
    "builtins.any": _any_of,
    "functools.partial": _partial,
    "math.sqrt": _root,
    "numpy.sqrt": _root,
    "math.pow": _power,
    "builtins.pow": _power,
    "os.path.join": _joined_path,
    "math.log": _opaque,
    "math.log2": _opaque,
    "math.cos": _opaque,
    "math.exp": _opaque,
    "copy.deepcopy": _identity,
    "copy.copy": _identity,
    **dict.fromkeys(("dataclasses.replace", "copy.replace", "attrs.evolve", "attr.evolve"), _replaced),
    "types.SimpleNamespace": make_dict,
}
