"""Asks which repairs are wanted, one by one, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from mulint.cli import CannotRun
from mulint.reporting import fix_text
from mulint.rewriting.edits import Cause
from mulint.rewriting.repairs import Repair

_KEYS = "y: yes, n: no, a: this and all that follow, q: neither this nor any that follows"


def require_terminal() -> None:
    """Refuse where nobody can be asked.

    Raises:
        CannotRun: the input or the error stream, where the questions go, is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CannotRun("--interactive asks on a terminal, and there is none; leave it out, or use --select CODE")


def choose(repairs: Sequence[Repair], shown: Callable[[str], str]) -> frozenset[Cause]:
    """Show every repair and ask whether to make it; those that are not wanted.

    ``shown`` turns a path into the one to print.
    """
    declined: list[Cause] = []
    for index, repair in enumerate(repairs):
        click.echo(fix_text.repair(repair, shown), nl=False, err=True)
        question = f"Make repair {index + 1} of {len(repairs)}? [y,n,a,q,?]"
        while (answer := _answer(question)) not in ("y", "n", "a", "q"):
            click.echo(_KEYS, err=True)
        if answer == "a":
            break
        if answer == "q":
            declined += [rest.cause for rest in repairs[index:]]
            break
        if answer == "n":
            declined.append(repair.cause)
    return frozenset(declined)


def _answer(question: str) -> str:
    reply: str = click.prompt(question, default="?", show_default=False, err=True)
    return reply.strip().lower()
