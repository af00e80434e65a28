"""Builds a model on meta with other numbers, and compares the shapes of its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from mulint.tracing.blueprints import Blueprint
from mulint.tracing.constants import constructing
from mulint.tracing.knobs import merged

Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shapes:
    """A model's parameters. ``sides``: for every axis whether a layer takes in or produces along it."""

    sizes: dict[str, tuple[int, ...]]
    sides: dict[str, tuple[str, ...]]

    def grown(self, other: Shapes) -> dict[tuple[str, int], Fraction]:
        """The axes that are larger in ``other``, and by what factor."""
        return {
            (name, axis): Fraction(after, before)
            for name, size in self.sizes.items()
            if len(other.sizes.get(name, ())) == len(size)
            for axis, (before, after) in enumerate(zip(size, other.sizes[name], strict=True))
            if after > before > 0
        }

    def matrices(self, other: Shapes) -> int:
        """How many numbers those parameters of ``other`` have that are larger along two axes."""
        axes = [name for name, _ in self.grown(other)]
        return sum(math.prod(other.sizes[name]) for name in {*axes} if axes.count(name) > 1)


@dataclass(slots=True)
class Search:
    """Builds with changed numbers, each combination once.

    ``real``: with real numbers where the meta device fails.
    """

    plan: Blueprint
    real: bool = False
    known: dict[tuple[tuple[str, Any], ...], Shapes | None] = field(default_factory=dict)
    error: Exception | None = None

    def build(self, values: Change) -> Shapes | None:
        """The shapes with some values; ``None`` if the model cannot be built."""
        key = tuple(sorted((name, value) for name, value in values.items()))
        if key not in self.known:
            self.known[key] = self._built(values)
        return self.known[key]

    def _built(self, values: Change) -> Shapes | None:
        for device in ("meta", "cpu") if self.real else ("meta",):
            try:
                with constructing(device):
                    return shapes_of(self.plan.make(merged(self.plan.defaults, values)))
            except Exception as error:
                self.error = self.error or error
        return None


def shapes_of(model: nn.Module) -> Shapes:
    """Sizes of all parameters, with what their layers do along each axis."""
    sizes, sides = {}, {}
    owners = {
        id(held): module
        for module in model.modules()
        if parametrize.is_parametrized(module)
        for held in module.parametrizations.children()  # type: ignore[union-attr]
    }
    for prefix, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                full = f"{prefix}.{name}".lstrip(".")
                sizes[full] = tuple(parameter.shape)
                sides[full] = _sides(owners.get(id(module), module), parameter)
    return Shapes(sizes, sides)


def _sides(module: nn.Module, parameter: nn.Parameter) -> tuple[str, ...]:
    rank = parameter.dim()
    if rank < 2:
        return ("",) * rank
    rest = ("",) * (rank - 2)
    match module:
        case nn.Linear() | nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return ("out", "in", *rest)
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            return ("in", "out", *rest)
        case nn.Embedding():
            return ("", "out")
    return (*("stack" for _ in rest), "first", "last")


@dataclass(frozen=True, slots=True)
class Effect:
    """What doubling one number does. ``axes`` is ``None`` if the model is not built or gets other parameters."""

    axes: frozenset[tuple[str, int]] | None
    sides: frozenset[str] = frozenset()

    @property
    def is_width(self) -> bool:
        """One layer produces more and another takes in more; of bare tensors, along both of their axes."""
        bare = {"first", "last"} <= self.sides and "stack" not in self.sides
        return {"in", "out"} <= self.sides or bare


@dataclass(frozen=True, slots=True)
class Trial:
    """A model as it is, and what becomes of it when some of its numbers are doubled.

    ``values`` are those that differ from the defaults, ``numbers`` the candidates, ``before`` its shapes.
    """

    search: Search
    values: Change
    numbers: Mapping[str, Any]
    before: Shapes

    def doubled(self, names: Iterable[str]) -> Shapes | None:
        """The shapes with some numbers doubled; ``None`` if that model cannot be built."""
        return self.search.build({**self.values, **{name: self.numbers[name] * 2 for name in names}})

    def effect(self, *names: str) -> Effect:
        """What doubling one number does, or several together."""
        after = self.doubled(names)
        if after is None or after.sizes.keys() != self.before.sizes.keys():
            return Effect(None)
        axes = frozenset(self.before.grown(after))
        return Effect(axes, frozenset(self.before.sides[name][axis] for name, axis in axes) - {""})

    def penalty(self, names: Iterable[str]) -> tuple[int, ...]:
        """What is wrong with a doubled model: not built, other parameters, or layers that did not grow along."""
        chosen = list(names)
        before, after = self.before, self.doubled(chosen) if chosen else None
        if after is None:
            return (3, 0)
        if after.sizes.keys() != before.sizes.keys():
            return (2, len(after.sizes.keys() ^ before.sizes.keys()))
        grown = before.grown(after)
        if not grown:
            return (1, 0)
        behind = 0
        layers = [name for name, sides in before.sides.items() if {*sides[:2]} == {"in", "out"}]
        last = [name for name in layers if len(before.sides[name]) == 2][-2:]
        for name in layers:
            if name in last:
                continue
            growing = {side for axis, side in enumerate(before.sides[name][:2]) if (name, axis) in grown}
            small = min(before.sizes[name][:2]) == 1
            behind += (growing != {"in", "out"} and not small and "in" in growing) or not growing
        behind += sum(ratio != 2 and ratio.denominator == 1 for ratio in grown.values())
        return (0, behind)
