"""Abstract execution of statements."""

from __future__ import annotations

from collections.abc import Sequence

from mulint.facts import syntax as s
from mulint.facts.spans import line_of, whole_line
from mulint.program import flags, loops
from mulint.program.dimensions import Symbol
from mulint.program.joining import join, join_all
from mulint.program.library import groups
from mulint.program.library.groups import of_group
from mulint.program.library.indexing import assign
from mulint.program.numbers import UNKNOWN_NUMBER, Number
from mulint.program.operators import binary
from mulint.program.run import Frame, Run, iterate, site_of, truth
from mulint.program.scopes import MUP_PACKAGES, Scope
from mulint.program.values import Choice, ClassValue, Constant, External, FunctionValue, GroupValue, Unknown, Value

_MOST_ITERATIONS = 64


def execute(run: Run, body: Sequence[s.Statement], scope: Scope, frame: Frame) -> bool:
    """Run a block; True if control cannot pass its end."""
    for statement in body:  # noqa: SIM110 - the innermost loop but one
        if _statement(run, statement, scope, frame):
            return True
    return False


def _statement(run: Run, node: s.Statement, scope: Scope, frame: Frame) -> bool:
    run.spend()
    match node:
        case s.Assign():
            _assign(run, node, scope)
        case s.AugmentedAssign():
            _augmented(run, node, scope)
        case s.Evaluate():
            with run.reading_groups():  # `group.update(lr=...)` is an assignment
                run.evaluate(node.value, scope)
        case s.Return():
            frame.returns.append(run.evaluate(node.value, scope) if node.value else Constant(None))
            return True
        case s.Leave():
            return True
        case s.If():
            return _if(run, node, scope, frame)
        case s.For():
            return _for(run, node, scope, frame)
        case s.While():
            _loop_body(run, node.body, scope, frame)
        case s.With():
            return _with(run, node, scope, frame)
        case s.Try():
            return _try(run, node, scope, frame)
        case s.Import():
            _import(run, node, scope)
        case s.Function():
            scope.names[node.name] = define(run, node, scope)
        case s.Class():
            scope.names[node.name] = _class(run, node, scope)
    return False


def _assign(run: Run, node: s.Assign, scope: Scope) -> None:
    if node.value is None:
        return
    with run.reading_groups():
        _assign_value(run, node, node.value, scope)


def _assign_value(run: Run, node: s.Assign, expression: s.Expression, scope: Scope) -> None:
    value = run.evaluate(expression, scope)
    if run.group_reads - {"params"} and (isinstance(value, Unknown) or value == UNKNOWN_NUMBER):
        value = of_group("value")  # whatever it is, it was computed from what a parameter group has of its own
    first = node.targets[0]
    if scope.parent is None and isinstance(first, s.Name):
        value = _module_constant(run, value, first, expression, scope)
    for target in node.targets:
        assign(run, target, value, scope)


def _module_constant(run: Run, value: Value, target: s.Name, node: s.Expression, scope: Scope) -> Value:
    """A literal number or flag bound at the top of a file is a knob: people change it there."""
    is_flag = isinstance(value, Constant) and isinstance(value.value, bool)
    if not isinstance(node, s.Literal) or not (isinstance(value, Number) or is_flag):
        return value
    module = scope.path.rpartition("/")[2].removesuffix(".py")
    return run.knob(Symbol(f"{module}.{target.id}", scope.path, line_of(target.span)), value)


def _augmented(run: Run, node: s.AugmentedAssign, scope: Scope) -> None:
    with run.reading_groups():
        current = run.evaluate(node.target, scope)
        value = run.evaluate(node.value, scope)
        if isinstance(current, GroupValue):
            groups.write_all(run, current, value, site_of(scope, node.span), scope.symbol)
            return
        assign(run, node.target, binary(run, node.operator, current, value, scope, node.span), scope)


