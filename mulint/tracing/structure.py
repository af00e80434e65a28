"""Finds which numbers of a configuration are its width by building the model on meta and looking at its shapes.

A number is a width if, when it alone is doubled, some layer produces more and some layer takes in more: a
vocabulary, a count of classes or a number of input channels does only one of the two. Numbers that cannot change
alone are tried together with the others. Names break ties only.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any

from mulint.tracing.blueprints import Blueprint
from mulint.tracing.knobs import (
    CONTEXTS,
    DEPTH,
    HEAD_COUNT,
    HEAD_SIZES,
    HEADS,
    HEAVY,
    LAYERS,
    LEAST,
    OTHER,
    SMALLEST,
    TOKENS,
    VOCABULARY,
    WIDTH,
    Settings,
    bare_name,
)
from mulint.tracing.model import CannotBuild
from mulint.tracing.trials import Change, Effect, Search, Trial

TOKEN_IDS = re.compile(r".*token_ids?|.*_id")
EXPERTS = re.compile(r".*experts")
SMALL_HEAD = 16
FEW_EXPERTS = 16  # enough for the groups that some routers choose from
FEW = 6  # numbers that are tried in pairs
# Layers may differ, such as every fourth or eighth one, and not run without each other: then more, at last all.
DEPTHS = (DEPTH, 2 * DEPTH, 4 * DEPTH, 1 << 30)


@dataclass(frozen=True, slots=True)
class Choice:
    """Knobs with their ratios and the other values, widths to build at, and what was assumed.

    ``shallow``: the same with few layers, whatever depth was asked for, to try it out.
    """

    settings: Settings
    shallow: Settings
    widths: tuple[float, ...]
    said: tuple[str, ...]


def find(plan: Blueprint, given: Change, asked: tuple[str, ...]) -> Iterator[Choice]:
    """Choices of knobs and sizes, the likeliest and smallest first; all of them can be built, not all can be run.

    ``given`` are values that the user set, ``asked`` knobs that the user named.

    Raises:
        CannotBuild: the model cannot be built, or nothing in its configuration is a width.
    """
    for name in (*given, *asked):
        if name not in plan.defaults:
            near = [known for known in plan.defaults if known.endswith(name.rpartition(".")[2])]
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(list(plan.defaults)[:40])}"
            raise CannotBuild(f"{plan.name} has no setting {name}; {hint}")
    search = Search(plan)
    values: dict[str, Any] = {**given, **_repaired(search, given)}
    tried: list[dict[str, Any]] = []
    for depth in DEPTHS:
        found = _shallow(search, values, depth)
        if found not in tried:
            tried.append(found)
            yield from _of_depth(search, {**values, **found}, given, asked)


def _of_depth(search: Search, shallow: Change, given: Change, asked: tuple[str, ...]) -> Iterator[Choice]:
    plan = search.plan
    shallow, knobs = _knobs(search, shallow, asked)
    if not knobs:
        raise CannotBuild(f"no number of {plan.name} was recognised as its width; name one with --knob")
    heads = tuple(
        name
        for name, value in plan.defaults.items()
        if HEADS.fullmatch(bare_name(name)) and _is_size(value) and name not in knobs
    )
    for growing in (knobs,) if asked or not heads else (knobs, (*knobs, *heads)):
        for small in dict.fromkeys((True, False)):
            chosen = {**shallow, **_small(search, shallow, growing, given, small)}
            yield from _choices(search, chosen, growing, given)


def _choices(search: Search, values: dict[str, Any], knobs: tuple[str, ...], given: Change) -> Iterator[Choice]:
    plan = search.plan
    sizes = {name: _value(plan, values, name) for name in knobs}
    first = next(iter(sizes))
    ratios = {name: Fraction(size) / Fraction(sizes[first]) for name, size in sizes.items()}
    fixed = {name: value for name, value in {**plan.defaults, **values}.items() if name not in ratios}
    real = frozenset(name for name, size in sizes.items() if isinstance(size, float))
    shallow = Settings(tuple(ratios), fixed, ratios, {}, real)
    settings = replace(shallow, fixed={**fixed, **{name: given[name] for name in given if name in fixed}})
    said = [f"the width is {first}" + "".join(f", and {name} grows with it" for name in list(ratios)[1:])]
    said += [
        f"{name} = {value!r} (default {plan.defaults[name]!r})"
        for name, value in values.items()
        if name not in given and name not in ratios
    ]
    held = [
        n for n, v in fixed.items() if HEADS.fullmatch(bare_name(n)) and isinstance(v, int) and n not in values
    ]
    said += [f"{name} = {fixed[name]} is held while the width grows" for name in held]
    for widths in _widths(search, values, shallow, sizes[first]):
        yield Choice(settings, shallow, widths, tuple(said))


def _repaired(search: Search, given: Change) -> dict[str, Any]:
    """What a configuration that cannot be built as it is lacks: a number of heads beside another.

    Raises:
        CannotBuild: something else is missing.
    """
    if search.build(given) is not None:
        return {}
    defaults = {**search.plan.defaults, **given}
    counts = [value for name, value in defaults.items() if HEADS.fullmatch(bare_name(name)) and _is_size(value)]
    for name, value in defaults.items():
        if value is None and HEADS.fullmatch(bare_name(name)):
            for count in dict.fromkeys(counts):
                if search.build({**given, name: count}) is not None:
                    return {name: count}
    raise CannotBuild(
        f"{search.plan.name} cannot be built as it is: {' '.join(str(search.error).split())[:300]}; "
        "pass --set NAME=VALUE for what it lacks, or write a case"
    )


def _value(plan: Blueprint, values: Change, name: str) -> Any:
    """The value of a setting: what was chosen, else the default."""
    return values.get(name, plan.defaults[name])


def _knobs(search: Search, values: Change, asked: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values to start from, and the names of the widths; none if nothing is a width."""
    before = search.build(values)
    assert before is not None
    numbers = {
        name: value
        for name in search.plan.defaults
        if (_is_size(value := _value(search.plan, values, name)) or _is_slope(value))
        and not OTHER.fullmatch(bare_name(name))
        and not any(kind.fullmatch(bare_name(name)) for kind in (TOKENS, CONTEXTS, LAYERS))
    }
    if asked:
        return dict(values), asked
    trial = Trial(search, values, numbers, before)
    effects = {name: trial.effect(name) for name, value in numbers.items() if _is_size(value)}
    chosen = [name for name, effect in effects.items() if effect.is_width]
    chosen = _without_products(trial, effects, chosen)
    chosen = _completed(trial, effects, chosen)
    if trial.penalty(chosen) > (0, 0):
        effects.update((name, trial.effect(name)) for name in numbers if name not in effects)
        chosen = _completed(trial, effects, chosen)
    trial, chosen = _apart(trial, effects, chosen)
    chosen = _needed(trial, chosen)
    together = trial.effect(*chosen)
    if together.axes is not None and len(together.sides) < 2:  # layers only take it in, or only produce it
        return dict(trial.values), ()
    if any(HEADS.fullmatch(bare_name(name)) for name in chosen):  # all kinds of heads grow together
        chosen += [name for name in numbers if HEADS.fullmatch(bare_name(name)) and name not in chosen]
    return dict(trial.values), tuple(sorted(chosen, key=lambda name: -len(effects[name].axes or ())))


