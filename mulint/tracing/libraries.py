"""Models of installed libraries, named as ``transformers:LlamaConfig`` or ``timm:vit_tiny_patch16_224``.

A configuration class of Hugging Face is built with the head it is mostly used with; a factory of models is
understood by the arguments with which it constructs its class.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from mulint.tracing.batches import ROWS, TOKENS, Make
from mulint.tracing.blueprints import Blueprint
from mulint.tracing.constants import constructing
from mulint.tracing.leaves import by_part, changed, leaves
from mulint.tracing.loading import describe, describe_briefly
from mulint.tracing.model import CannotBuild

SAMPLES = 4000
# Which head a configuration is built with, the likeliest first; without any of them the bare model.
HEADS = (
    "AutoModelForSpeechSeq2Seq",
    "AutoModelForSeq2SeqLM",
    "AutoModelForMaskedLM",
    "AutoModelForCausalLM",
    "AutoModelForZeroShotImageClassification",
    "AutoModelForImageClassification",
    "AutoModelForCTC",
    "AutoModel",
)


def load(module: str, name: str, root: Path) -> Any:
    """What a reference ``module:name`` stands for: an attribute of the module, or a model that it creates by name.

    Raises:
        CannotBuild: the module is not installed, or has no such name.
    """
    for folder in (root, root / "src"):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise CannotBuild(f"{module} cannot be imported: {describe(error, root)}") from error
    if callable(getattr(found, "is_model", None)) and found.is_model(name):
        return partial(found.create_model, name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise CannotBuild(f"{module} has no {name}; name a class, a factory or a configuration class of it")
        found = getattr(found, part)
    return found


def is_known(target: Any) -> bool:
    """A configuration, a model with one, or a factory; other classes are built as from a file."""
    return _configuration(target) is not None or not isinstance(target, type)


def blueprint(target: Any, name: str) -> Blueprint:
    """How to build a model of a library with other sizes.

    Raises:
        CannotBuild: it cannot be built with its own defaults.
    """
    config = _configuration(target)
    if config is not None:
        return _of_configuration(target, config, name)
    return _of_constructor(target, name)


def _configuration(target: Any) -> type | None:
    if not isinstance(target, type):
        return None
    config = getattr(target, "config_class", None) if issubclass(target, nn.Module) else target
    return config if isinstance(config, type) and hasattr(config, "model_type") else None


def _of_configuration(target: type, config: type, name: str) -> Blueprint:
    try:
        default = config()
        model = target if issubclass(target, nn.Module) else _with_head(config)
    except CannotBuild:
        raise
    except Exception as error:
        raise CannotBuild(f"{name} has no usable defaults: {describe_briefly(error)}; write a case") from error
    defaults = dict(leaves(_fields(default)))

    def make(values: Mapping[str, Any]) -> nn.Module:
        changes = {key: value for key, value in values.items() if value is not defaults[key]}
        return _steady(model(config(**_overrides(default, changes))))

    return Blueprint(name, defaults, make, (f"{name} builds {model.__name__}",))


def _overrides(config: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for what changes; in nested configurations too, so that the rest is computed anew."""
    found = {}
    for key, inner in by_part(changes).items():
        value = getattr(config, key)
        found[key] = _overrides(value, inner) if _is_configuration(value) else changed(value, inner)
    return found


def _is_configuration(value: object) -> bool:
    return hasattr(type(value), "model_type")


def _fields(config: Any) -> dict[str, Any]:
    """The settings of a configuration, nested configurations as dictionaries."""
    skipped = ("id2label", "label2id", "transformers_version")
    own = {key: value for key, value in vars(config).items() if not key.startswith("_") and key not in skipped}
    return {key: _fields(value) if _is_configuration(value) else value for key, value in own.items()}


def _with_head(config: type) -> type[nn.Module]:
    package = importlib.import_module(config.__module__.partition(".")[0])
    for head in HEADS:
        mapping = getattr(getattr(package, head, None), "_model_mapping", {})
        if config in mapping:
            found = mapping[config]
            model: type[nn.Module] = found[0] if isinstance(found, tuple) else found
            return model
    raise CannotBuild(f"no model is known for {config.__name__}; name the model's class instead")


def _of_constructor(target: Callable[..., Any], name: str) -> Blueprint:
    """A class, or a factory by the class it constructs: settings are the arguments the class receives."""
    try:
        with constructing("meta"), _constructed() as calls:
            model = target()
    except Exception as error:
        raise CannotBuild(f"{name} cannot be built: {describe_briefly(error)}; write a case") from error
    if not isinstance(model, nn.Module):
        raise CannotBuild(
            f"{name} returned {type(model).__name__}; name a model class, a factory or a configuration"
        )
    arguments = calls.get(id(model), {})
    kind = type(model)
    defaults = dict(leaves(arguments))
    described = getattr(model, "pretrained_cfg", None)

    def make(values: Mapping[str, Any]) -> nn.Module:
        changes = {key: value for key, value in values.items() if value is not defaults[key]}
        made = kind(**changed(copy.deepcopy(arguments), changes))
        if described is not None:
            made.pretrained_cfg = described  # the size of pictures, which the factory knows and the class may not
        return _steady(made)

    return Blueprint(name, defaults, make, (f"{name} builds {kind.__name__}",))


