"""The texts that a project starts with: its table in pyproject.toml, and a case function to complete."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mulint.findings import Cells, where
from mulint.program.values import ClassValue
from mulint.proposing.found import Found, Setting

CASES = "mulint_cases.py"


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file with one case function; ``path`` is relative to the project root."""

    path: str
    text: str


def name_of(model: Found) -> str:
    """What a model is called in the configuration: ``GPT`` is ``gpt``."""
    return model.kind.name.lower()


def table(model: Found | None, case: CaseFile | None) -> str:
    """The ``[tool.mulint]`` table, ended by a newline."""
    lines = ["[tool.mulint]", 'select = ["MU"]']
    if model is not None:
        name = name_of(model)
        lines += ["", "[[tool.mulint.models]]", f"name = {json.dumps(name)}"]
        lines.append(f"build = {json.dumps(f'{model.kind.path}:{model.kind.name}', ensure_ascii=False)}")
        if case is not None:
            target = json.dumps(f"{case.path}:{name}", ensure_ascii=False)
            lines.append(f"# case = {target}  # in place of build and knobs, once it is complete")
        lines.append(f"knobs = {json.dumps([setting.name for setting in model.widths])}")
        pairs = ", ".join(f"{knob} = {_plain(size)}" for knob, size in model.base.items())
        unknown = ", ".join(f"{knob} = ..." for knob in model.unknown)
        if pairs:
            lines.append(f"base = {{ {pairs} }}")
        if unknown:
            lines.append(f"# base = {{ {unknown} }}  # the sizes at which the hyperparameters were tuned")
    return "".join(f"{line}\n" for line in lines)


def case_file(model: Found, packages: Collection[str], files: Mapping[str, Cells]) -> CaseFile | None:
    """A file with a case function for a model; None if its module cannot be imported by name, or the file exists.

    Args:
        model: the model.
        packages: the folders with an ``__init__.py``, relative to the project root.
        files: all files of the project, each with the cells that it has as a notebook.
    """
    top = posixpath.dirname(model.kind.path)
    while top in packages:
        top = posixpath.dirname(top)
    path = posixpath.join(top, CASES)
    built = [kind for kind in (model.kind, model.configuration) if kind is not None]
    modules = [_module(kind, top) for kind in built]
    if path in files or None in modules:
        return None
    imports: dict[str, list[str]] = {}
    for kind, module in zip(built, modules, strict=True):
        imports.setdefault(module or "", []).append(kind.name)
    lines = [
        '"""How to build each model at a width, for mulint; complete what raises NotImplementedError."""',
        "",
        "import mulint",
        *(f"from {module} import {', '.join(sorted(set(names)))}" for module, names in sorted(imports.items())),
        "",
        "",
        f"def {name_of(model)}(width: int) -> mulint.Case:",
        *_body(model, files),
    ]
    return CaseFile(path, "".join(f"{line}\n" for line in lines))


def _body(model: Found, files: Mapping[str, Cells]) -> Iterator[str]:
    arguments = ", ".join(f"{s.name}={_argument(s, model)}" for s in model.settings if s.is_width or s.is_required)
    inner = f"{model.configuration.name}({arguments})" if model.configuration else arguments
    yield f"    model = {model.kind.name}({inner})"
    yield ""
    yield "    # A batch as training sees it, made with a fixed seed; its sizes must not depend on the width."
    yield '    raise NotImplementedError("give a batch, the loss and the optimizer, then take this line out")'
    yield "    batch = ..."
    yield ""
    yield "    def loss(model, batch):"
    yield "        return ...  # the scalar that training minimises"
    yield ""
    for kind, site in model.optimizers[:3]:
        yield f"    # {kind.rpartition('.')[2]} is built at {where(site.path, site.line, files[site.path])}"
    yield "    def optimizer(model):"
    yield "        return ...  # as the training script builds it, groups and learning rates included"
    yield ""
    yield "    return mulint.Case(model, batch, loss, optimizer)"


def _argument(setting: Setting, model: Found) -> str:
    """How the case gives a setting: relative to the first width, else the number that training uses."""
    first = model.widths[0]
    if not setting.is_width:
        return "..." if setting.value is None else _plain(setting.value)
    if setting.name == first.name or (setting.value and setting.value == first.value):
        return "width"
    if not setting.value or not first.value:
        return "..."
    if setting.value % first.value == 0:
        return f"{_plain(setting.value / first.value)} * width"
    return f"width * {_plain(setting.value)} // {_plain(first.value)}"


def _module(kind: ClassValue, top: str) -> str | None:
    """The dotted name under which a file below a folder is imported; None if it has none."""
    path = kind.path.removesuffix(".py").removesuffix("/__init__")
    inside = posixpath.relpath(path, top or ".")
    parts = inside.split("/")
    return ".".join(parts) if kind.path.endswith(".py") and all(p.isidentifier() for p in parts) else None


def _plain(size: float) -> str:
    return str(int(size)) if float(size).is_integer() else repr(size)
