"""Calling things: user functions and methods, user classes, modules."""

from __future__ import annotations

from collections.abc import Sequence

from mulint.facts import syntax as s
from mulint.program import classes
from mulint.program.dimensions import Symbol
from mulint.program.expressions import setting
from mulint.program.joining import join_all
from mulint.program.library import frameworks, modules, optimizers, tensors
from mulint.program.numbers import Number
from mulint.program.records import Construction
from mulint.program.run import Arguments, Frame, Run, sources_of
from mulint.program.scopes import Scope
from mulint.program.values import (
    Bound,
    Choice,
    ClassValue,
    Constant,
    DictValue,
    FunctionValue,
    Knob,
    ListValue,
    ModuleValue,
    ObjectValue,
    Partial,
    Tensor,
    Unknown,
    Value,
)

# Their methods without arguments give no size.
_NO_SIZES = (str, bytes, dict, list, set)


def invoke(run: Run, function: FunctionValue, arguments: Arguments, receiver: Value | None = None) -> Value:
    """Run a user's function on abstract arguments; with a receiver, as its method."""
    return _execute(run, function, _enter(run, function, arguments, receiver))


def _enter(run: Run, function: FunctionValue, arguments: Arguments, receiver: Value | None) -> Scope:
    """The scope of a call with its parameters bound."""
    positional = arguments.positional if receiver is None else (receiver, *arguments.positional)
    scope = Scope(
        function.path,
        function.scope,
        owner=function.owner,
        receiver=receiver,
        function=function.name if isinstance(function.node, s.Function) else "",
    )
    _bind(run, function, positional, arguments, scope)
    return scope


def _execute(run: Run, function: FunctionValue, scope: Scope) -> Value:
    if isinstance(function.node, s.Lambda):
        return run.evaluate(function.node.body, scope)
    frame = Frame()
    run.execute(function.node.body, scope, frame)
    return join_all(frame.returns)


def _bind(
    run: Run, function: FunctionValue, positional: Sequence[Value], arguments: Arguments, scope: Scope
) -> None:
    remaining = list(positional)
    keywords = dict(arguments.keywords)
    owner = function.owner.name if function.owner else function.name
    for parameter in function.node.parameters:
        name = parameter.name
        if parameter.kind == "*":
            scope.names[name] = ListValue(remaining, arguments.complete)
            remaining = []
        elif parameter.kind == "**":
            scope.names[name] = DictValue(dict(keywords.items()), arguments.complete)
        elif parameter.kind == "positional" and remaining:
            scope.names[name] = remaining.pop(0)
        elif name in keywords:
            scope.names[name] = keywords.pop(name)
        elif not arguments.complete or parameter.default is None:
            scope.names[name] = classes.knob_for(run, owner, function.path, parameter, function)
        else:
            default = run.evaluate(parameter.default, function.scope)
            scope.names[name] = setting(run, f"{owner}.{name}", default, parameter.default, function.scope)


def instantiate(run: Run, kind: ClassValue, arguments: Arguments) -> Value:
    """Construct an instance of a user's class."""
    if classes.is_optimizer_class(kind):
        return optimizers.construct_local(run, kind, arguments)
    initialiser = classes.method(kind, "__init__")
    if classes.is_module_class(kind):
        module = ModuleValue(kind, arguments.site, level=run.uncertainty, owner=arguments.owner)
        run.seen.modules.add((kind.path, kind.name))
        if initialiser is not None:
            _initialise(run, kind, initialiser, arguments, module)
        else:
            modules.construct_base(run, module, arguments)
        return module
    if frameworks.is_trainer(kind):
        frameworks.trainer(run, arguments)
    instance = ObjectValue(kind, level=run.uncertainty)
    if initialiser is not None:
        _initialise(run, kind, initialiser, arguments, instance)
    elif classes.is_dataclass(kind):
        _fill_fields(run, instance, arguments)
        run.seen.constructions.append(Construction(kind, arguments.site, dict(instance.attributes)))
    return instance


