"""Bringing bases to where they are needed: constructor parameters, configuration fields, and calls in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.program import classes
from mulint.program.intent import base_widths
from mulint.program.values import ClassValue, ObjectValue, options
from mulint.rewriting.base import Bases, Need, Spelling, initialiser
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.scripts import Scripts

COMMENT = "# sizes of the base model, at which the hyperparameters were tuned; None: this model's own"


@dataclass(frozen=True, slots=True)
class _Call:
    """One call that builds an instance of a user's class, and the class whose code it stands in, if any."""

    path: str
    node: s.Call
    within: ClassValue | None


def bring(bases: Bases, scripts: Scripts) -> None:
    """Declare every base that is needed, and pass it from the scripts to the classes that need it.

    Raises:
        CannotRewrite: a base cannot be brought where it is needed, or the code has one of another name.
    """
    done: list[Need] = []
    while pending := [n for n in bases.needs if n not in done]:
        for need in pending:
            done.append(need)
            if need.spelling.holder is None:
                _add_parameter(bases, need.kind, need.spelling.name)
                _pass_parameter(bases, scripts, need)
    _bring_fields(bases, scripts, [n for n in done if n.spelling.holder])
    scripts.finish()
    names = {f"base_{need.spelling.name}" for need in done}
    near = {path for need in done for path in bases.program.near(need.kind.path)}
    for site, base in base_widths(bases.program.seen, bases.program.widths):
        if site.path in near and base.short not in names:
            raise CannotRewrite(
                f"the code is already scaled relative to {base.short} ({site.path}:{site.line})",
                f"repair it by hand, relative to {base.short}; `mulint explain CODE` shows an example",
            )


def _calls(bases: Bases, kind: ClassValue) -> Iterator[_Call]:
    """The calls that build a class, each once."""
    for site in dict.fromkeys(c.site for c in bases.constructions(kind)):
        node = bases.tree.at(site).exactly(site.span, s.Call)
        if node is not None:
            yield _Call(site.path, node, bases.kind_at(site))


# Parameters


def _add_parameter(bases: Bases, kind: ClassValue, name: str) -> None:
    function = initialiser(kind)
    if not any(p.name == f"base_{name}" for p in function.parameters):
        bases.tree.add_parameter(kind.path, function, f"base_{name}=None")
        bases.declared.append(f"base_{name}")


def _pass_parameter(bases: Bases, scripts: Scripts, need: Need) -> None:
    """Give the base to every call that builds the class."""
    name, function = need.spelling.name, initialiser(need.kind)
    default = next((p.default for p in function.parameters if p.name == name), None)
    for call in _calls(bases, need.kind):
        argument = _argument(call.node, function, name)
        if _argument(call.node, function, f"base_{name}") is not None:
            continue
        if call.within is None or not _in_constructor(bases.tree.documents[call.path], call.node):
            scripts.pass_to_call(call.path, call.node, {name: argument}, {name: default})
        elif argument is not None:
            spelling = _handed_on(bases, call.within, argument, call.path)
            bases.need(call.within, spelling)
            bases.tree.add_keywords(call.path, call.node, f"base_{name}={spelling.base}")


def _argument(call: s.Call, function: s.Function, name: str) -> s.Expression | None:
    """The expression that a call gives for a parameter."""
    names = [p.name for p in function.parameters if p.kind == "positional"][1:]
    given = dict(zip(names, call.arguments, strict=False))
    given |= call.named
    return given.get(name)


def _in_constructor(document: Document, call: s.Call) -> bool:
    function = document.innermost(call.span, s.Function)
    return function is not None and function.name == "__init__"


def _handed_on(bases: Bases, kind: ClassValue, argument: s.Expression, path: str) -> Spelling:
    """The knob that an argument inside a constructor simply hands on."""
    function = initialiser(kind)
    parameters = {p.name: p for p in function.parameters[1:]}
    match argument:
        case s.Name(id=name) if name in parameters:
            return Spelling(name, None, line_of(parameters[name].span))
        case s.Attribute(value=s.Name(id=holder), name=name) if holder in parameters:
            return Spelling(name, holder, line_of(argument.span))
        case s.Attribute(value=s.Name(id="self"), name=name):
            for node in s.walk(function.body):
                if isinstance(node, s.Assign) and node.value is not None and _sets(node, name):
                    return _handed_on(bases, kind, node.value, path)
    source = bases.tree.documents[path].source(argument)
    raise CannotRewrite(
        f"{source} at line {line_of(argument.span)} of {path} is computed on the way",
        f"pass the base of {source} there by hand",
    )


def _sets(node: s.Statement, name: str) -> bool:
    return isinstance(node, s.Assign) and isinstance(node.targets[0], s.Attribute) and node.targets[0].name == name


# Fields of configurations


