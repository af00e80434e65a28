"""Constructions of optimizers and schedulers, and what their methods do to groups."""

from __future__ import annotations

import re
from functools import cache

from mulint import theory
from mulint.program import classes
from mulint.program.library import checkpoints, practices
from mulint.program.library.modules import named_weights
from mulint.program.records import Weight
from mulint.program.run import Arguments, Run, iterate, read_off_data
from mulint.program.training_records import GroupRecord, OptimizerRecord, SchedulerRecord
from mulint.program.values import (
    ClassValue,
    Constant,
    DictValue,
    ListValue,
    ModuleValue,
    OptimizerValue,
    SchedulerValue,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)

_SCHEDULER_ROOTS = (
    "torch.optim.lr_scheduler.",
    "torch.optim.swa_utils.SWALR",
    "timm.scheduler.",
    "deepspeed.runtime.lr_schedules.",
    "pl_bolts.optimizers.lr_scheduler.",
)
_SCHEDULER_FACTORY = re.compile(
    r"timm\.scheduler\.create_scheduler(_v2)?"
    r"|(transformers|diffusers)\.(optimization\.)?get_(\w+_)?scheduler?(_with_\w+)?"
    r"|ignite\.handlers\.(param_scheduler\.)?create_lr_scheduler_with_warmup"
)
# Positional arguments, as far as a rule reads any of them.
_SIGNATURES: dict[str, tuple[str, ...]] = {
    "OneCycleLR": ("optimizer", "max_lr", "total_steps"),
    "CyclicLR": ("optimizer", "base_lr", "max_lr"),
    "CosineAnnealingLR": ("optimizer", "T_max", "eta_min"),
    "CosineAnnealingWarmRestarts": ("optimizer", "T_0", "T_mult", "eta_min"),
    "LambdaLR": ("optimizer", "lr_lambda"),
    "SWALR": ("optimizer", "swa_lr"),
    "create_scheduler": ("args", "optimizer"),
    "get_scheduler": ("name", "optimizer"),
    "WarmupLR": ("optimizer", "warmup_min_lr", "warmup_max_lr"),
    "WarmupDecayLR": ("optimizer", "total_num_steps", "warmup_min_lr", "warmup_max_lr"),
    "LinearWarmupCosineAnnealingLR": ("optimizer", "warmup_epochs", "max_epochs", "warmup_start_lr", "eta_min"),
    "create_lr_scheduler_with_warmup": (
        *("lr_scheduler", "warmup_start_value", "warmup_duration", "warmup_end_value"),
    ),
}


@cache
def is_optimizer(name: str) -> bool:
    """Whether an external name is an optimizer class that the theory knows, or one of torch's."""
    if name.startswith("torch.optim.") and not name.startswith((*_SCHEDULER_ROOTS, "torch.optim.swa_utils.")):
        last = name.rpartition(".")[2]
        return last[:1].isupper() and last != "Optimizer"
    return theory.lookup(name) is not None


@cache
def is_scheduler(name: str) -> bool:
    """Whether an external name is a scheduler class, or a function that builds one."""
    if _SCHEDULER_FACTORY.fullmatch(name):
        return True
    return name.startswith(_SCHEDULER_ROOTS) and name.rpartition(".")[2][:1].isupper()


def construct(run: Run, name: str, arguments: Arguments) -> Value:
    """``AdamW(groups, lr=..., ...)``."""
    given = arguments.bind(("params", "lr"))
    params = given.pop("params", Unknown("no parameters given"))
    if not arguments.complete:
        given.setdefault("lr", Unknown("the rate may be among arguments that are not known"))
    if any(isinstance(item, Unknown) for item in iterate(params)[0]):
        given.setdefault("lr", Unknown("the rate may be in groups that are not known"))
    groups, complete = _groups(params)
    record = OptimizerRecord(name, arguments.site, arguments.owner, groups, given, complete and arguments.complete)
    record.listed = _is_listed(params)
    return seen(run, record)


def construct_local(run: Run, kind: ClassValue, arguments: Arguments) -> Value:
    """An optimizer class of the user's own: one that only fills in a library's class counts as that one."""
    names = classes.parameter_names(kind) or ("params", "lr")
    known = [name for name in classes.external_bases(kind) if is_optimizer(name)]
    if known and classes.method(kind, "__init__") is None:
        return construct(run, known[0], arguments)
    given = arguments.bind(names)
    groups, _ = _groups(given.pop(names[0], Unknown("no parameters given")))
    type_ = f"{kind.path}:{kind.name}"
    return seen(run, OptimizerRecord(type_, arguments.site, arguments.owner, groups, given, complete=False))


