"""From a target to a builder: a case function is called, a class is constructed by mulint itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mulint.case import Case
from mulint.tracing import batches, blueprints, cases, knobs, libraries, optimizers, sizing, structure
from mulint.tracing.bases import Bases
from mulint.tracing.constants import constructing
from mulint.tracing.loading import describe, load
from mulint.tracing.model import Builder, Built, CannotBuild
from mulint.tracing.request import Request

LOSS = "dropout is off; the loss is what forward returns as a scalar, else computed from its output"
LARGEST = 200_000_000  # parameters of a library's model that real numbers are made for
CASE_WIDTHS = (64.0, 128.0, 256.0, 512.0)
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """A builder, and what to say about how it was found.

    ``based``: the same model with its base held at a width, or left out (None). ``base_settings``: the names
    of the settings that hold the base and are otherwise left out.
    """

    builder: Builder
    base: dict[str, float]
    held: dict[str, Any]
    assumptions: tuple[str, ...]
    based: Callable[[float | None], Builder]
    base_settings: Callable[[], tuple[str, ...]]


def plan(request: Request) -> Plan:
    """Load the target and find out how to build it at several widths.

    Raises:
        CannotBuild: see the message; nothing of mulint is at fault.
    """
    root = Path(request.root)
    if request.dtype not in DTYPES:
        raise CannotBuild(f"--dtype {request.dtype} is not known; choose one of {', '.join(DTYPES)}")
    if request.module:
        target = libraries.load(request.module, request.name, root)
    else:
        target = load(Path(request.file), request.name, root)
    if not callable(target):
        raise CannotBuild(f"{request.name} is {type(target).__name__}; name a case function or a model class")
    if _is_case(target):
        return of_case(target, request)
    return _class_plan(target, request, root)


def _dtype(request: Request) -> torch.dtype | None:
    return None if request.dtype == "float32" else DTYPES[request.dtype]


def _is_case(target: Callable[..., Any]) -> bool:
    """A plain function with one argument is a case function; classes and factories take settings."""
    if isinstance(target, type):
        return False
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return False
    returned = signature.return_annotation
    if returned is Case or str(returned).rpartition(".")[2].strip("'\"") == "Case":
        return True
    parameters = list(signature.parameters.values())
    if len(parameters) != 1 or parameters[0].kind in (
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    ):
        return False
    return parameters[0].default is inspect.Parameter.empty and parameters[0].name not in blueprints.CONFIG_NAMES


def of_case(target: Callable[..., Any], request: Request) -> Plan:
    """How to build a case function at several widths.

    Raises:
        CannotBuild: the request sets sizes, which a case function does itself.
    """
    root = Path(request.root)
    for flag, given in (("--knob", request.knobs), ("--follow", request.follow), ("--set", request.settings)):
        if given:
            raise CannotBuild(
                f"{flag} is for model classes; {request.name} is a case function and sets its own sizes"
            )
    widths = _continued(request.widths) or CASE_WIDTHS
    inner = cases.from_case(_whole(target), widths, _dtype(request))
    known = Bases()

    def based(width: float | None) -> Builder:
        plain = Builder(widths, _told(inner.build, root))
        if width is None:
            return plain
        plain.build(width, 0, torch.device(request.device))  # imports what the case imports
        known.watch(root)
        known.learn(lambda: plain.build(width, 0, torch.device(request.device)))
        return Builder(widths, lambda *arguments: known.fill(lambda: plain.build(*arguments)))

    base = request.base or {"width": widths[0]}
    said = () if request.base else (f"the base is the smallest width, {widths[0]:g}",)
    builder = based(next(iter(base.values())) if request.fill_base else None)
    return Plan(builder, base, {}, said, based, lambda: known.names)


def _whole(target: Callable[..., Any]) -> Callable[[float], Any]:
    """Case functions get whole widths as integers, as a user would pass them."""
    return lambda width: target(int(width) if float(width).is_integer() else width)


def _continued(widths: tuple[float, ...]) -> tuple[float, ...]:
    """At least three widths: two are continued by their ratio, one is doubled twice."""
    if not widths:
        return ()
    found = tuple(sorted(widths))
    if len(found) == 1:
        return (found[0], found[0] * 2, found[0] * 4)
    if len(found) == 2:
        return (*found, found[1] * found[1] / found[0])
    return found


def _told(
    build: Callable[[float, int, torch.device], Built], root: Path
) -> Callable[[float, int, torch.device], Built]:
    """The user's exceptions as one line. What else goes wrong the worker reports as mulint's own."""

    def guarded(doing: str, function: Callable[..., T]) -> Callable[..., T]:
        def call(*arguments: Any) -> T:
            try:
                return function(*arguments)
            except CannotBuild:
                raise
            except Exception as error:
                raise CannotBuild(f"{doing}: {describe(error, root)}") from error

        return call

    def told(width: float, seed: int, device: torch.device) -> Built:
        built = guarded(f"the model cannot be built at width {width:g}", build)(width, seed, device)
        return replace(
            built,
            loss=guarded(f"the loss cannot be computed at width {width:g}", built.loss),
            optimizer=built.optimizer and guarded("the optimizer cannot be built", built.optimizer),
            scheduler=built.scheduler and guarded("the scheduler cannot be built", built.scheduler),
            inference=built.inference and guarded("the inference path cannot be run", built.inference),
        )

    return told


def _class_plan(target: Callable[..., Any], request: Request, root: Path) -> Plan:
    if request.module and libraries.is_known(target):
        return _library_plan(libraries.blueprint(target, request.name), request)
    blueprint = blueprints.blueprint(target, request.name)
    values, said = knobs.fixed_settings(blueprint, request.settings)
    settings, said_of_knobs = sizing.find(blueprint, values, request.knobs, request.follow)
    widths = _continued(request.widths) or sizing.widths(blueprint, settings, values)
    given = {name: int(size) if size.is_integer() else size for name, size in request.base.items()}
    at_base = {**settings.at(request.base.get(settings.knobs[0], widths[0])), **given}
    with_base, said_of_base = knobs.based(settings, at_base)
    device = torch.device(request.device)
    try:
        first = _construct(blueprint, with_base.at(widths[0]), widths[0], root, device)
    except CannotBuild as refusal:
        settings, with_base, said_of_choice = _without_a_choice(
            blueprint, settings, with_base, request, widths[0], refusal
        )
        said = [*said, said_of_choice]
        first = _construct(blueprint, with_base.at(widths[0]), widths[0], root, device)
    recipe = batches.recipe(first, with_base.at(widths[0]), lambda error: describe(error, root))
    file = Path(request.file or inspect.getfile(target))
    optimizer = optimizers.find(target, file, root, device.type)
    assumptions = [*blueprint.assumptions, *said_of_knobs, *said_of_base, *said, *recipe.assumptions]
    assumptions.append(LOSS)
    assumptions += (
        optimizer.assumptions if optimizer else ["no optimizer was found: learning rates are not judged"]
    )
    if not request.base:
        assumptions.append(f"the base is the smallest width, {settings.knobs[0]} = {widths[0]:g}")

    builder = _class_builder(blueprint, recipe, optimizer, widths, request)
    base = request.base or {name: float(size) for name, size in settings.sizes(widths[0]).items()}
    held = {name: value for name, value in with_base.fixed.items() if isinstance(value, bool | int | float | str)}
    return Plan(
        builder(with_base),
        base,
        held,
        tuple(assumptions),
        lambda width: builder(settings if width is None else knobs.based(settings, settings.at(width))[0]),
        lambda: tuple(name for name, value in settings.fixed.items() if with_base.fixed[name] is not value),
    )


def _library_plan(blueprint: blueprints.Blueprint, request: Request) -> Plan:
    """A model that a library's name stands for, at the first choice of sizes that can be built and run."""
    if request.follow:
        raise CannotBuild(
            f"--follow is for model classes; the sizes of {request.name} are found, or --knob names them"
        )
    refusal: CannotBuild | None = None
    for choice in structure.find(blueprint, request.settings, request.knobs):
        widths = _continued(request.widths) or choice.widths
        try:
            recipe = _library_recipe(blueprint, choice.shallow, widths, request)
        except CannotBuild as error:
            refusal = error  # of the last choice, which is nearest to the model as it is
            continue
        settings = choice.settings
        said = (*blueprint.assumptions, *choice.said, *recipe.assumptions, LOSS, "learning rates are not judged")
        builder = _class_builder(blueprint, recipe, None, widths, request)(settings)
        base = request.base or {name: float(size) for name, size in settings.sizes(widths[0]).items()}
        # Of a library's many settings those that were chosen.
        held = {name: value for name, value in settings.fixed.items() if value is not blueprint.defaults[name]}
        return Plan(builder, base, held, said, partial(_unbased, builder), lambda: ())
    raise refusal or CannotBuild(f"{blueprint.name} cannot be built at several widths; name them with --widths")


