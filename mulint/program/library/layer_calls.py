"""What the layers of the library do to an activation, by the behaviour their row names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from mulint.program.library import tensors
from mulint.program.library.layers import ACTIVATION_MODULES, LINEAR_MODULES, ROWS, LayerRow
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.records import Application, AttentionRecord, Layer, Norm, Weight
from mulint.program.run import Arguments, Run, sources_of, tensors_in
from mulint.program.values import ListValue, ModuleValue, Site, Tensor, Unknown, Value, as_number, options


def at_construction(run: Run, layer: Layer, sizes: Mapping[str, Number], site: Site) -> None:
    """Layers with attention inside imply 1/sqrt(head dimension) where the library's constructor is called."""
    row = ROWS[layer.type]
    if row.heads is not None:
        model, heads = row.heads
        _implied_attention(run, layer, sizes[model] / sizes[heads], Tensor(), site)


def _implied_attention(run: Run, layer: Layer, head_dim: Number, query: Tensor, site: Site) -> None:
    factor = head_dim.power(Fraction(-1, 2)) * query.factor
    run.seen.attentions.append(
        AttentionRecord(
            site,
            query.factor_sites,
            head_dim,
            factor,
            layer.owner,
            implied=True,
            weights=frozenset(layer.weights.values()),
        )
    )


def _scaled_query(run: Run, layer: Layer, row: LayerRow, arguments: Arguments) -> None:
    """A factor on the query scales the logits as well, if no bias is added to the query inside."""
    query = arguments.get("query", 0)
    if row.heads is None or not isinstance(query, Tensor) or query.factor == ONE:
        return
    if "in_proj_bias" not in layer.weights:
        model, heads = (as_number(layer.arguments.get(name, Unknown())) for name in row.heads)
        _implied_attention(run, layer, model / heads, query, layer.site)


def apply(run: Run, module: ModuleValue, value: Value, arguments: Arguments) -> Value:
    """Apply a layer without a user-written forward."""
    name = module.layer.type if module.layer else module.container
    tensor = next(tensors_in(value), None) or Tensor()
    if name in LINEAR_MODULES:
        flattened = name.endswith(("Flatten", "Unflatten"))
        return tensor.reshaped((), open_=True) if flattened else tensor
    if name in ACTIVATION_MODULES:
        if name.endswith((".Softmax", ".LogSoftmax")):
            return tensors.softmax(run, tensor, arguments.owner)
        return tensors.activation(run, tensor)
    if name.startswith("torch.nn.") and name.endswith("Loss"):
        tensors.mark_output(run, value)
        return Tensor(())
    row = ROWS.get(name)
    if row is None or module.layer is None:
        tensors.settle(arguments.values)
        return sources_of(arguments.values) or Unknown(f"what {name} does is not known")
    return _apply_row(run, module, row, tensor, arguments)


# Norms over the last dimension.
_LAST_NORMS = ("torch.nn.LayerNorm", "torch.nn.RMSNorm")


def _apply_row(run: Run, module: ModuleValue, row: LayerRow, tensor: Tensor, arguments: Arguments) -> Value:
    layer = module.layer
    assert layer is not None
    output = _output_size(row, layer)
    used = _weights(module)
    match row.behaviour:
        case "norm":
            for weight in used:
                use(run, weight, layer, tensor, arguments, "elementwise")
            settled = tensors.nonlinear(tensor)
            if layer.type in _LAST_NORMS:
                settled = replace(settled, norm=Norm(arguments.site, tensor.last, unit=False))
            return settled if settled.dims else replace(settled, dims=(output,) if output.alternatives else ())
        case "linear" | "lookup":
            return _linear(run, row, layer, used, tensor, output, arguments)
        case "conv":
            result = _linear(run, row, layer, used, tensor, output, arguments)
            return replace(result, dims=(), open=True)
        case _:
            inputs = sources_of(arguments.values) or tensor
            if row.behaviour == "attention":
                _scaled_query(run, layer, row, arguments)
            applied = [use(run, w, layer, inputs, arguments, row.behaviour) for w in used]
            result = Tensor((output,), open=True, sources=frozenset(applied))
            return result if row.behaviour == "transformer" else ListValue([result, Unknown("the second output")])


def _linear(
    run: Run,
    row: LayerRow,
    layer: Layer,
    used: list[Weight],
    tensor: Tensor,
    output: Number,
    arguments: Arguments,
) -> Tensor:
    if row.readout:
        # The mup package's readouts divide by the width multiplier inside.
        run.seen.package_calls.append((layer.type, arguments.site))
    matrices = [w for w in used if len(w.dims) >= 2]
    kind = "lookup" if row.behaviour == "lookup" else "linear"
    applied = [use(run, w, layer, tensor, arguments, kind) for w in matrices]
    for application in applied:
        tensors.take(run, tensor, application)
    for bias in used:
        if bias not in matrices:
            bias.applications.append(
                Application(bias, layer, arguments.site, arguments.owner, ONE, (), frozenset(), kind="elementwise")
            )
    leading = tensor.dims if row.behaviour == "lookup" else tensor.dims[:-1]
    is_open = tensor.open or not tensor.dims
    return Tensor(
        dims=(*leading, output),
        open=is_open,
        sources=frozenset(applied),
        linear=frozenset(applied),
    )


def _weights(module: ModuleValue) -> list[Weight]:
    """The weights a layer uses now: those it was built with, or those tied to it since."""
    layer = module.layer
    assert layer is not None
    found: list[Weight] = []
    for name, built in layer.weights.items():
        found.extend(_weights_in(module.attributes.get(name)) or [built])
    found.extend(w for w in _weights_in(module.attributes.get("weight")) if w not in found)
    return found


def _weights_in(value: Value | None) -> list[Weight]:
    present = options(value) if value is not None else ()
    return [o.weight for o in present if isinstance(o, Tensor) and o.weight is not None]


def _output_size(row: LayerRow, layer: Layer) -> Number:
    given = layer.arguments.get(row.output)
    return UNKNOWN_NUMBER if given is None else as_number(given)


def use(
    run: Run, weight: Weight, layer: Layer | None, tensor: Tensor, arguments: Arguments, kind: str
) -> Application:
    """Record that a weight is applied to an activation."""
    application = Application(
        weight,
        layer,
        arguments.site,
        arguments.owner,
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
    return application
