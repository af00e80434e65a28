"""Everything that one abstract run of a program observes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mulint.findings import NotUnderstood
from mulint.program.numbers import Number
from mulint.program.records import (
    Application,
    AttentionRecord,
    Construction,
    Layer,
    LookupScale,
    ProductRecord,
    ScaledActivation,
    Weight,
)
from mulint.program.training_records import (
    Loop,
    ManualUpdate,
    ModelEvent,
    OptimizerRecord,
    Practice,
    RateWrite,
    SchedulerRecord,
    StateLoad,
)
from mulint.program.values import Site

if TYPE_CHECKING:
    from mulint.program.dimensions import Symbol
    from mulint.program.flags import Flag, Mismatch
    from mulint.program.values import Value


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of mulint's own while it followed the code that starts at a place."""

    path: str
    line: int
    error: Exception


@dataclass(slots=True)
class Observations:
    """Everything seen in one abstract run of a project.

    ``defaults`` is what options are unless they are given, ``depths`` those that say how often a part is repeated,
    ``tuned`` those that a tuner proposes values of, and where.
    """

    layers: list[Layer] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    attentions: list[AttentionRecord] = field(default_factory=list)
    lookup_scales: list[LookupScale] = field(default_factory=list)
    products: list[ProductRecord] = field(default_factory=list)
    scaled: list[ScaledActivation] = field(default_factory=list)
    optimizers: list[OptimizerRecord] = field(default_factory=list)
    schedulers: list[SchedulerRecord] = field(default_factory=list)
    group_writes: list[RateWrite] = field(default_factory=list)
    state_loads: list[StateLoad] = field(default_factory=list)
    manual_updates: list[ManualUpdate] = field(default_factory=list)
    package_calls: list[tuple[str, Site]] = field(default_factory=list)
    model_events: list[ModelEvent] = field(default_factory=list)
    practices: list[Practice] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    depths: set[Symbol] = field(default_factory=set)
    tuned: dict[Symbol, Site] = field(default_factory=dict)
    shape_writes: list[tuple[str, Site]] = field(default_factory=list)
    defaults: dict[Symbol, Number] = field(default_factory=dict)
    flags: dict[tuple[Value, str], Flag] = field(default_factory=dict)
    mismatches: list[Mismatch] = field(default_factory=list)
    left_arms: set[tuple[int, int]] = field(default_factory=set)
    settings: set[Site] = field(default_factory=set)
    modules: set[tuple[str, str]] = field(default_factory=set)
    constructions: list[Construction] = field(default_factory=list)
    not_understood: list[NotUnderstood] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def rate_writes(self) -> list[RateWrite]:
        """The writes of learning rates among those to groups."""
        return [w for w in self.group_writes if w.key == "lr"]

    @property
    def count(self) -> int:
        """How much of models, their uses and their training was seen."""
        return (
            len(self.layers)
            + len(self.weights)
            + len(self.applications)
            + len(self.attentions)
            + len(self.optimizers)
            + len(self.modules)
        )
