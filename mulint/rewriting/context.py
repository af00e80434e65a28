"""What the rewrites of one unit share."""

from __future__ import annotations

from dataclasses import dataclass, field

from mulint.configuration import Configuration
from mulint.program import Program
from mulint.program.values import Site
from mulint.rewriting.base import Bases
from mulint.rewriting.imports import Imports
from mulint.rewriting.scripts import Scripts
from mulint.rewriting.tree import Tree
from mulint.theory import Optimizer


@dataclass
class Context:
    """One unit being rewritten: the project and the edits so far.

    ``optimizers`` are the families that get groups, by file; ``models`` the classes that get a base;
    ``scaled`` the raw parameters, by key, that got a multiplier where they are applied. ``readouts`` are the
    layers, and ``draws`` the init calls, that read the base shapes of the mup package; ``recorded``: a schedule
    reads the factor of each group. ``own_readouts`` are the classes that are written for readouts of other classes
    than torch's, by file and that class.
    """

    program: Program
    configuration: Configuration
    tree: Tree
    imports: Imports
    bases: Bases
    scripts: Scripts
    optimizers: dict[str, list[Optimizer]] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    scaled: set[tuple[Site, str]] = field(default_factory=set)
    readouts: list[Site] = field(default_factory=list)
    draws: list[Site] = field(default_factory=list)
    recorded: bool = False
    own_readouts: dict[tuple[str, str], str] = field(default_factory=dict)