def _bring_fields(bases: Bases, scripts: Scripts, needs: list[Need]) -> None:
    """Declare the fields where their configuration is declared, and set them where it is built."""
    names = list(dict.fromkeys(n.spelling.name for n in sorted(needs, key=lambda n: n.spelling.line)))
    if not names:
        return
    kinds = _configurations(bases, needs)
    declared = False
    for kind in kinds:
        if classes.is_dataclass(kind):
            declared = _declare_in_dataclass(bases, kind, names) or declared
        elif any(f.name == "__init__" for f in kind.node.body if isinstance(f, s.Function)):
            declared = _declare_in_constructor(bases, kind, names) or declared
    homes = {n.kind.path for n in needs}
    declared = _declare_in_factory(bases, homes, names) or declared
    if not declared:
        raise CannotRewrite(
            f"the place that declares {' and '.join(names)} was not found",
            f"add {' and '.join(f'base_{n} = None' for n in names)} to the configuration",
        )
    for kind in kinds:
        defaults = _fields(kind)
        for call in _calls(bases, kind):
            if call.within is None:
                given = dict(zip(defaults, call.node.arguments, strict=False))
                given |= call.node.named
                arguments = {name: given.get(name) for name in names if name in defaults}
                scripts.pass_to_call(call.path, call.node, arguments, defaults)
    for path, document in bases.tree.documents.items():
        if path not in homes and not any(classes.is_dataclass(kind) for kind in kinds):
            for node in _field_writes(document, names):
                scripts.set_after(path, node, _written(node))


def _configurations(bases: Bases, needs: list[Need]) -> list[ClassValue]:
    """The classes of the configuration objects that classes are given."""
    found: dict[int, ClassValue] = {}
    for need in needs:
        for construction in bases.constructions(need.kind):
            value = construction.given.get(need.spelling.holder or "")
            for option in options(value) if value is not None else ():
                if isinstance(option, ObjectValue):
                    found[id(option.kind.node)] = option.kind
    return list(found.values())


def _declare_in_dataclass(bases: Bases, kind: ClassValue, names: list[str]) -> bool:
    fields = classes.fields(kind)
    declared = {name for name, _, _ in fields}
    wanted = [n for n in names if n in declared and f"base_{n}" not in declared]
    if declared >= {f"base_{n}" for n in names}:
        return True
    own = [node for _, owner, node in fields if owner is kind]
    if not wanted or not own:
        return False
    last = max(own, key=lambda node: node.span)
    lines = [f"base_{n}: int | None = None" for n in wanted]
    bases.tree.add_line_after(kind.path, last, COMMENT, *lines)
    bases.declared += [f"base_{n}" for n in wanted]
    return True


def _declare_in_constructor(bases: Bases, kind: ClassValue, names: list[str]) -> bool:
    function = initialiser(kind)
    declared = False
    for name in names:
        statement = next((n for n in function.body if _sets(n, name)), None)
        if any(p.name == f"base_{name}" for p in function.parameters):
            declared = True
        elif statement is not None and any(p.name == name for p in function.parameters):
            bases.tree.add_parameter(kind.path, function, f"base_{name}=None")
            bases.tree.add_line_after(kind.path, statement, f"self.base_{name} = base_{name}")
            bases.declared.append(f"base_{name}")
            declared = True
    return declared


def _declare_in_factory(bases: Bases, homes: set[str], names: list[str]) -> bool:
    """Beside ``C.n_embd = None`` in a function that makes a default configuration."""
    declared = False
    for path in sorted(homes):
        document = bases.tree.documents[path]
        for function in (n for n in s.walk(document.body) if isinstance(n, s.Function)):
            writes = [n for n in function.body if isinstance(n, s.Assign) and n in _field_writes(document, names)]
            if not writes:
                continue
            last = max(writes, key=lambda node: node.span)
            holder = document.source(last.targets[0])[: -len(_written(last))]
            wanted = [name for name in names if name in map(_written, writes)]
            bases.tree.add_line_after(path, last, COMMENT, *(f"{holder}base_{name} = None" for name in wanted))
            bases.declared += [f"base_{name}" for name in wanted]
            declared = True
    return declared


def _field_writes(document: Document, names: list[str]) -> list[s.Assign]:
    """``config.n_embd = ...`` for any of some names, on anything but ``self``."""
    found = []
    for node in s.walk(document.body):
        if isinstance(node, s.Assign) and isinstance(node.targets[0], s.Attribute):
            target = node.targets[0]
            own = isinstance(target.value, s.Name) and target.value.id == "self"
            if target.name in names and not own:
                found.append(node)
    return found


def _written(node: s.Assign) -> str:
    target = node.targets[0]
    assert isinstance(target, s.Attribute)
    return target.name


def _fields(kind: ClassValue) -> dict[str, s.Expression | None]:
    """What the constructor of a configuration takes, in order, with the defaults."""
    if classes.is_dataclass(kind):
        return {name: node.value for name, _, node in classes.fields(kind)}
    own = (n for n in kind.node.body if isinstance(n, s.Function) and n.name == "__init__")
    return {
        p.name: p.default
        for function in own
        for p in function.parameters[1:]
        if p.kind in ("positional", "keyword")
    }
