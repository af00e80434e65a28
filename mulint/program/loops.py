"""What loops say of a program: what each round of one over known values gave, and how often others go round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

from mulint.facts.syntax import Expression
from mulint.program.numbers import Number
from mulint.program.run import Run, site_of
from mulint.program.scopes import Scope
from mulint.program.training_records import Loop, Round
from mulint.program.values import ListValue, Value

_ONCE: AbstractContextManager[None] = nullcontext()


def rounds(run: Run, items: Sequence[Value], node: Expression, scope: Scope) -> Iterable[Value]:
    """The items of a loop over ``node`` in turn, noting what is seen while each of them is in hand."""
    return _noted(run, items, node, scope) if len(items) > 1 else items


def _noted(run: Run, items: Sequence[Value], node: Expression, scope: Scope) -> Iterator[Value]:
    seen = run.seen
    marks = [(len(seen.constructions), len(seen.optimizers), len(seen.practices))]
    for item in items:
        yield item
        marks.append((len(seen.constructions), len(seen.optimizers), len(seen.practices)))
    if all(a[1] < b[1] for a, b in pairwise(marks)):
        found = (
            Round(
                tuple(seen.constructions[a[0] : b[0]]),
                tuple(seen.optimizers[a[1] : b[1]]),
                tuple(seen.practices[a[2] : b[2]]),
            )
            for a, b in pairwise(marks)
        )
        seen.loops.append(Loop(site_of(scope, node.span), scope.symbol, tuple(found)))


def repeated(run: Run, iterable: Value) -> AbstractContextManager[None]:
    """A loop of which one round is followed: what is in it happens as often as a range is long."""
    length = iterable.length if isinstance(iterable, ListValue) else None
    return _counted(run, length) if length is not None and length.alternatives else _ONCE


@contextmanager
def _counted(run: Run, length: Number) -> Iterator[None]:
    before, layers = run.repeats, len(run.seen.layers)
    run.repeats = before * length
    try:
        yield
    finally:
        run.repeats = before
        if len(run.seen.layers) > layers:
            run.seen.depths |= length.symbols
