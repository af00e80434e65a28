"""Functions and methods that draw a weight anew: ``torch.nn.init``, in-place methods, tensor factories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mulint.program.dimensions import Dimension
from mulint.program.joining import join
from mulint.program.numbers import ONE, UNKNOWN_NUMBER, Number
from mulint.program.records import InitCall, Weight
from mulint.program.run import Arguments, Run, number_argument
from mulint.program.values import Constant, FunctionValue, Site, Tensor, Value, as_number

# Which argument carries the scale of the entries: (name, position, value when it is not given).
_SCALES: dict[str, tuple[str, int, float]] = {
    "normal_": ("std", 2, 1.0),
    "trunc_normal_": ("std", 2, 1.0),
    "uniform_": ("b", 2, 1.0),
    "constant_": ("val", 1, 0.0),
    "xavier_normal_": ("gain", 1, 1.0),
    "xavier_uniform_": ("gain", 1, 1.0),
    "orthogonal_": ("gain", 1, 1.0),
    "sparse_": ("std", 2, 0.01),
}
_FIXED = {"zeros_": 0.0, "ones_": 1.0, "eye_": 1.0, "dirac_": 1.0}
_FROM_FANS = frozenset({"kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_", "orthogonal_"})
# What a fan of a transposed weight is of the weight itself.
_OTHER = {"fan_in": "fan_out", "fan_out": "fan_in"}
FUNCTIONS = frozenset(_SCALES) | frozenset(_FIXED) | _FROM_FANS
METHODS = frozenset({"normal_", "uniform_", "zero_", "fill_", "copy_", "trunc_normal_"})
FACTORIES = frozenset({"randn", "rand", "zeros", "ones", "empty", "full", "normal", "Tensor", "FloatTensor"})
_UNDRAWN = frozenset({"zeros", "empty", "Tensor", "FloatTensor"})


def call(run: Run, package: str, name: str, arguments: Arguments) -> Value:
    """``init.normal_(tensor, mean, std)`` and its siblings, of torch or of mup."""
    name = name if name.endswith("_") else f"{name}_"
    tensor = arguments.get("tensor", 0)
    scale = _scale(name, arguments, shift=0)
    mode = arguments.get("mode", 2)
    fan = mode.value if isinstance(mode, Constant) and isinstance(mode.value, str) else "fan_in"
    if isinstance(tensor, Tensor) and tensor.weight is not None:
        swapped = tensor.dims != tensor.weight.dims
        record(run, tensor.weight, name, arguments.site, scale, _OTHER.get(fan, fan) if swapped else fan, package)
    return tensor if tensor is not None else Constant(None)


def is_copy(function: FunctionValue) -> bool:
    """Whether a function of the user's may be a copy of torch's."""
    return function.owner is None and function.name in FUNCTIONS


@contextmanager
def copied(run: Run, function: FunctionValue, arguments: Arguments) -> Iterator[None]:
    """What a copy of torch's function in the user's code draws inside counts as a call of torch's."""
    tensor = arguments.get("tensor", 0)
    weight = tensor.weight if isinstance(tensor, Tensor) else None
    if weight is None:
        yield
        return
    draws = len(weight.inits)
    yield
    if len(weight.inits) > draws:
        del weight.inits[draws:]
        call(run, "torch", function.name, arguments)


def method(run: Run, tensor: Tensor, name: str, arguments: Arguments) -> Value:
    """``weight.data.normal_(mean, std)`` and its siblings."""
    if tensor.weight is not None and name != "copy_":
        scale = (
            Number.of(0)
            if name == "zero_"
            else _scale("constant_" if name == "fill_" else name, arguments, shift=-1)
        )
        record(run, tensor.weight, name, arguments.site, scale, "fan_in", "torch")
    return tensor


def rescale(run: Run, tensor: Tensor, factor: Number, site: Site) -> None:
    """``weight.mul_(factor)`` after a draw: the same draw with another scale."""
    weight = tensor.weight
    # By a plain option weights are averaged over time; no power of a width comes in with it.
    if (
        weight is None
        or not weight.inits
        or (factor.constant is None and factor.alternatives and not factor.computed)
    ):
        return
    last = weight.inits[-1]
    record(run, weight, last.function, site, last.std * factor, last.mode, last.origin)


def _scale(name: str, arguments: Arguments, shift: int) -> Number:
    if name in _FIXED:
        return Number.of(_FIXED[name])
    if name not in _SCALES:
        return ONE
    key, position, default = _SCALES[name]
    given = number_argument(arguments, key, position + shift)
    if given is None and name == "uniform_":
        given = number_argument(arguments, "to", position + shift)
    return Number.of(default) if given is None else given


def record(run: Run, weight: Weight, name: str, site: Site, scale: Number, mode: str, package: str) -> None:
    """Write an init to its weight, unless that is made anew at each use."""
    if weight.made:
        return
    certain = run.uncertainty <= weight.level and set(run.arms) <= set(weight.arms)
    weight.inits.append(InitCall(name, site, _either(run, scale), certain, run.moment, mode, package))


def _either(run: Run, scale: Number) -> Number:
    """A scale that an option may give, or what stands in for it (``std or dim ** -0.5``).

    Not where the option only takes part in the scale (``0.02 * (base or width) / width``).
    """
    several = scale
    for size in scale.alternatives:
        for option in size.symbols & run.stand_ins.keys():
            rest, stand_in = Number((size,)) / Number((Dimension.of(option),)), run.stand_ins[option]
            if not rest.symbols & stand_in.symbols:
                several = as_number(join(several, rest * stand_in))
    return several if several.alternatives else scale


def factory(name: str, arguments: Arguments, dims: tuple[Number, ...], complete: bool) -> Tensor:
    """A new tensor; its ``factor`` is the scale of its random entries, so that ``randn(n) * 0.02`` has one."""
    scale = Number.of(0) if name in _UNDRAWN else ONE
    if name in ("full", "ones"):
        value = number_argument(arguments, "fill_value", 1)
        scale = value if name == "full" and value is not None and value.constant == 0 else UNKNOWN_NUMBER
    return Tensor(dims, open=not complete, factor=scale)
