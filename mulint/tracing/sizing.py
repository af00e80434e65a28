"""Which settings of a class of the user's own are its width, and at which widths to build it.

What a setting is, its name says first. What it does is seen by building the model with twice its value: a width
makes some layer produce more and some layer take in more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mulint.tracing.blueprints import MISSING, Blueprint
from mulint.tracing.knobs import (
    CONTEXTS,
    COUNTS,
    FACTORS,
    FEATURES,
    HEAD_SIZES,
    HEADS,
    HEAVY,
    INPUTS,
    LAYERS,
    LEAST,
    NARROW,
    OTHER,
    REQUIRED,
    SMALLEST,
    SMALLEST_HEAD,
    TOKENS,
    WIDTH,
    Settings,
    bare_name,
    is_size,
    parsed,
)
from mulint.tracing.leaves import leaves
from mulint.tracing.model import CannotBuild
from mulint.tracing.trials import Effect, Search, Trial

CASE = "def case(width) -> mulint.Case"
FEWEST = 8  # smaller numbers count something
TRIES = 4  # how often the smallest width is doubled until the model can be built


def find(
    plan: Blueprint, values: Mapping[str, Any], asked: tuple[str, ...], follow: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """The knobs, and the settings that go with them.

    Raises:
        CannotBuild: no setting is a width, or a name is unknown.
    """
    if not plan.defaults:
        raise CannotBuild(f"{plan.name} has no settings, so its width cannot change; write a case: {CASE}")
    known = dict(_numbers(values))
    for name in (*asked, *follow):
        if name not in plan.defaults and name not in known:
            raise CannotBuild(f"{plan.name} has no setting {name}; it has {', '.join(plan.defaults)}")
    named = [name for name in known if name not in follow and WIDTH.fullmatch(bare_name(name))]
    # None stands for "computed" beside a width that is given, for "to be chosen" where none is.
    sized = [name for name in named if is_size(known[name])]
    names = _each(asked, known) or tuple(sized or (name for name in named if known[name] is None))
    base = dict(values)
    for name in names:
        if known[name] in (MISSING, None):
            base[name] = known[name] = SMALLEST
        if not is_size(known[name]):
            raise CannotBuild(f"{name} = {known[name]!r} is not one size; write a case that sets it: {CASE}")
    said: list[str] = []
    trial = _trial(plan, base, known)
    if not asked and trial is not None:
        names, said = _seen(trial, names, follow)
    if not names:
        raise CannotBuild(_nothing(plan, trial))
    settings = _settings(base, known, names, follow)
    return settings, [*_said(settings, follow), *said]


def widths(plan: Blueprint, settings: Settings, values: Mapping[str, Any]) -> tuple[float, ...]:
    """Four widths, each twice the one before, that every head count divides."""
    heads = [
        value for name, value in _numbers(settings.fixed) if HEADS.fullmatch(bare_name(name)) and _is_count(value)
    ]
    default = dict(_numbers(values)).get(settings.knobs[0])
    if isinstance(default, float):
        return tuple(default * 2**i for i in range(4))
    smallest = SMALLEST if not isinstance(default, int) or default >= SMALLEST else SMALLEST // 2
    together = math.lcm(*heads)
    per_head = max(SMALLEST_HEAD, 2 ** math.ceil(math.log2(max(1.0, smallest / together))))
    parts = math.lcm(*(ratio.denominator for ratio in settings.ratios.values()))
    unit = math.lcm(together * per_head if heads else 1, parts)
    start = unit * 2 ** math.ceil(math.log2(max(1.0, smallest / unit)))
    divides = math.lcm(together * SMALLEST_HEAD if heads else 1, parts)
    lowest = start
    while lowest // 2 >= LEAST and lowest // 2 % divides == 0 and _is_heavy(plan, settings, lowest):
        lowest //= 2
    ladders = [tuple(float(lowest * 2 ** (i + more)) for i in range(4)) for more in range(TRIES)]
    if lowest == start and len(set(settings.ratios.values())) == 1:
        return ladders[0]
    # Beside the widest layers others may be too narrow, as for the groups of a normalisation.
    return next((ladder for ladder in ladders if _is_built(plan, settings, ladder)), ladders[0])


def _is_heavy(plan: Blueprint, settings: Settings, smallest: int) -> bool:
    """Whether the matrices of the widest model are more than a quick training can have; no without meta."""
    ends = [Search(replace(plan, defaults=settings.at(width))).build({}) for width in (smallest, 8 * smallest)]
    return ends[0] is not None and ends[1] is not None and ends[0].matrices(ends[1]) > HEAVY


def _is_built(plan: Blueprint, settings: Settings, ladder: tuple[float, ...]) -> bool:
    tried = (replace(plan, defaults=settings.at(width)) for width in ladder[:2])
    return all(Search(one, real=True).build({}) is not None for one in tried)


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every setting that is one value, and every number in those that are lists, with its path."""
    for name, value in values.items():
        if isinstance(value, list | tuple | dict):
            yield from ((path, leaf) for path, leaf in leaves(value, name) if _is_count(leaf))
        else:
            yield name, value


def _each(asked: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, ...]:
    """The knobs that were asked for; of a list all of its numbers."""
    found = []
    for name in asked:
        inside = [path for path in known if path.startswith(f"{name}.")]
        if name not in known and not inside:
            raise CannotBuild(f"{name} holds no number that could be a width; write a case that sets it: {CASE}")
        found += [name] if name in known else inside
    return tuple(found)


