"""What torch's operations that are no products do to dimensions: how views move them, cuts and reductions."""

from __future__ import annotations

import math
from typing import Any

from mulint.tracing.catalogue import MEANS, NORMS, SHAPED, SUMS
from mulint.tracing.recording import Event, Ref

Axes = tuple[int, ...]
# Results whose axes hold those of the arguments, beside other numbers or several times over.
REDUCTIONS = (SUMS | MEANS | NORMS) - {"cumsum"}
LENGTHENS = frozenset("cat concat concatenate block_diag repeat tile pad _pad constant_pad_nd __setitem__".split())


def taken(event: Event) -> tuple[Ref, ...]:
    """The arguments of which an operation takes the numbers, not only the shape or the type."""
    if event.op in SHAPED:
        return ()
    return event.tensors()[: 1 if event.op.endswith("_as") else None]


def moved_axes(event: Event, source: Ref, result: Ref) -> tuple[Axes, ...]:
    """For every axis of the result the axes of ``source`` it holds, for operations that move or keep numbers."""
    rank, args = len(source.shape), event.args
    match event.op:
        case "t" | "T" | "mT" | "adjoint" | "H" | "mH":
            order = list(range(rank))
            order[-2:] = reversed(order[-2:])
            return tuple((axis,) for axis in (reversed(range(rank)) if event.op == "T" else order))
        case "transpose" | "swapaxes" | "swapdims" | "transpose_":
            order = list(range(rank))
            first, second = (int(argument(event, i, name)) for i, name in ((1, "dim0"), (2, "dim1")))
            order[first], order[second] = order[second], order[first]
            return tuple((axis,) for axis in order)
        case "permute":
            flat = args[1] if len(args) > 1 and isinstance(args[1], tuple) else args[1:]
            return tuple((int(axis) % rank,) for axis in (flat or event.kwargs["dims"]))
        case "movedim" | "moveaxis":
            return _movedim(
                rank, *(axes_of(argument(event, i, n)) for i, n in ((1, "source"), (2, "destination")))
            )
        case "__getitem__":
            return _getitem(args[1], source, result)
        case "select" | "unbind":
            axis = int(argument(event, 1, "dim", 0)) % rank
            return tuple((i,) for i in range(rank) if i != axis)
        case "split" | "chunk" | "narrow" | "tensor_split" | "split_with_sizes" | "index_select" | "roll" | "flip":
            return tuple((i,) for i in range(rank))
        case "__setitem__" | "index_put" | "index_put_" | "masked_scatter" | "masked_scatter_" if (
            source is event.args[-1] and _is_gathered(args[1])
        ):
            return _assigned(args[1], source, result)
        case op if op in LENGTHENS:
            shift = len(result.shape) - rank
            return tuple(
                (i - shift,) if i >= shift and source.shape[i - shift] > 1 else () for i in range(shift + rank)
            )
        case "stack":
            at = int(argument(event, 1, "dim", 0)) % (rank + 1)
            return tuple((i - (i > at),) if i != at else () for i in range(rank + 1))
        case "view" | "reshape" | "flatten" | "unflatten" | "squeeze" | "unsqueeze" | "view_as" | "reshape_as":
            return _regrouped(source.shape, result.shape)
    if event.op in REDUCTIONS and (reduced := reduced_axes(event, source)):
        keeps = len(result.shape) == rank
        return tuple((i,) if i not in reduced else () for i in range(rank) if keeps or i not in reduced)
    return broadcast(source, result)


def broadcast(source: Ref, result: Ref) -> tuple[Axes, ...]:
    """Axes aligned from the right, as broadcasting does; an expanded axis holds nothing of the source.

    Where some axis is expanded, one of length 1 is taken to be expanded too, as in a norm per row.
    """
    shift = len(result.shape) - len(source.shape)
    if shift < 0:
        return _regrouped(source.shape, result.shape)
    least = 0 if math.prod(source.shape) == math.prod(result.shape) else 1
    return tuple(
        (i - shift,) if i >= shift and source.shape[i - shift] == size > least else ()
        for i, size in enumerate(result.shape)
    )


def split_axis(event: Event, source: Ref) -> int | None:
    """The axis along which an operation cuts a tensor into pieces."""
    rank = len(source.shape)
    if event.op in ("split", "chunk", "tensor_split", "split_with_sizes"):
        return int(argument(event, 2, "dim", argument(event, 2, "axis", 0))) % rank
    if event.op == "narrow":
        return int(argument(event, 1, "dim")) % rank
    if event.op == "__getitem__":
        index = event.args[1] if isinstance(event.args[1], tuple) else (event.args[1],)
        if index and index[0] is Ellipsis and len(index) == 2 and isinstance(index[1], slice):
            return rank - 1
        if len(index) == rank and isinstance(index[-1], slice) and index[-1] != slice(None):
            return rank - 1
    return None


def first_index(event: Event, size: int) -> int:
    """Where along an axis of some size the first piece of a cut starts."""
    if event.op == "narrow":
        start = int(argument(event, 2, "start"))
        return start % size if size else 0
    if event.op != "__getitem__":
        return 0
    index = event.args[1][-1] if isinstance(event.args[1], tuple) else event.args[1]
    return int(index.indices(size)[0])


