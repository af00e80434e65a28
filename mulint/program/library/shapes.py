"""Shape-changing operations, as functions and as tensor methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from mulint.program.joining import join_tensors
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number, product
from mulint.program.run import Arguments, iterate, number_argument, sources_of
from mulint.program.values import Constant, ListValue, Tensor, Value, as_number

Shaper = Callable[[Tensor, Arguments], Value]


def sizes_of(arguments: Arguments, start: int = 0) -> tuple[list[Number], bool]:
    values: Sequence[Value] = arguments.positional[start:]
    if not values:
        given = arguments.get("size") or arguments.get("shape") or arguments.get("dims")
        values = (given,) if given is not None else ()
    if len(values) == 1 and isinstance(values[0], ListValue):
        items, complete = iterate(values[0])
        return [as_number(i) for i in items], complete
    return [as_number(v) for v in values], arguments.complete


def view(tensor: Tensor, arguments: Arguments) -> Value:
    """``view``/``reshape``; a single -1 is the rest when the other sizes are known, as far as they differ."""
    sizes, complete = sizes_of(arguments)
    if not sizes:
        return tensor.reshaped((), open_=True)
    holes = [i for i, size in enumerate(sizes) if size.whole == -1]
    if len(holes) == 1:
        sizes[holes[0]] = _rest(tensor, sizes[: holes[0]], sizes[holes[0] + 1 :], complete=complete)
    elif holes:
        return tensor.reshaped(tuple(sizes[holes[-1] + 1 :]), open_=True)
    return tensor.reshaped(tuple(sizes), open_=not complete)


def _rest(tensor: Tensor, before: list[Number], after: list[Number], *, complete: bool) -> Number:
    """The size that fills a -1 between known ones; leading sizes that the tensor came with do not count."""
    dims = list(tensor.dims)
    if tensor.open:
        axes = [_beside_axis(size) if _is_axis(size) else size for size in before]
        if not complete:
            # ``shape[:-1] + (-1, 2)``: whatever leads is as it was.
            while before and dims and before[0] == dims[0]:
                before, dims = before[1:], dims[1:]
            axes = before
        elif not any(map(_is_axis, before)):
            return UNKNOWN_NUMBER
        else:
            dims = dims[-1:]
        before = axes
    if not dims:
        return UNKNOWN_NUMBER
    return product(dims) / product([*before, *after])


def _is_axis(size: Number) -> bool:
    return size.only is not None and {symbol.kind for symbol in size.only.symbols} == {"size"}


def _beside_axis(size: Number) -> Number:
    """What a leading axis is multiplied with: ``batch * 8`` takes 8 heads out of the last one."""
    terms = size.only.terms if size.only is not None else ()
    return Number.of(terms[0][1]) if len(terms) == 1 else ONE


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


def is_transposed(tensor: Tensor, result: Value) -> bool:
    """Whether a change of shape did no more than swap the last two dimensions."""
    if not isinstance(result, Tensor) or tensor.open or result.open or len(tensor.dims) < 2:
        return False
    return result.dims == (*tensor.dims[:-2], tensor.dims[-1], tensor.dims[-2])


def permute(tensor: Tensor, arguments: Arguments) -> Value:
    """Reorder all dimensions; their count says how many leading ones of an open tensor are not known."""
    order, complete = sizes_of(arguments)
    places = [n.whole for n in order]
    leading = len(places) - len(tensor.dims)
    if not complete or leading < 0 or (leading and not tensor.open):
        return tensor.reshaped((), open_=True)
    dims = (*(UNKNOWN_NUMBER for _ in range(leading)), *tensor.dims)
    known = [p for p in places if p is not None and -len(dims) <= p < len(dims)]
    if len(known) < len(places):
        return tensor.reshaped((), open_=True)
    return tensor.reshaped(tuple(dims[p] for p in known))


def flatten(tensor: Tensor, arguments: Arguments) -> Value:
    """Merge dimensions from ``start_dim`` on."""
    start = number_argument(arguments, "start_dim", 0)
    end = number_argument(arguments, "end_dim", 1)
    position = 0 if start is None else start.whole
    if position is None or (end is not None and end.whole != -1) or not tensor.dims:
        return tensor.reshaped((), open_=True)
    if tensor.open and not -len(tensor.dims) <= position < 0:
        return tensor.reshaped((), open_=True)
    return tensor.reshaped((*tensor.dims[:position], product(tensor.dims[position:])), open_=tensor.open)


def unflatten(tensor: Tensor, arguments: Arguments) -> Value:
    """Split one dimension into several."""
    dim = number_argument(arguments, "dim", 0)
    sizes, complete = sizes_of(replace(arguments, positional=arguments.positional[1:]))
    place = dim.whole if dim is not None else None
    if place is None or not complete or not tensor.dims or (tensor.open and place >= 0):
        return tensor.reshaped((), open_=True)
    place = place if place >= 0 else len(tensor.dims) + place
    if not 0 <= place < len(tensor.dims):
        return tensor.reshaped((), open_=True)
    whole = tensor.dims[place]
    others = [size for size in sizes if size.whole != -1]
    filled = [whole / product(others) if size.whole == -1 else size for size in sizes]
    return tensor.reshaped((*tensor.dims[:place], *filled, *tensor.dims[place + 1 :]), open_=tensor.open)


def view_as_complex(tensor: Tensor, arguments: Arguments) -> Value:
    """Pairs along the last dimension become complex numbers."""
    del arguments
    return tensor.reshaped(tensor.dims[:-1], open_=tensor.open)


def view_as_real(tensor: Tensor, arguments: Arguments) -> Value:
    """Complex numbers become pairs along a new last dimension."""
    del arguments
    return tensor.reshaped((*tensor.dims, Number.of(2)), open_=tensor.open)


def expand(tensor: Tensor, arguments: Arguments) -> Value:
    """Repeat along dimensions of size one; -1 keeps a size."""
    sizes, complete = sizes_of(arguments)
    if not sizes:
        return tensor.reshaped(tensor.dims[-1:], open_=True)
    known = [*([UNKNOWN_NUMBER] * max(0, len(sizes) - len(tensor.dims))), *tensor.dims]
    aligned = known[len(known) - len(sizes) :]
    dims = tuple(old if new.whole == -1 else new for new, old in zip(sizes, aligned, strict=True))
    return tensor.reshaped(dims, open_=not complete)


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
        return replace(tensor, dims=(), open=False, weight=None, norm=None, length=None)
    tensor = replace(tensor, norm=None, length=None)
    last = dim.whole == -1 or (not tensor.open and dim.whole == len(tensor.dims) - 1)
    if last:
        return replace(tensor, dims=(*tensor.dims[:-1], ONE) if keep else tensor.dims[:-1], weight=None)
    return replace(tensor, dims=tensor.dims[-1:], open=True, weight=None)


def concatenate(arguments: Arguments) -> Value:
    """``cat``: sources together, sizes added along the dimension where they are known."""
    several = arguments.get("tensors", 0)
    items, complete = iterate(several) if several is not None else ([], False)
    tensors = [t for t in items if isinstance(t, Tensor)]
    if not tensors:
        return sources_of(arguments.values) or Tensor()
    result = _together(tensors)
    if len(tensors) != len(items) or not all(t.dims for t in tensors):
        return result.reshaped((), open_=True)
    dim = number_argument(arguments, "dim", 1)
    place = 0 if dim is None else dim.whole
    if place == -1 or (not result.open and place == len(result.dims) - 1):
        total = tensors[0].last
        for tensor in tensors[1:]:
            total = total.combine(tensor.last, lambda a, b: a + b)
        return result.reshaped((*result.dims[:-1], total if complete else UNKNOWN_NUMBER), open_=result.open)
    return result.reshaped(result.dims[-1:], open_=True)


def stack(arguments: Arguments) -> Value:
    """``stack``: a new dimension for the number of tensors."""
    several = arguments.get("tensors", 0)
    items, complete = iterate(several) if several is not None else ([], False)
    tensors = [t for t in items if isinstance(t, Tensor)]
    if not tensors:
        return sources_of(arguments.values) or Tensor()
    result = _together(tensors)
    count = Number.of(len(tensors)) if complete and len(tensors) == len(items) else UNKNOWN_NUMBER
    dim = number_argument(arguments, "dim", 1)
    place = 0 if dim is None else dim.whole
    if place is None or not result.dims or (result.open and place >= 0):
        return result.reshaped(result.dims[-1:] if place is not None and place >= 0 else (), open_=True)
    dims = list(result.dims)
    dims.insert(place if place >= 0 else len(dims) + 1 + place, count)
    return result.reshaped(tuple(dims), open_=result.open)


def _together(tensors: Sequence[Tensor]) -> Tensor:
    result = tensors[0]
    for tensor in tensors[1:]:
        result = join_tensors(result, tensor)
    return replace(
        result,
        linear=frozenset(),
        factor=ONE,
        factor_sites=(),
        score=None,
        weight=None,
        norm=None,
        pair=None,
        length=None,
        probability=False,
    )


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
    "swapdims": transpose,
    "permute": permute,
    "flatten": flatten,
    "unflatten": unflatten,
    "expand": expand,
    "view_as_complex": view_as_complex,
    "view_as_real": view_as_real,
    "unsqueeze": unsqueeze,
    "split": split,
    "chunk": chunk,
    "unbind": unbind,
    "size": size,
    "sum": reduce,
    "mean": reduce,
}