def _without_products(trial: Trial, effects: Mapping[str, Effect], chosen: list[str]) -> list[str]:
    """Of two numbers whose product is one size, such as heads and their size, only one grows."""
    numbers, kept = trial.numbers, list(chosen)
    # Sizes of heads go first: they count as fixed where they are numbers of their own. Then small factors.
    for name in sorted(
        chosen,
        key=lambda n: (not HEAD_SIZES.fullmatch(bare_name(n)), bool(HEADS.fullmatch(bare_name(n))), numbers[n]),
    ):
        for other in kept:
            shared = (effects[name].axes or frozenset()) & (effects[other].axes or frozenset())
            if name == other or name not in kept or not shared:
                continue
            both = trial.doubled([name, other])
            if both is None:
                continue
            grown = trial.before.grown(both)
            if any(grown.get(axis, 0) > 3 for axis in shared):
                kept.remove(name)
    return kept


def _completed(trial: Trial, effects: Mapping[str, Effect], chosen: list[str]) -> list[str]:
    """Add and take away numbers until the doubled model is built and no inner layer is left behind."""
    numbers = trial.numbers
    best = trial.penalty(chosen)
    stuck = [name for name, effect in effects.items() if effect.axes is None]
    lagging = [
        name
        for name, effect in effects.items()
        if effect.axes and name not in chosen and "stack" not in effect.sides
    ]
    sizes = {numbers[name] for name in chosen}
    order = sorted(
        [*stuck, *lagging],
        key=lambda n: (
            not WIDTH.fullmatch(bare_name(n)),
            not HEADS.fullmatch(bare_name(n)),
            numbers[n] not in sizes,
        ),
    )
    while best > (0, 0):
        trials = [[*chosen, name] for name in order if name not in chosen]
        trials += [[other for other in chosen if other != name] for name in chosen]
        named = [name for name in order if WIDTH.fullmatch(bare_name(name)) or HEADS.fullmatch(bare_name(name))]
        trials += [list(dict.fromkeys([*chosen, *named])), list(dict.fromkeys([*chosen, *stuck]))]
        if len(stuck) <= FEW:
            trials += [[*chosen, *pair] for pair in combinations(stuck, 2) if not {*pair} & {*chosen}]
        scored = [(trial.penalty(names), index) for index, names in enumerate(trials) if names]
        lowest = min(scored, default=(best, 0))
        if lowest[0] >= best:
            break
        best, chosen = lowest[0], trials[lowest[1]]
    # Alone they change which layers there are; with the others, or with one of equal size, perhaps only sizes.
    pairs = [[a, b] for a, b in combinations(stuck, 2) if numbers[a] == numbers[b]]
    for group in (*([name] for name in stuck), *pairs):
        if not set(group) & set(chosen) and (score := trial.penalty([*chosen, *group])) <= best:
            best, chosen = score, [*chosen, *group]
    return chosen


