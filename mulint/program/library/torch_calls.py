"""Functions of torch and its friends, and the methods of tensors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from mulint.program.library import (
    attention_calls,
    checkpoints,
    initialisers,
    lengths,
    modules,
    shapes,
    tensors,
    updates,
)
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.records import Norm, Weight
from mulint.program.run import Arguments, Run, iterate, number_argument, read_off_data, sources_of, truth
from mulint.program.values import Constant, Knob, ListValue, ModuleValue, Tensor, Unknown, Value, as_number

Handler = Callable[[Run, Arguments], Value]

_LINEAR_FUNCTIONS = frozenset(
    (
        "dropout dropout2d masked_fill where contiguous clone to float half bfloat16 double type type_as cuda "
        "cpu expand_as repeat squeeze roll flip tril triu detach requires_grad_ pad interpolate narrow "
        "index_select gather take roll_ movedim avg_pool2d adaptive_avg_pool2d avg_pool1d conj real "
        "checkpoint masked_fill_ nan_to_num"
    ).split()
)
_KEEPS_SHAPE = frozenset(
    (
        "contiguous clone to float half bfloat16 double type type_as cuda cpu dropout masked_fill "
        "masked_fill_ where tril triu detach requires_grad_ roll flip nan_to_num"
    ).split()
)
_ACTIVATIONS = frozenset("relu relu_ relu6 leaky_relu gelu silu mish selu tanh tanh_ sigmoid softplus".split())
_CAN_SCALE = {"mul": False, "mul_": False, "div": True, "div_": True, "multiply": False, "true_divide": True}


def function(run: Run, name: str, arguments: Arguments) -> Value:
    """Call a function of torch by the last part of its name."""
    if name in initialisers.FACTORIES and not isinstance(arguments.get("input", 0), Tensor):
        dims, complete = shapes.sizes_of(arguments) if name != "full" else _full_sizes(arguments)
        return initialisers.factory(name, arguments, tuple(dims), complete)
    first = arguments.get("input", 0)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(run, arguments)
    if name in ("sqrt", "rsqrt") and isinstance(first, Number | Knob):
        root = as_number(first).power(Fraction(1, 2))
        return root if name == "sqrt" else ONE / root
    if isinstance(first, Tensor):
        rest = replace(arguments, positional=arguments.positional[1:])
        return method(run, first, name, rest)
    if name == "tensor" and isinstance(first, Number | Knob):
        return replace(first, boxed=True) if isinstance(first, Number) else first
    tensors.settle(arguments.values)
    return sources_of(arguments.values) or (Tensor() if name in _MAKES_TENSOR else Unknown(f"torch's {name}"))


_MAKES_TENSOR = frozenset(
    (
        "arange linspace tensor randint eye randperm zeros_like ones_like as_tensor from_numpy rand_like "
        "randn_like multinomial empty_like logspace"
    ).split()
)


def _full_sizes(arguments: Arguments) -> tuple[list[Number], bool]:
    size = arguments.get("size", 0)
    items, complete = iterate(size) if size is not None else ([], False)
    return [as_number(i) for i in items], complete


def method(run: Run, tensor: Tensor, name: str, arguments: Arguments) -> Value:
    """Call a method of a tensor."""
    step = lengths.method(tensor, name, arguments)
    if step is not None:
        tensors.settle((tensor,))
        return step
    shaper = shapes.SHAPERS.get(name)
    if shaper is not None:
        value = shaper(tensor, arguments)
        if tensor.pair is not None and isinstance(value, Tensor):
            dim = number_argument(arguments, "dim", 0)
            is_sum = name == "sum" and dim is not None and dim.whole == -1
            value = replace(value, pair=None, score=tensor.pair if is_sum else None)
        keeps = name == "view" or shapes.is_transposed(tensor, value)
        return value if keeps or not isinstance(value, Tensor) else replace(value, weight=None)
    if name in _CAN_SCALE:
        return _multiply(run, tensor, name, arguments)
    if name in initialisers.METHODS:
        return initialisers.method(run, tensor, name, arguments)
    match name:
        case "requires_grad_":
            modules.set_tensor_attribute(
                tensor, "requires_grad", arguments.get("requires_grad", 0) or Constant(True)
            )
            return tensor
        case "softmax" | "log_softmax":
            return tensors.softmax(run, tensor, arguments.owner)
        case "matmul" | "bmm" | "mm":
            second = arguments.get("mat2", 0) or arguments.get("other") or Unknown()
            return tensors.matmul(run, tensor, second, arguments.site, arguments.owner)
        case "addmm" | "baddbmm":
            return _product_and_sum(run, tensor, arguments)
        case "dim" | "ndimension":
            return UNKNOWN_NUMBER if tensor.open else Number.of(len(tensor.dims))
        case "numel" | "nelement" | "tolist":
            return UNKNOWN_NUMBER
        case "argmax" | "argmin":  # where something is, through which nothing flows
            tensors.settle((tensor,))
            return Tensor()
        case "item":
            return read_off_data(name, arguments.site)
        case "t":
            return shapes._permuted(tensor, -1, -2)
        case "add" | "sub" | "add_" | "sub_" if updates.method(run, tensor, name, arguments):
            return tensor
        case "add" | "sub" | "add_" | "sub_":
            other = arguments.get("other", 0)
            if other is None:
                return tensor
            return tensors.binary(run, "+", tensor, other, arguments.site, arguments.owner)
        case "size":
            return shapes.size(tensor, arguments)
        case "register_hook" | "backward":
            return Constant(None)
        case _ if name in _LINEAR_FUNCTIONS:
            return (
                tensor if name in _KEEPS_SHAPE else replace(tensor, dims=tensor.dims[-1:], open=True, weight=None)
            )
        case _ if name in _ACTIVATIONS:
            return tensors.activation(run, tensor)
        case _:
            return tensors.nonlinear(tensor)


def _product_and_sum(run: Run, tensor: Tensor, arguments: Arguments) -> Value:
    """``torch.addmm(bias, x, weight)``: beta times the tensor and alpha times a product."""
    left = arguments.get("mat1", 0) or arguments.get("batch1") or Unknown()
    right = arguments.get("mat2", 1) or arguments.get("batch2") or Unknown()
    result = tensors.matmul(run, left, right, arguments.site, arguments.owner)
    alpha, beta = number_argument(arguments, "alpha"), number_argument(arguments, "beta")
    if alpha is not None and isinstance(result, Tensor):
        result = tensors.scale(run, result, alpha, arguments.site, arguments.owner)
    if beta is not None and beta.constant == 0:
        return result
    return tensors.binary(run, "+", tensor, result, arguments.site, arguments.owner)


def _multiply(run: Run, tensor: Tensor, name: str, arguments: Arguments) -> Value:
    other = arguments.get("other", 0)
    if isinstance(other, Number | Knob):
        factor = ONE / as_number(other) if _CAN_SCALE[name] else as_number(other)
        if name.endswith("_") and tensor.weight is not None:
            initialisers.rescale(run, tensor, factor, arguments.site)
            return tensor
        return tensors.scale(run, tensor, factor, arguments.site, arguments.owner)
    if other is None:
        return tensor
    return tensors.binary(run, "*", tensor, other, arguments.site, arguments.owner)


# Functions that are no method under the same name


def _parameter(run: Run, arguments: Arguments) -> Value:
    """``nn.Parameter(tensor)``: a new weight, drawn as the tensor was."""
    data = arguments.get("data", 0)
    if not isinstance(data, Tensor):
        return Unknown("a parameter made of an unknown value")
    if data.weight is not None:
        return data
    owner = (run.helper or arguments).owner.partition(".")[0]
    weight = Weight("", arguments.site, owner, data.dims, level=run.uncertainty, arms=run.arms)
    if truth(arguments.get("requires_grad", 1) or Constant(True)) is False:
        weight.frozen = True
    initialisers.record(run, weight, "normal_", arguments.site, data.factor, "fan_in", "torch")
    run.seen.weights.append(weight)
    return Tensor(data.dims, data.open, weight=weight)


def _linear(run: Run, arguments: Arguments) -> Value:
    weight = arguments.get("weight", 1) or Unknown()
    return tensors.linear(run, arguments.get("input", 0) or Unknown(), weight, arguments.site, arguments.owner)


def _embedding(run: Run, arguments: Arguments) -> Value:
    weight = arguments.get("weight", 1)
    if not isinstance(weight, Tensor) or weight.weight is None:
        return sources_of(arguments.values) or Unknown("a lookup in an unknown table")
    if weight.weight.contracted is None:
        weight.weight.contracted, weight.weight.lookup = (), True
    result = tensors.apply_weight(run, weight.weight, Tensor(), (), weight.last, arguments.site, arguments.owner)
    for application in result.sources:
        application.kind = "lookup"
    return replace(result, dims=(weight.last,), open=True)


def _einsum(run: Run, arguments: Arguments) -> Value:
    equation = arguments.get("equation", 0) or Unknown()
    operands = arguments.positional[1:]
    if len(operands) == 1 and isinstance(operands[0], ListValue):
        operands = tuple(operands[0].items)
    return tensors.einsum(run, equation, operands, arguments.site, arguments.owner)


def _matmul(run: Run, arguments: Arguments) -> Value:
    left, right = (
        arguments.get("input", 0) or Unknown(),
        arguments.get("other", 1) or arguments.get("mat2") or Unknown(),
    )
    return tensors.matmul(run, left, right, arguments.site, arguments.owner)


def _cat(run: Run, arguments: Arguments) -> Value:
    del run
    tensors.settle(arguments.values)
    return shapes.concatenate(arguments)


def _stack(run: Run, arguments: Arguments) -> Value:
    del run
    tensors.settle(arguments.values)
    return shapes.stack(arguments)


def _softmax(run: Run, arguments: Arguments) -> Value:
    first = arguments.get("input", 0)
    if isinstance(first, Tensor):
        return tensors.softmax(run, first, arguments.owner)
    return sources_of(arguments.values) or Unknown("a softmax of an unknown value")


def _where(run: Run, arguments: Arguments) -> Value:
    del run
    for value in arguments.positional[1:]:
        if isinstance(value, Tensor) and (value.score or value.linear):
            return value
    return sources_of(arguments.values) or Tensor()


def _sampled(run: Run, arguments: Arguments) -> Value:
    """``torch.multinomial(probabilities, 1)``: what is sampled from is an output of the model."""
    tensors.mark_output(run, arguments.get("input", 0) or Unknown())
    return Tensor()


def _wrapped(run: Run, arguments: Arguments) -> Value:
    """``DistributedDataParallel(model)`` and the like: the model itself."""
    del run
    return arguments.positional[0] if arguments.positional else next(iter(arguments.keywords.values()), Unknown())


def _compiled(run: Run, arguments: Arguments) -> Value:
    value = _wrapped(run, arguments)
    return replace(value, compiled=value.itself) if isinstance(value, ModuleValue) else value


def _checkpoint(run: Run, arguments: Arguments) -> Value:
    inner, *rest = arguments.positional or (Unknown(),)
    return run.call(inner, replace(arguments, positional=tuple(rest), keywords={}))


def _group_norm(run: Run, arguments: Arguments) -> Value:
    first = arguments.get("input", 0)
    for key, position in (("weight", 2), ("bias", 3)):
        value = arguments.get(key, position)
        if isinstance(value, Tensor) and value.weight is not None and isinstance(first, Tensor):
            tensors.elementwise(run, value.weight, first, arguments.site, arguments.owner)
    return tensors.nonlinear(first) if isinstance(first, Tensor) else Tensor()


def _layer_norm(run: Run, arguments: Arguments) -> Value:
    first = arguments.get("input", 0)
    result = _group_norm(run, arguments)
    if not isinstance(first, Tensor) or not isinstance(result, Tensor):
        return result
    return replace(result, norm=Norm(arguments.site, first.last, unit=False))


def _normalize(run: Run, arguments: Arguments) -> Value:
    """``F.normalize(x, dim=-1)``: vectors of length one; other norms are left."""
    del run
    first = arguments.get("input", 0)
    if not isinstance(first, Tensor):
        return sources_of(arguments.values) or Unknown("a normalised unknown value")
    result = tensors.nonlinear(first)
    power, dim = number_argument(arguments, "p", 1), number_argument(arguments, "dim", 2)
    euclidean = power is None or power.whole == 2
    size = lengths.size_along(first, ONE if dim is None else dim)
    if not euclidean or size is None:
        return result
    return replace(result, norm=Norm(arguments.site, size, unit=True))


def _conv(run: Run, arguments: Arguments) -> Value:
    first, weight = arguments.get("input", 0), arguments.get("weight", 1)
    if isinstance(first, Tensor) and isinstance(weight, Tensor) and weight.weight is not None:
        contracted = tuple(range(1, len(weight.weight.dims)))
        rows = weight.dims[0] if weight.dims else UNKNOWN_NUMBER
        result = tensors.apply_weight(run, weight.weight, first, contracted, rows, arguments.site, arguments.owner)
        return replace(result, dims=(), open=True)
    return sources_of(arguments.values) or Unknown("a convolution with an unknown weight")


def _rearrange(run: Run, arguments: Arguments) -> Value:
    del run
    first = arguments.get("tensor", 0)
    return shapes.rearrange(first, arguments) if isinstance(first, Tensor) else Unknown("a rearranged value")


def _einops_einsum(run: Run, arguments: Arguments) -> Value:
    """``einops.einsum(x, y, "b i d, b j d -> b i j")``: operands first, axes with names."""
    *operands, pattern = arguments.positional or (Unknown(),)
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
        tensors.settle(arguments.values)
        return sources_of(arguments.values) or Unknown("an einsum that is not followed")
    letters: dict[str, str] = {"...": "..."}
    for name in re.findall(r"[^\s,>-]+", pattern.value):
        letters.setdefault(name, chr(ord("a") + len(letters)))
    short = re.sub(r"[^\s,>-]+", lambda m: letters[m[0]], pattern.value)
    return tensors.einsum(run, Constant(short), operands, arguments.site, arguments.owner)


def _loss(run: Run, arguments: Arguments) -> Value:
    """``F.cross_entropy(logits, targets)``: its first argument is what a model puts out."""
    first = arguments.get("input", 0)
    if first is not None:
        tensors.mark_output(run, first)
    return sources_of(arguments.values) or Tensor(())


def _chunked(name: str) -> Handler:
    def handler(run: Run, arguments: Arguments) -> Value:
        first = arguments.get("tensor", 0)
        if isinstance(first, Tensor):
            return method(run, first, name, replace(arguments, positional=arguments.positional[1:]))
        return Unknown("parts of an unknown value")

    return handler


_LOSSES = (
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "ctc_loss",
    "gaussian_nll_loss",
)

_SPECIAL: dict[str, Handler] = {
    **dict.fromkeys(_LOSSES, _loss),
    "linear": _linear,
    "embedding": _embedding,
    "scaled_dot_product_attention": attention_calls.fused,
    "multi_head_attention_forward": attention_calls.with_projections,
    "einsum": _einsum,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "spmm": _matmul,
    "cat": _cat,
    "concat": _cat,
    "concatenate": _cat,
    "stack": _stack,
    "softmax": _softmax,
    "gumbel_softmax": _softmax,
    "log_softmax": _softmax,
    "where": _where,
    "multinomial": _sampled,
    "compile": _compiled,
    "checkpoint": _checkpoint,
    "layer_norm": _layer_norm,
    "batch_norm": _group_norm,
    "rms_norm": _layer_norm,
    "normalize": _normalize,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
    "chunk": _chunked("chunk"),
    "split": _chunked("split"),
}

# Qualified names that do not start with torch, or mean something else than the last part says.
NAMED: dict[str, Handler] = {
    "torch.save": checkpoints.save,
    "torch.load": checkpoints.load,
    "torch.autograd.grad": updates.gradients,
    "torch.nn.Parameter": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.nn.parallel.DistributedDataParallel": _wrapped,
    "torch.nn.DataParallel": _wrapped,
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm": _wrapped,
    "torch.jit.script": _wrapped,
    "torch.nn.attention.flex_attention.flex_attention": attention_calls.fused,
    "torch.nn.utils.weight_norm": _wrapped,
    "torch.nn.utils.spectral_norm": _wrapped,
    "torch.nn.utils.parametrizations.weight_norm": _wrapped,
    "torch.nn.utils.parametrizations.spectral_norm": _wrapped,
    "torch.nn.utils.parametrizations.orthogonal": _wrapped,
    "einops.einsum": _einops_einsum,
    "einops.rearrange": _rearrange,
    "flash_attn.flash_attn_func": attention_calls.fused,
    "flash_attn.flash_attn_interface.flash_attn_func": attention_calls.fused,
    "torch.utils.checkpoint.checkpoint": _checkpoint,
}
