"""Functions that compute attention whole: their scale is an argument, or inside."""

from __future__ import annotations

from dataclasses import replace

from mulint.program.library import tensors
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.run import Arguments, Run, number_argument, sources_of
from mulint.program.values import Constant, ListValue, Tensor, Unknown, Value

_NAMES = (("query", "q"), ("key", "k"), ("value", "v"))


def fused(run: Run, arguments: Arguments) -> Value:
    """``F.scaled_dot_product_attention(q, k, v)`` and the functions of flash_attn."""
    query, key, value = (
        arguments.get(long, i) or arguments.get(short) or Unknown() for i, (long, short) in enumerate(_NAMES)
    )
    scale = number_argument(arguments, "scale")
    if scale is None:
        scale = number_argument(arguments, "softmax_scale")
    return tensors.scaled_dot_product_attention(run, query, key, value, scale, arguments.site, arguments.owner)


def with_projections(run: Run, arguments: Arguments) -> Value:
    """``F.multi_head_attention_forward``: the projections are given, and 1/sqrt(head dimension) is inside."""
    heads = number_argument(arguments, "num_heads", 4) or UNKNOWN_NUMBER
    given = [arguments.get(long, i) or Unknown() for i, (long, _) in enumerate(_NAMES)]
    model = number_argument(arguments, "embed_dim_to_check", 3) or UNKNOWN_NUMBER
    packed = arguments.get("in_proj_weight", 5)
    separate = [arguments.get(f"{short}_proj_weight", 18 + i) for i, (_, short) in enumerate(_NAMES)]
    weights = [packed if one is None or one == Constant(None) else one for one in separate]
    without_bias = arguments.get("in_proj_bias", 6) == Constant(None)
    head_dim = model / heads
    query, key, value = (
        _heads(_project(run, one, weight, arguments), one, head_dim, linear=without_bias)
        for one, weight in zip(given, weights, strict=True)
    )
    attended = tensors.scaled_dot_product_attention(run, query, key, value, None, arguments.site, arguments.owner)
    if isinstance(attended, Tensor):
        attended = attended.reshaped((model,), open_=True)
    result = _project(run, attended, arguments.get("out_proj_weight", 11), arguments)
    return ListValue([result, Unknown("the weights of the attention")])


def _project(run: Run, value: Value, weight: Value | None, arguments: Arguments) -> Value:
    return tensors.linear(run, value, weight or Unknown(), arguments.site, arguments.owner)


def _heads(projected: Value, given: Value, head_dim: Number, *, linear: bool) -> Value:
    """A projection split into heads; with no bias added, a factor on what was given is on it as well."""
    if not isinstance(projected, Tensor):
        projected = sources_of((given,)) or Tensor()
    result = projected.reshaped((head_dim,), open_=True)
    if linear and isinstance(given, Tensor) and given.factor != ONE:
        result = replace(result, factor=given.factor, factor_sites=given.factor_sites)
    return result
