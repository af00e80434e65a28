"""What the abstract run of a program observes of its training: optimizers, schedules, steps around a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mulint.program.numbers import Number
from mulint.program.records import Construction, Moment, Weight
from mulint.program.values import Site

if TYPE_CHECKING:
    from mulint.program.values import ModuleValue, Value

# What the sizes of a group's weights are called among the keys of the group.
SIZES_OF_WEIGHTS = ("rows of params", "columns of params")


@dataclass(eq=False, slots=True)
class GroupRecord:
    """One parameter group as given to an optimizer; ``weights`` is None when it could not be followed."""

    weights: tuple[Weight, ...] | None
    options: dict[str, Value]


@dataclass(eq=False, slots=True)
class OptimizerRecord:
    """One construction of an optimizer.

    ``conditional``: it hangs on a condition that is not known. ``listed``: it is given weights one by one, not
    all of a model's, though which they are is not known. ``hook`` names the part of a framework that builds it
    out of sight. ``order`` is its place among all that was observed.
    """

    type: str
    site: Site
    owner: str
    groups: list[GroupRecord]
    options: dict[str, Value]
    complete: bool
    conditional: bool = False
    listed: bool = False
    hook: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True)
class SchedulerRecord:
    """One construction of a learning-rate scheduler.

    ``optimizer`` is None when it could not be followed; ``factors`` is what the functions given to it return.
    """

    type: str
    site: Site
    owner: str
    arguments: dict[str, Value]
    optimizer: OptimizerRecord | None
    factors: tuple[Number, ...] = ()
    order: int = 0

    @property
    def scales_groups(self) -> bool:
        """Whether it multiplies each group's rate by the group's ``lr_scale``, as the schedulers of timm do."""
        return self.type.startswith("timm.scheduler.")


@dataclass(frozen=True, slots=True)
class StateLoad:
    """A state, saved before, that replaces the one of an optimizer or a scheduler, ``holder``."""

    site: Site
    owner: str
    holder: OptimizerRecord | SchedulerRecord
    state: Value
    moment: Moment


@dataclass(frozen=True, slots=True)
class RateWrite:
    """An assignment to the ``lr``, ``initial_lr`` or ``lr_scale`` (``key``) of one or every parameter group.

    Also one to the ``base_lrs`` of a scheduler.

    ``reads`` are the keys of the group that take part in the value. ``asks``: a condition around it reads
    something from the group.
    """

    site: Site
    value: Value
    every: bool
    reads: frozenset[str]
    owner: str
    record: OptimizerRecord | None
    key: str = "lr"
    order: int = 0
    asks: bool = False

    @property
    def relative(self) -> bool:
        """Whether something read from the group takes part in the value."""
        return bool(self.reads)

    @property
    def by_size(self) -> bool:
        """Whether a size of the group's weights does."""
        return not self.reads.isdisjoint(SIZES_OF_WEIGHTS)


@dataclass(frozen=True, slots=True)
class ManualUpdate:
    """A gradient, times a rate, subtracted from a weight by the user's own code; the weight is None if unknown."""

    site: Site
    weight: Weight | None
    rate: Number
    owner: str


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """A step in the life of a model that the mup package depends on.

    ``kind`` is shapes, optimizer, load, copy, average, data-parallel, empty or reparametrise.
    ``model`` is the model, None where it was not followed; ``name`` is the function that was called.
    """

    kind: str
    name: str
    site: Site
    moment: Moment
    model: ModuleValue | None
    arguments: dict[str, Value]
    complete: bool


@dataclass(frozen=True, slots=True)
class Practice:
    """A step of a training script that a transfer of hyperparameters depends on.

    ``kind`` is coordinate-check, half-precision, loss-scaling, pretrained, loader, step or regularisation.
    """

    kind: str
    name: str
    site: Site
    arguments: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of a loop gave: what was built, and the steps of training."""

    constructions: tuple[Construction, ...]
    optimizers: tuple[OptimizerRecord, ...]
    practices: tuple[Practice, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over values that are all known, each round of which builds an optimizer."""

    site: Site
    owner: str
    rounds: tuple[Round, ...]
