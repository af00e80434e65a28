"""Abstract evaluation of expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.program import flags, loops
from mulint.program.dimensions import Symbol
from mulint.program.joining import join, join_all
from mulint.program.library import indexing
from mulint.program.numbers import UNKNOWN_NUMBER, Number
from mulint.program.operators import binary, compare, text_of, unary
from mulint.program.run import Arguments, Run, iterate, site_of, truth
from mulint.program.scopes import Scope
from mulint.program.values import (
    Bound,
    ClassValue,
    Constant,
    DictValue,
    External,
    FunctionValue,
    GroupValue,
    Knob,
    ListValue,
    SuperValue,
    Unknown,
    Value,
    options,
)

_BUILTINS = frozenset(
    (
        "abs all any bool callable dict divmod enumerate filter float frozenset getattr hasattr id int "
        "isinstance issubclass iter len list map max min next object print range repr reversed round set "
        "setattr slice sorted str sum super tuple type vars zip property staticmethod classmethod open exec "
        "eval globals locals input"
    ).split()
)

# Smaller whole numbers in a dict are counts, flags and dimensions of kernels.
SMALLEST_SIZE = 8


def _attribute(run: Run, node: s.Attribute, scope: Scope) -> Value:
    return run.attribute(run.evaluate(node.value, scope), node.name, site_of(scope, node.span))


def _binary(run: Run, node: s.Binary, scope: Scope) -> Value:
    left, right = run.evaluate(node.left, scope), run.evaluate(node.right, scope)
    return binary(run, node.operator, left, right, scope, node.span)


def _unary(run: Run, node: s.Unary, scope: Scope) -> Value:
    return unary(node.operator, run.evaluate(node.operand, scope))


def _subscript(run: Run, node: s.Subscript, scope: Scope) -> Value:
    container = run.evaluate(node.value, scope)
    return indexing.subscript(run, container, run.evaluate(node.index, scope), site_of(scope, node.span))


def _slice(run: Run, node: s.Slice, scope: Scope) -> Value:
    parts = [run.evaluate(p, scope) if p else Constant(None) for p in (node.lower, node.upper, node.step)]
    return indexing.make_slice(*parts)


def _lambda(_run: Run, node: s.Lambda, scope: Scope) -> Value:
    return FunctionValue("<lambda>", scope.path, node, scope)


def _format(run: Run, node: s.Format, scope: Scope) -> Value:
    return text_of([run.evaluate(p, scope) for p in node.parts])


def _walrus(run: Run, node: s.Walrus, scope: Scope) -> Value:
    value = run.evaluate(node.value, scope)
    scope.names[node.target.id] = value
    return value


def _starred(run: Run, node: s.Starred, scope: Scope) -> Value:
    return run.evaluate(node.value, scope)


def _opaque(_run: Run, node: s.Opaque, _scope: Scope) -> Value:
    return indexing.ELLIPSIS if node.what == "..." else Unknown("syntax that is not followed")


def _name(run: Run, node: s.Name, scope: Scope) -> Value:
    found = scope.find(node.id)
    if found is not None:
        if type(found) is Knob and found.symbol.kind == "group":
            run.group_reads.add(found.symbol.short)
        return found
    if node.id in _BUILTINS:
        return External(f"builtins.{node.id}")
    return Unknown(f"the name {node.id} is not bound in this file")


def _literal(_run: Run, node: s.Literal, _scope: Scope) -> Value:
    match node.value:
        case bool() | None | str() | bytes():
            return Constant(node.value)
        case int() | float():
            return Number.of(node.value)
        case _:
            return UNKNOWN_NUMBER


def arguments_of(run: Run, node: s.Call, scope: Scope, *, ordered: bool) -> Arguments:
    """Evaluate the arguments of a call, spreading ``*`` and ``**``.

    Of a ``*`` whose items may not be all, those that are known are given only where their order says nothing.
    """
    positional: list[Value] = []
    keywords: dict[str, Value] = {}
    complete = True
    for argument in node.arguments:
        value = run.evaluate(argument, scope)
        if isinstance(argument, s.Starred):
            items, known = iterate(value)
            complete = complete and known
            positional.extend(items if known or not ordered else [])
        else:
            positional.append(value)
    for keyword in node.keywords:
        value = run.evaluate(keyword.value, scope)
        if keyword.name is not None:
            keywords[keyword.name] = value
            continue
        for option in options(value):
            if isinstance(option, DictValue):
                keywords.update({k: v for k, v in option.entries.items() if isinstance(k, str)})
                complete = complete and option.complete
            else:
                complete = False
    return Arguments(tuple(positional), keywords, site_of(scope, node.span), scope.symbol, complete)


def _call(run: Run, node: s.Call, scope: Scope) -> Value:
    if isinstance(node.function, s.Name) and node.function.id == "super":
        return _super(run, node.arguments, scope)
    function = run.evaluate(node.function, scope)
    ordered = isinstance(function, FunctionValue | Bound | ClassValue)
    return run.call(function, arguments_of(run, node, scope, ordered=ordered))


def _super(run: Run, arguments: Sequence[s.Expression], scope: Scope) -> Value:
    """``super()``, or ``super(Owner, self)``."""
    if len(arguments) == 2:
        owner, receiver = (run.evaluate(a, scope) for a in arguments)
        if isinstance(owner, ClassValue):
            return SuperValue(owner, receiver)
    for around in scope.outward():
        if around.owner is not None and around.receiver is not None:
            return SuperValue(around.owner, around.receiver)
    return Unknown("super() outside a method")


def _boolean(run: Run, node: s.Boolean, scope: Scope) -> Value:
    """``or`` on an option reads as the option being given; where it is None by default, as its stand-in too."""
    result: Value = Unknown("a condition")
    for operand in node.operands:
        result = run.evaluate(operand, scope)
        known = truth(result)
        if known is (node.operator == "or"):
            return result
        if known is None and node.operator == "or":
            rest = [run.evaluate(o, scope) for o in node.operands[node.operands.index(operand) + 1 :]]
            if isinstance(result, Knob):
                run.stand_in(result.symbol, join_all(rest))
                absent = result.default == Constant(None)
                return join_all([result.number, *rest]) if absent else result
            present = [o for o in options(result) if not (isinstance(o, Constant) and o.value is None)]
            return join_all([*present, *rest])
        if known is None and node.operator == "and":
            for other in node.operands[node.operands.index(operand) + 1 :]:
                if truth(run.evaluate(other, scope)) is False:
                    return Constant(False)
            return Unknown("a condition")
    return result


def _conditional(run: Run, node: s.Conditional, scope: Scope) -> Value:
    known = truth(run.evaluate(node.test, scope))
    flags.tested(run, node, known, scope)
    if known is not None:
        return run.evaluate(node.then if known else node.otherwise, scope)
    given = _given(run, node, scope)
    if given is not None:
        return given
    with run.uncertain():
        return join(run.evaluate(node.then, scope), run.evaluate(node.otherwise, scope))


def _given(run: Run, node: s.Conditional, scope: Scope) -> Value | None:
    """``base if base is not None else width`` reads as the option being given."""
    match node.test:
        case s.Compare(left=left, operators=("is not",), rights=(s.Literal(value=None),)):
            tested, branch, other = left, node.then, node.otherwise
        case s.Compare(left=left, operators=("is",), rights=(s.Literal(value=None),)):
            tested, branch, other = left, node.otherwise, node.then
        case s.Name() | s.Attribute():
            tested, branch, other = node.test, node.then, node.otherwise
        case _:
            return None
    option = run.evaluate(tested, scope)
    if not isinstance(option, Knob):
        return None
    value = run.evaluate(branch, scope)
    if not isinstance(value, Number | Knob):
        return None
    run.stand_in(option.symbol, run.evaluate(other, scope))
    return value


def _compare(run: Run, node: s.Compare, scope: Scope) -> Value:
    left = run.evaluate(node.left, scope)
    outcome: bool | None = True
    for operator, right_node in zip(node.operators, node.rights, strict=True):
        right = run.evaluate(right_node, scope)
        if isinstance(right, GroupValue) and isinstance(left, Constant):
            run.group_reads.add(str(left.value))
        one = compare(operator, left, right)
        outcome = None if outcome is None or one is None else outcome and one
        left = right
    return Unknown("a condition") if outcome is None else Constant(outcome)


def _display(run: Run, node: s.Display, scope: Scope) -> Value:
    items: list[Value] = []
    complete = True
    for item in node.items:
        value = run.evaluate(item, scope)
        if isinstance(item, s.Starred):
            inner, known = iterate(value)
            items.extend(inner)
            complete = complete and known
        else:
            items.append(value)
    return ListValue(items, complete, fixed=node.kind == "tuple")


def _dict(run: Run, node: s.DictDisplay, scope: Scope) -> Value:
    result = DictValue()
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = run.evaluate(value_node, scope)
        if key_node is None:
            known = [o for o in options(value) if isinstance(o, DictValue)]
            for option in known:
                result.entries.update(option.entries)
            result.complete = result.complete and bool(known) and all(o.complete for o in known)
            continue
        key = run.evaluate(key_node, scope)
        if isinstance(key, Constant):
            result.entries[key.value] = setting(run, key.value, value, value_node, scope)
        elif isinstance(key, Number) and key.whole is not None:
            result.entries[key.whole] = value
        else:
            result.complete = False
    return result


def setting(run: Run, name: object, value: Value, node: s.Expression, scope: Scope) -> Value:
    """A size written under a name, in a dict or as a default, is a knob, as one at the top of a file is."""
    whole = value.whole if isinstance(value, Number) and isinstance(node, s.Literal) else None
    if not isinstance(name, str) or whole is None or whole < SMALLEST_SIZE:
        return value
    return run.knob(Symbol(name, scope.path, line_of(node.span)), value)


def _comprehension(run: Run, node: s.Comprehension, scope: Scope) -> Value:
    inner = Scope(scope.path, scope, owner=scope.owner, receiver=scope.receiver)
    results: list[tuple[Value, Value]] = []
    complete = _generate(run, node, inner, 0, results)
    if node.kind != "dict":
        return ListValue([element for _, element in results], complete)
    result = DictValue(complete=complete)
    for key, element in results:
        if isinstance(key, Constant):
            result.entries[key.value] = element
        elif isinstance(key, Number) and key.whole is not None:
            result.entries[key.whole] = element
        else:
            result.complete = False
    return result


def _generate(
    run: Run, node: s.Comprehension, scope: Scope, depth: int, results: list[tuple[Value, Value]]
) -> bool:
    if depth == len(node.generators):
        key = run.evaluate(node.key, scope) if node.key else Constant(None)
        results.append((key, run.evaluate(node.element, scope)))
        return True
    generator = node.generators[depth]
    iterable = run.evaluate(generator.iterable, scope)
    items, complete = iterate(iterable)
    with loops.repeated(run, iterable):
        for item in loops.rounds(run, items, generator.iterable, scope) if complete else items:
            indexing.assign(run, generator.target, item, scope)
            outcomes = [truth(run.evaluate(condition, scope)) for condition in generator.conditions]
            if False in outcomes:
                continue
            complete = _generate(run, node, scope, depth + 1, results) and complete and None not in outcomes
    return complete


# How an expression of each form is followed. By type, since this is the innermost loop of every run.
FOLLOWED: dict[type, Callable[..., Value]] = {
    s.Name: _name,
    s.Literal: _literal,
    s.Attribute: _attribute,
    s.Call: _call,
    s.Binary: _binary,
    s.Unary: _unary,
    s.Boolean: _boolean,
    s.Compare: _compare,
    s.Conditional: _conditional,
    s.Subscript: _subscript,
    s.Display: _display,
    s.DictDisplay: _dict,
    s.Comprehension: _comprehension,
    s.Slice: _slice,
    s.Lambda: _lambda,
    s.Format: _format,
    s.Walrus: _walrus,
    s.Starred: _starred,
    s.Opaque: _opaque,
}
