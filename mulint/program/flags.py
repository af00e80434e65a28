"""Settings that decide between two ways to build or compute: where they are tested, and where they are set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mulint.facts import syntax as s
from mulint.program import classes
from mulint.program.numbers import Number
from mulint.program.records import Moment
from mulint.program.run import Run, site_of
from mulint.program.scopes import MUP_PACKAGES, Scope
from mulint.program.values import ClassValue, Constant, External, Knob, ModuleValue, ObjectValue, Site, Value


@dataclass(frozen=True, slots=True)
class Test:
    """A condition that did not hold while a model was built, and what happens where it holds.

    ``wanted`` is what the setting has to be. ``factors`` are the powers and quotients of sizes that stand there;
    ``scaling``: a name of a package for μP does.
    """

    site: Site
    wanted: str | bytes | bool | None
    moment: Moment
    owner: str
    factors: tuple[Number, ...]
    scaling: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """A value given to a setting."""

    site: Site
    value: str | bytes | bool | None
    moment: Moment


@dataclass(slots=True)
class Flag:
    """One setting of one object, with its tests in constructors and what it is given after the first of them."""

    name: str
    tests: list[Test] = field(default_factory=list)
    held: bool = False
    settings: list[Setting] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A text compared with a member of an enumeration, and what would happen if they could be equal."""

    site: Site
    member: str
    text: str
    owner: str
    factors: tuple[Number, ...]
    scaling: bool


def tested(run: Run, node: s.If | s.Conditional, holds: bool | None, scope: Scope) -> None:
    """Keep the condition of a branch, if it asks for a setting."""
    then = node.then
    match node.test:
        case s.Attribute() as attribute:
            _keep(run, attribute, True, holds, then, scope)
        case s.Compare(left=left, operators=("==",), rights=(right,)):
            if isinstance(left, s.Attribute) and isinstance(right, s.Literal) and isinstance(right.value, str):
                _keep(run, left, right.value, holds, then, scope)
            _compared(run, node.test, left, right, then, scope)


def is_setting(test: s.Expression, scope: Scope) -> bool:
    """Whether a condition asks how a model was set up, not what it is given: then its author keeps both ways."""
    match test:
        case s.Unary(operator="not", operand=inner) | s.Subscript(value=inner):
            return is_setting(inner, scope)
        case s.Boolean(operands=parts):
            return all(is_setting(part, scope) for part in parts)
        case s.Compare(left=left, rights=rights):
            return all(isinstance(part, s.Literal) or is_setting(part, scope) for part in (left, *rights))
        case (
            s.Attribute(value=holder, name=name)
            | s.Call(function=s.Name(id="getattr" | "hasattr"), arguments=(holder, s.Literal(value=name), *_))
        ):
            return name != "training" and isinstance(_root(holder, scope), ModuleValue | ObjectValue | Knob)
        case s.Name(id=name):  # of the file; a function's own names hold what it is given
            return name not in scope.names and scope.find(name) is not None
        case _:
            return False


def _root(node: s.Expression, scope: Scope) -> Value | None:
    while isinstance(node, s.Attribute):
        node = node.value
    return scope.find(node.id) if isinstance(node, s.Name) else None


def assigned(run: Run, holder: Value, name: str, value: Value, site: Site) -> None:
    """Keep what a setting is given after it was tested."""
    flag = run.seen.flags.get((holder, name))
    if flag is not None and isinstance(value, Constant):
        flag.settings.append(Setting(site, value.value, run.moment))


def _keep(
    run: Run,
    attribute: s.Attribute,
    wanted: str | bool,
    holds: bool | None,
    then: s.Expression | Sequence[s.Statement],
    scope: Scope,
) -> None:
    if holds is None or scope.function != "__init__":
        return
    holder = run.evaluate(attribute.value, scope)
    if not isinstance(holder, ObjectValue | ModuleValue):
        return
    flag = run.seen.flags.setdefault((holder, attribute.name), Flag(attribute.name))
    if holds:
        flag.held = True
        return
    factors, scaling = _scales(run, then, scope)
    site = site_of(scope, attribute.span)
    flag.tests.append(Test(site, wanted, run.moment, scope.symbol, factors, scaling))


