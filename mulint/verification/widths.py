"""Which widths a certificate is made at, and what must not change between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mulint.tracing.building import Plan
from mulint.tracing.model import Builder, Built, CannotBuild
from mulint.tracing.training import without_dropout
from mulint.verification.comparison import Outcome
from mulint.verification.record import SEED, TRAINING, Numbers, groups, optimizer_of, outputs, tried

TOLERANCE = 1e-4
CPU = torch.device("cpu")
Widths = tuple[float, float, float]


def choose(plan: Plan, base: Mapping[str, float], *, exact: bool) -> Widths:
    """Half the base, the base and twice the base: a small base where the model can be built at one.

    The first choice has a base with a factor of 3, because square roots of powers of 4 are exact and hide how
    a scale was computed. ``exact`` asks for the base that is given.

    Raises:
        CannotBuild: the model cannot be built at any of the choices.
    """
    smallest = plan.builder.widths[0]
    given = base.get(next(iter(plan.base)), max(base.values(), default=None))
    own = [(given / 2, given, given * 2)] if given is not None else []
    small = [(smallest * start, smallest * start * 2, smallest * start * 4) for start in (0.75, 1.0)]
    failure = CannotBuild("the code sets its own base, which is not known; pass it with --base-width")
    builds: list[Widths] = []
    for widths in own if exact else [*small, *own]:
        try:
            if _grows_evenly(plan.based(None), widths):
                return widths
            builds.append(widths)
        except CannotBuild as error:
            failure = error
    if builds:
        return builds[-1]
    raise failure


def _grows_evenly(builder: Builder, widths: Widths) -> bool:
    """Whether the model runs at three widths, and every dimension grows by a fixed amount per width."""
    built = [builder.build(width, SEED, CPU) for width in widths]
    for one in built:
        one.loss(one.model, one.batch)
    small, base, large = ({name: p.shape for name, p in one.model.named_parameters()} for one in built)
    return small.keys() == base.keys() == large.keys() and all(
        2 * (b - a) == c - b
        for name in small
        for a, b, c in zip(small[name], base[name], large[name], strict=True)
    )


def paths(builder: Builder, widths: Widths) -> Outcome:
    """Whether training and inference give the same for the same input at half and at twice the base."""
    half, base, twice = widths
    at_base = _agree(builder.build(base, SEED, CPU))
    if not at_base.ok:
        note = at_base.note if at_base.ok is None else f"they differ at the base already: {at_base.note}"
        return Outcome(None, note)
    for width in (half, twice):
        outcome = _agree(builder.build(width, SEED, CPU))
        if not outcome.ok:
            return Outcome(False, f"at width {width:g}: {outcome.note}")
    return Outcome(True, f"widths {half:g} and {twice:g}")


def groups_keep(builder: Builder, widths: Widths) -> Outcome:
    """Whether the optimizer has the same groups of the same parameters at every width."""
    half, base, twice = (_members(builder.build(width, SEED, CPU)) for width in widths)
    if isinstance(base, str):
        return Outcome(None, base)
    for width, members in ((widths[0], half), (widths[2], twice)):
        if isinstance(members, str):
            return Outcome(False, f"at width {width:g}: {members}")
        if members != base:
            note = f"{len(members)} groups at width {width:g}, {len(base)} at the base, or other members"
            return Outcome(False, note)
    return Outcome(True, f"{len(base)} groups at widths {', '.join(f'{width:g}' for width in widths)}")


def _members(built: Built) -> list[list[str]] | str:
    optimizer = tried(lambda: optimizer_of(built))
    return optimizer if isinstance(optimizer, str) else groups(built.model, optimizer)["members"]


def _agree(built: Built) -> Outcome:
    """None where one of the paths cannot be run, or they have no output in common."""
    without_dropout(built.model)
    for module in built.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # batch statistics are no fault of the paths
            module.register_forward_pre_hook(_evaluate)
    found = outputs(built)
    if isinstance(found, str):
        return Outcome(None, found)
    for one, other in _pairs(found, losses=built.inference is None):
        largest = float(one.abs().max())
        off = float((one - other).abs().max())
        if off <= TOLERANCE * largest:
            return Outcome(True)
        return Outcome(False, f"outputs differ by up to {off:.2g} where the largest is {largest:.2g}")
    return Outcome(None, "the two paths return nothing of the same shape; give a case with inference=...")


def _evaluate(module: nn.Module, _: object) -> None:
    module.training = False


def _pairs(found: Numbers, *, losses: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs of the two paths that are the same thing; inference may give only the last position."""
    trained = [value for name, value in found.items() if name.startswith(TRAINING)]
    for other in (value for name, value in found.items() if not name.startswith(TRAINING)):
        for one in trained:
            if not (one.is_floating_point() and other.is_floating_point()) or (other.dim() == 0 and not losses):
                continue
            if one.shape == other.shape:
                yield one, other
            elif one.dim() == other.dim() >= 3 and one[:, -1:].shape == other.shape:
                yield one[:, -1:], other
            elif one.dim() == other.dim() + 1 >= 3 and one[:, -1].shape == other.shape:
                yield one[:, -1], other
