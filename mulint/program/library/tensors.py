"""Arithmetic and contractions of tensors: how scalar factors, sources and attention logits travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from mulint.program.joining import join_tensors, keep_factor
from mulint.program.library import lengths, updates
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number, own_of_group
from mulint.program.records import (
    Application,
    AttentionRecord,
    LookupScale,
    Norm,
    ProductRecord,
    ScaledActivation,
    Score,
    Weight,
)
from mulint.program.run import Run, sources_of, tensors_in
from mulint.program.values import Constant, Site, Tensor, Unknown, Value, as_number


def settle(values: Sequence[Value]) -> None:
    """The scalar factors on these tensors are final: write them to the applications they scale."""
    for value in values:
        for tensor in tensors_in(value):
            keep_factor(tensor)


def mark_output(run: Run, value: Value) -> None:
    """Everything that flows into this value is an output of a model: it is returned, or a loss judges it."""
    settle((value,))
    for tensor in tensors_in(value):
        if tensor.score is not None:
            run.seen.products.append(ProductRecord(tensor.score, tensor.factor))
        for application in tensor.sources:
            application.returned = True


def take(run: Run, tensor: Tensor, taker: Application | None = None) -> None:
    """Keep the factor on an activation where an activation function, a sum or a weight takes it."""
    if tensor.linear and tensor.factor.symbols:
        run.seen.scaled.append(
            ScaledActivation(tensor.linear, tensor.factor, tensor.factor_sites, tensor.last, taker)
        )


def activation(run: Run, tensor: Tensor) -> Tensor:
    """An activation function."""
    take(run, tensor)
    return nonlinear(tensor)


def nonlinear(tensor: Tensor) -> Tensor:
    """An entrywise function: sizes and sources stay, scale and linearity end."""
    settle((tensor,))
    return Tensor(tensor.dims, tensor.open, tensor.sources)


def softmax(run: Run, tensor: Tensor, owner: str) -> Tensor:
    """A softmax: if it takes a product of two activations, this is attention."""
    if tensor.score is not None:
        run.seen.attentions.append(
            AttentionRecord(
                tensor.score.site,
                tensor.factor_sites,
                tensor.score.contracted,
                tensor.factor,
                tensor.score.owner or owner,
                implied=False,
                norms=tensor.score.norms,
                over=tensor.last,
                weights=frozenset(a.weight for a in tensor.sources),
            )
        )
    return replace(nonlinear(tensor), probability=True)


def binary(run: Run, operator: str, left: Value, right: Value, site: Site, owner: str) -> Value:
    """An operator with at least one tensor operand."""
    if operator == "@":
        return matmul(run, left, right, site, owner)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _tensors(run, operator, left, right, site, owner)
    tensor = left if isinstance(left, Tensor) else right
    assert isinstance(tensor, Tensor)
    other = right if isinstance(left, Tensor) else left
    if operator in ("*", "/"):
        number = as_number(other)
        if operator == "/":
            number = replace(ONE / number, computed=number.computed)
            if not isinstance(left, Tensor):
                inverse = lengths.power(tensor, Number.of(-1))
                if inverse is None and not own_of_group((as_number(left),)):
                    return nonlinear(tensor)
                return scale(run, inverse or nonlinear(tensor), as_number(left), site, owner)
        return scale(run, tensor, number, site, owner)
    if operator in ("+", "-") and not isinstance(other, Tensor):
        return replace(tensor, weight=None)
    raised = lengths.power(tensor, as_number(other)) if operator == "**" and isinstance(left, Tensor) else None
    plain = nonlinear(tensor)
    return plain if raised is None else raised


def scale(run: Run, tensor: Tensor, factor: Number, site: Site, owner: str) -> Tensor:
    """A tensor times a scalar; on the output of lookup tables and nothing else this is worth a record."""
    if not factor.alternatives and own_of_group((tensor.factor,)):
        return tensor
    if all(application.kind == "lookup" for application in tensor.linear):
        for application in tensor.linear:
            run.seen.lookup_scales.append(LookupScale(application, factor, site, owner))
    scaled = lengths.of_root(tensor.scaled(factor, site))
    if tensor.score is not None and tensor.factor == ONE:
        return replace(scaled, score=replace(tensor.score, owner=owner))
    return scaled


def _tensors(run: Run, operator: str, left: Tensor, right: Tensor, site: Site, owner: str) -> Tensor:
    if operator in ("+", "-") and updates.subtract(run, operator, left, right, site, owner):
        return left
    for weight_side, other in ((left, right), (right, left)):
        if weight_side.weight is not None:
            elementwise(run, weight_side.weight, other, site, owner, operator)
            norm = replace(other.norm, gained=True) if other.norm and operator in ("*", "/") else None
            scaled = replace(other, weight=None, norm=norm, pair=None, length=None)
            return replace(_broadcast(scaled, weight_side), score=other.score)
    if operator in ("+", "-"):
        joined = replace(join_tensors(left, right), norm=None, probability=False)
        if left.factor != right.factor:
            # A sum of differently scaled parts is no longer one scaled output.
            kept = left.score or right.score
            if kept is None:
                take(run, left)
                take(run, right)
                settle((left, right))
                joined = replace(joined, linear=frozenset(), factor=ONE, factor_sites=())
            else:
                scored = left if left.score is not None else right
                joined = replace(joined, factor=scored.factor, factor_sites=scored.factor_sites)
        return joined
    settle((left, right))
    normed = lengths.divided(operator, left, right, site) or _gained(operator, left, right)
    if normed is not None:
        return normed
    _gate(left, right)
    product = _broadcast(left, right)
    return replace(
        product,
        sources=left.sources | right.sources,
        linear=frozenset(),
        factor=ONE,
        factor_sites=(),
        score=None,
        norm=None,
        length=None,
        pair=_pair(left, right, site) if operator == "*" else None,
    )


def _gained(operator: str, left: Tensor, right: Tensor) -> Tensor | None:
    """What a norm gave, times something made of weights alone (``1 + gain``); None if it is not that."""
    for normed, gain in ((left, right), (right, left)):
        if operator == "*" and normed.norm is not None and not gain.sources:
            return replace(_broadcast(normed, gain), norm=replace(normed.norm, gained=True))
    return None


def _pair(left: Tensor, right: Tensor, site: Site) -> Score | None:
    """What a sum over the last dimension of an entrywise product would be."""
    if not (left.linear and right.linear) or left.last != right.last:
        return None
    if left.factor != ONE or right.factor != ONE:
        return None
    return Score(site, left.last, _norms(left, right), linear=True)


def _gate(left: Tensor, right: Tensor) -> None:
    """Two activations are multiplied: inside a model neither is its output any more, but what a softmax weighs."""
    if not left.sources or not right.sources:
        return
    weighed = right.sources if left.probability else left.sources if right.probability else frozenset()
    _enclose((left.sources | right.sources) - weighed)


def _enclose(applications: Iterable[Application]) -> None:
    """What these give goes on inside the model, unless it has been seen to be an output."""
    for application in applications:
        application.gated = application.gated or not application.returned


def _broadcast(a: Tensor, b: Tensor) -> Tensor:
    """The first with the sizes that both have together: they are aligned at the last one."""
    longer = a.dims if len(a.dims) >= len(b.dims) else b.dims
    joined = join_tensors(a, b).dims
    dims = (*longer[: len(longer) - len(joined)], *joined)
    return replace(a, dims=a.dims if a.open else dims, weight=None)


def elementwise(run: Run, weight: Weight, other: Tensor, site: Site, owner: str, operator: str = "*") -> None:
    """A weight added to or multiplied with an activation: nothing is contracted."""
    if weight.contracted is None:
        weight.contracted = ()
    _record(run, weight, other, site, owner, "elementwise" if operator in ("+", "-") else "gain")


def _record(run: Run, weight: Weight, tensor: Tensor, site: Site, owner: str, kind: str) -> Application:
    application = Application(
        weight,
        weight.layer,
        site,
        owner,
        tensor.factor,
        tensor.factor_sites,
        tensor.sources,
        kind=kind,
        branch=run.branch,
        norm=tensor.norm,
        linear=tensor.linear,
    )
    weight.applications.append(application)
    run.seen.applications.append(application)
    if tensor.probability:  # what gave these chooses among the rows of a table
        _enclose(tensor.sources)
    return application


def apply_weight(
    run: Run,
    weight: Weight,
    tensor: Tensor,
    contracted: tuple[int, ...],
    output: Number,
    site: Site,
    owner: str,
) -> Tensor:
    """A raw weight contracted with an activation over the given dimensions of the weight.

    A sum over the rows of a table weighs what a lookup would choose among.
    """
    if weight.contracted is None or (weight.lookup and weight.layer is None):
        weight.contracted = contracted
    weighs = weight.lookup and weight.layer is not None and contracted == (0,)
    application = _record(run, weight, tensor, site, owner, "lookup" if weighs else "linear")
    take(run, tensor, application)
    return Tensor(
        (*tensor.dims[:-1], output),
        tensor.open or not tensor.dims,
        frozenset({application}),
        frozenset({application}),
    )


def matmul(run: Run, left: Value, right: Value, site: Site, owner: str) -> Value:
    """``left @ right``: a weight applied to an activation, or a product of two activations."""
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return _partly_followed((left, right)) or Unknown("a product with an unknown operand")
    if right.weight is not None:
        rows, _ = _sides(right, right.weight)
        return apply_weight(run, right.weight, left, (rows,), right.last, site, owner)
    if left.weight is not None:
        rows, columns = _sides(left, left.weight)
        output = left.weight.dims[rows] if len(left.weight.dims) >= 2 else UNKNOWN_NUMBER
        result = apply_weight(run, left.weight, right, (columns,), output, site, owner)
        return replace(result, dims=(), open=True)
    contracted = left.last if left.last.alternatives else (right.dims[-2] if len(right.dims) >= 2 else left.last)
    return product(left, right, contracted, (*left.dims[:-1], right.last), site, owner)


def _partly_followed(operands: Sequence[Value]) -> Tensor | None:
    """A contraction with something unknown: what is summed away is no output, whatever becomes of the sum."""
    settle(operands)
    result = sources_of(operands)
    if result is not None and len(operands) > 1 and not all(isinstance(o, Tensor) for o in operands):
        _enclose(result.sources)
    return result


def stored_axes(tensor: Tensor, weight: Weight) -> tuple[int, ...]:
    """For each dimension of a weight as it is used, which it is as stored: the last two may be swapped."""
    axes = tuple(range(len(weight.dims)))
    as_stored, here = weight.dims[-2:], tensor.dims[-2:]
    return (*axes[:-2], *axes[:-3:-1]) if here != as_stored and here == as_stored[::-1] else axes


def _sides(tensor: Tensor, weight: Weight) -> tuple[int, int]:
    """Which dimensions of a weight are the rows and the columns of a matrix."""
    axes = stored_axes(tensor, weight) or (0,)
    return axes[max(0, len(axes) - 2)], axes[-1]


def _own(factor: Number) -> Number:
    """The factor on an activation; an empty buffer, to be filled later, has none."""
    return ONE if factor.constant == 0 else factor


def product(
    left: Tensor, right: Tensor, contracted: Number, dims: tuple[Number, ...], site: Site, owner: str
) -> Tensor:
    """A product of two activations over ``contracted``: attention logits, unless one is a set of weights."""
    settle((left, right))
    _gate(left, right)
    return Tensor(
        dims,
        left.open or right.open or not dims,
        left.sources | right.sources,
        frozenset(),
        _own(left.factor) * _own(right.factor),
        (*left.factor_sites, *right.factor_sites),
        None if left.probability or right.probability else _score(left, right, contracted, site, owner),
    )


def _score(left: Tensor, right: Tensor, contracted: Number, site: Site, owner: str) -> Score:
    return Score(site, contracted, _norms(left, right), linear=bool(left.linear and right.linear), owner=owner)


def _norms(query: Tensor, key: Tensor) -> tuple[Norm, ...]:
    """The norms of query and key, if both have one."""
    return (query.norm, key.norm) if query.norm is not None and key.norm is not None else ()


def scaled_dot_product_attention(
    run: Run, query: Value, key: Value, value: Value, factor: Number | None, site: Site, owner: str
) -> Value:
    """Fused attention; without an explicit scale it is one over the root of the query's last size."""
    if not isinstance(query, Tensor) or not isinstance(key, Tensor):
        return sources_of((query, key, value)) or Unknown("attention of unknown tensors")
    settle((query, key))
    implied = factor is None
    own = query.last.power(Fraction(-1, 2)) if factor is None else factor
    total = own * _own(query.factor) * _own(key.factor)
    sites = (*query.factor_sites, *key.factor_sites)
    if factor is not None and factor.origin is not None:
        sites = (*sites, factor.origin)
    run.seen.attentions.append(
        AttentionRecord(
            site,
            sites,
            query.last,
            total,
            owner,
            implied=implied and not sites,
            norms=_norms(query, key),
            weights=frozenset(a.weight for a in query.sources),
        )
    )
    inner = value if isinstance(value, Tensor) else Tensor()
    return Tensor(query.dims, query.open, query.sources | key.sources | inner.sources)


