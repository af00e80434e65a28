"""The first stage: what every parameter is, from how it is used at several widths."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from mulint.theory import Role
from mulint.tracing import classification
from mulint.tracing.alignment import align, parameter_laws
from mulint.tracing.exponents import Law, of_numbers
from mulint.tracing.flow import Flow
from mulint.tracing.model import Attention, Builder, ParameterDims, Use, UseRole
from mulint.tracing.places import Constructions
from mulint.tracing.recording import Recording, kept_numbers, record
from mulint.tracing.values import ParameterUse

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What the dimension trace found: parameters, attention products, where modules are built, what was unseen."""

    parameters: tuple[ParameterDims, ...]
    attention: tuple[Attention, ...]
    steady: tuple[Use, ...]
    modules: Mapping[str, Use]
    assumptions: tuple[str, ...]
    unseen: tuple[str, ...]


def trace(
    builder: Builder, root: Path, progress: Callable[[], None] = lambda: None, device: torch.device = CPU
) -> Dimensions:
    """Run the model once at every width and read roles, multipliers and attention scales off the recordings.

    The meta device is tried first: it needs no memory and no data. Models that read values while they are
    built or run get real numbers, on the device that they train on.

    Raises:
        CannotBuild: neither meta nor the device can build and run the model.
    """
    assumptions: list[str] = []
    try:
        with _uncollected():
            recordings = _record_all(builder, root, torch.device("meta"), progress)
    except Exception as error:
        reason = _first_line(error)
        assumptions.append(f"the dimension trace ran on {device.type.upper()}, because meta failed: {reason}")
        recordings = _record_all(builder, root, device, progress)
    kept = _kept_laws(builder, recordings, device)
    with _uncollected():
        return _read(recordings, kept, tuple(assumptions))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Recordings are large and hold no cycles: to look for garbage in them takes a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _record_all(
    builder: Builder, root: Path, device: torch.device, progress: Callable[[], None]
) -> list[Recording]:
    recordings = []
    for width in builder.widths:
        constructions = Constructions(root)
        with constructions.watch():
            built = builder.build(width, 0, device)
        run = partial(built.loss, built.model, built.batch)
        recording = record(width, built.model, built.batch, run, root)
        recording.sites = constructions.of(built.model)
        recording.module_sites = constructions.of_modules(built.model)
        recordings.append(recording)
        progress()
    return recordings


def _kept_laws(builder: Builder, recordings: Sequence[Recording], device: torch.device) -> dict[str, Law]:
    """How the single numbers change that the model keeps in tensors and uses; read off models with numbers."""
    used = {ref.node for event in recordings[0].events for ref in event.tensors()}
    names = {name for node, name in recordings[0].kept.items() if node in used}
    names &= set(recordings[-1].kept.values())  # a table of frequencies may have one number at the smallest width
    if not names:
        return {}
    try:
        found = [kept_numbers(builder.build(width, 0, device).model) for width in builder.widths]
        return {name: _law(builder.widths, [kept[name] for kept in found]) for name in names}
    except Exception:  # the exponents stay unknown, and with them the multipliers they are part of
        return dict.fromkeys(names, Law(None))


def _law(widths: Sequence[float], kept: Sequence[torch.Tensor]) -> Law:
    """The law of a number to the precision in which it is kept: a root in bfloat16 has two or three digits."""
    precision = max(torch.finfo(number.dtype).eps for number in kept)
    return of_numbers(widths, [float(number) for number in kept], max(1e-4, 2 * precision))


def _first_line(error: BaseException) -> str:
    error = error.__cause__ or error
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:200]


def _read(recordings: Sequence[Recording], kept: Mapping[str, Law], assumptions: tuple[str, ...]) -> Dimensions:
    reference, operations = align(recordings)
    flow = Flow(reference, kept)
    flow.read(operations)
    laws = {name: parameter_laws(recordings, name) for r in recordings for name in r.shapes}
    uses: dict[str, list[ParameterUse]] = {name: [] for name in laws}
    for use in flow.ledger.uses:
        uses[use.parameter].append(use)
    roles = {
        use: classification.role_of_use(laws[name], reference.shapes[name], use)
        for name, found in uses.items()
        for use in found
    }
    assigned, lent = classification.assign(flow.ledger, roles), classification.lent(flow.ledger)
    parameters = tuple(
        _parameter(
            name, recordings, laws[name], uses[name], classification.use_roles(uses[name], roles, assigned, lent)
        )
        for name in laws
    )
    unseen = tuple(
        f"{use.path}:{use.line}: {use.op} was not followed" for use in dict.fromkeys(flow.ledger.unread)
    )
    return Dimensions(
        parameters=parameters,
        attention=classification.attention_of(flow.ledger),
        steady=tuple(dict.fromkeys(flow.ledger.steady)),
        modules=reference.module_sites,
        assumptions=assumptions,
        unseen=unseen,
    )


def _parameter(
    name: str,
    recordings: Sequence[Recording],
    laws: Sequence[Law],
    uses: Sequence[ParameterUse],
    use_roles: tuple[UseRole, ...],
) -> ParameterDims:
    if use_roles:
        role = classification.combined([use.role for use in use_roles])
    else:
        role = classification.role_of_shape(laws)
    rows = classification.rows_of([r.width for r in recordings], laws, uses)
    own = [use for use in use_roles if use.role is role] or list(use_roles)
    # A lookup has no fan-in, also where its table is tied.
    decisive = next((use for use in uses if use.lookup), None) or next((u for u in uses if u.contracted), None)
    multipliers = {(use.multiplier, use.sizes) for use in own}
    multiplier, sizes = multipliers.pop() if len(multipliers) == 1 else (None, ())
    if rows is not None or classification.is_packed(laws, uses):
        role = Role.MIXED
    return ParameterDims(
        name=name,
        aliases=next(r.aliases[name] for r in recordings if name in r.aliases),
        shapes=tuple(r.shapes.get(name, ()) for r in recordings),
        role=role,
        dims=tuple(law.exponent for law in laws),
        fan_in_dims=tuple(sorted(decisive.contracted)) if decisive else (),
        fan_out_dims=tuple(sorted(decisive.produced)) if decisive and decisive.contracted else (),
        uses=tuple(dict.fromkeys(use.use for use in use_roles)),
        multiplier=multiplier,
        sizes=sizes,
        multiplier_places=tuple(dict.fromkeys(place for use in own for place in use.places)),
        rows=rows,
        use_roles=use_roles,
        sites=_sites(name, recordings),
        view=next((use.view for use in uses if use.view), None),
    )


def _sites(name: str, recordings: Sequence[Recording]) -> tuple[Use, ...]:
    recording = next(r for r in recordings if name in r.shapes)
    names = (name, *recording.aliases[name])
    return tuple(dict.fromkeys(recording.sites[one] for one in names if one in recording.sites))
