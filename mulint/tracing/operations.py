"""What torch's operations do to dimensions: which are contracted, which come out where, how views move them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mulint.tracing.recording import Event, Ref, refs_in

Axes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """One factor of a product. ``contracted``: axes summed over; ``out``: axis of the result for the others.

    ``weight``: the operation takes a weight in this position (the second argument of ``linear``).
    """

    ref: Ref
    contracted: Axes
    out: Mapping[int, int]
    weight: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """A contraction of tensors, and what is added to its result (biases)."""

    operands: tuple[Operand, ...]
    added: tuple[Ref, ...] = ()


def product_of(event: Event, peers: Sequence[Event]) -> Product | None:
    """The contraction that an operation is, or ``None``. ``peers``: the same operation at every width."""
    args = [*event.args, *event.kwargs.values()]
    match event.op:
        case "linear":
            return _linear(args)
        case "matmul" | "mm" | "bmm" | "mv" | "dot" | "__matmul__" | "spmm" | "smm" | "sspmm":
            return _matmul(args[0], args[1])
        case "__rmatmul__":
            return _matmul(args[1], args[0])
        case "addmm" | "baddbmm" | "addbmm" | "addmv" | "baddbmm_" | "addmm_":
            product = _matmul(args[1], args[2])
            return Product(product.operands, (args[0],)) if product else None
        case "inner":
            return _inner(args[0], args[1])
        case "einsum":
            return _einsum(args)
        case "tensordot":
            return _tensordot(args, event)
        case "conv1d" | "conv2d" | "conv3d" | "convolution" | "_convolution":
            return _convolution(args, contracted=1, produced=0)
        case "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d":
            if len({_group_size(peer) for peer in peers}) == 1 and len(peers) > 1:
                return _convolution(args, contracted=1, produced=0)  # a sum over one group, which does not grow
            return _convolution(args, contracted=0, produced=1)
        case "bilinear":
            weight = Operand(args[2], (1, 2), {0: -1}, weight=True)
            first, second = (Operand(ref, (len(ref.shape) - 1,), {}) for ref in args[:2])
            return Product((first, second, weight), _optional(args[3:4]))
    return None


def recurrent_weights(event: Event) -> tuple[Ref, ...]:
    """Weights and biases of a fused recurrent layer or cell, in torch's order; empty for other operations."""
    if event.op in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        return tuple(refs_in(event.args[2:4]))
    if event.op in ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
        return tuple(refs_in(event.args[2:]))
    return ()


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
            first, second = (int(_argument(event, i, name)) for i, name in ((1, "dim0"), (2, "dim1")))
            order[first], order[second] = order[second], order[first]
            return tuple((axis,) for axis in order)
        case "permute":
            flat = args[1] if len(args) > 1 and isinstance(args[1], tuple) else args[1:]
            return tuple((int(axis) % rank,) for axis in (flat or event.kwargs["dims"]))
        case "movedim" | "moveaxis":
            return _movedim(rank, *(_axes(_argument(event, i, n)) for i, n in ((1, "source"), (2, "destination"))))
        case "__getitem__":
            return _getitem(args[1], source, result)
        case "select" | "unbind":
            axis = int(_argument(event, 1, "dim", 0)) % rank
            return tuple((i,) for i in range(rank) if i != axis)
        case "split" | "chunk" | "narrow" | "tensor_split" | "split_with_sizes" | "index_select" | "roll" | "flip":
            return tuple((i,) for i in range(rank))
        case "view" | "reshape" | "flatten" | "unflatten" | "squeeze" | "unsqueeze" | "view_as" | "reshape_as":
            return _regrouped(source.shape, result.shape)
    return broadcast(source, result)


def broadcast(source: Ref, result: Ref) -> tuple[Axes, ...]:
    """Axes aligned from the right, as broadcasting does; an expanded axis holds nothing of the source."""
    shift = len(result.shape) - len(source.shape)
    if shift < 0:
        return _regrouped(source.shape, result.shape)
    return tuple(
        (i - shift,) if i >= shift and source.shape[i - shift] == size else ()
        for i, size in enumerate(result.shape)
    )


def split_axis(event: Event, source: Ref) -> int | None:
    """The axis along which an operation cuts a tensor into pieces."""
    rank = len(source.shape)
    if event.op in ("split", "chunk", "tensor_split", "split_with_sizes"):
        return int(_argument(event, 2, "dim", _argument(event, 2, "axis", 0))) % rank
    if event.op == "narrow":
        return int(_argument(event, 1, "dim")) % rank
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
        start = int(_argument(event, 2, "start"))
        return start % size if size else 0
    if event.op != "__getitem__":
        return 0
    index = event.args[1][-1] if isinstance(event.args[1], tuple) else event.args[1]
    return int(index.indices(size)[0])


def reduced_axes(event: Event, source: Ref) -> Axes:
    """The axes that a reduction such as ``sum`` or ``norm`` removes."""
    rank = len(source.shape)
    position = 2 if event.op == "norm" else 1
    given = event.kwargs.get("dim", event.args[position] if len(event.args) > position else None)
    if event.op == "vector_norm":
        given = event.kwargs.get("dim", event.args[2] if len(event.args) > 2 else None)
    if isinstance(given, Ref):  # the elementwise maximum of two tensors removes nothing
        return ()
    if given is None or isinstance(given, bool | str):
        return tuple(range(rank))
    return tuple(axis % rank for axis in _axes(given)) if rank else ()