def _if(run: Run, node: s.If, scope: Scope, frame: Frame) -> bool:
    if _asks_for_program(node.test):
        return _as_program(run, node, scope, frame)
    outside, run.group_reads = run.group_reads, set()
    known = truth(run.evaluate(node.test, scope))
    asks, run.group_reads = bool(run.group_reads), outside
    flags.tested(run, node, known, scope)
    if known is not None:
        return run.execute(node.then if known else node.otherwise, scope, frame)
    if asks:
        with run.asking_group():
            return _either(run, node, scope, frame)
    if flags.is_setting(node.test, scope):
        setting = site_of(scope, node.test.span)
        run.seen.settings.add(setting)
        with run.branching(setting):
            return _either(run, node, scope, frame)
    return _either(run, node, scope, frame)


def _either(run: Run, node: s.If, scope: Scope, frame: Frame) -> bool:
    """Both arms of a condition that is not known."""
    before = dict(scope.names)
    told = _told(run, node.test, scope)
    condition = run.next_order()
    with run.uncertain():
        with run.arm(condition, 0):
            scope.names.update(told[0])
            then_left = run.execute(node.then, scope, frame)
        after_then = scope.names
        scope.names = dict(before)
        with run.arm(condition, 1):
            scope.names.update(told[1])
            else_left = run.execute(node.otherwise, scope, frame)
    run.seen.left_arms |= {(condition, arm) for arm, left in enumerate((then_left, else_left)) if left}
    if then_left:
        return else_left
    if else_left:
        scope.names = after_then
        return False
    scope.names = _join_names(after_then, scope.names)
    return False


def _told(run: Run, test: s.Expression, scope: Scope) -> tuple[dict[str, Value], dict[str, Value]]:
    """What ``if kind is Adam:`` tells of a name that is one of several classes or functions, in either arm."""
    match test:
        case s.Compare(
            left=s.Name(id=name), operators=(("is" | "==" | "is not" | "!=") as operator,), rights=(right,)
        ):
            value = scope.names.get(name)
        case _:
            return {}, {}
    one = run.evaluate(right, scope) if isinstance(value, Choice) else None
    if not isinstance(value, Choice) or not isinstance(one, External | ClassValue) or one not in value.options:
        return {}, {}
    others = join_all([option for option in value.options if option != one])
    this: dict[str, Value] = {name: one}
    rest: dict[str, Value] = {name: others}
    return (this, rest) if operator in ("is", "==") else (rest, this)


def _asks_for_program(test: s.Expression) -> bool:
    """Whether a condition is ``__name__ == "__main__"``."""
    if not isinstance(test, s.Compare) or test.operators != ("==",):
        return False
    sides = (test.left, *test.rights)
    names = [side.id for side in sides if isinstance(side, s.Name)]
    texts = [side.value for side in sides if isinstance(side, s.Literal)]
    return names == ["__name__"] and texts == ["__main__"]


def _as_program(run: Run, node: s.If, scope: Scope, frame: Frame) -> bool:
    """What a file does as a program is done for certain: every file is followed as one.

    Files that import it, and functions that nothing here calls, may see the names as they were before.
    """
    before = dict(scope.names)
    run.execute(node.then, scope, frame)
    scope.names = _join_names(scope.names, before)
    with run.uncertain():
        run.execute(node.otherwise, scope, frame)
    return False


def _join_names(a: dict[str, Value], b: dict[str, Value]) -> dict[str, Value]:
    return {n: join(a[n], b[n]) if n in a and n in b else a.get(n, b.get(n, Unknown())) for n in {**a, **b}}


def _for(run: Run, node: s.For, scope: Scope, frame: Frame) -> bool:
    iterable = run.evaluate(node.iterable, scope)
    items, complete = iterate(iterable)
    if complete and len(items) <= _MOST_ITERATIONS:
        for item in loops.rounds(run, items, node.iterable, scope):
            assign(run, node.target, item, scope)
            returned = len(frame.returns)
            if run.execute(node.body, scope, frame) and len(frame.returns) > returned:
                return True
        run.execute(node.otherwise, scope, frame)
        return False
    with loops.repeated(run, iterable):
        for item in items[:_MOST_ITERATIONS]:
            assign(run, node.target, item, scope)
            _loop_body(run, node.body, scope, frame)
    return False


