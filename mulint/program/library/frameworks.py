"""Optimizers that a framework builds out of sight, or by a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mulint.program import classes
from mulint.program.library import optimizers
from mulint.program.run import Arguments, Run
from mulint.program.training_records import OptimizerRecord
from mulint.program.values import ClassValue, Constant, DictValue, Knob, ListValue, Unknown, Value

_BY_NAME = {
    "adam": "torch.optim.Adam",
    "adamw": "torch.optim.AdamW",
    "nadam": "torch.optim.NAdam",
    "radam": "torch.optim.RAdam",
    "adamax": "torch.optim.Adamax",
    "adagrad": "torch.optim.Adagrad",
    "rmsprop": "torch.optim.RMSprop",
    "sgd": "torch.optim.SGD",
    "momentum": "torch.optim.SGD",
    "nesterov": "torch.optim.SGD",
    "lamb": "timm.optim.Lamb",
    "lars": "timm.optim.Lars",
    "lion": "timm.optim.Lion",
    "adafactor": "timm.optim.Adafactor",
}
_TRAINERS = (
    "transformers.Trainer",
    "transformers.trainer.Trainer",
    "transformers.Seq2SeqTrainer",
    "transformers.trainer_seq2seq.Seq2SeqTrainer",
)
# What a subclass of a trainer overrides to build its optimizer itself.
_OWN_OPTIMIZER = ("create_optimizer", "create_optimizer_and_scheduler", "get_optimizer_cls_and_kwargs")


def by_name(name: Value | None) -> str | None:
    """The class that a factory builds for a name; a setting counts by its default."""
    if isinstance(name, Knob):
        return by_name(name.default)
    if isinstance(name, Constant) and isinstance(name.value, str):
        return _BY_NAME.get(name.value.lower().removeprefix("fused"))
    return None


def is_trainer(kind: ClassValue) -> bool:
    """Whether a class of the user's is a trainer of transformers that leaves the optimizer to the library."""
    own = any(classes.method(kind, name) is not None for name in _OWN_OPTIMIZER)
    return not own and any(name in _TRAINERS for name in classes.external_bases(kind))


def trainer(run: Run, arguments: Arguments) -> Value:
    """``Trainer(model=..., args=...)``: AdamW with groups that differ in their decay, unless it is given one."""
    given = arguments.get("optimizers")
    chosen = given.items[0] if isinstance(given, ListValue) and given.items else given
    passed = arguments.get("optimizer_cls_and_kwargs")
    if chosen in (None, Constant(None)) and passed in (None, Constant(None)) and arguments.complete:
        _hidden(run, "torch.optim.AdamW", arguments, arguments.get("model", 0), "Trainer of transformers")
    return Unknown("a trainer")


def _create_optimizer_v2(run: Run, arguments: Arguments) -> Value:
    """The factory of timm: the class by its name, the groups split by decay."""
    name = by_name(arguments.get("opt", 1)) if arguments.get("opt", 1) is not None else "torch.optim.SGD"
    model = arguments.get("model_or_params", 0)
    options = arguments.bind(("model_or_params", "opt", "lr", "weight_decay", "momentum"))
    if options.get("param_group_fn", Constant(None)) != Constant(None):
        return Unknown("an optimizer whose groups are not followed")
    if not arguments.complete:
        name = None
    return _hidden(run, name or "timm.optim.create_optimizer_v2", arguments, model, "create_optimizer_v2 of timm")


def _create_optimizer(run: Run, arguments: Arguments) -> Value:
    """The older factory of timm, which reads the name and the rate off ``args``."""
    return _hidden(
        run, "timm.optim.create_optimizer", arguments, arguments.get("model", 1), "create_optimizer of timm"
    )


def _initialize(run: Run, arguments: Arguments) -> Value:
    """``deepspeed.initialize`` with an optimizer in its configuration."""
    engine = arguments.get("model", 1) or Unknown("an engine")
    own = arguments.get("optimizer", 2)
    config = arguments.get("config") or arguments.get("config_params")
    section = config.entries.get("optimizer") if isinstance(config, DictValue) else None
    if own not in (None, Constant(None)) or not isinstance(section, DictValue):
        return ListValue([engine, own or Unknown("an optimizer"), Unknown("a loader"), Unknown("a scheduler")])
    _scheduler(run, config, arguments)
    name = by_name(section.entries.get("type")) or "deepspeed.initialize"
    params = section.entries.get("params")
    options = {str(k): v for k, v in params.entries.items()} if isinstance(params, DictValue) else {}
    weights = arguments.get("model_parameters", 3) or engine
    given = replace(arguments, positional=(), keywords=options)
    optimizer = _hidden(run, name, given, weights, "configuration of DeepSpeed")
    return ListValue([engine, optimizer, Unknown("a loader"), Unknown("a scheduler")])


def _scheduler(run: Run, config: Value | None, arguments: Arguments) -> None:
    section = config.entries.get("scheduler") if isinstance(config, DictValue) else None
    kind = section.entries.get("type") if isinstance(section, DictValue) else None
    params = section.entries.get("params") if isinstance(section, DictValue) else None
    if isinstance(kind, Constant) and isinstance(kind.value, str) and isinstance(params, DictValue):
        given = {str(k): v for k, v in params.entries.items()}
        name = f"deepspeed.runtime.lr_schedules.{kind.value}"
        optimizers.scheduler(run, name, replace(arguments, positional=(), keywords=given))


def _hidden(run: Run, name: str, arguments: Arguments, model: Value | None, hook: str) -> Value:
    groups, complete = optimizers.parameter_groups(model or Unknown("no model given"))
    options = {k: v for k, v in arguments.keywords.items() if k in ("lr", "weight_decay", "eps")}
    record = OptimizerRecord(name, arguments.site, arguments.owner, groups, options, complete, hook=hook)
    return optimizers.seen(run, record)


FUNCTIONS: dict[str, Callable[[Run, Arguments], Value]] = {
    **dict.fromkeys(_TRAINERS, trainer),
    "timm.optim.create_optimizer": _create_optimizer,
    "timm.optim.create_optimizer_v2": _create_optimizer_v2,
    "deepspeed.initialize": _initialize,
}