def seen(run: Run, record: OptimizerRecord) -> Value:
    """Record the construction of an optimizer."""
    record.conditional = run.uncertainty > 0
    record.order = run.next_order()
    run.seen.optimizers.append(record)
    return OptimizerValue(record)


def parameter_groups(params: Value) -> tuple[list[GroupRecord], bool]:
    """The groups in a model, a list of weights or a list of groups, and whether these are surely all."""
    if isinstance(params, ModuleValue):
        return [GroupRecord(_weights([tensor for _, tensor in named_weights(params)]), {})], True
    return _groups(params)


def scheduler(run: Run, name: str, arguments: Arguments) -> Value:
    """A scheduler: its arguments by name, and what the functions among them return for a step."""
    given = arguments.bind(_SIGNATURES.get(name.rpartition(".")[2], ("optimizer",)))
    optimizer = given.get("optimizer")
    record = optimizer.record if isinstance(optimizer, OptimizerValue) else None
    functions = given.get("lr_lambda") if name.endswith(".LambdaLR") else None
    several = iterate(functions)[0] if isinstance(functions, ListValue) else [functions] if functions else []
    step = read_off_data("step", arguments.site)
    factors = [as_number(run.call(f, Arguments((step,), {}, arguments.site, arguments.owner))) for f in several]
    built = SchedulerRecord(name, arguments.site, arguments.owner, given, record, tuple(factors), run.next_order())
    run.seen.schedulers.append(built)
    return SchedulerValue(built)


def _groups(params: Value) -> tuple[list[GroupRecord], bool]:
    several = [o for o in options(params) if isinstance(o, ListValue)]
    if not several:
        return [GroupRecord(None, {})], False
    items, complete = iterate(params)
    dicts = [i for i in items if isinstance(i, DictValue)]
    if dicts and len(dicts) == len(items):
        return [_group(d) for d in dicts], complete
    if not items:
        return [GroupRecord(None, {})], complete
    weights = _weights(items)
    return [GroupRecord(weights, {})], complete and weights is not None


def _is_listed(params: Value) -> bool:
    items, complete = iterate(params) if isinstance(params, ListValue) else ([], False)
    return complete and bool(items) and not any(isinstance(i, DictValue) for i in items)


def _group(entry: DictValue) -> GroupRecord:
    given = {str(k): v for k, v in entry.entries.items() if k != "params"}
    params = entry.entries.get("params")
    if isinstance(params, Tensor):
        return GroupRecord(_weights([params]), given)
    items, complete = iterate(params) if params is not None else ([], False)
    weights = _weights(items)
    return GroupRecord(weights if complete else None, given)


def _weights(items: list[Value]) -> tuple[Weight, ...] | None:
    found: list[Weight] = []
    for item in items:
        # named_parameters() may be handed over as pairs
        pair = item.items[-1] if isinstance(item, ListValue) and item.items else item
        if not isinstance(pair, Tensor) or pair.parameter:
            return None
        # A tensor that belongs to no module (a temperature, an image) is nothing that grows.
        if pair.weight is not None:
            found.append(pair.weight)
    return tuple(found)


def call_method(run: Run, optimizer: OptimizerValue, name: str, arguments: Arguments) -> Value:
    """``add_param_group`` adds one; everything else leaves the groups alone."""
    if name in checkpoints.METHODS:
        return checkpoints.METHODS[name](run, optimizer.record, arguments)
    if name == "step":
        practices.observe_step(run, arguments)
    if name == "add_param_group":
        group = arguments.get("param_group", 0)
        if isinstance(group, DictValue):
            optimizer.record.groups.append(_group(group))
    return (
        Constant(None)
        if name in ("step", "zero_grad", "add_param_group")
        else Unknown(f"{name}() of an optimizer")
    )


def call_scheduler_method(run: Run, scheduler: SchedulerValue, name: str, arguments: Arguments) -> Value:
    """What the methods of a scheduler give."""
    if name in checkpoints.METHODS:
        return checkpoints.METHODS[name](run, scheduler.record, arguments)
    return Unknown(f"{name}() of a scheduler")
