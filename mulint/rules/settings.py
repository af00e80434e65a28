"""Settings for μP that are out of reach: tested too early, or compared with what they never equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from mulint.program import Program
from mulint.program.flags import Flag, Mismatch, Setting, Test
from mulint.program.library.mup_package import precedes


def late(program: Program) -> Iterator[tuple[Flag, Test, Setting]]:
    """The tests of settings that get what they ask for only after all tests of them."""
    for flag in program.seen.flags.values():
        for test in () if flag.held else flag.tests:
            fitting = [s for s in flag.settings if s.value == test.wanted]
            after = [s for s in fitting if all(precedes(program.seen, t.moment, s.moment) for t in flag.tests)]
            if after and after == fitting and _matters(program, test):
                yield flag, test, after[0]


def never_equal(program: Program) -> Iterator[Mismatch]:
    """Comparisons of a text with a member of an enumeration."""
    return (mismatch for mismatch in program.seen.mismatches if _matters(program, mismatch))


@dataclass(frozen=True, slots=True)
class Withheld:
    """What such settings keep out of classes: what a class lacks without it is no fault of its own."""

    program: Program
    branches: tuple[Test | Mismatch, ...]

    @staticmethod
    def of(program: Program) -> Withheld:
        """All of it in a program."""
        return Withheld(program, (*(test for _, test, _ in late(program)), *never_equal(program)))

    def has(self, path: str, owner: str, due: Fraction) -> bool:
        """Whether a factor ∝ width^due, or a layer of a package for μP, is kept out of a class of a file."""
        kind = owner.partition(".")[0]
        return any(
            branch.scaling or any(self.program.growth(factor) == due for factor in branch.factors)
            for branch in self.branches
            if branch.site.path == path and branch.owner.partition(".")[0] == kind
        )


def _matters(program: Program, branch: Test | Mismatch) -> bool:
    """Whether a branch that is not taken scales by a width or uses a package for μP."""
    return branch.scaling or any(program.growth(factor) for factor in branch.factors)