def _apart(trial: Trial, effects: Mapping[str, Effect], chosen: list[str]) -> tuple[Trial, list[str]]:
    """Start from other sizes where one of them cannot grow because it equals a fixed one by chance.

    A shortcut, say, is a projection only between different sizes. Doubling never meets three halves of a size.
    """
    best = trial.penalty(chosen)
    for name, effect in effects.items() if best > (0, 0) else ():
        if effect.axes is not None or name in chosen:
            continue
        together = [*chosen, name]
        larger = {each: trial.numbers[each] * 3 // 2 for each in together}
        values = {**trial.values, **larger}
        before = trial.search.build(values)
        if before is None:
            continue
        apart = Trial(trial.search, values, {**trial.numbers, **larger}, before)
        if apart.penalty(together) < best:
            return apart, together
    return trial, chosen


def _needed(trial: Trial, chosen: list[str]) -> list[str]:
    """Without the numbers that follow from others, such as the size of heads where it is computed."""
    kept = list(chosen)
    for name in sorted(chosen, key=lambda n: not HEAD_SIZES.fullmatch(bare_name(n))):
        whole, without = trial.doubled(kept), trial.doubled(n for n in kept if n != name)
        if len(kept) > 1 and whole is not None and without is not None and whole.sizes == without.sizes:
            kept.remove(name)
    return kept


def _shallow(search: Search, values: Change, depth: int) -> dict[str, Any]:
    """Fewer layers, where that leaves the parameters of the remaining ones as they are."""
    before = search.build(values)
    assert before is not None
    groups: dict[str, dict[str, Any]] = {}
    lists = Counter(name.rpartition(".")[0] for name in search.plan.defaults if name.rpartition(".")[2].isdigit())
    stages = {count for name, count in lists.items() if WIDTH.fullmatch(bare_name(name))}
    for name in search.plan.defaults:
        value = _value(search.plan, values, name)
        if _is_size(value) and value > depth and value not in stages:  # each with a size of its own in a list
            kind = re.sub(r"\.\d+$", "", name)
            if LAYERS.fullmatch(bare_name(kind)) or LAYERS.fullmatch(bare_name(kind).removesuffix("s")):
                groups.setdefault(kind, {})[name] = depth if kind == name else depth // 2
    found: dict[str, Any] = {}
    for group in [{k: v for one in groups.values() for k, v in one.items()}, *groups.values()]:
        after = search.build({**values, **found, **group})
        if after is not None and after.sizes.keys() < before.sizes.keys():
            found.update(group)
            before = after
            if group.keys() >= {k for one in groups.values() for k in one}:
                break
    return found


def _small(
    search: Search, values: Change, knobs: tuple[str, ...], given: Change, everything: bool
) -> dict[str, Any]:
    """Few and small heads, few experts, a small vocabulary, where the model allows it: training is then quick."""
    before = search.build(values)
    assert before is not None
    found: dict[str, Any] = {}

    def attempt(change: dict[str, Any]) -> bool:
        change = {k: v for k, v in change.items() if k not in given and v != _value(search.plan, values, k)}
        after = search.build({**values, **found, **change}) if change else None
        if after is None or not after.sizes.keys() <= before.sizes.keys():
            return False
        found.update(change)
        return True

    current = {name: _value(search.plan, values, name) for name in search.plan.defaults}
    defaults = {n: v for n, v in current.items() if _is_size(v) and n not in knobs}
    heads = {n: v for n, v in defaults.items() if HEADS.fullmatch(bare_name(n)) and everything}
    most = max(heads.values(), default=1)
    attempt({n: max(1, v * HEAD_COUNT // most) for n, v in heads.items()} if most > HEAD_COUNT else {})
    growing = {n: _value(search.plan, values, n) for n in knobs if HEADS.fullmatch(bare_name(n))}
    if growing and everything:
        # Small heads, and as many more of them, so that narrow models still have whole numbers of heads.
        attempt({n: SMALL_HEAD for n in defaults if HEAD_SIZES.fullmatch(bare_name(n))})
        widest = max(_value(search.plan, values, n) for n in knobs)
        most = int(math.log2(max(1, widest // SMALL_HEAD / max(growing.values()))))
        any(attempt({n: v * 2**power for n, v in growing.items()}) for power in range(most, 0, -1))
    if everything:
        attempt(
            {n: FEW_EXPERTS for n, v in defaults.items() if EXPERTS.fullmatch(bare_name(n)) and v > FEW_EXPERTS}
        )
    tokens = [n for n in defaults if TOKENS.fullmatch(bare_name(n))]
    for size in (VOCABULARY, 4 * VOCABULARY):
        fewer = {name: size for name in tokens if defaults[name] > size}
        special = {
            n: 0 for n, v in current.items() if TOKEN_IDS.fullmatch(bare_name(n)) and _is_size(v) and v >= size
        }
        if attempt(fewer) or (fewer and attempt({**fewer, **special})):
            break
    return found


def _widths(
    search: Search, values: dict[str, Any], settings: Settings, default: float
) -> Iterator[tuple[float, ...]]:
    """Four widths, each twice the one before: from the smallest at which every size is whole up to the default."""
    reference = search.build(values)
    assert reference is not None
    start = last = Fraction(default)
    whole = [ratio for name, ratio in settings.ratios.items() if name not in settings.real]

    def is_heavy(smallest: Fraction) -> bool:
        ends = [search.build({**values, **settings.sizes(float(width))}) for width in (smallest, 8 * smallest)]
        return ends[0] is not None and ends[1] is not None and ends[0].matrices(ends[1]) > HEAVY

    while all((start / 2 * ratio).denominator == 1 for ratio in whole):
        if start / 2 < SMALLEST and (start / 2 < LEAST or not is_heavy(start)):
            break
        start /= 2
    while start <= last:
        ladder = [search.build({**values, **settings.sizes(float(start * 2**i))}) for i in range(4)]
        if all(one is not None and one.sizes.keys() == reference.sizes.keys() for one in ladder):
            yield tuple(float(start * 2**i) for i in range(4))
        start *= 2


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1


def _is_slope(value: Any) -> bool:
    """What may be a slope of sizes along the layers."""
    return isinstance(value, float) and value > 1
