"""Reads an aligned recording forward: which operation consumes which parameter, and which factors it meets.

Every tensor is followed by its degree in each weight, scalar factor and attention product. Operations that are
homogeneous pass degrees on, a normalisation cancels them, any other function ends them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mulint.tracing import magnitudes, packing
from mulint.tracing.alignment import Aligned
from mulint.tracing.catalogue import (
    ADD,
    CHOICES,
    DIVIDE,
    FOLLOWED,
    KEEPS,
    LOOKUPS,
    MULTIPLY,
    NORMALISERS,
    ONE,
    SOFTMAX,
)
from mulint.tracing.consumption import Consumption
from mulint.tracing.elementwise import (
    beside,
    created,
    filled,
    gains,
    magnitude,
    number_of,
    parameters_of,
    summed_in,
)
from mulint.tracing.elementwise import degrees as degrees_of
from mulint.tracing.exponents import CONSTANT, Law
from mulint.tracing.ledger import factors_in, sites_of
from mulint.tracing.operations import argument, indexed_axes, moved_axes, taken
from mulint.tracing.products import Operand, Product, facing, product_of, recurrent_weights
from mulint.tracing.recording import Recording, Ref, refs_in
from mulint.tracing.values import (
    Degrees,
    Factor,
    Kind,
    Packed,
    ParameterUse,
    Site,
    Source,
    Value,
    added,
    multiplied,
)


class Flow(Consumption):
    """One reading of a recording, from its first operation to its last."""

    def __init__(self, reference: Recording, kept: Mapping[str, Law]) -> None:
        super().__init__(reference)
        self.inner: list[ParameterUse] = []  # of products of weights alone, as long as nothing else uses them
        self.taken: set[int] = set()  # the tensors that some operation takes the numbers of
        for node, name in reference.kept.items():
            self.values[node] = Value(Kind.CONSTANT, number=kept.get(name, CONSTANT))
        for node in reference.inputs:
            self.values[node] = Value(Kind.ACTIVATION)

    def read(self, operations: Sequence[Aligned]) -> None:
        """Follow every operation in order; one with arguments that are not understood ends what it takes in."""
        self.taken = {ref.node for operation in operations for ref in taken(operation.event)}
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
        for operand in product.operands:
            self.modulated(operation, operand)
        weights = [operand for operand in product.operands if self.is_weight(operand, product)]
        others = [operand for operand in product.operands if operand not in weights]
        biases = [use for ref in product.added if self.weighs(ref) for use in self.consume(operation, ref)]
        if not weights:
            value = self.activations(operation, others, product)
            return replace(value, degrees=added((value.degrees, dict.fromkeys(biases, ONE))))
        if all(self.value(operand.ref).kind is Kind.CONSTANT for operand in others):
            return self.chained(operation, weights)
        if len(weights) == 1 and self.mixes(operation, weights[0], others):
            return self.mixed(operation, weights)
        shared = {out for one in others for axis, out in one.out.items() if one.ref.shape[axis] > 1}
        uses = [use for operand in facing(weights, others) for use in self.contract(operation, operand, shared)]
        incoming = multiplied(self.value(operand.ref).degrees for operand in others)
        for use in uses:
            self.reach(incoming, use)
        for operand in others:  # a token or a table used in place of an activation
            if self.weighs(operand.ref):
                self.consume(operation, operand.ref, token=True)
        degrees: dict[Source, Fraction] = dict.fromkeys([*uses, *biases], ONE)
        if product.normalised:
            law = self.contracted_law(operation, weights)
            exponent = None if law.exponent is None else -law.exponent
            degrees = self.ledger.factor(operation, degrees, Law(exponent))
        packed: tuple[Packed, ...] = ()
        if len(weights) == 1 and uses:
            below = self.value(others[0].ref).packed
            packed = packing.of_product(operation, weights[0], uses[0], others[0], below)
        return Value(Kind.ACTIVATION, degrees, inner=factors_in(incoming), packed=packed)

    def chained(self, operation: Aligned, weights: list[Operand]) -> Value:
        """A product of weights, also with constants, is a weight; it counts as a use if nothing takes it in."""
        values = [self.value(operand.ref) for operand in weights]
        summed = frozenset().union(*(value.summed for value in values))
        handed = frozenset().union(*(value.handed for value in values))
        for operand, value in zip(weights, values, strict=True):
            now = {origin for axis in operand.contracted for origin in value.origins[axis]}
            taken = {name for name, _ in value.summed}  # by what has taken in another weight before
            handed |= {origin for origin in now if origin[0] in taken}
            summed |= now - handed
        origins = self.merged_origins(weights, len(operation.event.outputs[0].shape))
        self.inner += [use for operand in weights for use in self.uses_of(operation, operand)]
        degrees = multiplied(v.degrees for v in values)
        sizes = magnitudes.of_product([value.magnitude for value in values])
        return Value(
            Kind.WEIGHT, degrees, origins, parameters_of(values), summed=summed, handed=handed, magnitude=sizes
        )

    def modulated(self, operation: Aligned, operand: Operand) -> None:
        """Take a matrix that activations scaled, as styles do, for the weight that it is; a gain is none."""
        value = self.value(operand.ref)
        growing = {axis for axis, law in enumerate(operation.laws(operand.ref)) if law.grows}
        for origins in value.pending:
            taken, given = (
                {name for axis in growing & {*axes} for name, _ in origins[axis]}
                for axes in (operand.contracted, operand.out)
            )
            if taken & given:
                self.values[operand.ref.node] = replace(
                    value, kind=Kind.WEIGHT, origins=origins, parameters=frozenset(taken & given)
                )

    def mixes(self, operation: Aligned, weight: Operand, others: list[Operand]) -> bool:
        """Whether activations only choose between the matrices of a stack, or average them."""
        laws = operation.laws(weight.ref)
        growing = {axis for axis, law in enumerate(laws) if law.grows}
        rest = any(operation.laws(o.ref)[axis].grows for o in others for axis in (*o.contracted, *o.out))
        return len(growing & weight.out.keys()) > 1 and not growing & {*weight.contracted} and not rest

    def mixed(self, operation: Aligned, weights: list[Operand]) -> Value:
        """A stack of matrices of which activations made others, to be used later."""
        values = [self.value(operand.ref) for operand in weights]
        origins = self.merged_origins(weights, len(operation.event.outputs[0].shape))
        return Value(Kind.WEIGHT, multiplied(v.degrees for v in values), origins, parameters_of(values))

    def is_weight(self, operand: Operand, product: Product) -> bool:
        if any(other.weight for other in product.operands):
            return operand.weight and self.weighs(operand.ref)
        return self.weighs(operand.ref)

    def merged_origins(self, weights: list[Operand], rank: int) -> tuple[frozenset[tuple[str, int]], ...]:
        merged: list[frozenset[tuple[str, int]]] = [frozenset()] * rank
        for operand in weights:
            origins = self.value(operand.ref).origins
            for axis, out in operand.out.items():
                merged[out] |= origins[axis]
        return tuple(merged)

    def activations(self, operation: Aligned, operands: list[Operand], product: Product) -> Value:
        """A product without weights: attention if it contracts a growing dimension of activations."""
        values = [self.value(operand.ref) for operand in operands]
        if any(value.zero for value in values):
            return Value(Kind.CONSTANT, zero=True)
        live = [operand for operand, v in zip(operands, values, strict=True) if v.kind is not Kind.CONSTANT]
        kind = Kind.ACTIVATION if live else Kind.CONSTANT
        for operand in live:  # a token that meets a weight that is an activation
            if self.weighs(operand.ref):
                self.consume(operation, operand.ref, token=True)
        law = self.contracted_law(operation, operands)
        sides = [one for one in live if any(operation.laws(one.ref)[axis].grows for axis in one.contracted)]
        if len(sides) < 2 or law.exponent == 0:
            self.ledger.steady += [operation.event.use] * (len(live) >= 2)
            return Value(kind, multiplied(v.degrees for v in values))
        alpha = operation.scalar("alpha") or CONSTANT
        scale = alpha.exponent if not product.normalised or law.exponent is None else -law.exponent
        made = self.ledger.site(operation, [self.value(operand.ref) for operand in sides[:2]], law, scale)
        self.ledger.divided((v, ONE) for v in (made, *values))
        return made

    def contracted_law(self, operation: Aligned, operands: list[Operand]) -> Law:
        laws: dict[object, Law] = {}
        for operand in operands:
            names = operand.sums or range(len(operand.contracted))
            for axis, name in zip(operand.contracted, names, strict=True):
                laws.setdefault(name, operation.laws(operand.ref)[axis])
        if any(law.exponent is None for law in laws.values()):
            return Law(None)
        return Law(sum((law.exponent or Fraction(0) for law in laws.values()), Fraction(0)))

    def attention(self, operation: Aligned) -> Value:
        """``scaled_dot_product_attention``, whose scale defaults to 1/sqrt of the query's last dimension."""
        query, key, value = (argument(operation.event, i, n) for i, n in enumerate(("query", "key", "value")))
        law = operation.laws(query)[-1]
        scale = operation.scalar("scale")
        default = None if law.exponent is None else -law.exponent / 2
        builtin = default if scale is None else scale.exponent
        rank = len(query.shape)
        stays = {axis: axis for axis in range(rank - 1)}
        learned = [use for ref in (query, key) for use in self.given(operation, ref, rank - 1, stays)]
        if learned:
            self.ledger.factor(operation, dict.fromkeys(learned, ONE), Law(builtin))
        elif law.exponent == 0:
            self.ledger.steady.append(operation.event.use)
        else:
            self.ledger.site(operation, [self.value(query), self.value(key)], law, builtin, softmax=True)
        table = self.given(operation, value, rank - 2, {rank - 1: rank - 1})
        return Value(Kind.ACTIVATION, dict.fromkeys(table, ONE) if table else self.value(value).degrees)

    def given(self, operation: Aligned, ref: Ref, over: int, out: dict[int, int]) -> list[ParameterUse]:
        """Uses of a query, key or value that is a parameter itself; heads are no fan-out."""
        heads = range(len(ref.shape) - 2)
        return self.contract(operation, Operand(ref, (over,), out), heads) if self.weighs(ref) else []

    def recurrent(self, operation: Aligned, weights: tuple[Ref, ...]) -> Value:
        incoming = self.value(next(refs_in(operation.event.args))).degrees
        for ref in operation.event.tensors()[1:]:
            if not self.weighs(ref):
                continue
            if ref in weights and len(ref.shape) == 2:
                for use in self.contract(operation, Operand(ref, (1,), {0: -1})):
                    self.reach(incoming, use)
            else:  # a bias, or a state to begin with
                self.consume(operation, ref)
        return Value(Kind.ACTIVATION)

    # Parameters that are not contracted -------------------------------------------------------------------

    def lookup(self, operation: Aligned) -> Value:
        refs = [ref for ref in operation.event.tensors() if self.weighs(ref)]
        uses = [use for ref in refs for use in self.consume(operation, ref, lookup=True)]
        degrees: dict[Source, Fraction] = dict.fromkeys(uses, ONE)
        return Value(Kind.ACTIVATION, degrees)

    def normaliser(self, operation: Aligned) -> Value:
        event = operation.event
        refs = [ref for ref in event.tensors()[1:] if self.weighs(ref)]
        uses = [use for ref in refs for use in self.consume(operation, ref)]
        degrees: dict[Source, Fraction] = dict.fromkeys(uses, ONE)
        source = self.value(event.tensors()[0])
        self.ledger.quotients += [(site, site) for site, _ in sites_of(source)]  # a factor on it is lost
        if source.kind is Kind.WEIGHT and not uses:
            return replace(source, degrees={}, magnitude=magnitudes.of_power(source.magnitude, Fraction(0)))
        if source.kind is Kind.WEIGHT:  # a token, normalised as activations are
            self.consume(operation, event.tensors()[0], token=True)
        return Value(Kind.ACTIVATION, degrees)

    # Everything else --------------------------------------------------------------------------------------

    def elementwise(self, operation: Aligned) -> None:
        event = operation.event
        refs = taken(event)
        values = [self.value(ref) for ref in refs]
        if not values:
            self.set(operation, created(operation))
            return
        if (event.op in MULTIPLY and any(v.zero for v in values)) or (event.op in KEEPS and values[0].zero):
            self.set(operation, Value(Kind.CONSTANT, zero=True))
            return
        kinds = {value.kind for value in values}
        if Kind.ACTIVATION in kinds:
            kind = Kind.ACTIVATION
        else:
            kind = Kind.WEIGHT if Kind.WEIGHT in kinds else Kind.CONSTANT
        uses: list[ParameterUse] = []
        chosen = event.op in CHOICES and len(refs) > 1 and self.weighs(refs[0])
        # Of a stack of matrices some are taken as they are, and a flat matrix is only laid out.
        laid = (
            any(law.exponent == 2 for law in operation.laws(refs[0]))
            or sum(law.grows for law in operation.laws(event.outputs[0])) > 1
        )
        lookup = chosen and len(refs[0].shape) < 3 and not laid
        if (chosen and not lookup) or (kind is Kind.ACTIVATION and self.scales_matrices(operation, refs)):
            kind = Kind.WEIGHT
        elif lookup or kind is Kind.ACTIVATION:
            uses = [use for ref in refs if self.weighs(ref) for use in self.take(operation, ref, lookup=lookup)]
            kind = Kind.ACTIVATION
        if event.op in SOFTMAX:
            for source in values[0].degrees:
                if isinstance(source, Site):
                    source.softmax = True
        degrees = degrees_of(self.ledger, operation, refs, values, uses)
        rows = packing.passed(operation, refs[0], values[0].packed, self.taken)
        for output, packed in zip(event.outputs, rows, strict=True):
            value = self.transformed(operation, output, refs, values, kind, degrees)
            self.values[output.node] = replace(value, packed=packed)

    def take(self, operation: Aligned, ref: Ref, *, lookup: bool) -> list[ParameterUse]:
        """Consume a weight number by number; what an unknown operation does with a matrix is not followed."""
        matrix = sum(law.grows for law in operation.laws(ref)) > 1
        followed = lookup or not matrix or operation.event.op in FOLLOWED
        if not followed:
            self.ledger.unread.append(operation.event.use)
        return self.consume(operation, ref, lookup=lookup, followed=followed)

    def scales_matrices(self, operation: Aligned, refs: tuple[Ref, ...]) -> bool:
        """Whether activations of a fixed size only scale the matrices of a stack, which are used later."""
        if operation.event.op not in MULTIPLY:
            return False
        growing = [(self.weighs(ref), sum(law.grows for law in operation.laws(ref))) for ref in refs]
        return all(count > 1 if weight else not count for weight, count in growing) and any(w for w, _ in growing)

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
                    named = indexed_axes(event, ref, output)
                    laws = operation.laws(output) if named else ()
                    for out, axes in enumerate(moved_axes(event, ref, output)):
                        for axis in named.get(out, ()) if named and laws[out].grows else axes:
                            merged[out] |= value.origins[axis]
            origins = tuple(merged)
        keeps = event.op in KEEPS or event.op in ADD or event.op in MULTIPLY or event.op in DIVIDE
        pending: tuple[tuple[frozenset[tuple[str, int]], ...], ...] = ()
        if kind is Kind.ACTIVATION and (event.op in MULTIPLY or event.op in DIVIDE or event.op in KEEPS):
            pending = tuple(
                tuple(
                    frozenset().union(*(origins[axis] for axis in axes)) for axes in moved_axes(event, ref, output)
                )
                for ref, value in zip(refs, values, strict=True)
                for origins in (value.pending if value.kind is not Kind.WEIGHT else (value.origins,))
            )
        number = first.number if event.op in KEEPS else number_of(operation, values)
        pair: frozenset[int] = frozenset()
        if len({ref.node for ref in refs}) == 2 and all(v.kind is Kind.ACTIVATION for v in values):
            pair = frozenset.intersection(*map(filled, refs)) if event.op in MULTIPLY else pair
        return Value(
            kind,
            degrees,
            origins,
            parameters_of(values) if kind is Kind.WEIGHT else frozenset(),
            inner=first.inner if keeps else {},
            pending=pending,
            pair=pair,
            number=number,
            summed=summed_in(values, origins) if kind is Kind.WEIGHT else frozenset(),
            handed=frozenset().union(*(value.handed for value in values)) if kind is Kind.WEIGHT else frozenset(),
            scales=gains(event.op, output, refs, values),
            beside=beside(operation, values),
            magnitude=magnitude(operation, values) if kind is Kind.WEIGHT else magnitudes.Magnitude(),
        )
