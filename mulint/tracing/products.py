"""Torch's products of tensors: which axes of which factor are summed over, and where the others come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mulint.tracing.operations import Axes, argument, axes_of
from mulint.tracing.recording import Event, Ref, refs_in

MATMULS = frozenset("matmul mm bmm mv dot vdot __matmul__ linalg_matmul spmm smm sspmm _sparse_mm".split())
# Names of arguments in the order of their positions; all others come behind them.
KEYWORDS = (
    "equation input self mat mat1 batch1 input1 tensor a x1 vec vec2 mat2 batch2 input2 other b y x2 weight bias"
).split()


@dataclass(frozen=True, slots=True)
class Operand:
    """One factor of a product. ``contracted``: axes summed over; ``out``: axis of the result for the others.

    ``weight``: the operation takes a weight in this position (the second argument of ``linear``).
    ``sums``: in products of three or more, a name for the sum over each contracted axis.
    ``handed``: contracted axes that are what this weight gives out, and another one takes in.
    """

    ref: Ref
    contracted: Axes
    out: Mapping[int, int]
    weight: bool = False
    sums: tuple[str, ...] = ()
    handed: Axes = ()


@dataclass(frozen=True, slots=True)
class Product:
    """A contraction of tensors, and what is added to its result (biases).

    ``normalised``: over the lengths of both factors, as in the cosine between them.
    """

    operands: tuple[Operand, ...]
    added: tuple[Ref, ...] = ()
    normalised: bool = False


def product_of(event: Event, peers: Sequence[Event]) -> Product | None:
    """The contraction that an operation is, or ``None``. ``peers``: the same operation at every width."""
    args = [*event.args, *(event.kwargs[name] for name in sorted(event.kwargs, key=_position))]
    match event.op:
        case "linear":
            return _linear(args)
        case op if op in MATMULS:
            return _matmul(args[0], args[1])
        case "_grouped_mm" | "grouped_mm" if len(args[1].shape) == 3:  # every group of rows with its own matrix
            return Product((Operand(args[0], (1,), {0: 0}), Operand(args[1], (1,), {2: 1})))
        case "linalg_multi_dot" | "chain_matmul":
            return _chain(list(refs_in(args)))
        case "linalg_vecdot":
            return _along(args[0], args[1], int(argument(event, 2, "dim", -1)))
        case "cosine_similarity":
            return replace(_along(args[0], args[1], int(argument(event, 2, "dim", 1))), normalised=True)
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
        case "convolution" if argument(event, 6, "transposed"):
            return _convolution(args, contracted=0, produced=1)
        case "conv1d" | "conv2d" | "conv3d" | "convolution" | "_convolution":
            return _convolution(args, contracted=1, produced=0)
        case "conv_tbc":
            given = Operand(args[0], (2,), {0: 0, 1: 1})
            return Product((given, Operand(args[1], (0, 1), {2: 2}, weight=True)), _optional(args[2:3]))
        case "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d":
            if len({_group_size(peer) for peer in peers}) == 1 < len({_groups(peer) for peer in peers}):
                return _convolution(args, contracted=1, produced=0)  # more groups: none grows that is summed over
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


def _chain(matrices: list[Ref]) -> Product:
    """Of the first and the last, which may be vectors, one axis is left; of the matrices in between none."""
    last = len(matrices) - 1
    found = []
    for i, ref in enumerate(matrices):
        sums = {axis: f"{i - 1 + axis}" for axis in range(2) if 0 <= i - 1 + axis < last}
        axes = {0: sums.get(0), 1: sums.get(1)} if len(ref.shape) == 2 else {0: "0" if i == 0 else f"{last - 1}"}
        over = {axis: name for axis, name in axes.items() if name is not None}
        out = {axis: 0 if i == 0 else -1 for axis in axes if axis not in over}
        found.append(Operand(ref, tuple(over), out, sums=tuple(over.values())))
    return Product(tuple(found))


def _along(a: Ref, b: Ref, dim: int) -> Product:
    """Products of vectors that lie along one axis of both; the other axes are aligned from the right."""
    rank = max(len(a.shape), len(b.shape))
    axis = dim % rank

    def operand(ref: Ref) -> Operand:
        shift = rank - len(ref.shape)
        kept = {i: i + shift - (i + shift > axis) for i in range(len(ref.shape)) if i + shift != axis}
        return Operand(ref, (axis - shift,), kept)

    return Product((operand(a), operand(b)))


def facing(weights: Sequence[Operand], others: Sequence[Operand]) -> list[Operand]:
    """The weights of one product in the order in which they take in what the others, then they themselves, give.

    Of ``x A B`` the sum between the weights is fan-out of the first and fan-in of the second.
    """
    reached = {name for operand in others for name in operand.sums}
    waiting, found = list(weights), []
    while waiting:
        nearest = next((one for one in waiting if reached & {*one.sums}), waiting[0])
        waiting.remove(nearest)
        taken = [
            axis for axis, name in zip(nearest.contracted, nearest.sums, strict=False) if name in reached
        ] or nearest.contracted
        handed = tuple(axis for axis in nearest.contracted if axis not in taken)
        found.append(replace(nearest, contracted=tuple(taken), handed=handed))
        reached |= {*nearest.sums}
    return found


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
    dims = argument(event, 2, "dims", 2)
    if isinstance(dims, int):
        over_a, over_b = tuple(range(len(a.shape) - dims, len(a.shape))), tuple(range(dims))
    else:
        over_a = tuple(axis % len(a.shape) for axis in axes_of(dims[0]))
        over_b = tuple(axis % len(b.shape) for axis in axes_of(dims[1]))
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
    return int(argument(event, 1, "weight").shape[0]) // _groups(event)


def _groups(event: Event) -> int:
    return int(argument(event, 6, "groups", 1))


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
        found.append(Operand(ref, over, kept, sums=tuple(term[i] for i in over)))
    return Product(tuple(found))


def _letters(term: str, rank: int) -> list[str]:
    head, dots, tail = term.partition("...")
    hidden = rank - len(head) - len(tail)
    return [*head, *(f".{hidden - i}" for i in range(hidden) if dots), *tail]


def _position(keyword: str) -> int:
    return KEYWORDS.index(keyword) if keyword in KEYWORDS else len(KEYWORDS)


def _optional(values: list[Any]) -> tuple[Ref, ...]:
    return tuple(value for value in values if isinstance(value, Ref))
