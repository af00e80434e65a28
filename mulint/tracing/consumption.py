"""Which parameters an operation consumes, with which axes: in a sum, in a lookup, or number by number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from mulint.tracing.alignment import Aligned
from mulint.tracing.ledger import Ledger
from mulint.tracing.magnitudes import of_parameter
from mulint.tracing.model import View
from mulint.tracing.products import Operand
from mulint.tracing.recording import Recording, Ref
from mulint.tracing.values import Degrees, Factor, Kind, ParameterUse, Value


class Consumption:
    """What is known of every tensor so far, and the ledger of the uses that follow from it."""

    def __init__(self, reference: Recording) -> None:
        self.values: dict[int, Value] = {}
        self.shapes: Mapping[str, tuple[int, ...]] = reference.shapes
        self.ledger = Ledger()
        for node, name in reference.parameters.items():
            origins = tuple(frozenset({(name, axis)}) for axis in range(len(reference.shapes[name])))
            self.values[node] = Value(
                Kind.WEIGHT, origins=origins, parameters=frozenset({name}), magnitude=of_parameter(name)
            )

    def value(self, ref: Ref) -> Value:
        """What is known of a tensor; constants unless seen before."""
        return self.values.get(ref.node, Value(Kind.CONSTANT))

    def weighs(self, ref: Ref) -> bool:
        """Whether a tensor is a parameter, or made of parameters alone."""
        return self.value(ref).kind is Kind.WEIGHT

    def contract(self, operation: Aligned, operand: Operand, shared: Iterable[int] = ()) -> list[ParameterUse]:
        """Note the uses of all parameters in a weight that is summed over; factors on the weight are theirs."""
        uses = self.uses_of(operation, operand, shared)
        self.ledger.uses += uses
        value = self.value(operand.ref)
        for use in uses:
            if use.parameter not in value.scales:  # those that fill the weight have to make up for its factors
                self.reach(value.degrees, use)
        return uses

    def uses_of(self, operation: Aligned, operand: Operand, shared: Iterable[int] = ()) -> list[ParameterUse]:
        """The uses of all parameters in one factor of a product.

        ``shared``: axes of the result that another factor has too. Along them a stack of weights is chosen
        from; they are no fan-out.
        """
        value = self.value(operand.ref)
        given = [axis for axis, out in operand.out.items() if out not in shared]
        uses = []
        for name in sorted(value.parameters):
            contracted = _axes_of(name, operand.contracted, value)
            produced = _axes_of(name, (*given, *operand.handed), value)
            inner = _of(name, value.summed)
            followed = bool(contracted | inner | _axes_of(name, operand.out, value))
            if contracted & (produced | inner) and operand.ref.shape == self.shapes[name]:
                # Such as the sum of a matrix and its transpose: each axis holds both, and stands where it was.
                contracted, produced, inner = frozenset(operand.contracted), frozenset(given), frozenset()
            if name in value.scales:  # a gain, of what is taken in or of what is given out
                contracted = produced = inner = frozenset()
            apart = contracted & produced or _split(operation, operand, value)
            view = self.view(operation, operand) if apart and len(value.parameters) == 1 else None
            # In x (A B) the sum inside is over what A gives out and B takes in.
            contracted, produced = (contracted, produced | inner) if contracted else (inner, produced)
            produced |= _of(name, value.handed)
            uses.append(
                ParameterUse(
                    name,
                    operation.event.use,
                    operation.module,
                    contracted,
                    produced=produced if view else produced - contracted,
                    view=view,
                    followed=followed,
                    sizes={} if name in value.scales else value.magnitude.factors.get(name, {}),
                )
            )
        return uses

    def view(self, operation: Aligned, operand: Operand) -> View:
        """What a parameter is consumed as; its shapes if that has all its numbers and no others."""
        ref = operand.ref
        (name,) = self.value(ref).parameters
        sizes = zip(*(operation.sizes(ref, axis) for axis in range(len(ref.shape))), strict=True)
        same = math.prod(ref.shape) == math.prod(self.shapes[name])
        growing = {axis for axis, law in enumerate(operation.laws(ref)) if law.grows}
        return View(
            dict(zip(operation.widths, sizes, strict=True)) if same else {},
            operand.contracted,
            contracts=bool(growing & {*operand.contracted}),
            produces=bool(growing & operand.out.keys()),
        )

    def reach(self, degrees: Degrees, use: ParameterUse) -> None:
        """Note that the factors of a tensor reach a use."""
        for source, degree in degrees.items():
            if isinstance(source, Factor):
                source.consumers[use] = degree

    def consume(
        self, operation: Aligned, ref: Ref, *, lookup: bool = False, token: bool = False, followed: bool = True
    ) -> list[ParameterUse]:
        """Note the uses of all parameters in a weight of which rows are looked up, or every number is taken.

        ``token``: it stands where activations do.

        Of a product of weights, as in ``(A B)[ids]``, those that make the features are contracted.
        """
        value = self.value(ref)
        uses = []
        for name in sorted(value.parameters):
            held = [i for i, origins in enumerate(value.origins) if name in {other for other, _ in origins}]
            makes = bool(value.origins) and (not held or held[-1] == len(value.origins) - 1)
            inner = _of(name, value.summed) if makes else frozenset()
            use = ParameterUse(
                name,
                operation.event.use,
                operation.module,
                inner,
                lookup=lookup and not inner,
                token=token,
                produced=_axes_of(name, held, value) | _of(name, value.handed) if inner else frozenset(),
                followed=followed,
                sizes={} if name in value.scales else value.magnitude.factors.get(name, {}),
            )
            self.reach(value.degrees, use)
            uses.append(use)
        self.ledger.uses += uses
        return uses


def _split(operation: Aligned, operand: Operand, value: Value) -> frozenset[tuple[str, int]]:
    """Axes of parameters of which a part is summed over that does not grow, such as the size of heads."""
    laws = operation.laws(operand.ref)
    summed = (value.origins[axis] for axis in operand.contracted if not laws[axis].grows)
    left = (value.origins[axis] for axis in operand.out if laws[axis].grows)
    return frozenset().union(*summed) & frozenset().union(*left)


def _of(name: str, axes: Iterable[tuple[str, int]]) -> frozenset[int]:
    return frozenset(axis for other, axis in axes if other == name)


def _axes_of(name: str, axes: Iterable[int], value: Value) -> frozenset[int]:
    """The axes of a parameter that some axes of a weight hold."""
    return frozenset(
        axis for i in axes if i < len(value.origins) for other, axis in value.origins[i] if other == name
    )
