"""What happens to models around the mup package: base shapes set, optimizers built, weights loaded, copies made.

The order decides: the package hangs what it knows of each parameter on the parameter itself. Every statement
about it here was observed with release 1.0.0.
"""

from __future__ import annotations

from mulint.program.library.layers import ROWS
from mulint.program.library.modules import named_modules, named_weights
from mulint.program.observations import Observations
from mulint.program.records import Layer, Moment
from mulint.program.run import Arguments, Run, iterate
from mulint.program.training_records import ModelEvent
from mulint.program.values import Constant, ListValue, ModuleValue, Tensor, Value
from mulint.theory import known_names, lookup

_SHAPES = ("model", "base", "rescale_params", "delta", "savefile", "do_assert")
READOUTS = frozenset(name for name, row in ROWS.items() if row.readout)
_OPTIMIZERS = [name for name in known_names() if (family := lookup(name)) and family.width_scaled]
_PARAMETRIZATIONS = "torch.nn.utils.parametrizations."
# The function, the kind of step, and its leading arguments.
_FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mup.set_base_shapes": ("shapes", _SHAPES),
    **dict.fromkeys(_OPTIMIZERS, ("optimizer", ("params",))),
    "copy.deepcopy": ("copy", ("x",)),
    "torch.optim.swa_utils.AveragedModel": ("average", ("model",)),
    "torch.nn.DataParallel": ("data-parallel", ("module",)),
    "torch.nn.parallel.DataParallel": ("data-parallel", ("module",)),
    "torch.nn.utils.weight_norm": ("reparametrise", ("module", "tensor_name")),
    "torch.nn.utils.spectral_norm": ("reparametrise", ("module", "tensor_name")),
    **{
        f"{_PARAMETRIZATIONS}{name}": ("reparametrise", ("module", "tensor_name"))
        for name in ("weight_norm", "spectral_norm", "orthogonal")
    },
    "torch.nn.utils.parametrize.register_parametrization": ("reparametrise", ("module", "tensor_name")),
}
_METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "load_state_dict": ("load", ("state_dict", "strict", "assign")),
    "to_empty": ("empty", ()),
}


def observe_function(run: Run, public: str, arguments: Arguments) -> None:
    """Keep a call of a function, by its public name, that the package depends on."""
    row = _FUNCTIONS.get(public)
    if row is not None:
        kind, signature = row
        given = arguments.bind(signature)
        first = given.get(signature[0])
        model = first.itself if isinstance(first, ModuleValue) else None
        _keep(run, kind, public, arguments, model, given)
        if kind == "reparametrise" and model is not None and model.layer is not None:
            _make(run, model.layer, given.get("tensor_name", given.get("name", Constant("weight"))))


def observe_method(run: Run, model: ModuleValue, name: str, arguments: Arguments) -> None:
    """Keep a call of a model's method that the package depends on."""
    row = _METHODS.get(name)
    if row is not None:
        kind, signature = row
        _keep(run, kind, name, arguments, model.itself, arguments.bind(signature))


def result(name: str, arguments: Arguments) -> Value:
    """What a function of the package returns: ``set_base_shapes`` gives its model back."""
    model = arguments.get("model", 0) if name == "mup.set_base_shapes" else None
    return Constant(None) if model is None else model


def _make(run: Run, layer: Layer, name: Value) -> None:
    """From now on a weight of a layer is made of other parameters."""
    weight = layer.weights.get(str(name.value)) if isinstance(name, Constant) else None
    if weight is not None and run.uncertainty <= weight.level:
        weight.made = True


def _keep(
    run: Run, kind: str, name: str, arguments: Arguments, model: ModuleValue | None, given: dict[str, Value]
) -> None:
    event = ModelEvent(kind, name, arguments.site, run.moment, model, given, arguments.complete)
    run.seen.model_events.append(event)


def precedes(seen: Observations, a: Moment, b: Moment) -> bool:
    """Whether ``a`` may come before ``b`` in one run: the same start, and no arms that exclude each other."""
    taken = dict(a.arms)
    if a.entry != b.entry or a.order >= b.order:
        return False
    if any(taken.get(condition, arm) != arm for condition, arm in b.arms):
        return False
    return not (set(a.arms) - set(b.arms)) & seen.left_arms


def weights_given(params: Value | None) -> frozenset[int]:
    """The identities of the weights in an optimizer's first argument."""
    items, _ = iterate(params) if isinstance(params, ListValue) else ([], False)
    return frozenset(id(i.weight) for i in items if isinstance(i, Tensor) and i.weight is not None)


def weights_of(model: ModuleValue) -> frozenset[int]:
    """The identities of a model's weights."""
    return frozenset(id(tensor.weight) for _, tensor in named_weights(model))


def holds(model: ModuleValue, part: ModuleValue) -> bool:
    """Whether a module is the model or a part of it."""
    return any(inner is part for _, inner in named_modules(model))


def has_readout(model: ModuleValue) -> bool:
    """Whether a model has one of the package's readouts, whose forward pass reads the shapes."""
    return any(inner.layer is not None and inner.layer.type in READOUTS for _, inner in named_modules(model))
