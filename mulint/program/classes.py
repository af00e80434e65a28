"""User classes: method lookup, what they inherit from torch, dataclass fields, instances from nowhere."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.program.dimensions import Symbol
from mulint.program.library.layers import ROWS, canonical
from mulint.program.library.tuners import TRIAL, TRIALS
from mulint.program.numbers import Number
from mulint.program.run import Arguments, Run
from mulint.program.values import (
    ClassValue,
    Constant,
    DictValue,
    External,
    FunctionValue,
    ListValue,
    ModuleValue,
    ObjectValue,
    Site,
    Value,
    options,
)
from mulint.theory import lookup

_PRETRAINED = frozenset({"transformers.PreTrainedModel", "transformers.modeling_utils.PreTrainedModel"})
_MODULE_BASES = _PRETRAINED | {
    "torch.nn.Module",
    "pytorch_lightning.LightningModule",
    "lightning.LightningModule",
    "lightning.pytorch.LightningModule",
}

_NUMBERS, _LISTS, _MAPS = (
    tuple(f"builtins.{name}" for name in names.split())
    for names in ("int float bool str bytes", "list tuple set str bytes", "dict")
)
# What values of a kind are surely no instances of.
_OTHERS: dict[type, tuple[str, ...]] = {
    Number: (*_LISTS, *_MAPS),
    ListValue: (*_NUMBERS, *_MAPS),
    DictValue: (*_NUMBERS, *_LISTS),
}


def ancestry(kind: ClassValue) -> tuple[ClassValue, ...]:
    """The class and its user-written bases, nearest first (depth first, each once)."""
    if not kind.lineage:
        found: dict[ClassValue, None] = {}
        pending = [kind]
        while pending:
            current = pending.pop(0)
            if current not in found:
                found[current] = None
                pending[:0] = [o for b in current.bases for o in options(b) if isinstance(o, ClassValue)]
        kind.lineage = tuple(found)
    return kind.lineage


def external_bases(kind: ClassValue) -> tuple[str, ...]:
    """Public names of the library classes it derives from, nearest first."""
    if kind.external is None:
        bases = (o for c in ancestry(kind) for b in c.bases for o in options(b))
        kind.external = tuple(canonical(o.name) for o in bases if isinstance(o, External))
    return kind.external


def is_module_class(kind: ClassValue) -> bool:
    """Whether instances are torch modules."""
    return any(
        name in _MODULE_BASES or name in ROWS or name.startswith("torch.nn.") for name in external_bases(kind)
    )


def is_pretrained(kind: ClassValue) -> bool:
    """Whether it derives from the base of transformers' models."""
    return not _PRETRAINED.isdisjoint(external_bases(kind))


def is_optimizer_class(kind: ClassValue) -> bool:
    """Whether instances are torch optimizers whose groups are those that they are given.

    A subclass of a known optimizer with an initialiser of its own may scale them first.
    """
    bases = external_bases(kind)
    return bool({"torch.optim.Optimizer", "torch.optim.optimizer.Optimizer"} & set(bases)) or (
        any(lookup(name) is not None for name in bases) and method(kind, "__init__") is None
    )


def parameter_names(kind: ClassValue) -> tuple[str, ...]:
    """The names of the arguments that a class takes, if it has an initialiser of its own."""
    initialiser = method(kind, "__init__")
    names = [p.name for p in initialiser.node.parameters if p.kind == "positional"] if initialiser else []
    return tuple(names[1:])


def class_attribute(kind: ClassValue, name: str, *, after: ClassValue | None = None) -> Value | None:
    """A class attribute or method; with ``after``, only from the bases that follow it (``super()``)."""
    reached = after is None
    for current in ancestry(kind):
        if reached and name in current.scope.names:
            return current.scope.names[name]
        reached = reached or current is after
    return None


def method(kind: ClassValue, name: str) -> FunctionValue | None:
    """A method by name."""
    found = class_attribute(kind, name)
    return found if isinstance(found, FunctionValue) else None


def is_dataclass(kind: ClassValue) -> bool:
    """Whether ``__init__`` comes from the annotated fields."""
    for current in ancestry(kind):
        for decorator in current.node.decorators:
            target = decorator.function if isinstance(decorator, s.Call) else decorator
            name = (
                target.id if isinstance(target, s.Name) else target.name if isinstance(target, s.Attribute) else ""
            )
            if name in ("dataclass", "define", "frozen", "attrs", "config"):
                return True
    return any(name.rpartition(".")[2] in ("NamedTuple", "BaseModel", "Struct") for name in external_bases(kind))


def fields(kind: ClassValue) -> list[tuple[str, ClassValue, s.Assign]]:
    """The annotated fields of a dataclass, base classes first."""
    found: dict[str, tuple[str, ClassValue, s.Assign]] = {}
    for current in reversed(ancestry(kind)):
        for node in current.node.body:
            if isinstance(node, s.Assign) and node.annotation is not None and isinstance(node.targets[0], s.Name):
                name = node.targets[0].id
                found[name] = (name, current, node)
    return list(found.values())


