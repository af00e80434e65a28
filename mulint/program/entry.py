"""Where an abstract run starts: files, models built from knobs, and functions that nobody in sight calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.program import classes
from mulint.program.interpreter import Interpreter
from mulint.program.models import helpers, makers, parts, unapplied
from mulint.program.observations import Failure
from mulint.program.records import Application
from mulint.program.run import Arguments, OutOfBudget
from mulint.program.scopes import Files
from mulint.program.values import (
    Bound,
    ClassValue,
    Constant,
    FunctionValue,
    ListValue,
    ModuleValue,
    Site,
    Tensor,
    Value,
)
from mulint.program.widths import entering, is_handful

_MOST_INSTANCES = 3
_DEEP_ENOUGH = 20_000


def observe(files: Files) -> Interpreter:
    """Run files abstractly and return the interpreter with all it has seen."""
    run = Interpreter(files)
    with _deep_recursion():
        for path in files.by_path:
            _attempt(run, path, 1, lambda path=path: run.module_scope(path))  # type: ignore[misc]
        kinds = list(_module_classes(run))
        made = makers(run)
        within = helpers(run, made)
        # Those that a script calls with numbers are followed with knobs all the same.
        for function in (f for f in made if f not in within):
            _follow(run, function)
        inner = parts(run, kinds, within)
        built = {id(m.kind) for m in run.built}
        for kind in kinds:
            if id(kind) in inner:
                continue
            before = len(run.seen.applications)
            _build_from_knobs(run, kind, is_used=id(kind) in built)
            if id(kind) not in built and not _is_public(run, kind):
                for application in run.seen.applications[before:]:
                    application.returned = False
        # Those that only module classes call wait for the classes that other functions build.
        for function in sorted(_functions(run), key=within.__contains__):
            if id(function.node) not in run.called:
                _follow(run, function)
        _apply_the_rest(run)
    return run


# CPython keeps frames in chunks of memory and gives a chunk back as soon as it is empty. Around the end of one,
# calls take and return it over and over; a frame as wide as this makes its chunk large enough for those within.
observe.__code__ = observe.__code__.replace(co_stacksize=1 << 17)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP_ENOUGH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _attempt(
    run: Interpreter, path: str, line: int, action: Callable[[], object], *, is_function: bool = False
) -> None:
    run.begin(is_function=is_function)
    try:
        action()
    except OutOfBudget:
        run.note(Site.of_line(path, line), "code reached from here", "it is too large to be followed whole")
    except RecursionError:
        run.note(Site.of_line(path, line), "code reached from here", "it nests too deeply to be followed")
    except Exception as error:  # one entry point must not end the run; reported as MU905
        run.seen.failures.append(Failure(path, line, error))


def _module_classes(run: Interpreter) -> Iterator[ClassValue]:
    for path in run.files.by_path:
        for value in list(run.module_scope(path).names.values()):
            own = isinstance(value, ClassValue) and value.path == path and value.name != path
            if own and isinstance(value, ClassValue) and classes.is_module_class(value):
                yield value


def _is_public(run: Interpreter, kind: ClassValue) -> bool:
    """Whether its module lists a class in ``__all__``, or lists nothing: the rest are no models of their own."""
    listed = run.module_scope(kind.path).names.get("__all__")
    if not isinstance(listed, ListValue) or not listed.complete:
        return True
    return any(not isinstance(name, Constant) or name.value == kind.name for name in listed.items)


def _functions(run: Interpreter) -> Iterator[FunctionValue]:
    for path in run.files.by_path:
        for value in list(run.module_scope(path).names.values()):
            if isinstance(value, FunctionValue) and value.path == path:
                yield value
            elif isinstance(value, ClassValue) and value.path == path and not classes.is_module_class(value):
                yield from (m for m in value.scope.names.values() if isinstance(m, FunctionValue))


def _site(kind: ClassValue) -> Site:
    return Site(kind.path, kind.node.span)


def _build_from_knobs(run: Interpreter, kind: ClassValue, *, is_used: bool) -> None:
    """Build a model with a knob for every argument, apply it, and call its other methods.

    A class that nothing in the project uses may be a model or a block that others are meant to use.
    """
    line = line_of(kind.node.span)
    arguments = Arguments((), {}, _site(kind), complete=False)
    instances: list[Value] = []
    _attempt(run, kind.path, line, lambda: instances.append(run.call(kind, arguments)))
    for instance in instances:
        if not isinstance(instance, ModuleValue):
            continue
        before = len(run.seen.applications)
        _attempt(run, kind.path, line, lambda: _forward(run, instance))  # noqa: B023 - called at once
        if not is_used:
            _keep_stream(run, run.seen.applications[before:])
        for owner in classes.ancestry(kind):
            for name, value in owner.scope.names.items():
                if (
                    isinstance(value, FunctionValue)
                    and id(value.node) not in run.called
                    and not name.startswith("__")
                    and name != "forward"
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


def _follow(run: Interpreter, function: FunctionValue) -> None:
    line = line_of(function.node.span)
    _attempt(run, function.path, line, lambda: _call_with_knobs(run, function), is_function=True)


def _call_with_knobs(run: Interpreter, function: FunctionValue, target: Value | None = None) -> Value:
    """Call a function with a knob for every parameter."""
    site = Site(function.path, function.node.span)
    if target is None and function.owner is not None and not function.is_static:
        target = Bound(function, classes.knob_instance(run, function.owner))
    return run.call(target or function, Arguments((), {}, site, complete=False))


def _keep_stream(run: Interpreter, applications: Sequence[Application]) -> None:
    """What leaves a block with the size it came in with is no output but goes on in the model around it.

    Sizes that are a handful by default are channels of data, which do leave as they came. An option whose
    stand-in is a size that came in is that size.
    """
    leaving = [a for a in applications if a.returned]
    if not leaving:
        return
    stream = {symbol for symbol in entering(applications) if not is_handful(run.seen, symbol)}
    produced = {symbol for a in leaving for size in a.produced for symbol in size.symbols}
    stream |= {o for o in produced & run.stand_ins.keys() if stream & run.stand_ins[o].symbols}
    for application in leaving:
        if any(stream & size.symbols for size in application.produced):
            application.returned = False


def _apply_the_rest(run: Interpreter) -> None:
    """Apply models that scripts and factories built but whose output was not seen."""
    count: dict[int, int] = {}
    for module in list(unapplied(run)):
        count[id(module.kind)] = count.get(id(module.kind), 0) + 1
        if count[id(module.kind)] <= _MOST_INSTANCES:
            before = len(run.seen.applications)
            _attempt(run, module.site.path, module.site.line, lambda m=module: _forward(run, m))  # type: ignore[misc]
            _keep_stream(run, run.seen.applications[before:])
