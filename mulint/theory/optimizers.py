"""Optimizer families: how updates answer to gradients, and the rates that follow for every role.

A new optimizer is one row of ``_ROWS``. Nothing here is a list of learning rates: the rate of a role follows
from the family's kind and from the products of ``gauge``, in the Table-8 gauge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from fractions import Fraction

from mulint.theory.formulas import Exponent
from mulint.theory.gauge import HALF, Kind, required_update, table_8
from mulint.theory.roles import Role


class Shape(Enum):
    """The factor that an orthogonalising optimizer multiplies its update with.

    Sources: Jordan et al., Muon; torch.optim.Muon (``adjust_lr_fn``); Scion and Modula for the last.
    """

    NONE = "1"
    MAX_ONE = "√max(1, fan-out/fan-in)"
    MAX_SIZE = "√max(fan-in, fan-out)"
    RATIO = "√(fan-out/fan-in)"

    def exponent(self, fan_in: Exponent, fan_out: Exponent) -> Exponent:
        """The width exponent of the factor."""
        match self:
            case Shape.NONE:
                return Fraction(0)
            case Shape.MAX_ONE:
                return max(Fraction(0), fan_out - fan_in) / 2
            case Shape.MAX_SIZE:
                return max(fan_in, fan_out) / 2
            case Shape.RATIO:
                return (fan_out - fan_in) / 2


class Decay(Enum):
    """How weight decay enters an update."""

    NONE = "no weight decay"
    COUPLED = "added to the gradient"
    TIMES_RATE = "decoupled, multiplied by the learning rate"
    INDEPENDENT = "decoupled, not multiplied by the learning rate"


class WeightDecayPolicy(StrEnum):
    """How weight decay follows a scaled learning rate (an open question: a declared choice)."""

    CONSTANT_LR_WD = "constant-lr-wd"
    UNSCALED = "unscaled"
    SQRT = "sqrt"
    INDEPENDENT = "independent"


class EmbeddingPolicy(StrEnum):
    """The learning rate of embeddings: constant (μP), or shrinking as one over the root of the width (u-μP)."""

    CONSTANT = "constant"
    SQRT = "sqrt"


class EpsilonPolicy(StrEnum):
    """What to do about the ε of adaptive optimizers."""

    REPORT = "report"
    SCALE = "scale"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Policies:
    """The declared choices; ``declares_decay`` is False where the decay's is only the default."""

    decay: WeightDecayPolicy = WeightDecayPolicy.CONSTANT_LR_WD
    embedding: EmbeddingPolicy = EmbeddingPolicy.CONSTANT
    epsilon: EpsilonPolicy = EpsilonPolicy.REPORT
    declares_decay: bool = False


