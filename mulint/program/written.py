"""Models whose sizes are written as numbers: what would grow if they were made wider.

A model without any width knob still has widths, written into its constructors (``nn.Linear(120, 84)``). All of
them together get one factor, which is 1 as the code stands: a size that one weight produces and another, fed by
it, contracts is multiplied by it, and so is every equal size of the same model. Sizes at which data enter or
results leave stay numbers, and so does everything in a model that has a knob for its width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mulint.program.dimensions import Dimension, Symbol
from mulint.program.expressions import SMALLEST_SIZE
from mulint.program.numbers import UNKNOWN_NUMBER, Number
from mulint.program.observations import Observations
from mulint.program.records import Application, Weight
from mulint.program.values import Site
from mulint.program.widths import fed, growth


def scale_written_sizes(seen: Observations, widths: frozenset[Symbol]) -> frozenset[Symbol]:
    """Rewrite the sizes of all such models in place; returns their factors, which are widths."""
    knobbed = {(w.site, w.name) for w in seen.weights if _grows(w, widths)}
    links: dict[int, list[tuple[Number, Number]]] = {}
    models = _models(seen)
    for application, source in fed(seen):
        links.setdefault(models[id(application.weight)], []).extend(
            (application.fan_in, produced) for produced in source.produced
        )
    members: dict[int, list[Weight]] = {}
    for weight in seen.weights:
        members.setdefault(models[id(weight)], []).append(weight)
    found: set[Symbol] = set()
    for model, weights in members.items():
        sizes = set(_linked(links.get(model, ())))
        if not sizes or any(_grows(w, widths) for w in weights) or _mostly_knobbed(weights, knobbed):
            continue
        factor = _factor(weights)
        found.add(factor)
        for weight in weights:
            _rewrite(weight, sizes, factor)
    return frozenset(found)


def written_symbols(seen: Observations) -> frozenset[Symbol]:
    """The widths of models from libraries, whose sizes are written there."""
    sizes = (a for w in seen.weights for size in w.dims for a in size.alternatives)
    return frozenset(s for size in sizes for s in size.symbols if s.kind == "written")


def _grows(weight: Weight, widths: frozenset[Symbol]) -> bool:
    return any(growth(size, widths) for size in weight.dims)


def _mostly_knobbed(weights: Iterable[Weight], knobbed: set[tuple[Site, str]]) -> bool:
    """Whether this is the model of a script that fixes the sizes of a class that has knobs elsewhere."""
    elsewhere = [(w.site, w.name) in knobbed for w in weights if len(w.dims) > 1]
    return sum(elsewhere) * 2 > len(elsewhere)


def _factor(weights: list[Weight]) -> Symbol:
    first = min(weights, key=lambda w: (w.site.path, w.site.span))
    return Symbol(f"{first.owner or 'model'}:{first.site.line}.width", first.site.path, kind="written")


def _models(seen: Observations) -> dict[int, int]:
    """For every weight the model it is part of: weights of one layer and those that feed one another."""
    parent: dict[int, int] = {id(w): id(w) for w in seen.weights}

    def root(weight: int) -> int:
        while parent.setdefault(weight, weight) != weight:
            parent[weight] = weight = parent[parent[weight]]
        return weight

    for weight in seen.weights:
        for other in weight.layer.weights.values() if weight.layer else ():
            parent[root(id(other))] = root(id(weight))
    for application in seen.applications:
        for source in application.sources:
            parent[root(id(source.weight))] = root(id(application.weight))
    return {weight: root(weight) for weight in parent}


def _linked(links: Iterable[tuple[Number, Number]]) -> Iterator[Number]:
    """Sizes that are handed on: the same number, or a multiple of it (flattened maps, packed projections).

    A handful, as in the model of a test, is no width.
    """
    for contracted, produced in links:
        a, b = contracted.whole, produced.whole
        if a is not None and b is not None and min(a, b) >= SMALLEST_SIZE and (a % b == 0 or b % a == 0):
            yield contracted
            yield produced


def _rewrite(weight: Weight, sizes: set[Number], factor: Symbol) -> None:
    scale = Number((Dimension.of(factor),))
    weight.dims = tuple(size * scale if size in sizes else size for size in weight.dims)
    weight.inits = [replace(init, std=_certain(init.std)) for init in weight.inits]
    for application in weight.applications:
        _distrust(application)


def _distrust(application: Application) -> None:
    application.before = _certain(application.before)
    application.after = [(_certain(number), sites) for number, sites in application.after]


def _certain(number: Number) -> Number:
    """A constant that was computed may come from a size; one that is written does not."""
    return UNKNOWN_NUMBER if number.computed and number.constant is not None else number
