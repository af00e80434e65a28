"""Reading and writing attributes of abstract values."""

from __future__ import annotations

from dataclasses import replace

from mulint.program import classes, flags
from mulint.program.dimensions import Symbol
from mulint.program.joining import join, join_all
from mulint.program.library import command_line, modules, tuners
from mulint.program.numbers import Number
from mulint.program.run import Arguments, Run
from mulint.program.training_records import RateWrite
from mulint.program.values import (
    Bound,
    Choice,
    ClassValue,
    Constant,
    External,
    FunctionValue,
    GroupsValue,
    Knob,
    ListValue,
    Method,
    ModuleValue,
    ObjectValue,
    OptimizerValue,
    SchedulerValue,
    Site,
    SuperValue,
    Tensor,
    Unknown,
    Value,
)

# Names that belong to torch's modules alone, whatever the object is called.
_OF_MODULES = frozenset({"parameters", "named_parameters"})
# Wrapped models are followed as the model itself; these lead from the wrapper to it.
_INSIDE_WRAPPERS = frozenset({"module", "_orig_mod"})
# What the mup package knows of a parameter's shape, and which of its dimensions it takes for the fan-in.
_SHAPE_RECORDS = frozenset({"infshape", "main_idx"})


def attribute(run: Run, value: Value, name: str, site: Site) -> Value:
    """The value of ``value.name``."""
    match value:
        case ModuleValue() | ObjectValue():
            return _instance_attribute(run, value, name, site)
        case Knob():
            if name == "param_groups":
                return GroupsValue(None)
            if name in _OF_MODULES:
                return Method(value, name)
            if name not in value.attributes:
                symbol = Symbol(f"{value.symbol.name}.{name}", value.symbol.path, site.line)
                value.attributes[name] = Knob(symbol, foreign=value.foreign)
            return value.attributes[name]
        case External(name="wandb") if name == "config":
            return tuners.settings(run, site)
        case External(name=holder) if holder in command_line.HOLDERS:
            return attribute(run, command_line.held(run, holder, site), name, site)
        case External():
            return External(f"{value.name}.{name}")
        case ClassValue():
            return _class_attribute(value, name)
        case Tensor():
            return _tensor_attribute(value, name)
        case OptimizerValue():
            return GroupsValue(value.record) if name == "param_groups" else Method(value, name)
        case SchedulerValue():
            if name == "optimizer" and value.record.optimizer is not None:
                return OptimizerValue(value.record.optimizer)
            return Method(value, name)
        case SuperValue():
            found = classes.class_attribute(_kind(value.receiver) or value.owner, name, after=value.owner)
            if isinstance(found, FunctionValue):
                return Bound(found, value.receiver)
            return Method(value, name)
        case Choice(options=several):
            present = [o for o in several if not isinstance(o, Constant)]
            return join_all([attribute(run, o, name, site) for o in present]) if present else Unknown()
        case Unknown():
            # The name belongs to torch's optimizers alone, whatever the object was called.
            if name in _OF_MODULES:
                return Method(value, name)
            return GroupsValue(None) if name == "param_groups" else value
        case _:
            return Method(value, name)


def _kind(value: Value) -> ClassValue | None:
    return value.kind if isinstance(value, ModuleValue | ObjectValue) else None


def _instance_attribute(run: Run, value: ModuleValue | ObjectValue, name: str, site: Site) -> Value:
    if name in value.attributes:
        return value.attributes[name]
    if name == "__class__" and value.kind is not None:
        return value.kind
    if name == "__class__" and isinstance(value, ModuleValue):
        return External(value.layer.type if value.layer else value.container)
    found = classes.class_attribute(value.kind, name) if value.kind else None
    if isinstance(found, FunctionValue):
        if found.is_property:
            return run.call(Bound(found, value), Arguments((), {}, site))
        if found.is_static:
            return found
        return Bound(found, value.kind if found.is_class and value.kind else value)
    if found is not None:
        return found
    if isinstance(value, ModuleValue) and name in modules.METHODS:
        return Method(value, name)
    if isinstance(value, ModuleValue) and name in _INSIDE_WRAPPERS:
        return value.itself if name == "_orig_mod" else value
    if isinstance(value, ModuleValue) and value.layer is not None and name in value.layer.arguments:
        return value.layer.arguments[name]
    if isinstance(value, ObjectValue) and classes.external_bases(value.kind):
        return Method(value, name)
    return Unknown(f"{name} is not set where it was looked for")


def _class_attribute(kind: ClassValue, name: str) -> Value:
    found = classes.class_attribute(kind, name)
    if isinstance(found, FunctionValue) and found.is_class:
        return Bound(found, kind)
    if found is not None:
        return found
    if name == "__name__":
        return Constant(kind.name)
    return Unknown(f"{kind.name} has no attribute {name}")


def _tensor_attribute(tensor: Tensor, name: str) -> Value:
    match name:
        case "shape":
            return ListValue(list(tensor.dims), complete=not tensor.open)
        case "ndim":
            return Number() if tensor.open else Number.of(len(tensor.dims))
        case "data" | "real":
            return tensor
        case "T" | "mT" | "H":
            if len(tensor.dims) >= 2:
                return tensor.reshaped((*tensor.dims[:-2], tensor.dims[-1], tensor.dims[-2]), open_=tensor.open)
            return tensor.reshaped((), open_=True)
        case "grad" if tensor.weight is not None or tensor.parameter:
            return Tensor(tensor.dims, tensor.open, gradient=True)
        case "requires_grad" if tensor.weight is not None:
            return Constant(not tensor.weight.frozen)
        case "dtype" | "device" | "layout" | "is_cuda" | "grad_fn":
            return Unknown(f"{name} of a tensor")
        case _:
            return Method(tensor, name)


def set_attribute(run: Run, value: Value, name: str, new: Value, site: Site) -> None:
    """Carry out ``value.name = new``; under an unknown condition both the old and the new value stay possible."""
    if name in _SHAPE_RECORDS:
        run.seen.shape_writes.append((name, site))
    if isinstance(value, Tensor):
        modules.set_tensor_attribute(value, name, new)
        return
    if name == "base_lrs":  # of a scheduler, whose class does not matter
        write = RateWrite(site, new, True, frozenset(), "", None, name, run.next_order())
        run.seen.group_writes.append(write)
    if not isinstance(value, ModuleValue | ObjectValue | Knob):
        return
    flags.assigned(run, value, name, new, site)
    if isinstance(value, ModuleValue):
        new = modules.adopt(run, value, name, new, site)
    if isinstance(new, Number) and new.constant is None:
        new = replace(new, origin=site)
    old = value.attributes.get(name)
    level = 0 if isinstance(value, Knob) else value.level
    if run.uncertainty > level and old is not None and not isinstance(old, Knob):
        new = join(old, new)
    value.attributes[name] = new
