"""Follows the rows of packed weights through what is made of them, to where they are cut apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from mulint.tracing.alignment import Aligned
from mulint.tracing.catalogue import ACTIVATIONS, ADD, DIVIDE, KEEPS, MULTIPLY, REORDER
from mulint.tracing.operations import first_index, moved_axes, split_axis
from mulint.tracing.products import Operand
from mulint.tracing.recording import Ref
from mulint.tracing.values import Packed, ParameterUse

PASSING = (KEEPS - REORDER) | ADD | MULTIPLY | DIVIDE | ACTIVATIONS


def of_product(
    operation: Aligned, weight: Operand, use: ParameterUse, given: Operand, below: Sequence[Packed]
) -> tuple[Packed, ...]:
    """The rows in a product of a weight with ``given``: the weight's own; of a depthwise one, those below too."""
    rank = len(operation.event.outputs[0].shape)
    produced = [axis for axis in weight.out.values() if axis >= 0]
    if not produced:
        return ()
    axis = max(produced) - rank
    own = Packed(use, axis, tuple(0 for _ in operation.peers))
    if not _is_depthwise(operation, weight, given):
        return (own,)
    channels = given.contracted[0] - len(given.ref.shape)
    return (own, *(replace(packed, axis=axis) for packed in below if packed.axis == channels))


def _is_depthwise(operation: Aligned, weight: Operand, given: Operand) -> bool:
    """Whether a convolution makes of every channel one."""
    if not operation.event.op.startswith("conv") or len(weight.ref.shape) < 3:
        return False
    channels = operation.sizes(given.ref, given.contracted[0])
    return set(operation.sizes(weight.ref, 1)) == {1} and operation.sizes(weight.ref, 0) == channels


def passed(
    operation: Aligned, ref: Ref, packed: Sequence[Packed], taken: Collection[int]
) -> list[tuple[Packed, ...]]:
    """The rows in each result of an operation on ``ref``; a cut along the rows is noted with their weights.

    ``taken``: the nodes whose numbers are used at all; of others only the shape is.
    """
    event = operation.event
    if not packed or event.op not in PASSING:
        return [() for _ in event.outputs]
    rank, along = len(ref.shape), split_axis(event, ref)
    found: list[list[Packed]] = [[] for _ in event.outputs]
    for one in packed:
        if one.axis + rank == along:
            for rows, piece in zip(found, _cut(operation, ref, one, taken), strict=False):
                rows.append(piece)
            continue
        for rows, output in zip(found, event.outputs, strict=True):
            axis = _moved(operation, ref, output, one.axis + rank)
            if axis is not None:
                rows.append(replace(one, axis=axis - len(output.shape)))
    return [tuple(rows) for rows in found]


def _moved(operation: Aligned, ref: Ref, output: Ref, axis: int) -> int | None:
    """Where a result has all of an axis and nothing else."""
    places = [i for i, axes in enumerate(moved_axes(operation.event, ref, output)) if axes == (axis,)]
    whole = [i for i in places if operation.sizes(output, i) == operation.sizes(ref, axis)]
    return whole[0] if len(whole) == 1 else None


def _cut(operation: Aligned, ref: Ref, packed: Packed, taken: Collection[int]) -> list[Packed]:
    """The pieces of rows in the results, in order, as far as all widths have them."""
    axis = packed.axis + len(ref.shape)
    first = [first_index(p, size) for p, size in zip(operation.peers, operation.sizes(ref, axis), strict=True)]
    starts = tuple(a + b for a, b in zip(packed.starts, first, strict=True))
    pieces = []
    for output in operation.event.outputs:
        sizes = operation.sizes(output, axis)
        if len(sizes) != len(starts):
            break
        ends = tuple(start + size for start, size in zip(starts, sizes, strict=True))
        if output.node in taken:
            packed.use.pieces.append((starts, ends))
        pieces.append(replace(packed, starts=starts))
        starts = ends
    return pieces
