"""Ratios to the base model at the sites that need them: how a class spells a size and that size in the base.

A size comes into a class as a constructor parameter (``hidden``) or as a field of a configuration
(``config.n_embd``). Its base comes the same way, as ``base_hidden`` or ``config.base_n_embd``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.program import Program
from mulint.program.dimensions import Dimension, Symbol
from mulint.program.numbers import Number
from mulint.program.records import Construction
from mulint.program.values import ClassValue, Knob, ObjectValue, Site, as_number, options
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.tree import Tree


@dataclass(frozen=True, slots=True)
class Spelling:
    """A size in one class: the constructor's parameter ``name``, or a field of its parameter ``holder``.

    ``line`` is where the size is declared, for a stable order.
    """

    name: str
    holder: str | None
    line: int = field(compare=False)

    @property
    def own(self) -> str:
        """The size of this model."""
        return f"{self.holder}.{self.name}" if self.holder else self.name

    @property
    def base(self) -> str:
        """The size in the base model."""
        return f"{self.holder}.base_{self.name}" if self.holder else f"base_{self.name}"


@dataclass(frozen=True, slots=True)
class Need:
    """A class that has to be told the base of a size."""

    kind: ClassValue
    spelling: Spelling


@dataclass
class Bases:
    """The ratios that the sites of one unit use.

    ``written`` is how a file spells a power of the ratio of a size to its base. ``symbols`` occur in them;
    ``needs`` are the classes that have to be told a base; ``declared`` the names of bases that the code did not
    have before.
    """

    tree: Tree
    program: Program
    written: Callable[[str, Spelling, Fraction], str]
    needs: list[Need] = field(default_factory=list)
    symbols: set[Symbol] = field(default_factory=set)
    declared: list[str] = field(default_factory=list)
    _attributes: dict[tuple[int, tuple[tuple[Spelling, Fraction], ...]], str] = field(default_factory=dict)

    def kind_at(self, site: Site) -> ClassValue | None:
        """The user's class around a site."""
        around = self.tree.at(site).class_at(site.span)
        return None if around is None else self._kinds.get(id(around))

    @cached_property
    def _kinds(self) -> dict[int, ClassValue]:
        return {id(c.kind.node): c.kind for c in self.program.seen.constructions}

    @cached_property
    def _instances(self) -> dict[int, list[Construction]]:
        found: dict[int, list[Construction]] = {}
        for construction in self.program.seen.constructions:
            found.setdefault(id(construction.kind.node), []).append(construction)
        return found

    def constructions(self, kind: ClassValue) -> list[Construction]:
        """All instances of a class."""
        return self._instances.get(id(kind.node), [])

    def spelling(self, kind: ClassValue, symbol: Symbol) -> Spelling | None:
        """How the constructor of a class spells a symbol, if one of its arguments carries it."""
        wanted = Number((Dimension.of(symbol),))
        for construction in self.constructions(kind):
            for parameter, value in construction.given.items():
                if not isinstance(value, ObjectValue) and as_number(value) == wanted:
                    return Spelling(parameter, None, symbol.line)
                for holder in options(value):
                    if isinstance(holder, ObjectValue | Knob):
                        for name, inner in holder.attributes.items():
                            if as_number(inner) == wanted:
                                return Spelling(name, parameter, symbol.line)
        return None

    def need(self, kind: ClassValue, spelling: Spelling) -> None:
        """Have the base of a size brought into a class."""
        if not any(n.kind.node is kind.node and n.spelling == spelling for n in self.needs):
            self.needs.append(Need(kind, spelling))

    def ratio(self, site: Site, numbers: Iterable[Number], *, widths_only: bool) -> str:
        """An attribute of the class around a site that holds the ratio of some size to its base.

        Args:
            site: where it is used.
            numbers: the size, as seen in every context; one that the class can spell is enough.
            widths_only: leave symbols alone that are no widths, such as the area of a kernel.
        """
        kind = self.kind_at(site)
        if kind is None:
            raise CannotRewrite(
                "it stands outside of a model class that mulint has seen being built",
                "move it into the class, or pass the ratio of the width to the base width to it",
            )
        for number in numbers:
            powers = _powers(number, self.program.widths, widths_only=widths_only)
            spelled = [(self.spelling(kind, symbol), power) for symbol, power in powers]
            if powers and all(spelling for spelling, _ in spelled):
                self.symbols |= {symbol for symbol, _ in powers}
                known = [(sp, power) for sp, power in spelled if sp is not None]
                for sp, _ in known:
                    self.need(kind, sp)
                return self._attribute(kind, known)
        raise CannotRewrite(
            f"no argument of {kind.name} carries the size that it depends on",
            f"pass the size and its base to {kind.name}",
        )

    def _attribute(self, kind: ClassValue, spelled: list[tuple[Spelling, Fraction]]) -> str:
        key = (id(kind.node), tuple(spelled))
        if key not in self._attributes:
            document = self.tree.documents[kind.path]
            name = self._name(kind, spelled)
            statement = _first_layer(document, initialiser(kind), self.program)
            self.tree.add_line_before(kind.path, statement, *self._assigned(kind.path, f"self.{name}", spelled))
            self._attributes[key] = f"self.{name}"
        return self._attributes[key]

    def _assigned(self, path: str, target: str, spelled: list[tuple[Spelling, Fraction]]) -> list[str]:
        """Statements that assign a product of powers, one factor each."""
        lines = []
        for index, (spelling, power) in enumerate(sorted(spelled, key=lambda factor: factor[1] < 0)):
            value = self.written(path, spelling, abs(power) if index else power)
            lines.append(f"{target} {('/=' if power < 0 else '*=') if index else '='} {value}")
        return lines

    def _name(self, kind: ClassValue, spelled: list[tuple[Spelling, Fraction]]) -> str:
        taken = {n.name for n in s.walk(kind.node.body) if isinstance(n, s.Attribute)}
        taken |= {
            name.removeprefix("self.") for (node, _), name in self._attributes.items() if node == id(kind.node)
        }
        plain = "width_ratio" if len(spelled) == 1 else "head_ratio"
        candidates = (plain, f"{spelled[0][0].name}_ratio", *(f"{plain}_{i}" for i in range(2, 9)))
        return next(name for name in candidates if name not in taken)


