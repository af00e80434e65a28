"""Steps of a training script that a transfer of hyperparameters depends on, whatever model they are about."""

from __future__ import annotations

import re
from functools import cache

from mulint.program.run import Arguments, Run
from mulint.program.training_records import Practice
from mulint.program.values import Constant, External, Value, as_number

_AUTOCAST = {
    "torch.autocast": ("device_type", "dtype"),
    "torch.amp.autocast": ("device_type", "dtype"),
    "torch.cuda.amp.autocast": ("enabled", "dtype"),
}
_SCALERS = frozenset({"torch.amp.GradScaler", "torch.cuda.amp.GradScaler", "torch.GradScaler"})
_LOADERS = frozenset({"torch.utils.data.DataLoader", "torch.utils.data.dataloader.DataLoader"})
_DROPOUTS = ("", "1d", "2d", "3d")
# The argument that says how much a model is regularised, and its position.
_REGULARISATION: dict[str, tuple[str, int | None]] = {
    **{f"torch.nn.Dropout{dims}": ("p", 0) for dims in _DROPOUTS},
    **{f"torch.nn.{name}": ("p", 0) for name in ("AlphaDropout", "FeatureAlphaDropout")},
    **{f"torch.nn.functional.dropout{dims}": ("p", 1) for dims in _DROPOUTS},
    "torch.nn.functional.scaled_dot_product_attention": ("dropout_p", 4),
    "torch.nn.CrossEntropyLoss": ("label_smoothing", None),
    "torch.nn.functional.cross_entropy": ("label_smoothing", None),
}
_CHECK = "mup.get_coord_data"
_SIGNATURE = ("models", "dataloader", "optimizer", "lr", "mup")
# Models, not tokenizers or configurations.
_PRETRAINED = re.compile(r"transformers\.(.+\.)?(AutoModel\w*|\w+Model|\w+For[A-Z]\w+)\.from_pretrained")
_HALF = frozenset({"torch.float16", "torch.half"})


def observe_function(run: Run, public: str, arguments: Arguments) -> None:
    """Keep a call of a library's function, by its public name, that changes what a check or a transfer can say."""
    if public in _AUTOCAST:
        given = arguments.bind(_AUTOCAST[public])
        if _is_half(public, given):
            _keep(run, "half-precision", public, arguments, given)
    elif public in _SCALERS:
        _keep(run, "loss-scaling", public, arguments, {})
    elif public == _CHECK:
        _keep(run, "coordinate-check", public, arguments, arguments.bind(_SIGNATURE))
    elif public in _REGULARISATION:
        name, position = _REGULARISATION[public]
        value = arguments.get(name, position)
        if value is not None and as_number(value).symbols:
            _keep(run, "regularisation", name, arguments, {name: value})
    elif public in _LOADERS:
        _keep(run, "loader", public, arguments, arguments.bind(("dataset", "batch_size")))
    elif _is_pretrained(public):
        _keep(run, "pretrained", public, arguments, {})


def observe_step(run: Run, arguments: Arguments) -> None:
    """Keep a call of ``optimizer.step()``: how often it happens, and whether it surely does each time."""
    _keep(run, "step", "step", arguments, {"times": run.repeats, "certain": Constant(not run.uncertainty)})


def observe_method(run: Run, name: str, arguments: Arguments) -> None:
    """Keep a call of ``model.half()``."""
    if name == "half":
        _keep(run, "half-precision", "half", arguments, {})


@cache
def _is_pretrained(name: str) -> bool:
    return _PRETRAINED.fullmatch(name) is not None


def _is_half(name: str, given: dict[str, Value]) -> bool:
    """Whether autocast runs in float16, which is what it does on CUDA if nothing is said."""
    if given.get("enabled") == Constant(False):
        return False
    dtype = given.get("dtype")
    if dtype is None or dtype == Constant(None):
        return name == "torch.cuda.amp.autocast" or given.get("device_type") == Constant("cuda")
    return isinstance(dtype, External) and dtype.name in _HALF


def _keep(run: Run, kind: str, name: str, arguments: Arguments, given: dict[str, Value]) -> None:
    run.seen.practices.append(Practice(kind, name, arguments.site, given))
