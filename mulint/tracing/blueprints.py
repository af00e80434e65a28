"""How to construct a user's model class: by a configuration object, or by keyword arguments."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mulint.tracing.model import CannotBuild

CONFIG_NAMES = frozenset(
    [
        "config",
        "configs",
        "cfg",
        "conf",
        "args",
        "params",
        "hparams",
        "hps",
        "c",
        "model_args",
        "configuration",
        "model_config",
        "opt",
    ]
)
DEFAULT_FACTORIES = ("get_default_config", "default_config", "get_default", "default")
MISSING = object()


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The settable fields of a model with their defaults (``MISSING`` without one), and how to build it."""

    name: str
    defaults: Mapping[str, Any]
    make: Callable[[Mapping[str, Any]], nn.Module]
    assumptions: tuple[str, ...] = field(default=())


def blueprint(target: Callable[..., Any], name: str) -> Blueprint:
    """Find out how a class or a factory function wants its sizes.

    Raises:
        CannotBuild: its configuration class cannot be found.
    """
    parameters = _parameters(target)
    config = next((p for p in parameters if _is_config(p, target)), None)
    others = [p for p in parameters if p is not config and p.default is p.empty]
    if config is None or others:
        defaults = {p.name: MISSING if p.default is p.empty else p.default for p in parameters}
        return Blueprint(name, defaults, lambda values: target(**_given(values, defaults)))
    return _configured(target, name, config)


def _parameters(target: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _annotation(parameter: inspect.Parameter, target: Callable[..., Any]) -> object:
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    function = inspect.getattr_static(target, "__init__") if isinstance(target, type) else target
    try:
        return typing.get_type_hints(function).get(parameter.name)
    except Exception:
        return vars(sys.modules[target.__module__]).get(parameter.annotation.strip("'\""))


def _is_config(parameter: inspect.Parameter, target: Callable[..., Any]) -> bool:
    annotation = _annotation(parameter, target)
    if isinstance(annotation, type) and annotation is not parameter.empty:
        plain = annotation.__module__ in ("builtins", "typing", "collections.abc") or issubclass(
            annotation, nn.Module
        )
        if dataclasses.is_dataclass(annotation) or (not plain and parameter.name in CONFIG_NAMES):
            return True
    return parameter.name in CONFIG_NAMES and parameter.default in (parameter.empty, None)


def _configured(target: Callable[..., Any], name: str, parameter: inspect.Parameter) -> Blueprint:
    annotation = _annotation(parameter, target)
    config = annotation if isinstance(annotation, type) and annotation is not parameter.empty else None
    if config is not None and config.__module__ == "builtins":
        config = None
    for factory in () if config is not None else DEFAULT_FACTORIES:
        if isinstance(target, type) and callable(getattr(target, factory, None)):
            return _from_instance(target, name, getattr(target, factory)(), f"{name}.{factory}()", parameter.name)
    if config is None:
        config = _config_class(target, parameter.name)
    if config is None:
        raise CannotBuild(
            f"the configuration of {name} was not found: annotate the argument {parameter.name}, "
            "or write a case: def case(width) -> mulint.Case"
        )
    assumption = f"{name} is configured by {config.__name__}"
    if dataclasses.is_dataclass(config):
        defaults = {f.name: _default(f) for f in dataclasses.fields(config) if f.init}
    else:
        defaults = {
            p.name: MISSING if p.default is p.empty else p.default
            for p in _parameters(config)
            if p.name not in ("kwargs", "args")
        }
        if not defaults:
            return _from_instance(target, name, config(), f"{config.__name__}()", parameter.name)
    return Blueprint(
        name,
        defaults,
        lambda values: _model(target, parameter.name, config(**_given(values, defaults))),
        (assumption,),
    )


def _from_instance(target: Callable[..., Any], name: str, instance: Any, source: str, argument: str) -> Blueprint:
    """A configuration object with its defaults as attributes; a copy with other values is handed over."""
    own = {key: getattr(instance, key) for key in dir(instance) if not key.startswith("_")}
    defaults = {key: value for key, value in own.items() if not callable(value)}

    def make(values: Mapping[str, Any]) -> nn.Module:
        config = copy.deepcopy(instance)
        for key, value in _given(values, defaults).items():
            setattr(config, key, value)
        return _model(target, argument, config)

    return Blueprint(name, defaults, make, (f"{name} is configured by {source}",))


def _model(target: Callable[..., Any], argument: str, config: object) -> nn.Module:
    model: nn.Module = target(**{argument: config})
    return model


def _given(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values to pass: what differs from the default, so that computed defaults stay computed."""
    return {
        key: value
        for key, value in values.items()
        if value is not MISSING and (defaults.get(key, MISSING) is MISSING or value is not defaults[key])
    }


def _default(entry: dataclasses.Field[Any]) -> Any:
    if entry.default is not dataclasses.MISSING:
        return entry.default
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return MISSING


def _config_class(target: Callable[..., Any], argument: str) -> type | None:
    """The class of the target's module that has the attributes which the module's code reads from its argument."""
    module = sys.modules[target.__module__]
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return None
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == argument
    }
    candidates = [
        value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and not issubclass(value, nn.Module)
        and (dataclasses.is_dataclass(value) or key.lower().endswith(("config", "args", "cfg", "params")))
    ]
    scored = [(len(read & _fields(candidate)), candidate) for candidate in candidates]
    best = max(scored, key=lambda pair: pair[0], default=(0, None))
    return best[1] if best[0] else None


def _fields(config: type) -> set[str]:
    if dataclasses.is_dataclass(config):
        return {entry.name for entry in dataclasses.fields(config)}
    return {*vars(config), *(p.name for p in _parameters(config))}