def _loop_body(run: Run, body: Sequence[s.Statement], scope: Scope, frame: Frame) -> None:
    """Run a body whose number of rounds is not known: once, and again if a number it starts from changed."""
    before = dict(scope.names)
    run.execute(body, scope, frame)
    rebound = any(
        isinstance(old, Number) and isinstance(scope.names.get(name), Number) and scope.names[name] != old
        for name, old in before.items()
    )
    if rebound:
        run.execute(body, scope, frame)


def _with(run: Run, node: s.With, scope: Scope, frame: Frame) -> bool:
    for expression, target in node.items:
        value = run.evaluate(expression, scope)
        if target is not None:
            assign(run, target, value, scope)
    return run.execute(node.body, scope, frame)


def _try(run: Run, node: s.Try, scope: Scope, frame: Frame) -> bool:
    left = run.execute(node.body, scope, frame)
    after = dict(scope.names)
    for alternative in node.alternatives:
        with run.uncertain():
            run.execute(alternative, scope, frame)
        # The body went through in the run that matters; a handler only adds what the body did not bind.
        scope.names = {**scope.names, **after}
    return run.execute(node.final, scope, frame) or left


def _import(run: Run, node: s.Import, scope: Scope) -> None:
    # A vendored copy of a μP package means the package: the tables know what its names do.
    known = not node.level and node.module.partition(".")[0] in MUP_PACKAGES
    path = None if known else run.files.resolve(node.module, scope.path, node.level)
    if path is not None:
        run.imports.add((scope.path, path))
    if node.name is None:
        scope.names[node.binds] = External(f"{node.module}") if path is None else _module(run, path)
        return
    submodule = f"{node.module}.{node.name}" if node.module else node.name
    if node.name == "*":
        if known:
            run.seen.package_calls.append((f"{node.module}.*", site_of(scope, node.span)))
        if path is not None:
            scope.names.update(run.module_scope(path).names)
        return
    if path is not None:
        found = run.module_scope(path).names.get(node.name)
        if found is not None:
            scope.names[node.binds] = found
            return
    inner = None if known else run.files.resolve(submodule, scope.path, node.level)
    if inner is not None:
        run.imports.add((scope.path, inner))
        scope.names[node.binds] = _module(run, inner)
    elif path is not None or node.level:
        scope.names[node.binds] = Unknown(f"{node.name} is not found in {path or node.module}")
    else:
        scope.names[node.binds] = External(submodule)


def _module(run: Run, path: str) -> Value:
    """A file of the project as a value: a class whose attributes are the file's global names."""
    scope = run.module_scope(path)
    empty = s.Class(whole_line(1), path, (), (), (), ())
    return ClassValue(path, path, empty, (), scope)


def define(run: Run, node: s.Function, scope: Scope) -> FunctionValue:
    """A function with the scope it closes over and what its decorators make of it."""
    names = {_decorator_name(run.evaluate(d, scope)) for d in node.decorators}
    return FunctionValue(
        node.name,
        scope.path,
        node,
        scope,
        scope.owner if scope.is_class else None,
        is_property=bool(names & {"property", "cached_property"}),
        is_static="staticmethod" in names,
        is_class="classmethod" in names,
    )


def _decorator_name(value: Value) -> str:
    return value.name.rpartition(".")[2] if isinstance(value, External) else ""


def _class(run: Run, node: s.Class, scope: Scope) -> ClassValue:
    inner = Scope(scope.path, scope, is_class=True)
    bases = tuple(run.evaluate(b, scope) for b in node.bases)
    result = ClassValue(node.name, scope.path, node, bases, inner)
    inner.owner = result
    run.execute(node.body, inner, Frame())
    return result
