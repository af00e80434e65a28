"""Finds the function of the user's code that builds the optimizer, and the values it is called with."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mulint.tracing.loading import python_files, shown_path
from mulint.tracing.stepping import as_one

# Values for arguments whose call was not found; only their ratios over widths are measured.
USUAL: dict[str, Any] = {
    "learning_rate": 1e-3,
    "lr": 1e-3,
    "base_lr": 1e-3,
    "max_lr": 1e-3,
    "weight_decay": 0.1,
    "wd": 0.1,
    "betas": (0.9, 0.95),
    "beta1": 0.9,
    "beta2": 0.95,
    "eps": 1e-8,
    "momentum": 0.9,
}
BY_ANNOTATION: dict[object, Any] = {float: 1e-3, int: 1, bool: False, str: "cpu", tuple: (0.9, 0.95)}
UNKNOWN = object()


@dataclass(frozen=True, slots=True)
class Found:
    """A function that makes an optimizer for a model, and what was assumed about its arguments."""

    build: Callable[[nn.Module], Optimizer]
    assumptions: tuple[str, ...]


def find(target: Callable[..., Any], file: Path, root: Path, device: str) -> Found | None:
    """A method of the model's class, else a function of its file, whose name says that it builds an optimizer."""
    factory = _factory(target)
    if factory is None:
        return None
    name, function, is_method = factory
    parameters = list(inspect.signature(function).parameters.values())[1:]
    call, place, literals = _call_site(file.parent, root, name)
    values: dict[str, Any] = {}
    guessed: list[str] = []
    for position, parameter in enumerate(parameters):
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        value = _argument(call, position, parameter.name, literals, is_method)
        if parameter.name in ("device", "device_type"):
            value = device
        if value is UNKNOWN and parameter.default is not parameter.empty:
            continue
        if value is UNKNOWN:
            value = _usual(parameter, function)
            guessed.append(f"{parameter.name} = {_shown(value)}")
        values[parameter.name] = value
    text = f"the optimizer is that of {name}"
    text += f", with the values of its call at {shown_path(place)}:{call.lineno}" if call and place else ""
    said = (text, *((f"{name} is called with {', '.join(guessed)}",) if guessed else ()))
    return Found(lambda model: _built(function, model, values, name), said)


def _factory(target: Callable[..., Any]) -> tuple[str, Callable[..., Any], bool] | None:
    if isinstance(target, type):
        for name, method in inspect.getmembers(target, inspect.isfunction):
            if "optim" in name.lower() and not name.startswith("__") and not _is_torch(method):
                return name, method, True
    module = sys.modules.get(target.__module__)
    for name, function in vars(module).items() if module else ():
        own = inspect.isfunction(function) and function.__module__ == target.__module__
        if own and "optim" in name.lower() and inspect.signature(function).parameters:
            return name, function, False
    return None


def _is_torch(method: Callable[..., Any]) -> bool:
    return method.__module__.partition(".")[0] == "torch"


def _built(function: Callable[..., Any], model: nn.Module, values: dict[str, Any], name: str) -> Optimizer:
    return as_one(function(model, **values), name)


def _call_site(near: Path, root: Path, name: str) -> tuple[ast.Call | None, Path | None, dict[str, Any]]:
    """A call of the function, with its file's literals: near the model and in training scripts first."""
    for file in sorted(
        python_files(root), key=lambda file: (not file.is_relative_to(near), "train" not in file.stem)
    ):
        try:
            text = file.read_text(encoding="utf-8")
            if f"{name}(" not in text:
                continue
            tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (node.args or node.keywords) and _called(node) == name:
                return node, file, _literals(tree)
    return None, None, {}


def _called(call: ast.Call) -> str | None:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else None


def _literals(tree: ast.Module) -> dict[str, Any]:
    """Names of a file that are assigned one literal at its top level."""
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _value(node.value, found)
    return {name: value for name, value in found.items() if value is not UNKNOWN}


def _argument(call: ast.Call | None, position: int, name: str, literals: dict[str, Any], is_method: bool) -> Any:
    if call is None:
        return UNKNOWN
    for keyword in call.keywords:
        if keyword.arg == name:
            return _value(keyword.value, literals)
    shift = position if is_method else position + 1
    return _value(call.args[shift], literals) if shift < len(call.args) else UNKNOWN


def _value(node: ast.expr, literals: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return literals.get(name, UNKNOWN)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            values = tuple(_value(item, literals) for item in items)
            return UNKNOWN if UNKNOWN in values else values
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _value(operand, literals)
            return -value if isinstance(value, int | float) else UNKNOWN
    return UNKNOWN


def _usual(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    if parameter.name in USUAL:
        return USUAL[parameter.name]
    read = _attributes(function, parameter.name)
    if read:  # a configuration object: the attributes that the function reads
        return SimpleNamespace(**{name: USUAL.get(name, "cpu" if "device" in name else 1e-3) for name in read})
    return BY_ANNOTATION.get(parameter.annotation, 1e-3)


def _attributes(function: Callable[..., Any], argument: str) -> list[str]:
    try:
        source = inspect.getsource(function)
        tree = ast.parse(f"if True:\n{source}" if source[:1].isspace() else source)
    except (OSError, SyntaxError, TypeError):
        return []
    return sorted(
        {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == argument
        }
    )


def _shown(value: Any) -> str:
    return (
        ", ".join(f"{k}={v!r}" for k, v in vars(value).items())
        if isinstance(value, SimpleNamespace)
        else repr(value)
    )