def inputs(model: nn.Module) -> Iterator[tuple[str, Make]]:
    """Batches by what a model says of its inputs: timm's of their size, Hugging Face's of their names."""
    described = getattr(model, "pretrained_cfg", None)
    size = described.get("input_size") if isinstance(described, dict) else getattr(described, "input_size", None)
    if isinstance(size, tuple):
        text = f"a batch of random images, {' x '.join(map(str, (ROWS, *size)))}"
        yield text, lambda generator: ((torch.randn(ROWS, *size, generator=generator),), {})
    yield from _by_name(model)


def _by_name(model: nn.Module) -> Iterator[tuple[str, Make]]:
    main, config = getattr(model, "main_input_name", None), getattr(model, "config", None)
    if main is None or config is None:
        return
    parts = [config, *(part for part in vars(config).values() if _is_configuration(part))]
    taken = inspect.signature(model.forward).parameters

    def setting(*names: str, default: Any) -> Any:
        found = (getattr(part, name, None) for name in names for part in parts)
        return next((value for value in found if value is not None), default)

    def tokens(generator: torch.Generator) -> Tensor:
        length = min(TOKENS, setting("max_position_embeddings", "n_positions", default=TOKENS))
        return torch.randint(3, setting("vocab_size", default=256), (ROWS, length), generator=generator)

    def images(generator: torch.Generator) -> Tensor:
        side = setting("image_size", default=64)
        height, width = side if isinstance(side, list | tuple) else (side, side)
        return torch.randn(ROWS, setting("num_channels", default=3), height, width, generator=generator)

    def frames(generator: torch.Generator) -> Tensor:
        bands, length = setting("num_mel_bins", default=80), 2 * setting("max_source_positions", default=500)
        return torch.randn(ROWS, bands, length, generator=generator)

    def waves(generator: torch.Generator) -> Tensor:
        return torch.randn(ROWS, SAMPLES, generator=generator)

    makers: dict[str, Callable[[torch.Generator], Tensor]] = {
        "input_ids": tokens,
        "decoder_input_ids": tokens,
        "pixel_values": images,
        "input_features": frames,
        "input_values": waves,
    }
    both = [name for name in ("input_ids", "pixel_values") if name in taken]
    names = both if len(both) == 2 and len(parts) > 1 else [main]
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in taken:
        names = [*names, "decoder_input_ids"]
    if all(name in makers for name in names):
        text = f"a random batch of {', '.join(names)}"
        yield text, lambda generator: ((), {name: makers[name](generator) for name in names})


@contextmanager
def _constructed() -> Iterator[dict[int, dict[str, Any]]]:
    """The arguments of the constructor of every module, by its identity."""
    calls: dict[int, dict[str, Any]] = {}
    initialise = nn.Module.__init__

    def initialised(module: nn.Module, *arguments: object, **keywords: object) -> None:
        found = _given(module, sys._getframe(1))
        if found is not None:
            with suppress(TypeError):  # of a layer that takes a generator; no factory's model does
                calls[id(module)] = copy.deepcopy(found)  # some take them apart
        initialise(module, *arguments, **keywords)

    nn.Module.__init__ = initialised  # type: ignore[method-assign, assignment]
    try:
        yield calls
    finally:
        nn.Module.__init__ = initialise  # type: ignore[method-assign]


def _given(module: nn.Module, frame: FrameType | None) -> dict[str, Any] | None:
    """What the constructor of a module received; of one that only passes it on, what its base received."""
    constructors = {getattr(vars(one).get("__init__"), "__code__", None): one for one in type(module).__mro__}
    found = None
    while frame is not None and frame.f_code in constructors:
        if frame.f_locals.get(frame.f_code.co_varnames[0]) is not module:
            break
        parameters = list(inspect.signature(constructors[frame.f_code]).parameters.values())
        if any(one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
            found = _arguments(parameters, frame.f_locals)
        frame = frame.f_back
    return found


def _arguments(parameters: Iterable[inspect.Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(values.get(parameter.name, {}))
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            found[parameter.name] = values[parameter.name]
    return found


def _steady(model: nn.Module) -> nn.Module:
    """In evaluation mode, where no layer is dropped at random; normalisation by batch as in training."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    return model