def _trial(plan: Blueprint, base: Mapping[str, Any], known: Mapping[str, Any]) -> Trial | None:
    """The model as it is, to see what becomes of it; nothing where it cannot be built as it is."""
    search = Search(replace(plan, defaults=base), real=True)
    before = search.build({})
    return None if before is None else Trial(search, {}, known, before)


def _seen(trial: Trial, names: tuple[str, ...], follow: Mapping[str, str]) -> tuple[tuple[str, ...], list[str]]:
    """Of the settings with the name of a width those that are one, and others that behave like one."""
    known = trial.numbers
    kept = [name for name in names if _may_be_width(trial.effect(name))]
    inputs = any(INPUTS.fullmatch(bare_name(name)) for name in known)
    others = [
        name
        for name, value in known.items()
        if name not in names and name not in follow and _is_count(value) and value >= FEWEST
        if not _is_other(bare_name(name), named_inputs=inputs)
    ]
    effects = {name: trial.effect(name) for name in others}
    alike = [name for name in others if effects[name].is_width]
    narrow = [name for name in alike if NARROW.fullmatch(bare_name(name))]
    found = [*kept, *(name for name in alike if name not in narrow)]
    held = narrow if found else []
    if not found:
        both = narrow or [name for name in others if len(effects[name].sides) > 1]
        found = [name for name in both if not COUNTS.fullmatch(bare_name(name))] or both
    lists = {name.rpartition(".")[0] for name in found} - {""}
    # One number of a list may not change alone, as where a shortcut is a layer only between different sizes.
    found += [name for name in others if name.rpartition(".")[0] in lists and effects[name].axes is None]
    found += _alike(trial, found, [name for name in others if effects[name].axes is None])
    more = "".join(f" --knob {name}" for name in found)
    said = [
        f"{name} = {known[name]} is held while the width grows;{more} --knob {name} lets it grow" for name in held
    ]
    return tuple(found), said


def _alike(trial: Trial, found: list[str], stuck: list[str]) -> list[str]:
    """The numbers equal to a width without which it cannot grow, as residual connections ask for one size."""
    if not found or trial.doubled(found) is not None:
        return []
    sizes = {trial.numbers[name] for name in found}
    equal = [name for name in stuck if trial.numbers[name] in sizes and name not in found]
    groups = (*([name] for name in equal), equal)
    return next((group for group in groups if group and trial.doubled([*found, *group]) is not None), [])


def _nothing(plan: Blueprint, trial: Trial | None) -> str:
    """What to do where no setting is a width; what layers only take in, or only produce, is not worth a try."""
    sizes = [name for name, value in trial.numbers.items() if is_size(value)] if trial else []
    sizes = [name for name in sizes if trial and trial.effect(name).sides not in ({"in"}, {"out"})]
    way = f"name one with --knob ({', '.join(sizes)}), or " if sizes else ""
    return (
        f"no setting of {plan.name} was recognised as its width; {way}write a case ({CASE}), "
        "after giving sizes that are written in its code an argument"
    )


def _may_be_width(effect: Effect) -> bool:
    """Not what changes nothing, nor what layers only take in, as channels of a picture."""
    return effect.axes is None or (bool(effect.axes) and effect.sides != {"in"})


def _is_other(name: str, *, named_inputs: bool) -> bool:
    """Whether a name says that a number is no width of layers."""
    if named_inputs and FEATURES.fullmatch(name):
        return False
    kinds = (HEADS, HEAD_SIZES, LAYERS, TOKENS, CONTEXTS, OTHER, FACTORS, *(pattern for pattern, _ in REQUIRED))
    return any(pattern.fullmatch(name) for pattern in kinds)


def _settings(
    base: Mapping[str, Any], known: Mapping[str, Any], names: tuple[str, ...], follow: Mapping[str, str]
) -> Settings:
    if any("." in name for name in names):  # of a list the widest, so that the others are not too wide
        names = tuple(sorted(names, key=lambda name: -known[name]))
    expressions = {name: parsed(name, text) for name, text in follow.items()}
    first = Fraction(known[names[0]])
    ratios = {name: Fraction(known[name]) / first for name in names}
    fixed = {name: value for name, value in base.items() if name not in ratios and name not in expressions}
    return Settings(names, fixed, ratios, expressions)


def _said(settings: Settings, follow: Mapping[str, str]) -> list[str]:
    names = settings.knobs
    said = [f"the width is {names[0]}" + "".join(f", and {name} grows with it" for name in names[1:])]
    numbers = dict(_numbers(settings.fixed))
    heads = {
        name: value for name, value in numbers.items() if HEADS.fullmatch(bare_name(name)) and _is_count(value)
    }
    said += [f"{name} = {value} is held while the width grows" for name, value in heads.items()]
    sizes = {
        name: value for name, value in numbers.items() if HEAD_SIZES.fullmatch(bare_name(name)) and is_size(value)
    }
    if heads and sizes:
        wider = " ".join(f"--knob {name}" for name in (*names, *heads))
        said += [
            f"{name} = {value} is held too, so attention does not widen; {wider} does"
            for name, value in sizes.items()
        ]
    return said + [f"{name} = {text}" for name, text in follow.items()]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