def reduced_axes(event: Event, source: Ref) -> Axes:
    """The axes that a reduction such as ``sum`` or ``norm`` removes."""
    rank = len(source.shape)
    given = argument(event, 2 if event.op in NORMS else 1, "dim", event.kwargs.get("axis"))
    if isinstance(given, Ref):  # the elementwise maximum of two tensors removes nothing
        return ()
    if given is None or isinstance(given, bool | str):
        return tuple(range(rank))
    return tuple(axis % rank for axis in axes_of(given)) if rank else ()


def _regrouped(source: Axes, result: Axes) -> tuple[Axes, ...]:
    """Axes of a reshape: both shapes are cut into runs of equal size; every axis of a run holds all of it."""
    groups: list[Axes] = [()] * len(result)
    i = j = 0
    while i < len(source) and j < len(result):
        start_i, start_j, left, right = i, j, source[i], result[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right and i < len(source):
                left, i = left * source[i], i + 1
            elif j < len(result):
                right, j = right * result[j], j + 1
            else:
                break
        run = tuple(axis for axis in range(start_i, i) if source[axis] != 1 or i - start_i == 1)
        for axis in range(start_j, j):
            if result[axis] != 1 or j - start_j == 1:
                groups[axis] = run
    return tuple(groups)


def _getitem(index: Any, source: Ref, result: Ref) -> tuple[Axes, ...]:
    parts = list(index) if isinstance(index, tuple) else [index]
    if _is_gathered(index):
        # Gathering by a tensor: the axes behind the indexed ones are kept at the end.
        kept = len(source.shape) - len([part for part in parts if part is not None and part is not Ellipsis])
        lead = len(result.shape) - kept
        return tuple((len(source.shape) - kept + i - lead,) if i >= lead else () for i in range(len(result.shape)))
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        used = sum(part is not None and part is not Ellipsis for part in parts)
        parts[at : at + 1] = [slice(None)] * (len(source.shape) - used)
    axes: list[Axes] = []
    axis = 0
    for part in parts:
        if part is None:
            axes.append(())
        else:
            if not isinstance(part, int) or isinstance(part, bool):
                axes.append((axis,))
            axis += 1
    axes += [(i,) for i in range(axis, len(source.shape))]
    return tuple(axes) if len(axes) == len(result.shape) else broadcast(source, result)


def indexed_axes(event: Event, source: Ref, result: Ref) -> dict[int, Axes]:
    """The axes of ``x[rows, columns]`` with the axes of ``x`` whose places the tensors among the indices name."""
    if event.op != "__getitem__" or source is not event.args[0] or not _is_gathered(event.args[1]):
        return {}
    parts = list(event.args[1]) if isinstance(event.args[1], tuple) else [event.args[1]]
    tensors = [axis for axis, part in enumerate(parts) if isinstance(part, Ref)]
    if not tensors or not all(isinstance(part, Ref | slice) for part in parts):
        return {}
    lead = max(len(parts[axis].shape) for axis in tensors)
    start = tensors[0] if tensors[-1] - tensors[0] + 1 == len(tensors) else 0
    found = dict.fromkeys(range(start, start + lead), tuple(tensors))
    rest = [(axis,) for axis in range(len(source.shape)) if axis not in tensors]
    others = [out for out in range(len(result.shape)) if out not in found]
    return {**found, **dict(zip(others, rest, strict=False))}


def _is_gathered(index: Any) -> bool:
    """Whether an index has tensors or lists in it, not only slices and numbers."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Ref | tuple | list | str) for part in parts)


def _assigned(index: Any, value: Ref, result: Ref) -> tuple[Axes, ...]:
    """Where ``result[index] = value`` puts the axes of the value: places that are named may run over several."""
    parts, rank = list(index) if isinstance(index, tuple) else [index], len(result.shape)
    lead = max((len(part.shape) for part in parts if isinstance(part, Ref)), default=1)
    if len(parts) == 1 and isinstance(parts[0], Ref) and len(value.shape) == rank - lead + 1:
        parts, lead = parts * lead, 1  # a mask, which stands for as many axes as it has
    if Ellipsis in parts or None in parts:
        return tuple(() for _ in range(rank))
    parts += [slice(None)] * (rank - len(parts))
    named = tuple(axis for axis, part in enumerate(parts) if isinstance(part, Ref | tuple | list))
    kept = [(axis,) for axis, part in enumerate(parts) if isinstance(part, slice)]
    together = named[-1] - named[0] + 1 == len(named)
    before = sum(isinstance(part, slice) for part in parts[: named[0]]) if together else 0
    places = [*kept[:before], *[named] * lead, *kept[before:]]
    shift = len(value.shape) - len(places)  # a value of fewer axes is broadcast
    return tuple(
        tuple(i + shift for i, axes in enumerate(places) if axis in axes and i + shift >= 0)
        for axis in range(rank)
    )


def _movedim(rank: int, sources: Axes, targets: Axes) -> tuple[Axes, ...]:
    order: list[int | None] = [None] * rank
    for source, target in zip(sources, targets, strict=True):
        order[target] = source % rank
    rest = iter(axis for axis in range(rank) if axis not in order)
    return tuple((next(rest) if axis is None else axis,) for axis in order)


def argument(event: Event, position: int, name: str, default: Any = None) -> Any:
    return event.args[position] if len(event.args) > position else event.kwargs.get(name, default)


def axes_of(value: Any) -> Axes:
    return tuple(int(axis) for axis in value) if isinstance(value, tuple | list) else (int(value),)
