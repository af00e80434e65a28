"""Which module classes of a project are models of their own, and which are parts of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mulint.facts import syntax as s
from mulint.program import classes
from mulint.program.interpreter import Interpreter
from mulint.program.library.modules import named_modules
from mulint.program.values import ClassValue, FunctionValue, ModuleValue, options


def parts(run: Interpreter, kinds: Sequence[ClassValue], helpers: Sequence[FunctionValue]) -> set[int]:
    """The identities of the classes that are parts of others: named, handed over, or built inside them.

    What derives from a class that another one constructs is a part as well, and what ``helpers`` construct.
    """
    mentioned = [item for kind in kinds for item in _mentioned(kind)]
    found = {id(child) for child, _ in mentioned} | {id(k) for k in _passed(run)}
    found |= {id(child) for helper in helpers for child in _constructed(helper)}
    constructed = {id(child) for child, is_called in mentioned if is_called}
    inside: dict[int, ModuleValue] = {}
    for model in reversed(run.built):
        if id(model) not in inside:
            inside |= {id(m): m for name, m in named_modules(model) if name and m.kind is not model.kind}
    alone = {id(m.kind) for m in run.built if id(m) not in inside}
    found |= {id(m.kind) for m in inside.values()} - alone
    derived = {id(kind) for kind in kinds if any(id(base) in constructed for base in classes.ancestry(kind))}
    return found | derived


def makers(run: Interpreter) -> list[FunctionValue]:
    """Functions that construct modules."""
    return [
        value
        for path in run.files.by_path
        for value in run.module_scope(path).names.values()
        if isinstance(value, FunctionValue) and value.path == path and any(_constructed(value))
    ]


def _constructed(function: FunctionValue) -> Iterator[ClassValue]:
    """Module classes that a function calls by name."""
    for node in s.walk(function.node.body) if isinstance(function.node, s.Function) else ():
        if isinstance(node, s.Call) and isinstance(node.function, s.Name):
            value = function.scope.find(node.function.id)
            if isinstance(value, ClassValue) and classes.is_module_class(value):
                yield value


def helpers(run: Interpreter, made: Sequence[FunctionValue]) -> list[FunctionValue]:
    """Those of some functions that only module classes call: what they construct are parts."""
    names = {function.name for function in made}
    inside: set[int] = set()
    outside: set[int] = set()
    for path, facts in run.files.by_path.items():
        scope = run.module_scope(path)
        if names.isdisjoint(scope.names):
            continue
        for statement in facts.body:
            kind = scope.names.get(statement.name) if isinstance(statement, s.Class) else None
            users = inside if isinstance(kind, ClassValue) and classes.is_module_class(kind) else outside
            for node in s.walk((statement,)):
                if type(node) is s.Name and node.id in names:
                    users.add(id(scope.find(node.id)))
    return [function for function in made if id(function) in inside - outside]


def _mentioned(kind: ClassValue) -> Iterator[tuple[ClassValue, bool]]:
    """Module classes that the methods of a class name, but for what it derives from; and whether it calls them."""
    own = classes.ancestry(kind)
    for node in s.walk(kind.node.body):
        name = node.function if type(node) is s.Call else node
        if type(name) is s.Name:
            value = kind.scope.find(name.id)
            if isinstance(value, ClassValue) and value not in own and classes.is_module_class(value):
                yield value, name is not node


def _passed(run: Interpreter) -> Iterator[ClassValue]:
    """Module classes that are values: given to a call (``ResNet(Bottleneck)``), returned, a default, listed."""
    for path, facts in run.files.by_path.items():
        known = {
            name: value
            for name, value in run.module_scope(path).names.items()
            if isinstance(value, ClassValue) and classes.is_module_class(value)
        }
        for node in s.walk(facts.body) if known else ():
            handed = _HANDED.get(type(node))
            if handed is not None:
                yield from (known[i.id] for i in handed(node) if type(i) is s.Name and i.id in known)


def _given(call: s.Call) -> Sequence[s.Expression | None]:
    if isinstance(call.function, s.Name) and call.function.id in ("isinstance", "issubclass", "super"):
        return ()
    return (*call.arguments, *(k.value for k in call.keywords))


# What a node hands on, by its kind: most nodes hand on nothing.
_HANDED: dict[type, Callable[[Any], Sequence[s.Expression | None]]] = {
    s.Call: _given,
    s.DictDisplay: lambda node: node.values,
    s.Display: lambda node: node.items,
    s.Parameter: lambda node: (node.default,),
    s.Assign: lambda node: (node.value,),
    s.Return: lambda node: (node.value,),
    s.Conditional: lambda node: (node.then, node.otherwise),
}


def unapplied(run: Interpreter) -> Iterator[ModuleValue]:
    """Modules of which no weight was seen at work: whole models, and parts that only other code applies."""
    read: dict[ClassValue, frozenset[str]] = {}
    unread = {id(model): {id(m) for m in _unread(model, read)} for model in run.built}
    held: set[int] = set()
    for model in reversed(run.built):
        if id(model) not in held:
            # Its own methods may apply all parts but those that none of them reads.
            held |= {id(m) for name, m in named_modules(model) if name and id(m) not in unread[id(model)]}
    alone = {part for parts in unread.values() for part in parts}
    used = {id(a.weight) for a in run.seen.applications}
    for module, is_root in list(run.built.items()):
        if id(module) in held or not (is_root or id(module) in alone):
            continue
        weights = [w for _, m in named_modules(module) if m.layer for w in m.layer.weights.values()]
        if weights and not any(id(w) in used for w in weights):
            yield module


def _unread(model: ModuleValue, read: dict[ClassValue, frozenset[str]]) -> Iterator[ModuleValue]:
    """Parts under a name that no method of the model's class but the constructor reads.

    ``read``: the names that each class's own methods read, filled here.
    """
    lineage = classes.ancestry(model.kind) if model.kind else ()
    for kind in lineage:
        if kind not in read:
            read[kind] = frozenset(_names_read(kind))
    for name, child in model.attributes.items():
        if lineage and not any(name in read[kind] for kind in lineage):
            yield from (o for o in options(child) if isinstance(o, ModuleValue))


def _names_read(kind: ClassValue) -> Iterator[str]:
    """The attributes that a class's own methods, other than the constructor, read of whatever object."""
    for method in kind.node.body:
        if isinstance(method, s.Function) and method.name != "__init__":
            yield from (node.name for node in s.walk(method.body) if isinstance(node, s.Attribute))
