"""What a target is: one way of writing μP down, at every kind of site."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mulint.configuration import Configuration
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.base import Spelling
from mulint.rewriting.context import Context
from mulint.rewriting.imports import Imports
from mulint.theory import Optimizer

Rewrite = Callable[[Context, Finding], None]


@dataclass(frozen=True, slots=True)
class Generated:
    """A file that stands beside the model: its name, and its text from what the code around needs of it."""

    name: str
    render: Callable[[Sequence[Optimizer], Configuration, Collection[str]], str]


@dataclass(frozen=True, slots=True)
class Target:
    """The rewrites that write for one target, each raising ``CannotRewrite`` where it cannot.

    Attributes:
        rewrites: by code, what repairs a finding and keeps the base model.
        split: gives the optimizer that is built at a site the rates of its roles.
        finish: what the sites of a unit share, after all of them.
        written: how a file spells a power of the ratio of a size to its base.
        by_hand: what an optimizer that was not found has to be given.
        generated: the file that it adds.
    """

    rewrites: Mapping[str, Rewrite]
    split: Callable[[Context, Site], None]
    finish: Callable[[Context], None]
    written: Callable[[Imports, str, Spelling, Fraction], str]
    by_hand: str
    generated: Generated | None = None