def _linear(args: list[Any]) -> Product:
    x, weight = args[0], args[1]
    last = len(x.shape) - 1
    kept = {axis: axis for axis in range(last)}
    out = {0: last} if len(weight.shape) > 1 else {}
    return Product(
        (Operand(x, (last,), kept), Operand(weight, (len(weight.shape) - 1,), out, weight=True)),
        _optional(args[2:3]),
    )


def _matmul(a: Any, b: Any) -> Product | None:
    if not (isinstance(a, Ref) and isinstance(b, Ref)):
        return None
    left, right = len(a.shape), len(b.shape)
    if not left or not right:
        return None
    batch = max(left, right, 2) - 2
    rank = batch + (left > 1) + (right > 1)
    kept_a = {axis: axis + batch - (left - 2) for axis in range(left - 2)}
    kept_b = {axis: axis + batch - (right - 2) for axis in range(right - 2)}
    if left > 1:
        kept_a[left - 2] = batch
    if right > 1:
        kept_b[right - 1] = rank - 1
    return Product((Operand(a, (left - 1,), kept_a), Operand(b, (max(right - 2, 0),), kept_b)))


def _inner(a: Ref, b: Ref) -> Product:
    left, right = len(a.shape) - 1, len(b.shape) - 1
    return Product(
        (
            Operand(a, (left,), {i: i for i in range(left)}),
            Operand(b, (right,), {i: left + i for i in range(right)}),
        )
    )


def _tensordot(args: list[Any], event: Event) -> Product:
    a, b = args[0], args[1]
    dims = _argument(event, 2, "dims", 2)
    if isinstance(dims, int):
        over_a, over_b = tuple(range(len(a.shape) - dims, len(a.shape))), tuple(range(dims))
    else:
        over_a = tuple(axis % len(a.shape) for axis in _axes(dims[0]))
        over_b = tuple(axis % len(b.shape) for axis in _axes(dims[1]))
    free_a = [axis for axis in range(len(a.shape)) if axis not in over_a]
    free_b = [axis for axis in range(len(b.shape)) if axis not in over_b]
    return Product(
        (
            Operand(a, over_a, {axis: i for i, axis in enumerate(free_a)}),
            Operand(b, over_b, {axis: len(free_a) + i for i, axis in enumerate(free_b)}),
        )
    )


def _convolution(args: list[Any], contracted: int, produced: int) -> Product:
    x, weight = args[0], args[1]
    kernel = tuple(range(2, len(weight.shape)))
    channels = len(x.shape) - len(kernel) - 1
    return Product(
        (
            Operand(x, (channels,), {axis: axis for axis in range(len(x.shape)) if axis != channels}),
            Operand(weight, (contracted, *kernel), {produced: channels}, weight=True),
        ),
        _optional(args[2:3]),
    )


def _group_size(event: Event) -> int:
    weight = _argument(event, 1, "weight")
    return int(weight.shape[0]) // int(_argument(event, 6, "groups", 1))


def _einsum(args: list[Any]) -> Product | None:
    equation, operands = args[0], list(refs_in(args[1:]))
    if not isinstance(equation, str):
        return None
    left, _, right = equation.replace(" ", "").partition("->")
    terms = [_letters(term, len(ref.shape)) for term, ref in zip(left.split(","), operands, strict=True)]
    if "->" in equation:
        longest = max((sum(letter.startswith(".") for letter in term) for term in terms), default=0)
        output = _letters(right, len(right.replace("...", "")) + longest)
    else:
        everything = [letter for term in terms for letter in term]
        output = sorted({letter for letter in everything if everything.count(letter) == 1})
    found = []
    for term, ref in zip(terms, operands, strict=True):
        others = {letter for other in terms if other is not term for letter in other}
        over = tuple(i for i, letter in enumerate(term) if letter not in output and letter in others)
        kept = {i: output.index(letter) for i, letter in enumerate(term) if letter in output}
        found.append(Operand(ref, over, kept))
    return Product(tuple(found))


def _letters(term: str, rank: int) -> list[str]:
    head, dots, tail = term.partition("...")
    hidden = rank - len(head) - len(tail)
    return [*head, *(f".{hidden - i}" for i in range(hidden) if dots), *tail]


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
    if any(isinstance(part, Ref | tuple | list | str) for part in parts):
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


def _movedim(rank: int, sources: Axes, targets: Axes) -> tuple[Axes, ...]:
    order: list[int | None] = [None] * rank
    for source, target in zip(sources, targets, strict=True):
        order[target] = source % rank
    rest = iter(axis for axis in range(rank) if axis not in order)
    return tuple((next(rest) if axis is None else axis,) for axis in order)


def _argument(event: Event, position: int, name: str, default: Any = None) -> Any:
    return event.args[position] if len(event.args) > position else event.kwargs.get(name, default)


def _axes(value: Any) -> Axes:
    return tuple(int(axis) for axis in value) if isinstance(value, tuple | list) else (int(value),)


def _optional(values: list[Any]) -> tuple[Ref, ...]:
    return tuple(value for value in values if isinstance(value, Ref))