# (fan-in, fan-out) exponents of a weight of each role.
_FANS: Mapping[Role, tuple[Exponent, Exponent]] = {
    Role.INPUT: (Fraction(0), Fraction(1)),
    Role.VECTOR: (Fraction(0), Fraction(1)),
    Role.HIDDEN: (Fraction(1), Fraction(1)),
    Role.OUTPUT: (Fraction(1), Fraction(0)),
    Role.SCALAR: (Fraction(0), Fraction(0)),
}


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One optimizer class, possibly under a condition on an argument.

    ``width_scaled`` marks classes that apply the width factors themselves. ``per_group_rate`` is False where
    groups cannot have rates of their own. ``twin`` names the mup package's counterpart. ``plain_steps``: the
    first steps, in which the update is the gradient itself.
    """

    name: str
    kind: Kind
    decay: Decay = Decay.NONE
    default_decay: float = 0.0
    default_epsilon: float | None = None
    shape: Shape = Shape.NONE
    per_group_rate: bool = True
    width_scaled: bool = False
    twin: str | None = None
    plain_steps: int = 0

    @property
    def is_adaptive(self) -> bool:
        """Whether updates are entrywise normalised."""
        return self.kind is Kind.ADAPTIVE

    @property
    def is_sgd(self) -> bool:
        """Whether updates are proportional to the gradient."""
        return self.kind is Kind.SGD

    @property
    def decays_with_rate(self) -> bool:
        """Whether decay is decoupled and multiplied by the learning rate."""
        return self.decay is Decay.TIMES_RATE

    def rate_exponent(self, role: Role, embedding: EmbeddingPolicy = EmbeddingPolicy.CONSTANT) -> Exponent:
        """The width exponent that the learning rate of a role needs in the Table-8 gauge.

        Source: Tensor Programs V, Tables 3 and 8 and Appendix B.3; for orthogonalised updates the spectral
        condition (arXiv 2310.17813): multiplier times update norm times ``√(fan-in/fan-out)`` is constant.
        """
        if role is Role.SCALAR:
            return Fraction(0)
        gauge = table_8(role)
        if self.kind is Kind.ORTHOGONAL:
            fan_in, fan_out = _FANS[role]
            norm = (fan_in - fan_out) / 2 + self.shape.exponent(fan_in, fan_out)
            return -gauge.multiplier - norm
        if self.kind is Kind.SGD:
            return required_update(role, Kind.SGD) - self.kind.multiplier_weight * gauge.multiplier
        if embedding is EmbeddingPolicy.SQRT and role is Role.INPUT and self.kind is Kind.ADAPTIVE:
            return -HALF
        spent = self.kind.multiplier_weight * gauge.multiplier + self.kind.init_weight * gauge.init
        return required_update(role, Kind.ADAPTIVE) - spent

    def declared_shift(self, role: Role, embedding: EmbeddingPolicy) -> Exponent:
        """By which exponent a declared policy changes the learning rate of a role, in every gauge."""
        if role is not Role.INPUT:  # rows of several roles have no rate of their own
            return Fraction(0)
        return self.rate_exponent(role, embedding) - self.rate_exponent(role)

    def decay_exponent(self, role: Role, policy: WeightDecayPolicy) -> Exponent:
        """The width exponent of the weight decay of a role under a policy.

        Source: Tensor Programs V, Appendix B.3: decoupled decay has to stay constant per step, so where the
        optimizer multiplies it by the rate it takes the inverse power.
        """
        return self.decay_at(self.rate_exponent(role), policy)

    def decay_at(self, rate: Exponent, policy: WeightDecayPolicy) -> Exponent:
        """The width exponent of the weight decay of a weight whose learning rate has the exponent ``rate``."""
        if not self.decays_with_rate:
            return Fraction(0)
        match policy:
            case WeightDecayPolicy.CONSTANT_LR_WD:
                return -rate
            case WeightDecayPolicy.SQRT:
                return -rate / 2
            case WeightDecayPolicy.UNSCALED | WeightDecayPolicy.INDEPENDENT:
                return Fraction(0)

    def epsilon_exponent(self, role: Role) -> Exponent:
        """The width exponent of ε, which has to follow the entries of the gradient (Appendix B.3)."""
        if self.default_epsilon is None or role is Role.SCALAR:
            return Fraction(0)
        return Fraction(-1)


@dataclass(frozen=True, slots=True)
class _Row:
    names: tuple[str, ...]
    optimizer: Optimizer
    when: tuple[str, object] | None = None


def _adam(name: str, decay: Decay = Decay.COUPLED, default: float = 0.0, epsilon: float = 1e-8) -> Optimizer:
    twin = "mup.MuAdamW" if decay is Decay.TIMES_RATE else "mup.MuAdam"
    return Optimizer(name, Kind.ADAPTIVE, decay, default, epsilon, twin=twin)


_SGD = Optimizer("SGD", Kind.SGD, Decay.TIMES_RATE, twin="mup.MuSGD")
_ADAMW = _adam("AdamW", Decay.TIMES_RATE, 0.01)
_LION = Optimizer("Lion", Kind.ADAPTIVE, Decay.TIMES_RATE)
_ADAFACTOR = Optimizer("Adafactor", Kind.RELATIVE, Decay.TIMES_RATE, 0.0, 1e-30)
_PLAIN_ADAFACTOR = Optimizer("Adafactor", Kind.ADAPTIVE, Decay.TIMES_RATE, 0.0, 1e-30)
_FIXED_ADAFACTOR = Optimizer("Adafactor", Kind.RELATIVE, Decay.TIMES_RATE, 0.0, 1e-30, per_group_rate=False)
_MUON = Optimizer("Muon", Kind.ORTHOGONAL, Decay.TIMES_RATE, 0.1, shape=Shape.MAX_ONE)
_MUON_RMS = Optimizer("Muon", Kind.ORTHOGONAL, Decay.TIMES_RATE, 0.1, shape=Shape.MAX_SIZE)

_LIONS = (
    "lion_pytorch.Lion",
    "bitsandbytes.optim.Lion",
    "bitsandbytes.optim.Lion8bit",
    "bitsandbytes.optim.PagedLion",
    "bitsandbytes.optim.PagedLion8bit",
    "timm.optim.Lion",
)
_LAMBS = (
    "timm.optim.Lamb",
    "apex.optimizers.FusedLAMB",
    "bitsandbytes.optim.LAMB",
    "bitsandbytes.optim.LAMB8bit",
    "torch_optimizer.Lamb",
    "deepspeed.ops.lamb.FusedLamb",
)
_LARS = ("timm.optim.Lars", "bitsandbytes.optim.LARS", "bitsandbytes.optim.LARS8bit", "torch_optimizer.LARS")

_ROWS: tuple[_Row, ...] = (
    _Row(("torch.optim.SGD",), _SGD),
    _Row(("torch.optim.ASGD",), Optimizer("ASGD", Kind.SGD, Decay.TIMES_RATE)),
    _Row(("torch.optim.Adam",), _ADAMW, ("decoupled_weight_decay", True)),
    _Row(("torch.optim.Adam", "apex.optimizers.FusedAdam"), _adam("Adam")),
    _Row(
        (
            "torch.optim.AdamW",
            "transformers.AdamW",
            "transformers.optimization.AdamW",
            "deepspeed.ops.adam.FusedAdam",
            "deepspeed.ops.adam.DeepSpeedCPUAdam",
            "bitsandbytes.optim.AdamW",
            "bitsandbytes.optim.AdamW8bit",
            "bitsandbytes.optim.PagedAdamW",
            "bitsandbytes.optim.PagedAdamW8bit",
        ),
        _ADAMW,
    ),
    _Row(
        ("bitsandbytes.optim.Adam", "bitsandbytes.optim.Adam8bit", "bitsandbytes.optim.PagedAdam"), _adam("Adam")
    ),
    _Row(("bitsandbytes.optim.SGD", "bitsandbytes.optim.SGD8bit"), _SGD),
    _Row(("bitsandbytes.optim.RMSprop", "bitsandbytes.optim.RMSprop8bit"), _adam("RMSprop")),
    _Row(("bitsandbytes.optim.Adagrad", "bitsandbytes.optim.Adagrad8bit"), _adam("Adagrad", epsilon=1e-10)),
    _Row(("torchao.optim.AdamW8bit", "torchao.optim.AdamW4bit", "torchao.optim.AdamWFp8"), _ADAMW),
    _Row(("timm.optim.NAdamW",), _adam("NAdamW", Decay.TIMES_RATE, 0.01)),
    _Row(("timm.optim.Adan",), Optimizer("Adan", Kind.ADAPTIVE, Decay.TIMES_RATE, 0.0, 1e-8)),
    _Row(("composer.optim.DecoupledAdamW",), _adam("DecoupledAdamW", Decay.INDEPENDENT, 1e-5)),
    _Row(("schedulefree.AdamWScheduleFree",), _adam("AdamWScheduleFree", Decay.TIMES_RATE)),
    _Row(_LAMBS, Optimizer("LAMB", Kind.RELATIVE, Decay.COUPLED, 0.0, 1e-6)),
    _Row(_LARS, Optimizer("LARS", Kind.RELATIVE, Decay.COUPLED)),
    _Row(("torch.optim.NAdam",), _adam("NAdam", Decay.TIMES_RATE), ("decoupled_weight_decay", True)),
    _Row(("torch.optim.NAdam",), _adam("NAdam")),
    _Row(
        ("torch.optim.RAdam",),
        replace(_adam("RAdam", Decay.TIMES_RATE), plain_steps=5),
        ("decoupled_weight_decay", True),
    ),
    _Row(("torch.optim.RAdam",), replace(_adam("RAdam"), plain_steps=5)),
    _Row(("torch.optim.Adamax",), _adam("Adamax")),
    _Row(("torch.optim.Adagrad",), _adam("Adagrad", epsilon=1e-10)),
    _Row(("torch.optim.RMSprop",), _adam("RMSprop")),
    _Row(("torch.optim.SparseAdam",), Optimizer("SparseAdam", Kind.ADAPTIVE, default_epsilon=1e-8)),
    _Row(("torch.optim.Rprop",), Optimizer("Rprop", Kind.ADAPTIVE)),
    _Row(_LIONS, _LION),
    _Row(("torch.optim.Adafactor",), _ADAFACTOR),
    _Row(
        ("transformers.Adafactor", "transformers.optimization.Adafactor"),
        _PLAIN_ADAFACTOR,
        ("scale_parameter", False),
    ),
    _Row(("transformers.Adafactor", "transformers.optimization.Adafactor"), _FIXED_ADAFACTOR),
    _Row(("torch.optim.Muon",), _MUON_RMS, ("adjust_lr_fn", "match_rms_adamw")),
    _Row(("torch.optim.Muon", "muon.Muon", "muon.SingleDeviceMuon"), _MUON),
    _Row(("mup.MuSGD",), Optimizer("MuSGD", Kind.SGD, Decay.TIMES_RATE, width_scaled=True)),
    _Row(("mup.MuAdam",), Optimizer("MuAdam", Kind.ADAPTIVE, Decay.COUPLED, 0.0, 1e-8, width_scaled=True)),
    _Row(("mup.MuAdamW",), Optimizer("MuAdamW", Kind.ADAPTIVE, Decay.TIMES_RATE, 0.01, 1e-8, width_scaled=True)),
    # mup re-exports torch's own classes under its name: they scale nothing.
    _Row(("mup.Adam",), _adam("mup.Adam")),
    _Row(("mup.AdamW",), _adam("mup.AdamW", Decay.TIMES_RATE, 0.01)),
    _Row(("mup.SGD",), Optimizer("mup.SGD", Kind.SGD, Decay.TIMES_RATE, twin="mup.MuSGD")),
)

# torch and mup define their classes in submodules that people also import from.
_HOMES = ("torch.optim", "mup", "bitsandbytes.optim", "timm.optim", "lion_pytorch")


def _public(name: str) -> str:
    """``torch.optim.adamw.AdamW`` and ``mup.optim.MuAdamW`` by the name they are exported under."""
    for home in _HOMES:
        if name.startswith(f"{home}."):
            return f"{home}.{name.rpartition('.')[2]}"
    return name


def lookup(qualified_name: str, arguments: Mapping[str, object] | None = None) -> Optimizer | None:
    """The row of an optimizer class, or None if its family is not known (never a guess).

    Args:
        qualified_name: the class with its module, as imported.
        arguments: the constant arguments of its construction, which can select a variant.
    """
    public = _public(qualified_name)
    given = arguments or {}
    for row in _ROWS:
        if public in row.names and (row.when is None or given.get(row.when[0]) == row.when[1]):
            return row.optimizer
    return None


def known_names() -> tuple[str, ...]:
    """The qualified names of all optimizers in the table."""
    return tuple(dict.fromkeys(name for row in _ROWS for name in row.names))
