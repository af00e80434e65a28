"""The facts of all files linked into one program: sizes followed, roles given, intent decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mulint.facts import FileFacts
from mulint.findings import NotUnderstood, Signs, Understood
from mulint.program.dimensions import Symbol
from mulint.program.entry import observe
from mulint.program.intent import signs
from mulint.program.numbers import Number
from mulint.program.observations import Failure, Observations
from mulint.program.parameters import Parameter, parameters
from mulint.program.rates import OptimizerView, optimizer_views
from mulint.program.ratios import ratio_bases, width_multipliers
from mulint.program.records import Weight
from mulint.program.scopes import Files, Modules
from mulint.program.training_records import RateWrite
from mulint.program.values import Site, as_number
from mulint.program.widths import (
    Named,
    data_channels,
    full_names,
    growth,
    size_symbols,
    undecided_symbols,
    width_symbols,
)
from mulint.program.written import scale_written_sizes, written_symbols
from mulint.theory import Policies, Role

__all__ = ["Failure", "Modules", "Named", "Program", "full_names", "link"]


@dataclass(frozen=True)
class Program:
    """A whole project as the rules see it."""

    seen: Observations
    imports: frozenset[tuple[str, str]]
    widths: frozenset[Symbol]
    parameters: tuple[Parameter, ...]
    signs: Signs
    understood: Understood
    not_understood: tuple[NotUnderstood, ...]
    policies: Policies

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Where mulint itself failed."""
        return tuple(self.seen.failures)

    @cached_property
    def optimizers(self) -> tuple[OptimizerView, ...]:
        """All optimizers, one for each construction."""
        rewritten = [w.record for w in self.seen.rate_writes if w.record is not None and self.scales(w)]
        return tuple(optimizer_views(self.seen.optimizers, self.parameters, self.widths, rewritten))

    def scales(self, write: RateWrite) -> bool:
        """Whether a write gives a group a width factor, not all groups one rate that happens to have one."""
        value = as_number(write.value)
        if write.by_size:
            return True
        return bool(self.growth(value)) and (write.relative or not write.every or self.is_relative(value))

    @cached_property
    def _by_key(self) -> dict[tuple[Site, str], list[Parameter]]:
        found: dict[tuple[Site, str], list[Parameter]] = {}
        for parameter in self.parameters:
            found.setdefault(parameter.key, []).append(parameter)
        return found

    def built_at(self, key: tuple[Site, str]) -> list[Parameter]:
        """All parameters that one construction gives, in every context."""
        return self._by_key.get(key, [])

    def is_width(self, weight: Weight, index: int) -> bool:
        """Whether a size of a weight grows with the width, here or where its module is built with options."""
        others = (p.weight for p in self.built_at((weight.site, weight.name)))
        sizes = [w.dims[index] for w in (weight, *others) if index < len(w.dims)]
        return any((self.growth(size) or 0) > 0 for size in sizes)

    def reads_out(self, parameter: Parameter) -> bool:
        """Whether a weight is a readout in any context: where text is only sampled, nothing shows it."""
        return any(p.is_readout for p in self.built_at(parameter.key))

    @cached_property
    def _imported_by(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for importer, imported in self.imports:
            found.setdefault(importer, set()).add(imported)
        return found

    def near(self, path: str) -> frozenset[str]:
        """A file, the files that import it, and everything that any of them imports."""
        known = self._near.get(path)
        if known is None:
            known = self._near[path] = self._connected(path)
        return known

    @cached_property
    def _near(self) -> dict[str, frozenset[str]]:
        return {}

    def _connected(self, path: str) -> frozenset[str]:
        near = {path, *(importer for importer, imported in self.imports if imported == path)}
        waiting = list(near)
        while waiting:
            further = self._imported_by.get(waiting.pop(), set()) - near
            near |= further
            waiting.extend(further)
        return frozenset(near)

    def reachable(self, path: str, *roles: Role) -> list[Parameter]:
        """The parameters of the given roles in files that a file imports, or that its importers import."""
        near = self.near(path)
        return [p for p in self.parameters if p.role in roles and p.weight.site.path in near]

    @cached_property
    def sizes(self) -> frozenset[Symbol]:
        """All symbols that occur in the shapes of weights and in head dimensions."""
        return size_symbols(self.seen)

    def is_relative(self, number: Number) -> bool:
        """Whether a number has the ratio of a width to a base width in it."""
        return bool(ratio_bases(number, self.widths, self.sizes))

    def growth(self, number: Number) -> Fraction | None:
        """The width exponent of a number; None if it is unknown."""
        return growth(number, self.widths)


def link(
    files: Sequence[FileFacts],
    named: Named = Named(),  # noqa: B008
    policies: Policies = Policies(),  # noqa: B008
    modules: Modules | None = None,
) -> Program:
    """Link the facts of files that belong together: of a whole project, or of one of its components.

    Args:
        files: the facts, one for each file, in any order.
        named: the sizes that the configuration declares to be widths, or to be none.
        policies: the choices that the configuration declares.
        modules: the files of the whole project; None: these are all.
    """
    ordered = sorted(files, key=lambda f: f.path)
    run = observe(Files(ordered, modules))
    widths = named.applied(run.seen, width_symbols(run.seen) - data_channels(run.seen))
    multipliers = width_multipliers(run.seen, widths)
    fixed = named.among({*multipliers, *size_symbols(run.seen)}, named.fixed)
    widths |= (frozenset(multipliers) - fixed) | written_symbols(run.seen)
    # A size that is declared to be none is no width where it is given as a number either.
    widths |= scale_written_sizes(run.seen, widths | fixed)
    undecided = undecided_symbols(run.seen, widths) - fixed
    known = parameters(run.seen, widths, undecided)
    return Program(
        seen=run.seen,
        imports=frozenset(run.imports),
        widths=widths,
        parameters=known,
        signs=signs(ordered, run.seen, widths, multipliers),
        understood=Understood(
            files=len(ordered),
            modules=len(run.seen.modules),
            parameters=len({(p.weight.site, p.weight.name) for p in known if p.role is not None}),
            optimizers=len({o.site for o in run.seen.optimizers}),
            schedulers=len({o.site for o in run.seen.schedulers}),
        ),
        not_understood=_not_understood(run.seen, known, undecided),
        policies=policies,
    )


def _not_understood(
    seen: Observations, known: Sequence[Parameter], undecided: frozenset[Symbol]
) -> tuple[NotUnderstood, ...]:
    """What was not followed: sizes of weights first of all, each place once."""
    found = dict.fromkeys(seen.not_understood)
    for parameter in known:
        if parameter.role is None:
            weight = parameter.weight
            because = _because(weight, undecided)
            found[NotUnderstood(weight.site.path, weight.site.line, weight.symbol, because)] = None
    return tuple(sorted(found, key=lambda n: (n.path, n.line, n.what)))


def _because(weight: Weight, undecided: frozenset[Symbol]) -> str:
    if weight.contracted is None:
        return "no use of it was seen"
    doubtful = {s.short for size in weight.dims for s in size.symbols & undecided}
    if doubtful:
        names = " and ".join(sorted(doubtful))
        return f"nothing shows whether {names} grows; name it under knobs or fixed in [tool.mulint.widths]"
    return "its size could not be followed to a knob"