def given_fields(kind: ClassValue) -> list[str]:
    """The names of the fields that the initialiser takes: all but those declared with ``init=False``."""
    return [name for name, _, node in fields(kind) if not _is_left_out(node.value)]


def _is_left_out(value: s.Expression | None) -> bool:
    keywords = value.keywords if isinstance(value, s.Call) else ()
    return any(k.name == "init" and isinstance(k.value, s.Literal) and k.value.value is False for k in keywords)


def field_default(run: Run, owner: ClassValue, node: s.Assign) -> Value | None:
    """The default of a field, looking into ``field(default=...)``."""
    if node.value is None:
        return None
    if isinstance(node.value, s.Call):
        for keyword in node.value.keywords:
            if keyword.name == "default":
                return run.evaluate(keyword.value, owner.scope)
        return None
    return run.evaluate(node.value, owner.scope)


def knob_instance(run: Run, kind: ClassValue) -> ObjectValue:
    """An instance whose every field is a knob, named after the class."""
    result = ObjectValue(kind)
    for name, owner, node in fields(kind):
        annotated = run.evaluate(node.annotation, owner.scope) if node.annotation else None
        default = field_default(run, owner, node)
        if isinstance(annotated, ClassValue) and is_dataclass(annotated) and annotated is not kind:
            result.attributes[name] = knob_instance(run, annotated)
        else:
            symbol = Symbol(f"{owner.name}.{name}", owner.path, line_of(node.span))
            text = default if default is not None and _is_text(default) else None
            result.attributes[name] = text or run.knob(symbol, default)
    return result


def _fitting_class(run: Run, parameter: s.Parameter, function: FunctionValue) -> ClassValue | None:
    """The only dataclass in sight that has everything a function reads from an unannotated parameter."""
    read = run.attributes_read(function.node).get(parameter.name)
    if not read:
        return None
    top = list(function.scope.outward())[-1]
    in_sight = dict.fromkeys(v for v in top.names.values() if isinstance(v, ClassValue) and is_dataclass(v))
    fitting = [
        kind
        for kind in in_sight
        if all(any(name == n for n, _, _ in fields(kind)) or class_attribute(kind, name) for name in read)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _is_text(value: Value | None) -> bool:
    return isinstance(value, Constant) and isinstance(value.value, str)


def knob_for(run: Run, owner: str, path: str, parameter: s.Parameter, function: FunctionValue) -> Value:
    """The value of a parameter that nobody passes: a knob, or a knob-filled instance of its annotated class."""
    if parameter.annotation is not None:
        annotated = run.evaluate(parameter.annotation, function.scope)
        for option in options(annotated):
            if isinstance(option, ClassValue) and is_dataclass(option):
                return knob_instance(run, option)
            if isinstance(option, External) and option.name in TRIALS:
                return TRIAL
            if isinstance(option, ClassValue) and is_module_class(option):
                return run.call(option, Arguments((), {}, Site(path, parameter.span), complete=False))
    else:
        fitting = _fitting_class(run, parameter, function)
        if fitting is not None:
            return knob_instance(run, fitting)
    default = run.evaluate(parameter.default, function.scope) if parameter.default else None
    if default is not None and (isinstance(default, External | ClassValue | FunctionValue) or _is_text(default)):
        return default
    symbol = Symbol(f"{owner}.{parameter.name}", path, line_of(parameter.span))
    return run.knob(symbol, default)


def instance_of(value: Value, wanted: Value) -> bool | None:
    """``isinstance(value, wanted)`` if that is known."""
    names = wanted.items if isinstance(wanted, ListValue) else options(wanted)
    outcomes = [_instance_of_one(value, name) for name in names]
    if True in outcomes:
        return True
    return None if None in outcomes or not outcomes else False


def _instance_of_one(value: Value, wanted: Value) -> bool | None:
    if isinstance(value, ModuleValue):
        if isinstance(wanted, ClassValue):
            return value.kind is not None and wanted in ancestry(value.kind)
        if isinstance(wanted, External):
            name = canonical(wanted.name)
            bases = external_bases(value.kind) if value.kind else []
            own = value.layer.type if value.layer else value.container
            if name == own or name in bases or name == "torch.nn.Module":
                return True
            if own == "mup.MuReadout" and name == "torch.nn.Linear":
                return True
            return None if name.endswith(("._ConvNd", "._BatchNorm")) else False
    if isinstance(value, ObjectValue) and isinstance(wanted, ClassValue):
        return wanted in ancestry(value.kind)
    if isinstance(value, Constant) and isinstance(wanted, External):
        return type(value.value).__name__ == wanted.name.removeprefix("builtins.")
    if isinstance(wanted, External) and wanted.name in _OTHERS.get(type(value), ()):
        return False
    return None
