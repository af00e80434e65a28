"""Loads the file that a target names, and tells what the user's code did wrong in one line."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mulint.tracing.model import CannotBuild
from mulint.tracing.places import MULINT, package_of

MAX_FILES = 2000
MAX_BYTES = 1_000_000
SKIPPED = frozenset(["node_modules", "site-packages", "build", "dist", "__pycache__", "venv", "env"])
HERE = Path.cwd()  # read before the user's code runs, which may go elsewhere


def load(file: Path, name: str, root: Path) -> Any:
    """The object ``name`` of a file, with the file's folder and the project's root on ``sys.path``.

    Raises:
        CannotBuild: the file cannot be imported or has no such name.
    """
    shown = shown_path(file)
    if not file.is_file():
        raise CannotBuild(f"{shown} does not exist; name a file as path/file.py:function")
    for folder in (root, root / "src"):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    if str(file.parent) not in sys.path:
        # Inside a package its modules come last: one of them may have the package's own name.
        sys.path.insert(len(sys.path) if _dotted(file) else 0, str(file.parent))
    module = _module(file, root, shown)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise CannotBuild(f"{shown} has no {name}; it has {_choices(module)}")
        found = getattr(found, part)
    return found


def _module(file: Path, root: Path, shown: str) -> ModuleType:
    dotted = _dotted(file)
    try:
        if dotted is not None:
            return importlib.import_module(dotted)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None:
            raise CannotBuild(f"{shown} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickles look their module up by name
        spec.loader.exec_module(module)
    except CannotBuild:
        raise
    except Exception as error:
        raise CannotBuild(f"{shown} cannot be imported: {describe(error, root)}") from error
    return module


def _dotted(file: Path) -> str | None:
    """The file's module name inside its package, when it is part of one (relative imports need it)."""
    parts = [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1:
        return None
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return ".".join(parts)


def _choices(module: ModuleType) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
    return ", ".join(own[:8]) or "no functions or classes"


def describe(error: BaseException, root: Path) -> str:
    """An exception of the user's code as one line: type, message, and the innermost place below the root."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(root) and not package_of(file) and not file.is_relative_to(MULINT):
            place = f" ({shown_path(file)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{describe_briefly(error)}{place}{_remedy(error, root)}"


def describe_briefly(error: BaseException) -> str:
    """An exception as one line: type and message."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text[:300]}"


def _holding(name: str, root: Path) -> Path | None:
    """The folder of the project that a module is imported from when it is on the path."""
    for file in python_files(root):
        module = file.parent if file.name == "__init__.py" else file
        if module.stem == name and str(module.parent) not in sys.path:
            return module.parent
    return None


def shown_path(file: Path) -> str:
    """A path as messages print it: relative to the directory where mulint was called, if below it."""
    return file.relative_to(HERE).as_posix() if file.is_relative_to(HERE) else str(file)


def python_files(root: Path) -> Iterator[Path]:
    """The Python files of a project, as far as their number stays within reason."""
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED)
        for file in sorted(files):
            path = Path(folder, file)
            if file.endswith(".py") and path.is_file() and path.stat().st_size <= MAX_BYTES:
                yield path
                count += 1
                if count >= MAX_FILES:
                    return


def _remedy(error: BaseException, root: Path) -> str:
    text = str(error)
    if "relative import" in text:
        return "; name it as package.module:name, with the package's folder in the project's root"
    if isinstance(error, ModuleNotFoundError) and error.name and (folder := _holding(error.name, root)):
        return f"; {shown_path(folder)} has it: run mulint with PYTHONPATH={shown_path(folder)}"
    if isinstance(error, ImportError):
        return "; install it into the environment of mulint, or run mulint from the model's environment"
    if isinstance(error, FileNotFoundError):
        relative = isinstance(error.filename, str) and not Path(error.filename).is_absolute()
        return "; run mulint in the folder that the path starts from" if relative else ""
    if type(error).__name__ in ("EOFError", "BdbQuit"):
        return "; nobody answers in a trace: remove the call of input or breakpoint"
    if "out of memory" in text:
        return "; pass smaller --widths, or --set smaller sizes"
    if "CUDA error" in text:
        return "; trace with --device cpu, or set CUDA_LAUNCH_BLOCKING=1, to see which operation it is"
    if "CUDA" in text or "cuda" in text or "NVIDIA" in text:
        return "; the model needs CUDA: pass --device cuda where there is one, or take the device from its tensors"
    return ""