def initialiser(kind: ClassValue) -> s.Function:
    """The constructor that a class itself defines."""
    for node in kind.node.body:
        if isinstance(node, s.Function) and node.name == "__init__":
            return node
    raise CannotRewrite(
        f"{kind.name} has no constructor of its own", f"write an __init__ for {kind.name} that takes its sizes"
    )


def _powers(number: Number, widths: frozenset[Symbol], *, widths_only: bool) -> list[tuple[Symbol, Fraction]]:
    """The symbols of a size with their powers; of a sum those of the term that grows fastest, if there is one."""
    if number.only is None:
        return []
    growth = {powers: sum(p for symbol, p in powers if symbol in widths) for powers, _ in number.only.terms}
    fastest = [powers for powers, rate in growth.items() if rate == max(growth.values())]
    if len(fastest) != 1:
        return []
    return [(symbol, power) for symbol, power in fastest[0] if symbol in widths or not widths_only]


def _first_layer(document: Document, function: s.Function, program: Program) -> s.Statement:
    """The first statement of a constructor that builds a layer: whatever it needs is known by then."""
    sites = [layer.site for layer in program.seen.layers] + [c.site for c in program.seen.constructions]
    here = {site.span for site in sites if site.path == document.path}
    for statement in function.body:
        if any(isinstance(n, s.Call) and n.span in here for n in s.walk(statement)):
            return statement
    raise CannotRewrite(
        f"the constructor at line {line_of(function.span)} builds no layer",
        "compute the ratio to the base there by hand",
    )
