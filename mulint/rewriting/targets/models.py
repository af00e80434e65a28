"""The models that get a base: the outermost classes that hold what is scaled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mulint.program.dimensions import Symbol
from mulint.program.values import ClassValue
from mulint.rewriting.base import Spelling
from mulint.rewriting.context import Context
from mulint.theory import Role


def models(context: Context, starts: Collection[str], used: Iterable[ClassValue] = ()) -> list[ClassValue]:
    """The model classes in reach of some files that no other model class builds, and that have a width.

    Of those they hold a class that needs a base or is among ``used``; without any, one with a hidden weight.
    """
    kinds, parents = module_kinds(context), builders(context)
    needed = {id(kind.node) for kind in (*(need.kind for need in context.bases.needs), *used)}
    if not needed:
        hidden = (p for path in starts for p in context.program.reachable(path, Role.HIDDEN))
        places = (context.bases.kind_at(p.weight.site) for p in hidden)
        needed = {id(kind.node) for kind in places if kind is not None}
    needed = with_builders(needed, parents)
    near = {path for start in starts for path in context.program.near(start)}
    return [
        kind
        for key, kind in kinds.items()
        if key in needed and not parents[key] & kinds.keys() and kind.path in near
        if spelled(context, kind, context.program.widths)
    ]


def module_kinds(context: Context) -> dict[int, ClassValue]:
    """The classes of modules that were seen being built, by the identities of their definitions."""
    seen = context.program.seen
    return {id(c.kind.node): c.kind for c in seen.constructions if (c.kind.path, c.kind.name) in seen.modules}


def builders(context: Context) -> dict[int, set[int]]:
    """The classes whose code builds each class, by the identities of their definitions."""
    parents: dict[int, set[int]] = {key: set() for key in module_kinds(context)}
    for construction in context.program.seen.constructions:
        around = context.bases.kind_at(construction.site)
        if around is not None and around.node is not construction.kind.node:
            parents.setdefault(id(construction.kind.node), set()).add(id(around.node))
    return parents


def with_builders(keys: set[int], parents: Mapping[int, set[int]]) -> set[int]:
    """Some classes, all that build them, those that build these, and so on."""
    while grown := {p for key in keys for p in parents.get(key, ())} - keys:
        keys = keys | grown
    return keys


def spelled(context: Context, kind: ClassValue, symbols: Iterable[Symbol]) -> list[Spelling]:
    """How the constructor of a class spells those of some symbols that its arguments carry, in a stable order."""
    found = [context.bases.spelling(kind, symbol) for symbol in symbols]
    return sorted({sp for sp in found if sp is not None}, key=lambda sp: (sp.line, sp.name))
