"""Where an abstract run starts: files, models built from knobs, and functions that nobody in sight calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mulint.facts import FileFacts
from mulint.facts import syntax as s
from mulint.program import classes
from mulint.program.interpreter import Interpreter
from mulint.program.library.modules import named_modules
from mulint.program.records import Failure
from mulint.program.run import Arguments, OutOfBudget
from mulint.program.scopes import Files
from mulint.program.values import (
    Bound,
    ClassValue,
    FunctionValue,
    ModuleValue,
    Site,
    Tensor,
    Value,
    options,
)

_MOST_INSTANCES = 3
_DEEP_ENOUGH = 20_000


def observe(files: Sequence[FileFacts]) -> Interpreter:
    """Run a whole project abstractly and return the interpreter with all it has seen."""
    run = Interpreter(Files(files))
    with _deep_recursion():
        for facts in files:
            _attempt(run, facts.path, 1, lambda facts=facts: run.module_scope(facts.path))  # type: ignore[misc]
        kinds = list(_module_classes(run))
        for function in list(_factories(run)):
            _attempt(run, function.path, function.node.span[0], lambda f=function: _call_with_knobs(run, f))  # type: ignore[misc]
        inner = {id(child) for kind in kinds for child in _mentioned(kind)} | {id(k) for k in _passed(run)}
        inner |= {id(m.kind) for b in run.built for name, m in named_modules(b) if name and m.kind is not b.kind}
        for kind in kinds:
            if id(kind) not in inner:
                _build_from_knobs(run, kind)
        for function in list(_functions(run)):
            if id(function.node) not in run.called:
                _attempt(run, function.path, function.node.span[0], lambda f=function: _call_with_knobs(run, f))  # type: ignore[misc]
        _apply_the_rest(run, list(run.built))
    return run


@contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP_ENOUGH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _attempt(run: Interpreter, path: str, line: int, action: Callable[[], object]) -> None:
    run.begin()
    try:
        action()
    except OutOfBudget:
        run.note(Site(path, (line, 1, line, 1)), "code reached from here", "it is too large to be followed whole")
    except RecursionError:
        run.note(Site(path, (line, 1, line, 1)), "code reached from here", "it nests too deeply to be followed")
    except Exception as error:  # one entry point must not end the run; reported as MU905
        run.seen.failures.append(Failure(path, line, error))


def _module_classes(run: Interpreter) -> Iterator[ClassValue]:
    for path in run.files.by_path:
        for value in list(run.module_scope(path).names.values()):
            own = isinstance(value, ClassValue) and value.path == path and value.name != path
            if own and isinstance(value, ClassValue) and classes.is_module_class(value):
                yield value


def _functions(run: Interpreter) -> Iterator[FunctionValue]:
    for path in run.files.by_path:
        for value in list(run.module_scope(path).names.values()):
            if isinstance(value, FunctionValue) and value.path == path:
                yield value
            elif isinstance(value, ClassValue) and value.path == path and not classes.is_module_class(value):
                yield from (m for m in value.scope.names.values() if isinstance(m, FunctionValue))


def _factories(run: Interpreter) -> Iterator[FunctionValue]:
    """Functions that construct models: followed with knobs, even if a script calls them with numbers."""
    for path in run.files.by_path:
        scope = run.module_scope(path)
        for value in list(scope.names.values()):
            if isinstance(value, FunctionValue) and value.path == path and isinstance(value.node, s.Function):
                called = (n.function for n in s.walk(value.node.body) if isinstance(n, s.Call))
                names = {f.id for f in called if isinstance(f, s.Name)}
                found = [scope.find(name) for name in names]
                if any(isinstance(f, ClassValue) and classes.is_module_class(f) for f in found):
                    yield value


def _mentioned(kind: ClassValue) -> Iterator[ClassValue]:
    """Module classes that the methods of a class name: parts of it, not models of their own."""
    for node in s.walk(kind.node.body):
        if isinstance(node, s.Name):
            value = kind.scope.find(node.id)
            if isinstance(value, ClassValue) and value is not kind and classes.is_module_class(value):
                yield value


def _passed(run: Interpreter) -> Iterator[ClassValue]:
    """Module classes handed to a call or kept in a table (``ResNet(Bottleneck, depths)``): parts of a model."""
    for path, facts in run.files.by_path.items():
        scope = run.module_scope(path)
        for node in s.walk(facts.body):
            for item in _handed(node):
                value = scope.find(item.id) if isinstance(item, s.Name) else None
                if isinstance(value, ClassValue) and classes.is_module_class(value):
                    yield value


def _handed(node: object) -> Sequence[s.Expression]:
    match node:
        case s.Call(function=s.Name(id="isinstance" | "issubclass" | "super")):
            return ()
        case s.Call(arguments=arguments, keywords=keywords):
            return (*arguments, *(k.value for k in keywords))
        case s.DictDisplay(values=items) | s.Display(items=items):
            return items
        case _:
            return ()


def _site(kind: ClassValue) -> Site:
    return Site(kind.path, kind.node.span)


def _build_from_knobs(run: Interpreter, kind: ClassValue) -> None:
    """Build a model with a knob for every argument, apply it, and call its other methods."""
    line = kind.node.span[0]
    arguments = Arguments((), {}, _site(kind), complete=False)
    instances: list[Value] = []
    _attempt(run, kind.path, line, lambda: instances.append(run.call(kind, arguments)))
    for instance in instances:
        if not isinstance(instance, ModuleValue):
            continue
        _attempt(run, kind.path, line, lambda: _forward(run, instance))  # noqa: B023 - called at once
        for owner in classes.ancestry(kind):
            for name, value in owner.scope.names.items():
                if (
                    isinstance(value, FunctionValue)
                    and id(value.node) not in run.called
                    and not name.startswith("__")
                ):
                    bound = Bound(value, kind if value.is_class else instance)
                    target: Value = value if value.is_static else bound
                    _attempt(run, kind.path, line, lambda t=target, v=value: _call_with_knobs(run, v, t))  # type: ignore[misc]


def _forward(run: Interpreter, instance: ModuleValue) -> None:
    assert instance.kind is not None
    forward = classes.method(instance.kind, "forward")
    if forward is None or not isinstance(forward.node, s.Function):
        run.call(instance, Arguments((Tensor(),), {}, instance.site))
        return
    inputs: dict[str, Value] = {}
    for parameter in forward.node.parameters[1:]:
        default = parameter.default
        absent = isinstance(default, s.Literal) and default.value is None
        if parameter.kind in ("positional", "keyword") and (default is None or absent):
            inputs[parameter.name] = Tensor()
    run.call(instance, Arguments((), inputs, instance.site))


def _call_with_knobs(run: Interpreter, function: FunctionValue, target: Value | None = None) -> None:
    """Call a function with a knob for every parameter."""
    site = Site(function.path, function.node.span)
    if target is None and function.owner is not None and not function.is_static:
        target = Bound(function, classes.knob_instance(run, function.owner))
    run.call(target or function, Arguments((), {}, site, complete=False))


def _held(model: ModuleValue) -> Iterator[ModuleValue]:
    """The parts of a model that its own methods may apply: all but those that none of them reads."""
    for name, child in model.attributes.items():
        for option in options(child):
            if isinstance(option, ModuleValue):
                inner = [m for _, m in named_modules(option)]
                yield from inner if model.kind is None or _is_read(model.kind, name) else inner[1:]


def _is_read(kind: ClassValue, name: str) -> bool:
    """Whether a method other than the constructor reads ``self.name``."""
    methods = (n for c in classes.ancestry(kind) for n in c.node.body if isinstance(n, s.Function))
    return any(
        isinstance(node, s.Attribute) and node.name == name
        for method in methods
        if method.name != "__init__"
        for node in s.walk(method.body)
    )


def _apply_the_rest(run: Interpreter, built: Sequence[ModuleValue]) -> None:
    """Apply models that scripts and factories built but whose output was not seen."""
    held: set[int] = set()
    for model in reversed(built):
        if id(model) not in held:
            held |= {id(m) for m in _held(model)}
    used = {id(a.weight) for a in run.seen.applications}
    count: dict[int, int] = {}
    for module in dict.fromkeys(built):
        weights = [w for _, m in named_modules(module) if m.layer for w in m.layer.weights.values()]
        if id(module) in held or not weights or any(id(w) in used for w in weights):
            continue
        count[id(module.kind)] = count.get(id(module.kind), 0) + 1
        if count[id(module.kind)] <= _MOST_INSTANCES:
            _attempt(run, module.site.path, module.site.line, lambda m=module: _forward(run, m))  # type: ignore[misc]