def _initialise(
    run: Run,
    kind: ClassValue,
    initialiser: FunctionValue,
    arguments: Arguments,
    instance: ModuleValue | ObjectValue,
) -> None:
    scope = _enter(run, initialiser, arguments, instance)
    given = {p.name: scope.names[p.name] for p in initialiser.node.parameters if p.name in scope.names}
    run.seen.constructions.append(Construction(kind, arguments.site, given))
    _execute(run, initialiser, scope)


def _fill_fields(run: Run, instance: ObjectValue, arguments: Arguments) -> None:
    declared = classes.fields(instance.kind)
    given = arguments.bind([name for name, _, _ in declared])
    knobs = classes.knob_instance(run, instance.kind) if not arguments.complete else None
    for name, owner, node in declared:
        if name in given:
            instance.attributes[name] = given[name]
        elif knobs is not None:
            instance.attributes[name] = knobs.attributes[name]
        else:
            instance.attributes[name] = classes.field_default(run, owner, node) or Unknown("a field without value")
    finish = classes.method(instance.kind, "__post_init__")
    if finish is not None:
        invoke(run, finish, Arguments((), {}, arguments.site), instance)


def apply_module(run: Run, module: ModuleValue, arguments: Arguments) -> Value:
    """Call a module on activations: the user's ``forward``, or what the library's layer does."""
    forward = classes.method(module.kind, "forward") if module.kind else None
    if forward is not None:
        return invoke(run, forward, arguments, module)
    return modules.apply_layer(run, module, arguments)


def call(run: Run, function: Value, arguments: Arguments) -> Value:
    """Call a value of the user's program that is not from a library."""
    match function:
        case ClassValue():
            return instantiate(run, function, arguments)
        case FunctionValue():
            return invoke(run, function, arguments)
        case Bound(function=inner, receiver=receiver):
            return invoke(run, inner, arguments, receiver)
        case ModuleValue():
            return apply_module(run, function, arguments)
        case Partial():
            keywords = {**dict(function.keywords), **arguments.keywords}
            positional = (*function.arguments, *arguments.positional)
            return run.call(
                function.function,
                Arguments(positional, keywords, arguments.site, arguments.owner, arguments.complete),
            )
        case Choice(options=several):
            callable_ = [o for o in several if not isinstance(o, Constant)]
            condition = run.next_order()
            results: list[Value] = []
            with run.branching(run.branch or arguments.site), run.uncertain():
                for number, option in enumerate(callable_):
                    with run.arm(condition, number):
                        results.append(run.call(option, arguments))
            of_objects = all(isinstance(o, Bound) and isinstance(o.receiver, ObjectValue) for o in callable_)
            return _either(results) if of_objects else join_all(results)
        case ObjectValue():
            inner_call = classes.method(function.kind, "__call__")
            return invoke(run, inner_call, arguments, function) if inner_call else Unknown("an object is called")
        case Knob():
            return _call_knob(function, arguments)
        case Tensor():
            return Unknown("a tensor is called")
        case _:
            tensors.settle(arguments.values)
            return sources_of(arguments.values) or Unknown("a call that is not followed")


def _either(results: Sequence[Value]) -> Value:
    """What one of several objects gives: no number is known where one of them gives what is not followed."""
    numbers = [isinstance(result, Number | Knob) for result in results]
    unknown = next((result for result in results if isinstance(result, Unknown)), None)
    if unknown is not None and any(numbers) and sum(numbers) + 1 == len(results):
        return unknown
    return join_all(results)


def _call_knob(function: Knob, arguments: Arguments) -> Value:
    """``config.get("n_embd", 4)`` reads as the attribute, ``tokenizer.vocabulary_size()`` as a knob of its own.

    What any other call of a knob gives is not known.
    """
    parent, _, name = function.symbol.name.rpartition(".")
    key = arguments.get("key", 0)
    if name in ("get", "pop") and isinstance(key, Constant) and isinstance(key.value, str):
        symbol = Symbol(f"{parent}.{key.value}", function.symbol.path, function.symbol.line)
        return Knob(symbol, arguments.get("default", 1))
    tensors.settle(arguments.values)
    if function.foreign and not arguments.values and not any(hasattr(kind, name) for kind in _NO_SIZES):
        return Knob(Symbol(name, arguments.site.path, arguments.site.line), foreign=True)
    return sources_of(arguments.values) or Unknown(f"{function.symbol.name} is given from outside")
