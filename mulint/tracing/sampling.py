"""Measures a model at every width, seed by seed, until another seed cannot turn the verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch

from mulint.traces import ActivationTrace, Culprit
from mulint.tracing import coordinates, training
from mulint.tracing.invariants import Audit
from mulint.tracing.measurement import Measurement, measure
from mulint.tracing.model import Builder, ParameterDims
from mulint.tracing.request import Request

Progress = Callable[[str, float], None]
# Two seeds were enough for Adam on every model measured, three for SGD; more only where it is not clear.
FEW_SEEDS, FEW_SEEDS_SGD, MOST_SEEDS = 2, 3, 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What some measurements say of every parameter and of every output, and the parameters at fault."""

    audits: tuple[Audit, ...]
    activations: tuple[ActivationTrace, ...]
    culprits: tuple[Culprit, ...]

    @property
    def is_decided(self) -> bool:
        """Whether more seeds cannot turn the verdict: one statistic fails beyond doubt, or all are clear."""
        return any(row.verdict == "violates" for row in self.activations) or coordinates.is_clear(self.activations)

    def suspicious(self, dims: Sequence[ParameterDims], *, doubtful: bool = False) -> frozenset[str]:
        """The modules that use a parameter at fault, and those whose outputs leave their limits.

        Args:
            dims: the parameters.
            doubtful: with those whose outputs may leave them, if any is at fault.
        """
        named = {name for culprit in self.culprits for name in culprit.parameter.split(", ")}
        users = {use.module for one in dims if one.name in named for use in one.use_roles}
        beyond = self._modules("violates")
        return frozenset(users | beyond | (self._modules("unknown") if doubtful and (users or beyond) else set()))

    def _modules(self, verdict: str) -> set[str]:
        return {row.module.partition("#")[0] for row in self.activations if row.verdict == verdict}


@dataclass(slots=True)
class Sampler:
    """Trains a model at every width from one seed after the other, all with the same factor on the rates."""

    builder: Builder
    dims: Sequence[ParameterDims]
    request: Request
    progress: Progress
    factor: float | None = None

    def until_decided(
        self, judge: Callable[[Sequence[Measurement]], Judgement]
    ) -> tuple[list[Measurement], Judgement]:
        """Measure until the verdict is decided or the seeds are used up, and judge all of it.

        What a seed finds at fault is taken apart with the next one.
        """
        seeds = self.request.seeds or MOST_SEEDS
        found = self.measured(self.request.seed, ())
        judged = judge(found)
        few = FEW_SEEDS_SGD if found[0].is_sgd else FEW_SEEDS
        for count in range(1, seeds):
            if self.request.seeds is None and count >= few and judged.is_decided:
                break
            found += self.measured(self.request.seed + count, judged.suspicious(self.dims, doubtful=True))
            judged = judge(found)
        return found, judged

    def measured(self, seed: int, split: Collection[str]) -> list[Measurement]:
        """One measurement for every width; ``split`` names the modules whose changes are taken apart."""
        torch.set_num_threads(1)
        device, steps = torch.device(self.request.device), max(self.request.steps or training.STEPS, 2)
        found = []
        for index, width in enumerate(self.builder.widths):
            self.progress("training", (index + 1) / len(self.builder.widths))
            one, self.factor = measure(
                self.builder, self.dims, width, seed, device, self.factor, steps=steps, split=split
            )
            found.append(one)
        return found

    def taken_apart(self, measurements: Sequence[Measurement], names: frozenset[str]) -> Sequence[Measurement]:
        """Measurements that take the changes of some modules apart: those given, or the first seed once more."""
        if not measurements[-1].trained or names <= measurements[-1].split:
            return measurements
        return self.measured(self.request.seed, names)