def _compared(
    run: Run,
    test: s.Compare,
    left: s.Expression,
    right: s.Expression,
    then: s.Expression | Sequence[s.Statement],
    scope: Scope,
) -> None:
    for text, member in ((left, right), (right, left)):
        written, kind = _text(run, text, scope), _enumeration(run, member, scope)
        if written and kind and not any(_is_converted(run, side, scope) for side in (text, member)):
            factors, scaling = _scales(run, then, scope)
            site = site_of(scope, test.span)
            run.seen.mismatches.append(Mismatch(site, kind, written, scope.symbol, factors, scaling))
            return


def _text(run: Run, node: s.Expression, scope: Scope) -> str:
    """How a text is written: a literal, or a field that is declared to be one."""
    if isinstance(node, s.Literal):
        return repr(node.value) if isinstance(node.value, str) else ""
    declared = _declared(run, node, scope)
    return f"{node.name}: str" if declared == External("builtins.str") and isinstance(node, s.Attribute) else ""


def _enumeration(run: Run, node: s.Expression, scope: Scope) -> str:
    """The enumeration that a value is a member of: named through its class, or by the type of a field."""
    if not isinstance(node, s.Attribute):
        return ""
    kind = run.evaluate(node.value, scope) if isinstance(node.value, s.Name | s.Attribute) else None
    if isinstance(kind, ClassValue) and _is_plain_enumeration(kind) and node.name in kind.scope.names:
        return f"{kind.name}.{node.name}"
    declared = _declared(run, node, scope)
    if isinstance(declared, ClassValue) and _is_plain_enumeration(declared):
        return f"{node.name}: {declared.name}"
    return ""


def _declared(run: Run, node: s.Expression, scope: Scope) -> Value | None:
    """The declared type of a field of a dataclass."""
    kind, wanted = _field(run, node, scope)
    for name, owner, declaration in classes.fields(kind) if kind else ():
        if name == wanted and declaration.annotation is not None:
            return run.evaluate(declaration.annotation, owner.scope)
    return None


def _is_converted(run: Run, node: s.Expression, scope: Scope) -> bool:
    """Whether a method of a dataclass gives a field another value than it was built with."""
    kind, wanted = _field(run, node, scope)
    return any(
        isinstance(inner, s.Assign) and any(isinstance(t, s.Attribute) and t.name == wanted for t in inner.targets)
        for owner in (classes.ancestry(kind) if kind else ())
        for inner in s.walk(owner.node.body)
    )


def _field(run: Run, node: s.Expression, scope: Scope) -> tuple[ClassValue | None, str]:
    """The dataclass that an attribute is read from, and the name of the attribute."""
    if not isinstance(node, s.Attribute) or not isinstance(node.value, s.Name | s.Attribute):
        return None, ""
    holder = run.evaluate(node.value, scope)
    if not isinstance(holder, ObjectValue) or not classes.is_dataclass(holder.kind):
        return None, ""
    return holder.kind, node.name


def _is_plain_enumeration(kind: ClassValue) -> bool:
    """Whether members equal nothing but themselves."""
    return classes.external_bases(kind) == ("enum.Enum",) and classes.class_attribute(kind, "__eq__") is None


def _scales(run: Run, then: s.Expression | Sequence[s.Statement], scope: Scope) -> tuple[tuple[Number, ...], bool]:
    """The powers and quotients of sizes in an arm that is not taken, and whether it names a package for μP."""
    factors: list[Number] = []
    scaling = False
    for node in s.walk(then if isinstance(then, s.Expression) else tuple(then)):
        if isinstance(node, s.Name | s.Attribute) and _is_path(node):
            value = run.evaluate(node, scope)
            scaling = scaling or (isinstance(value, External) and _is_of_mup(value.name))
        elif isinstance(node, s.Binary) and node.operator in ("/", "**") and _is_plain(node):
            value = run.evaluate(node, scope)
            if isinstance(value, Number):
                factors.append(value)
    return tuple(factors), scaling


def _is_of_mup(name: str) -> bool:
    package, dot, _ = name.partition(".")
    return bool(dot) and package in MUP_PACKAGES


def _is_path(node: object) -> bool:
    while isinstance(node, s.Attribute):
        node = node.value
    return isinstance(node, s.Name)


def _is_plain(node: s.Binary) -> bool:
    return all(_is_path(n) or isinstance(n, s.Literal | s.Binary | s.Unary) for n in _operands(node))


def _operands(node: s.Expression) -> Iterator[s.Expression]:
    match node:
        case s.Binary(left=left, right=right):
            yield from _operands(left)
            yield from _operands(right)
        case s.Unary(operand=operand):
            yield from _operands(operand)
        case _:
            yield node
