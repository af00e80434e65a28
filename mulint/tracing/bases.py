"""Gives a case's model the base it leaves out: arguments ``base_<knob>`` that are ``None`` in the case's calls.

A case function written before its code knew of a base cannot pass one. Every class and function of the project
that takes such arguments is watched while the case builds its model at the base width; at other widths the
values seen there are filled in, call by call.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

from mulint.tracing.knobs import base_of
from mulint.tracing.places import package_of


@dataclass(slots=True)
class Bases:
    """The values of knobs at the base, by function and number of its call while one model is built."""

    known: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    learning: bool = False
    filling: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments that are filled."""
        return tuple(dict.fromkeys(name for values in self.known.values() for name in values))

    def learn(self, build: Callable[[], object]) -> None:
        """Note what the base arguments stand for in the model that ``build`` makes, which is the base."""
        self.calls.clear()
        self.learning = True
        try:
            build()
        finally:
            self.learning = False

    def fill(self, build: Callable[[], Any]) -> Any:
        """Build a model whose base is the one that was learned."""
        self.calls.clear()
        self.filling = True
        try:
            return build()
        finally:
            self.filling = False

    def watch(self, root: Path) -> None:
        """Take part in all calls of the project's classes and functions with base arguments."""
        modules = [m for m in list(sys.modules.values()) if _is_below(getattr(m, "__file__", None), root)]
        functions: dict[int, Callable[..., Any]] = {}
        for module in modules:
            for name, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == module.__name__:
                    init = vars(value).get("__init__")
                    if isinstance(init, FunctionType) and _base_arguments(init):
                        setattr(value, "__init__", self._watched(init))  # noqa: B010 - mypy forbids the assignment
                elif isinstance(value, FunctionType) and _base_arguments(value):
                    setattr(module, name, functions.setdefault(id(value), self._watched(value)))

    def _watched(self, function: FunctionType) -> Callable[..., Any]:
        signature = inspect.signature(function)
        bases = _base_arguments(function)
        key = f"{function.__module__}.{function.__qualname__}"

        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if not (self.learning or self.filling):
                return function(*arguments, **keywords)
            bound = signature.bind(*arguments, **keywords)
            bound.apply_defaults()
            number = self.calls.get(key, 0)
            self.calls[key] = number + 1
            left_out = {name: knob for name, knob in bases.items() if bound.arguments[name] is None}
            if self.learning:
                self.known[key, number] = {name: bound.arguments[knob] for name, knob in left_out.items()}
                return function(*arguments, **keywords)
            known = self.known.get((key, number), {})
            bound.arguments.update({name: known[name] for name in left_out if name in known})
            return function(*bound.args, **bound.kwargs)

        return call


def _base_arguments(function: FunctionType) -> dict[str, str]:
    """The arguments that hold a base and are None by default, each with the argument it is the base of."""
    parameters = inspect.signature(function).parameters
    found = {name: base_of(name) for name, parameter in parameters.items() if parameter.default is None}
    return {name: knob for name, knob in found.items() if knob is not None and knob in parameters}


def _is_below(file: str | None, root: Path) -> bool:
    return file is not None and Path(file).is_relative_to(root) and not package_of(Path(file))
