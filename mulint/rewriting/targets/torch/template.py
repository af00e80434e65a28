"""The generated file: what the model, its initialisation and its optimizer share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import resources

from mulint.configuration import Configuration
from mulint.theory import Exponent, Optimizer, Role, law, lookup, ratio_power, table_3, table_8

NAME = "mup_scaling.py"
# The names in the generated file of the layers that a readout may be.
READOUTS: Mapping[str, str] = {
    "torch.nn.Linear": "Readout",
    **{
        f"torch.nn.{convolution}": f"{convolution}Readout"
        for convolution in ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
    },
}
# And of the schedules whose floor is one number.
FLOORS: Mapping[str, str] = {
    f"torch.optim.lr_scheduler.{name}": f"Scaled{name}"
    for name in ("CosineAnnealingLR", "CosineAnnealingWarmRestarts")
}
RATIO = "ratio_to_base"
SCALED_INPUT = "ScaledInput"
SCALABLE = "scalable"
SCALE_GROUPS = "scale_groups"


def render(optimizers: Sequence[Optimizer], configuration: Configuration, names: Collection[str] = ()) -> str:
    """The text of the generated file.

    Args:
        optimizers: the families that get groups; the customary ones if there are none.
        configuration: the policies for the powers.
        names: what files import from it; of the kinds of readouts it holds these, or the linear one, and of the
            schedules with a floor these.
    """
    template = _text(NAME)
    multiplier = table_8(Role.OUTPUT).multiplier
    families = optimizers or [family for name in _CUSTOMARY if (family := lookup(name))]
    filled = {
        "@POWERS@": "\n".join(_powers(family, configuration) for family in families),
        "@LAW@": law(multiplier, "ratio"),
        "@MULTIPLIER@": ratio_power(multiplier, "self.ratio"),
        "@READOUTS@": "".join(f"{part}\n\n\n" for part in _readouts(names)),
        "@FLOORS@": "".join(f"{part}\n\n\n" for part in _floors(names)),
    }
    for mark, text in filled.items():
        template = template.replace(mark, text)
    return template


def _readouts(names: Collection[str]) -> list[str]:
    """The classes of readouts that files import; the linear one if there are none, nor any made by files."""
    used = {layer: name for layer, name in READOUTS.items() if name in names}
    if not used and SCALED_INPUT in names:
        return []
    return [
        "\n".join(readout_class(name, layer.removeprefix("torch."), layer))
        for layer, name in (used or dict(list(READOUTS.items())[:1])).items()
    ]


def readout_class(name: str, layer: str, whole: str = "") -> tuple[str, str]:
    """The lines of a readout's class: its name, the layer as the file spells it, and the layer's whole name."""
    return f"class {name}({SCALED_INPUT}, {layer}):", f'    """A readout made of `{whole or layer}`."""'


def _floors(names: Collection[str]) -> list[str]:
    """The classes of schedules that files import, after what they share."""
    used = [
        f'class {name}(ScaledFloor, {schedule}):\n    """`{schedule.rpartition(".")[2]}` with a scaled floor."""'
        for schedule, name in FLOORS.items()
        if name in names
    ]
    return [_text("scaled_floor.py").rstrip(), *used] if used else []


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")


def powers_name(optimizer: Optimizer) -> str:
    """The name of an optimizer's table in the generated file."""
    return optimizer.name.rpartition(".")[2].upper()


def _powers(optimizer: Optimizer, configuration: Configuration) -> str:
    """One optimizer's table: (learning rate, weight decay) as powers of the width ratio, by role."""
    policy = configuration.weight_decay
    rates = {role.value: optimizer.rate_exponent(role, configuration.embedding_lr) for role in _ROLES}
    rates["readout"] = optimizer.rate_exponent(Role.OUTPUT)
    # Without a multiplier the rate carries the whole exponent.
    rates["output"] = table_3(Role.OUTPUT, optimizer.kind).rate
    rows = []
    for role, rate in rates.items():
        decay = optimizer.decay_at(rate, policy)
        rows.append(f'    "{role}": ({_number(rate)}, {_number(decay)}),')
    return "\n".join([f"{powers_name(optimizer)} = {{", *rows, "}"])


_CUSTOMARY = ("torch.optim.AdamW", "torch.optim.SGD")
_ROLES = (Role.INPUT, Role.VECTOR, Role.HIDDEN)


def _number(exponent: Exponent) -> str:
    return str(exponent.numerator) if exponent.denominator == 1 else str(float(exponent))
