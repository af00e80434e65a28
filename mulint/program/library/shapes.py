"""Shape-changing operations, as functions and as tensor methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from mulint.program.run import Arguments, iterate, number_argument, sources_of
from mulint.program.values import (
    ONE,
    UNKNOWN_NUMBER,
    Constant,
    ListValue,
    Number,
    Tensor,
    Value,
    as_number,
    join_tensors,
)

Shaper = Callable[[Tensor, Arguments], Value]


def _sizes(arguments: Arguments, start: int = 0) -> tuple[list[Number], bool]:
    values: Sequence[Value] = arguments.positional[start:]
    if not values:
        given = arguments.get("size") or arguments.get("shape") or arguments.get("dims")
        values = (given,) if given is not None else ()
    if len(values) == 1 and isinstance(values[0], ListValue):
        items, complete = iterate(values[0])
        return [as_number(i) for i in items], complete
    return [as_number(v) for v in values], arguments.complete


def view(tensor: Tensor, arguments: Arguments) -> Value:
    """``view``/``reshape``; a single -1 is the rest when all other sizes are known."""
    sizes, complete = _sizes(arguments)
    if not complete or not sizes:
        return tensor.reshaped((), open_=True)
    holes = [i for i, size in enumerate(sizes) if size.whole == -1]
    if holes:
        index = holes[0]
        sizes[index] = UNKNOWN_NUMBER
        trailing = len(sizes) - index
        if not tensor.open and len(holes) == 1 and all(d.alternatives for d in tensor.dims):
            total, rest = ONE, ONE
            for size in tensor.dims:
                total = total * size
            for i, size in enumerate(sizes):
                rest = rest if i == index else rest * size
            sizes[index] = total / rest
        elif trailing == 1 and tensor.open:
            sizes[index] = _remainder(tensor, sizes[:-1])
    return tensor.reshaped(tuple(sizes))


def _remainder(tensor: Tensor, leading: list[Number]) -> Number:
    """The last size of ``view(b, t, heads, -1)`` when ``b`` and ``t`` are the axes the tensor came with."""
    split = [size for size in leading if not _is_axis(size)]
    if len(split) == len(leading):
        return UNKNOWN_NUMBER
    rest = tensor.last
    for size in split:
        rest = rest / size
    return rest


def _is_axis(size: Number) -> bool:
    return size.only is not None and {symbol.kind for symbol in size.only.symbols} == {"size"}


def transpose(tensor: Tensor, arguments: Arguments) -> Value:
    """Swap two dimensions."""
    first, second = (number_argument(arguments, f"dim{i}", i) for i in (0, 1))
    a, b = (n.whole if n is not None else None for n in (first, second))
    return _permuted(tensor, a, b)


def _permuted(tensor: Tensor, a: int | None, b: int | None) -> Tensor:
    count = len(tensor.dims)
    if a is None or b is None:
        return tensor.reshaped((), open_=True)
    if tensor.open:
        if a >= 0 or b >= 0 or -a > count or -b > count:
            return tensor.reshaped((), open_=True)
    elif not (-count <= a < count and -count <= b < count):
        return tensor.reshaped((), open_=True)
    dims = list(tensor.dims)
    dims[a], dims[b] = dims[b], dims[a]
    return tensor.reshaped(tuple(dims), open_=tensor.open)


def permute(tensor: Tensor, arguments: Arguments) -> Value:
    """Reorder all dimensions."""
    order, complete = _sizes(arguments)
    places = [n.whole for n in order]
    if not complete or tensor.open or len(places) != len(tensor.dims) or None in places:
        return tensor.reshaped((), open_=True)
    return tensor.reshaped(tuple(tensor.dims[p] for p in places if p is not None))


def flatten(tensor: Tensor, arguments: Arguments) -> Value:
    """Merge dimensions from ``start_dim`` on."""
    start = number_argument(arguments, "start_dim", 0)
    position = 0 if start is None else start.whole
    if tensor.open or position is None or not tensor.dims:
        return tensor.reshaped((), open_=True)
    rest = ONE
    for size in tensor.dims[position:]:
        rest = rest * size
    return tensor.reshaped((*tensor.dims[:position], rest))


def unsqueeze(tensor: Tensor, arguments: Arguments) -> Value:
    """Insert a dimension of size one."""
    given = number_argument(arguments, "dim", 0)
    place = given.whole if given is not None else None
    if place is None or (tensor.open and place >= 0):
        return tensor.reshaped(tensor.dims[-1:], open_=True) if place != -1 else tensor.reshaped((), open_=True)
    dims = list(tensor.dims)
    dims.insert(place if place >= 0 else len(dims) + 1 + place, ONE)
    return tensor.reshaped(tuple(dims), open_=tensor.open)


def split(tensor: Tensor, arguments: Arguments) -> Value:
    """Parts of the given size(s) along a dimension."""
    dim = number_argument(arguments, "dim", 1)
    sizes = arguments.get("split_size_or_sections", 0) or arguments.get("split_size", 0)
    on_last = dim is not None and (dim.whole == -1 or (not tensor.open and dim.whole == len(tensor.dims) - 1))
    # An open tensor's middle dimensions are not known; (batch, time, width) is by far the commonest.
    on_last = on_last or (dim is not None and tensor.open and dim.whole == 2)
    if isinstance(sizes, ListValue):
        parts = [_with_last(tensor, as_number(i)) if on_last else _lost(tensor, dim) for i in sizes.items]
        return ListValue(list(parts), sizes.complete)
    size = UNKNOWN_NUMBER if sizes is None else as_number(sizes)
    part = _with_last(tensor, size) if on_last else _lost(tensor, dim)
    count = (tensor.last / size).whole if on_last else None
    return ListValue([part] * (count or 1), complete=count is not None)


def chunk(tensor: Tensor, arguments: Arguments) -> Value:
    """A number of equal parts along a dimension."""
    count = number_argument(arguments, "chunks", 0) or UNKNOWN_NUMBER
    dim = number_argument(arguments, "dim", 1)
    on_last = dim is not None and (dim.whole == -1 or (tensor.open and dim.whole == 2))
    on_last = on_last or (dim is not None and not tensor.open and dim.whole == len(tensor.dims) - 1)
    part = _with_last(tensor, tensor.last / count) if on_last else _lost(tensor, dim)
    whole = count.whole
    known = whole is not None and whole <= 64
    return ListValue([part] * (whole if known and whole else 1), complete=known)


def unbind(tensor: Tensor, arguments: Arguments) -> Value:
    """All slices along a dimension."""
    dim = number_argument(arguments, "dim", 0)
    place = 0 if dim is None else dim.whole
    if place is None or tensor.open or not -len(tensor.dims) <= place < len(tensor.dims):
        return ListValue([replace(tensor, weight=None)], complete=False)
    count = tensor.dims[place].whole
    dims = list(tensor.dims)
    del dims[place]
    part = tensor.reshaped(tuple(dims))
    return ListValue([part] * (count or 1), complete=count is not None)


def _with_last(tensor: Tensor, size: Number) -> Tensor:
    return replace(tensor, dims=(*tensor.dims[:-1], size), weight=None)


def _lost(tensor: Tensor, dim: Number | None) -> Tensor:
    """A part along a dimension other than the last keeps the last size."""
    place = dim.whole if dim is not None else 0
    if place is None:
        return tensor.reshaped((), open_=True)
    return replace(tensor, dims=tensor.dims[-1:], open=True, weight=None)


def size(tensor: Tensor, arguments: Arguments) -> Value:
    """``size()`` or ``size(dim)``."""
    dim = number_argument(arguments, "dim", 0)
    if dim is None:
        return ListValue(list(tensor.dims), complete=not tensor.open)
    place = dim.whole
    if place is None or (tensor.open and place >= 0) or not -len(tensor.dims) <= place < len(tensor.dims):
        return UNKNOWN_NUMBER
    return tensor.dims[place]


def reduce(tensor: Tensor, arguments: Arguments) -> Value:
    """A sum or mean: over the last dimension the last size is gone, else it stays."""
    dim = number_argument(arguments, "dim", 0)
    keep = arguments.get("keepdim", 1) == Constant(True)
    if dim is None or dim.whole is None:
        return replace(tensor, dims=(), open=False, weight=None)
    last = dim.whole == -1 or (not tensor.open and dim.whole == len(tensor.dims) - 1)
    if last:
        return replace(tensor, dims=(*tensor.dims[:-1], ONE) if keep else tensor.dims[:-1], weight=None)
    return replace(tensor, dims=tensor.dims[-1:], open=True, weight=None)


def concatenate(values: Sequence[Value]) -> Value:
    """``cat``/``stack``: sources together, sizes lost but for a common last one."""
    items = [i for v in values[:1] for i in iterate(v)[0]]
    tensors = [t for t in items if isinstance(t, Tensor)]
    if not tensors:
        return sources_of(list(values)) or Tensor()
    result = tensors[0]
    for tensor in tensors[1:]:
        result = join_tensors(result, tensor)
    return replace(result, dims=(), open=True, linear=frozenset(), factor=ONE, factor_sites=())


_AXES = re.compile(r"\(([^)]*)\)|(\S+)")


def rearrange(tensor: Tensor, arguments: Arguments) -> Value:
    """``einops.rearrange`` with a literal pattern."""
    pattern = arguments.get("pattern", 1)
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str) or "->" not in pattern.value:
        return tensor.reshaped((), open_=True)
    before, after = pattern.value.split("->")
    sizes = {name: as_number(v) for name, v in arguments.keywords.items() if name != "pattern"}
    groups = [(m.group(1) if m.group(1) is not None else m.group(2)).split() for m in _AXES.finditer(before)]
    known = min(len(groups), len(tensor.dims))
    for names, total in zip(groups[len(groups) - known :], tensor.dims[len(tensor.dims) - known :], strict=True):
        missing = [n for n in names if n not in sizes]
        if len(missing) == 1:
            rest = ONE
            for name in names:
                rest = rest if name == missing[0] else rest * sizes[name]
            sizes[missing[0]] = total / rest
    dims: list[Number] = []
    for match in _AXES.finditer(after):
        product = ONE
        for name in (match.group(1) if match.group(1) is not None else match.group(2)).split():
            product = product * sizes.get(name, ONE if name == "1" else UNKNOWN_NUMBER)
        dims.append(product)
    return tensor.reshaped(tuple(dims), open_="..." in after)


SHAPERS: dict[str, Shaper] = {
    "view": view,
    "reshape": view,
    "transpose": transpose,
    "swapaxes": transpose,
    "permute": permute,
    "flatten": flatten,
    "unsqueeze": unsqueeze,
    "split": split,
    "chunk": chunk,
    "unbind": unbind,
    "size": size,
    "sum": reduce,
    "mean": reduce,
}
