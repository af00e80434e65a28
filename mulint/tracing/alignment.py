"""Brings the recordings of several widths together: the same operation, and how its sizes and scalars grow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mulint.tracing.exponents import Law, of_numbers, of_sizes
from mulint.tracing.recording import Event, Recording, Ref


@dataclass(frozen=True, slots=True)
class Aligned:
    """One operation at every width where it happened; ``event`` is the one at the reference width."""

    event: Event
    widths: tuple[float, ...]
    peers: tuple[Event, ...]

    @property
    def module(self) -> str:
        """The module whose forward was running."""
        return str(self.event.key[1])

    def laws(self, ref: Ref) -> tuple[Law, ...]:
        """How every dimension of an argument or output of ``event`` grows."""
        position, output = self._position(ref)
        shapes = []
        for peer in self.peers:
            found = peer.outputs if output else peer.tensors()
            if position < len(found):
                shapes.append(found[position].shape)
        if len(shapes) != len(self.peers) or len({len(shape) for shape in shapes}) != 1:
            return tuple(Law(None) for _ in ref.shape)
        return tuple(of_sizes(self.widths, sizes) for sizes in zip(*shapes, strict=True))

    def sizes(self, ref: Ref, axis: int) -> tuple[int, ...]:
        """One size per width; empty where the operation has no such tensor at some width."""
        position, output = self._position(ref)
        found = [peer.outputs if output else peer.tensors() for peer in self.peers]
        if any(position >= len(refs) or axis >= len(refs[position].shape) for refs in found):
            return ()
        return tuple(refs[position].shape[axis] for refs in found)

    def scalars(self) -> tuple[Law, ...]:
        """How the Python numbers among the arguments change, in order."""
        columns = zip(*(tuple(_numbers_in(peer.args)) for peer in self.peers), strict=False)
        return tuple(of_numbers(self.widths, column) for column in columns)

    def scalar(self, name: str) -> Law | None:
        """How one keyword argument changes; ``None`` when it is absent."""
        given = [peer.kwargs.get(name) for peer in self.peers]
        numbers = [value for value in given if isinstance(value, int | float)]
        return of_numbers(self.widths, numbers) if len(numbers) == len(given) else None

    def number(self, ref: Ref) -> Law:
        """How a tensor of one number changes that no operation made."""
        position, _ = self._position(ref)
        numbers = [peer.tensors()[position].number for peer in self.peers]
        return of_numbers(self.widths, [math.nan if number is None else number for number in numbers])

    def _position(self, ref: Ref) -> tuple[int, bool]:
        for position, output in enumerate(self.event.outputs):
            if output is ref:
                return position, True
        return next(i for i, other in enumerate(self.event.tensors()) if other is ref), False


def align(recordings: Sequence[Recording]) -> tuple[Recording, list[Aligned]]:
    """The recording with most operations, and its operations with their counterparts at the other widths."""
    reference = max(recordings, key=lambda recording: len(recording.events))
    tables = [{event.key: event for event in recording.events} for recording in recordings]
    aligned = []
    for event in reference.events:
        found = [
            (r.width, table[event.key]) for r, table in zip(recordings, tables, strict=True) if event.key in table
        ]
        aligned.append(Aligned(event, tuple(width for width, _ in found), tuple(peer for _, peer in found)))
    return reference, aligned


def parameter_laws(recordings: Sequence[Recording], name: str) -> tuple[Law, ...]:
    """How every dimension of a parameter grows, over the widths at which it exists."""
    found = [(r.width, r.shapes[name]) for r in recordings if name in r.shapes]
    if len({len(shape) for _, shape in found}) != 1:
        return tuple(Law(None) for _ in found[0][1])
    widths = [width for width, _ in found]
    return tuple(of_sizes(widths, sizes) for sizes in zip(*(shape for _, shape in found), strict=True))


def _numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _numbers_in(item)
