"""Where the user's code stands: the innermost frame outside torch and mulint, with its column."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import torch
from torch import nn

from mulint.tracing.model import Use

TORCH = str(Path(torch.__file__).parent)
MODULE_CALL = nn.Module._call_impl.__code__
MULINT = str(Path(__file__).parent)
STANDARD = str(Path(contextlib.__file__).parent)
INSTALLED = ("site-packages", "dist-packages")
# Installed packages whose layers stand for the line that calls them.
PASS_THROUGH = ("einops", "mup", "mulint", "torch")


class Places:
    """Finds places in files; paths are relative to the root where they lie below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.positions: dict[tuple[CodeType, int], tuple[int, int]] = {}
        self.relatives: dict[str, str] = {}

    def find(self, op: str) -> tuple[tuple[object, ...], Use]:
        """The calls inside the module at work as a key, and the innermost place of the user's code."""
        key: list[tuple[str, int]] = []
        use: Use | None = None
        inside = True
        for frame in _frames():
            code = frame.f_code
            inside = inside and code is not MODULE_CALL
            if inside:
                key.append((code.co_filename, frame.f_lasti))
            if use is None and not _is_plumbing(code.co_filename):
                use = Use(self.relative(code.co_filename), *self.position(frame), op)
            if use is not None and not inside:
                break
        return tuple(key), use or Use("", 0, 0, op)

    def innermost(self, frames: Iterable[FrameType], op: str) -> Use:
        """The first of some frames that is the user's code."""
        for frame in frames:
            if not _is_plumbing(frame.f_code.co_filename):
                return Use(self.relative(frame.f_code.co_filename), *self.position(frame), op)
        return Use("", 0, 0, op)

    def position(self, frame: FrameType) -> tuple[int, int]:
        """Line and column, 1-based, of the expression that a frame is working on."""
        key = frame.f_code, frame.f_lasti
        if key not in self.positions:
            line, _, column, _ = list(frame.f_code.co_positions())[frame.f_lasti // 2]
            self.positions[key] = line or frame.f_lineno, (column or 0) + 1
        return self.positions[key]

    def relative(self, filename: str) -> str:
        """A path as results carry it."""
        if filename not in self.relatives:
            path = Path(filename)
            shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
            self.relatives[filename] = shown.as_posix()
        return self.relatives[filename]


class Constructions:
    """Where modules and parameters were made: the line that constructs the layer, or assigns the parameter.

    Tied weights have several places, one for every name.
    """

    def __init__(self, root: Path) -> None:
        self.places = Places(root)
        self.modules: dict[int, tuple[nn.Module, Use]] = {}  # alive, so that identities stay unique
        self.found: dict[tuple[int, str], Use] = {}

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Note the place of every module, and of every parameter when a module first registers it."""
        initialise, register = nn.Module.__init__, nn.Module.register_parameter

        def initialised(module: nn.Module, *args: object, **kwargs: object) -> None:
            self.modules.setdefault(id(module), (module, self.constructed(module)))
            initialise(module, *args, **kwargs)

        def registered(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
            self.found.setdefault((id(module), name), self.assigned(module))
            register(module, name, param)

        nn.Module.__init__ = initialised  # type: ignore[method-assign, assignment]
        nn.Module.register_parameter = registered  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            nn.Module.__init__, nn.Module.register_parameter = initialise, register  # type: ignore[method-assign]

    def constructed(self, module: nn.Module) -> Use:
        """Where the constructor of a module under construction was called."""
        outside = (frame for frame in _frames() if not _builds(frame, module))
        return self.places.innermost(outside, type(module).__name__)

    def assigned(self, module: nn.Module) -> Use:
        """Where a layer of torch is constructed, also one that the user derives from; else the assignment."""
        if any(_builds(frame, module) and frame.f_code.co_filename.startswith(TORCH) for frame in _frames()):
            return self.constructed(module)
        return self.places.find(type(module).__name__)[1]

    def of_modules(self, model: nn.Module) -> dict[str, Use]:
        """Where every module is constructed, by its name."""
        found = {name: self.modules[id(m)][1] for name, m in model.named_modules() if id(m) in self.modules}
        return {**found, **{name.rpartition(".")[0]: site for name, site in reversed(self.of(model).items())}}

    def of(self, model: nn.Module) -> dict[str, Use]:
        """By every name that a parameter has."""
        return {
            f"{prefix}.{name}".lstrip("."): self.found[id(module), name]
            for prefix, module in model.named_modules()
            for name in module._parameters.keys()  # noqa: SIM118 (those of a script cannot be iterated over)
            if (id(module), name) in self.found
        }


def _frames() -> Iterator[FrameType]:
    """The calls that led here, innermost first, up to mulint's own call of the user's code."""
    frame: FrameType | None = sys._getframe(1)
    inside = False
    while frame is not None:
        mine = frame.f_code.co_filename.startswith(MULINT)
        if mine and inside:
            return
        if not mine:
            inside = True
            yield frame
        frame = frame.f_back


def _builds(frame: FrameType, module: nn.Module) -> bool:
    """Whether a frame is a constructor at work on a module."""
    return frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is module


def package_of(file: Path) -> str:
    """The top name of the installed package that a file is part of; empty for one of the user's own."""
    for part, following in zip(reversed(file.parts[:-1]), reversed(file.parts[1:]), strict=True):
        if part in INSTALLED:
            return following
    return ""


@cache
def _is_plumbing(filename: str) -> bool:
    if filename.startswith((TORCH, "<")):
        return True
    package = package_of(Path(filename))
    return package in PASS_THROUGH if package else filename.startswith(STANDARD)