def _unbased(builder: Builder, _: float | None) -> Builder:
    """A library's model knows of no base."""
    return builder


def _library_recipe(
    blueprint: blueprints.Blueprint, settings: knobs.Settings, widths: tuple[float, ...], request: Request
) -> batches.Recipe:
    """A batch that goes through at two widths, on meta, which needs no memory; else with real numbers."""
    refusal: CannotBuild | None = None
    root = Path(request.root)
    for device in ("meta", request.device):
        if refusal and _size_on_meta(blueprint, settings.at(widths[1])) > LARGEST:
            break
        try:
            for width in widths[1::-1]:
                model = _construct(blueprint, settings.at(width), width, root, torch.device(device))
                recipe = batches.recipe(
                    model, settings.at(width), lambda error: describe(error, root), libraries.inputs(model)
                )
        except CannotBuild as error:
            refusal = error
            continue
        return recipe
    assert refusal is not None
    raise refusal


def _size_on_meta(blueprint: blueprints.Blueprint, values: Mapping[str, Any]) -> int:
    with constructing("meta"):
        return sum(parameter.numel() for parameter in blueprint.make(values).parameters())


def _class_builder(
    blueprint: blueprints.Blueprint,
    recipe: batches.Recipe,
    optimizer: optimizers.Found | None,
    widths: tuple[float, ...],
    request: Request,
) -> Callable[[knobs.Settings], Builder]:
    def builder(settings: knobs.Settings) -> Builder:
        def build(width: float, seed: int, device: torch.device) -> Built:
            model = _quiet(cases.made(lambda: blueprint.make(settings.at(width)), seed, device))
            dtype = _dtype(request)
            model = model.to(device) if dtype is None else model.to(device, dtype)
            return Built(
                width=width,
                seed=seed,
                model=model,
                batch=cases.moved(recipe.batch(seed), device, dtype),
                loss=_loss,
                optimizer=optimizer.build if optimizer else None,
                inference=_inference,
            )

        return Builder(widths, _told(build, Path(request.root)))

    return builder