def linear(run: Run, tensor: Value, weight: Value, site: Site, owner: str) -> Value:
    """``F.linear(x, W)``: the last dimension of the weight is contracted."""
    if isinstance(tensor, Tensor) and isinstance(weight, Tensor) and weight.weight is not None:
        rows = weight.dims[0] if weight.dims else UNKNOWN_NUMBER
        _, columns = _sides(weight, weight.weight)
        return apply_weight(run, weight.weight, tensor, (columns,), rows, site, owner)
    settle((tensor,))
    return sources_of((tensor, weight)) or Unknown("a linear map with an unknown weight")


def einsum(run: Run, equation: Value, operands: Sequence[Value], site: Site, owner: str) -> Value:
    """``torch.einsum`` with a literal equation and one or two operands."""
    text = equation.value if isinstance(equation, Constant) else None
    tensors = [o for o in operands if isinstance(o, Tensor)]
    if not isinstance(text, str) or "->" not in text or len(tensors) != 2 or len(operands) != 2:
        return _partly_followed(operands) or Unknown("an einsum that is not followed")
    inputs, output = text.replace(" ", "").split("->")
    left_axes, right_axes = inputs.split(",")
    left, right = tensors
    sizes = {**_axis_sizes(left_axes, left), **_axis_sizes(right_axes, right)}
    dims = tuple(sizes.get(axis, UNKNOWN_NUMBER) for axis in output.replace("...", ""))
    summed = [axis for axis in left_axes if axis in right_axes and axis not in output and axis != "."]
    for axes, side, other in ((right_axes, right, left), (left_axes, left, right)):
        if side.weight is not None:
            stored = stored_axes(side, side.weight)
            contracted = tuple(s for s, axis in zip(stored, axes, strict=False) if axis in summed)
            result = apply_weight(run, side.weight, other, contracted, UNKNOWN_NUMBER, site, owner)
            return replace(result, dims=dims, open="..." in output, score=other.score)
    over = ONE
    for axis in summed:
        over = over * sizes.get(axis, UNKNOWN_NUMBER)
    return replace(product(left, right, over, dims, site, owner), open="..." in output)


def _axis_sizes(axes: str, tensor: Tensor) -> dict[str, Number]:
    names = axes.replace("...", "")
    known = min(len(names), len(tensor.dims))
    if known == 0:
        return {}
    return {
        axis: size for axis, size in zip(names[-known:], tensor.dims[-known:], strict=True) if size.alternatives
    }
