"""Reads an aligned recording forward: which operation consumes which parameter, and which factors it meets.

Every tensor is followed by its degree in each weight, scalar factor and attention product. Operations that are
homogeneous pass degrees on, a normalisation cancels them, any other function ends them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from mulint.tracing import packing
from mulint.tracing.alignment import Aligned
from mulint.tracing.catalogue import ADD, CHOICES, DIVIDE, KEEPS, LOOKUPS, MULTIPLY, NORMALISERS, ONE
from mulint.tracing.elementwise import degrees as degrees_of
from mulint.tracing.elementwise import number_of
from mulint.tracing.exponents import CONSTANT, Law
from mulint.tracing.ledger import Ledger, factors_in
from mulint.tracing.model import View
from mulint.tracing.operations import (
    Operand,
    Product,
    moved_axes,
    product_of,
    recurrent_weights,
)
from mulint.tracing.recording import Recording, Ref, refs_in
from mulint.tracing.values import (
    Degrees,
    Factor,
    Kind,
    Packed,
    ParameterUse,
    Source,
    Value,
    added,
    multiplied,
)


class Flow:
    """The state of one reading: what is known of every tensor, and the ledger of what was found."""

    def __init__(self, reference: Recording, kept: Mapping[str, Law]) -> None:
        self.values: dict[int, Value] = {}
        self.shapes = reference.shapes
        self.ledger = Ledger()
        self.inner: list[ParameterUse] = []  # of products of weights alone, as long as nothing else uses them
        for node, name in reference.parameters.items():
            shape = reference.shapes[name]
            origins = tuple(frozenset({(name, axis)}) for axis in range(len(shape)))
            self.values[node] = Value(Kind.WEIGHT, origins=origins, parameters=frozenset({name}))
        for node, name in reference.kept.items():
            self.values[node] = Value(Kind.CONSTANT, number=kept.get(name, CONSTANT))
        for node in reference.inputs:
            self.values[node] = Value(Kind.ACTIVATION)

    def read(self, operations: Iterable[Aligned]) -> None:
        """Follow every operation in order; one with arguments that are not understood ends what it takes in."""
        for operation in operations:
            try:
                self.step(operation)
            except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError):
                self.ledger.unread.append(operation.event.use)
                self.set(operation, Value(Kind.ACTIVATION))
            self.note_spread(operation)
        self.ledger.settle()
        used = {use.parameter for use in self.ledger.uses}
        self.ledger.uses += [use for use in self.inner if use.parameter not in used]

    def note_spread(self, operation: Aligned) -> None:
        """Note the factors of the arguments that are lost in the results."""
        made = [self.value(ref) for ref in operation.event.outputs]
        kept = {source for value in made for source in (*value.degrees, *value.inner)}
        for ref in operation.event.tensors():
            for source in factors_in(self.value(ref).degrees):
                if isinstance(source, Factor) and source not in kept:
                    source.spread = True

    def value(self, ref: Ref) -> Value:
        """What is known of a tensor; constants unless seen before."""
        return self.values.get(ref.node, Value(Kind.CONSTANT))

    def step(self, operation: Aligned) -> None:
        """Work out the values of one operation's outputs."""
        event = operation.event
        for ref in event.tensors():
            if ref.number is not None and ref.node not in self.values:
                self.values[ref.node] = Value(Kind.CONSTANT, number=operation.number(ref))
        product = product_of(event, operation.peers)
        if product is not None:
            self.set(operation, self.product(operation, product))
        elif event.op == "scaled_dot_product_attention":
            self.set(operation, self.attention(operation))
        elif weights := recurrent_weights(event):
            self.set(operation, self.recurrent(operation, weights))
        elif event.op in LOOKUPS:
            self.set(operation, self.lookup(operation))
        elif event.op in NORMALISERS:
            self.set(operation, self.normaliser(operation))
        else:
            self.elementwise(operation)

    def set(self, operation: Aligned, value: Value) -> None:
        for output in operation.event.outputs:
            self.values[output.node] = value

    # Products ---------------------------------------------------------------------------------------------

    def product(self, operation: Aligned, product: Product) -> Value:
        weights = [operand for operand in product.operands if self.is_weight(operand, product)]
        others = [operand for operand in product.operands if operand not in weights]
        biases = [self.consume(operation, ref, lookup=False) for ref in product.added if self.weighs(ref)]
        if not weights:
            value = self.activations(operation, others)
            return replace(value, degrees=added((value.degrees, dict.fromkeys(biases, ONE))))
        if not others:
            return self.chained(operation, weights)
        uses = [use for operand in weights for use in self.contract(operation, operand)]
        incoming = multiplied(self.value(operand.ref).degrees for operand in others)
        for use in uses:
            self.reach(incoming, use)
        for operand in others:  # a token or a table used in place of an activation
            if self.weighs(operand.ref):
                self.consume(operation, operand.ref, lookup=False)
        degrees: dict[Source, Fraction] = dict.fromkeys([*uses, *biases], ONE)
        packed: tuple[Packed, ...] = ()
        if len(weights) == 1 and uses:
            below = self.value(others[0].ref).packed
            packed = packing.of_product(operation, weights[0], uses[0], others[0], below)
        return Value(Kind.ACTIVATION, degrees, inner=factors_in(incoming), packed=packed)

    def chained(self, operation: Aligned, weights: list[Operand]) -> Value:
        """A product of weights alone is a weight; it counts as a use of them only if nothing takes it in."""
        values = [self.value(operand.ref) for operand in weights]
        summed = frozenset().union(*(value.summed for value in values))
        for operand, value in zip(weights, values, strict=True):
            summed |= {origin for axis in operand.contracted for origin in value.origins[axis]}
        origins = self.merged_origins(weights, len(operation.event.outputs[0].shape))
        self.inner += [use for operand in weights for use in self.uses_of(operation, operand)]
        return Value(
            Kind.WEIGHT, multiplied(v.degrees for v in values), origins, _parameters(values), summed=summed
        )

    def is_weight(self, operand: Operand, product: Product) -> bool:
        if any(other.weight for other in product.operands):
            return operand.weight and self.weighs(operand.ref)
        return self.weighs(operand.ref)

    def weighs(self, ref: Ref) -> bool:
        return self.value(ref).kind is Kind.WEIGHT

    def contract(self, operation: Aligned, operand: Operand) -> list[ParameterUse]:
        """Uses of all parameters in a weight; factors on the weight itself are theirs."""
        uses = self.uses_of(operation, operand)
        self.ledger.uses += uses
        for use in uses:
            self.reach(self.value(operand.ref).degrees, use)
        return uses

    def uses_of(self, operation: Aligned, operand: Operand) -> list[ParameterUse]:
        value = self.value(operand.ref)
        uses = []
        for name in sorted(value.parameters):
            contracted = _axes_of(name, operand.contracted, value)
            produced = _axes_of(name, operand.out, value)
            view = self.view(operation, operand) if contracted & produced and len(value.parameters) == 1 else None
            inner = frozenset(axis for other, axis in value.summed if other == name)
            # In x (A B) the sum inside is over what A gives out and B takes in.
            contracted, produced = (contracted, produced | inner) if contracted else (inner, produced)
            uses.append(
                ParameterUse(
                    name,
                    operation.event.use,
                    operation.module,
                    contracted,
                    produced=produced - contracted,
                    view=view,
                )
            )
        return uses

    def view(self, operation: Aligned, operand: Operand) -> View | None:
        """What a parameter is consumed as, if that has all its numbers and no others."""
        ref = operand.ref
        (name,) = self.value(ref).parameters
        if math.prod(ref.shape) != math.prod(self.shapes[name]):
            return None
        sizes = zip(*(operation.sizes(ref, axis) for axis in range(len(ref.shape))), strict=True)
        growing = {axis for axis, law in enumerate(operation.laws(ref)) if law.grows}
        return View(
            dict(zip(operation.widths, sizes, strict=True)),
            operand.contracted,
            contracts=bool(growing & {*operand.contracted}),
            produces=bool(growing & operand.out.keys()),
        )

    def reach(self, degrees: Degrees, use: ParameterUse) -> None:
        for source, degree in degrees.items():
            if isinstance(source, Factor):
                source.consumers[use] = degree

    def merged_origins(self, weights: list[Operand], rank: int) -> tuple[frozenset[tuple[str, int]], ...]:
        merged: list[frozenset[tuple[str, int]]] = [frozenset()] * rank
        for operand in weights:
            origins = self.value(operand.ref).origins
            for axis, out in operand.out.items():
                merged[out] |= origins[axis]
        return tuple(merged)

    def activations(self, operation: Aligned, operands: list[Operand]) -> Value:
        """A product without weights: attention if it contracts a growing dimension of activations."""
        values = [self.value(operand.ref) for operand in operands]
        kind = Kind.ACTIVATION if any(v.kind is Kind.ACTIVATION for v in values) else Kind.CONSTANT
        live = [operand for operand, v in zip(operands, values, strict=True) if v.kind is Kind.ACTIVATION]
        law = self.contracted_law(operation, operands)
        if len(live) < 2 or law.exponent == 0:
            self.ledger.steady += [operation.event.use] * (len(live) >= 2)
            return Value(kind, multiplied(v.degrees for v in values))
        alpha = operation.scalar("alpha") or CONSTANT
        return self.ledger.site(operation, [self.value(operand.ref) for operand in live[:2]], law, alpha.exponent)

    def contracted_law(self, operation: Aligned, operands: list[Operand]) -> Law:
        laws = [operation.laws(operands[0].ref)[axis] for axis in operands[0].contracted]
        if any(law.exponent is None for law in laws):
            return Law(None)
        return Law(sum((law.exponent or Fraction(0) for law in laws), Fraction(0)))

    def attention(self, operation: Aligned) -> Value:
        """``scaled_dot_product_attention``, whose scale defaults to 1/sqrt of the query's last dimension."""
        query, key, value = list(refs_in((operation.event.args, operation.event.kwargs)))[:3]
        law = operation.laws(query)[-1]
        scale = operation.scalar("scale")
        default = None if law.exponent is None else -law.exponent / 2
        builtin = default if scale is None else scale.exponent
        if law.exponent == 0:
            self.ledger.steady.append(operation.event.use)
        else:
            self.ledger.site(operation, [self.value(query), self.value(key)], law, builtin)
        return Value(Kind.ACTIVATION, self.value(value).degrees)

    def recurrent(self, operation: Aligned, weights: tuple[Ref, ...]) -> Value:
        incoming = self.value(next(refs_in(operation.event.args))).degrees
        degrees: dict[Source, Fraction] = {}
        for ref in weights:
            if not self.weighs(ref):
                continue
            if len(ref.shape) == 2:
                for use in self.contract(operation, Operand(ref, (1,), {0: -1})):
                    self.reach(incoming, use)
            else:
                self.consume(operation, ref, lookup=False)
        return Value(Kind.ACTIVATION, degrees)

    # Parameters that are not contracted -------------------------------------------------------------------

    def consume(self, operation: Aligned, ref: Ref, lookup: bool) -> ParameterUse:
        value = self.value(ref)
        use = ParameterUse("", operation.event.use, operation.module, frozenset())
        for name in sorted(value.parameters):
            use = ParameterUse(name, operation.event.use, operation.module, frozenset(), lookup)
            self.ledger.uses.append(use)
            for source in value.degrees:
                if isinstance(source, Factor):
                    source.consumers[use] = value.degrees[source]
        return use

    def lookup(self, operation: Aligned) -> Value:
        uses: list[ParameterUse] = [
            self.consume(operation, ref, lookup=True) for ref in operation.event.tensors() if self.weighs(ref)
        ]
        degrees: dict[Source, Fraction] = dict.fromkeys(uses, ONE)
        return Value(Kind.ACTIVATION, degrees)

    def normaliser(self, operation: Aligned) -> Value:
        event = operation.event
        uses = [self.consume(operation, ref, lookup=False) for ref in event.tensors()[1:] if self.weighs(ref)]
        degrees: dict[Source, Fraction] = dict.fromkeys(uses, ONE)
        source = self.value(event.tensors()[0])
        if source.kind is Kind.WEIGHT and not uses:
            return Value(Kind.WEIGHT, origins=source.origins, parameters=source.parameters)
        return Value(Kind.ACTIVATION, degrees)

    # Everything else --------------------------------------------------------------------------------------

    def elementwise(self, operation: Aligned) -> None:
        event = operation.event
        refs = event.tensors()[: 1 if event.op.endswith("_as") else None]  # of x.type_as(y) nothing of y is kept
        values = [self.value(ref) for ref in refs]
        if not values:
            self.created(operation)
            return
        kinds = {value.kind for value in values}
        if Kind.ACTIVATION in kinds:
            kind = Kind.ACTIVATION
        else:
            kind = Kind.WEIGHT if Kind.WEIGHT in kinds else Kind.CONSTANT
        uses: list[ParameterUse] = []
        chosen = event.op in CHOICES and len(refs) > 1 and self.weighs(refs[0])
        lookup = chosen and len(refs[0].shape) < 3  # of a stack of matrices some are taken, as they are
        if lookup or (kind is Kind.ACTIVATION and not chosen):
            uses = [self.consume(operation, ref, lookup) for ref in refs if self.weighs(ref)]
            kind = Kind.ACTIVATION
        elif chosen:
            kind = Kind.WEIGHT
        degrees = degrees_of(self.ledger, operation, refs, values, uses)
        rows = packing.passed(operation, refs[0], values[0].packed)
        for output, packed in zip(event.outputs, rows, strict=True):
            value = self.transformed(operation, output, refs, values, kind, degrees)
            self.values[output.node] = replace(value, packed=packed)

    def transformed(
        self,
        operation: Aligned,
        output: Ref,
        refs: tuple[Ref, ...],
        values: list[Value],
        kind: Kind,
        degrees: Degrees,
    ) -> Value:
        event, first = operation.event, values[0]
        origins: tuple[frozenset[tuple[str, int]], ...] = ()
        if kind is Kind.WEIGHT:
            merged: list[frozenset[tuple[str, int]]] = [frozenset()] * len(output.shape)
            for ref, value in zip(refs, values, strict=True):
                if value.kind is Kind.WEIGHT:
                    for out, axes in enumerate(moved_axes(event, ref, output)):
                        for axis in axes:
                            merged[out] |= value.origins[axis]
            origins = tuple(merged)
        keeps = event.op in KEEPS or event.op in ADD or event.op in MULTIPLY or event.op in DIVIDE
        pending: tuple[tuple[frozenset[tuple[str, int]], ...], ...] = ()
        if event.op in MULTIPLY and kind is Kind.ACTIVATION:
            pending = tuple(
                tuple(
                    frozenset().union(*(value.origins[axis] for axis in axes))
                    for axes in moved_axes(event, ref, output)
                )
                for ref, value in zip(refs, values, strict=True)
                if value.kind is Kind.WEIGHT
            )
        number = first.number if event.op in KEEPS else number_of(operation, values)
        pair = (
            event.op in MULTIPLY
            and len({ref.node for ref in refs}) == 2
            and all(v.kind is Kind.ACTIVATION for v in values)
        )
        return Value(
            kind,
            degrees,
            origins,
            _parameters(values) if kind is Kind.WEIGHT else frozenset(),
            inner=first.inner if keeps else {},
            pending=pending,
            pair=pair,
            number=number,
        )

    def created(self, operation: Aligned) -> None:
        """A tensor made from Python numbers: ``torch.tensor(d ** -0.5)``."""
        laws = operation.scalars()
        for output in operation.event.outputs:
            single = operation.event.op in ("tensor", "as_tensor", "scalar_tensor") and len(laws) == 1
            self.values[output.node] = Value(Kind.CONSTANT, number=laws[0] if single else CONSTANT)


def _axes_of(name: str, axes: Iterable[int], value: Value) -> frozenset[int]:
    """The axes of a parameter that some axes of a weight hold."""
    return frozenset(
        axis for i in axes if i < len(value.origins) for other, axis in value.origins[i] if other == name
    )


def _parameters(values: Iterable[Value]) -> frozenset[str]:
    return frozenset(name for value in values for name in value.parameters)