def _without_a_choice(
    blueprint: blueprints.Blueprint,
    settings: knobs.Settings,
    with_base: knobs.Settings,
    request: Request,
    width: float,
    refusal: CannotBuild,
) -> tuple[knobs.Settings, knobs.Settings, str]:
    """A named preset may not be combined with sizes of one's own: leave out the one that stands in the way.

    Raises:
        CannotBuild: the refusal, if no setting that is a name is the reason.
    """
    for name, value in settings.fixed.items():
        if not isinstance(value, str) or name in request.settings:
            continue
        without = replace(with_base, fixed={**with_base.fixed, name: None})
        try:
            cases.seed_everything(0)
            blueprint.make(without.at(width))
        except Exception:
            continue
        said = f"{name} = None (default {value!r}), because the model cannot be built with it"
        return replace(settings, fixed={**settings.fixed, name: None}), without, said
    raise refusal


def _construct(
    blueprint: blueprints.Blueprint, values: Mapping[str, Any], width: float, root: Path, device: torch.device
) -> nn.Module:
    try:
        model = cases.made(lambda: blueprint.make(values), 0, device)
    except Exception as error:
        raise CannotBuild(
            f"{blueprint.name} cannot be built at width {width:g}: {describe(error, root)}; "
            "pass --knob, --follow or --set, or write a case"
        ) from error
    if not isinstance(model, nn.Module):
        raise CannotBuild(
            f"{blueprint.name} returned {type(model).__name__}; "
            "a case function returns mulint.Case, a model class or factory a torch.nn.Module"
        )
    return _quiet(model.to(device))


def _quiet(model: nn.Module) -> nn.Module:
    """Without dropout two runs with the same weights agree."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            module.dropout = 0.0
    return model


def _loss(model: nn.Module, batch: Any) -> Tensor:
    arguments, keywords = batch
    return batches.loss_of(model(*arguments, **keywords), batch)


def _inference(model: nn.Module, batch: Any) -> Tensor:
    """The model's main output for the same batch without its targets."""
    arguments, keywords = batch
    given = {name: value for name, value in keywords.items() if name not in batches.TARGETS}
    return batches.main_output(model(*arguments, **given))
