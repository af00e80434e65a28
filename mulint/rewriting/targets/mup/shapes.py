"""The outermost models set their base shapes themselves, once all layers are there and before they are drawn.

So every way to build a model passes it: scripts, checkpoints, tests. Base and delta are built on the meta device,
which draws nothing. Without a base ``set_base_shapes(self, None)`` makes every ratio 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mulint.facts import syntax as s
from mulint.facts.spans import Span, contains
from mulint.program import classes
from mulint.program.values import ClassValue, ObjectValue, Site, options
from mulint.rewriting.base import Spelling, initialiser
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.targets.models import builders, models, module_kinds, spelled, with_builders
from mulint.rewriting.targets.mup import readout
from mulint.rewriting.targets.mup.replaced import keep_shapes
from mulint.rules.readouts import readouts
from mulint.theory import Role

COMMENT = "# the base shapes of mup: sizes that differ between base and delta are widths; None: all ratios are 1"
_READS = ("item", "tolist", "numpy")
_MANUAL = 'call set_base_shapes by hand, or use target = "torch"'


def set_in_models(context: Context) -> None:
    """Have the models of a unit set their base shapes.

    Raises:
        CannotRewrite: a model cannot, or something that needs the shapes would not get them.
    """
    held = list(_holders(context))
    if not held and not context.optimizers:
        return
    found = models(context, context.optimizers or {kind.path: [] for kind in held}, held)
    if not found:
        raise CannotRewrite(
            "no argument of the model carries a width", f"make the width an argument of the model, or {_MANUAL}"
        )
    near = {path for kind in found for path in context.program.near(kind.path)}
    _check_once(context, near)
    _check_covered(context, held, found)
    _check_maps(context, near)
    shaped = [_Model(context, kind, initialiser(kind)) for kind in found]
    for model in shaped:
        model.check()
        model.write()
    _check_draws(context, shaped)
    for path in sorted(near):
        keep_shapes(context, path)


def _holders(context: Context) -> Iterator[ClassValue]:
    """The classes whose code builds readouts, or draws with the shapes."""
    for site in context.readouts:
        kind = context.bases.kind_at(site)
        if kind is None:
            raise CannotRewrite(
                f"the readout at {site.path}:{site.line} is built outside of a model class",
                "build it in the constructor of a model class",
            )
        yield kind
    for site in context.draws:
        kind = context.bases.kind_at(site)
        if kind is not None:
            yield kind


def _check_covered(context: Context, held: list[ClassValue], found: list[ClassValue]) -> None:
    """Every class that needs the shapes is built by a model that sets them, and nowhere else."""
    outer = {id(kind.node) for kind in found}
    parents = builders(context)
    inside = with_builders({id(kind.node) for kind in held}, parents)
    for key, kind in module_kinds(context).items():
        if key not in inside or key in outer:
            continue
        alone = any(context.bases.kind_at(c.site) is None for c in context.bases.constructions(kind))
        if alone or not with_builders({key}, parents) & outer:
            raise CannotRewrite(f"{kind.name} is also built outside of a model that can set base shapes", _MANUAL)


def _check_once(context: Context, near: set[str]) -> None:
    """Shapes that are set twice rescale what is rescaled already, which the package refuses."""
    calls = [site for name, site in context.program.seen.package_calls if name == "mup.set_base_shapes"]
    for site in calls:
        if site.path in near:
            raise CannotRewrite(
                f"base shapes are set already, at {site.path}:{site.line}",
                "use the readout, optimizer or init function of mup there by hand",
            )


def _check_maps(context: Context, near: set[str]) -> None:
    """The shapes come with an assertion: a linear layer from a width to something fixed is a ``MuReadout``."""
    outputs = (p.weight for p in context.program.parameters if p.role is Role.OUTPUT)
    maps = [(weight.layer, weight.site, weight.symbol) for weight in outputs]
    maps += [(use.layer, r.site, r.name) for r in readouts(context.program) for use in r.uses]
    for layer, site, symbol in maps:
        plain = layer is not None and layer.type == readout.LAYER and site.path in near
        if plain and site not in context.readouts:
            raise CannotRewrite(
                f"set_base_shapes of mup asserts that {symbol} is a MuReadout", f"make {symbol} one first"
            )


def _check_draws(context: Context, shaped: list[_Model]) -> None:
    """What draws by the shapes has to follow them; and so has a draw of every table that a readout shares.

    The shapes rescale a readout as it was built, and with it what it is tied to.
    """
    for site in context.draws:
        if not any(model.draws_after(site) for model in shaped):
            raise CannotRewrite(
                f"the draw at {site.path}:{site.line} is not made by the model after its base shapes are set",
                "draw after all layers of the model are built, in its constructor or by self.apply there",
            )
    for tied in readouts(context.program):
        draws = [init.site for init in tied.parameter.weight.inits]
        followed = any(model.draws_after(site) for model in shaped for site in draws)
        if tied.parameter.tied and tied.site in context.readouts and not followed:
            raise CannotRewrite(
                f"set_base_shapes would rescale the table that {tied.name} shares, as no draw follows",
                "draw the table in the model's constructor after it is shared",
            )


@dataclass(frozen=True, slots=True)
class _Model:
    """A class that sets base shapes in its constructor."""

    context: Context
    kind: ClassValue
    constructor: s.Function

    def check(self) -> None:
        """Refuse a constructor whose arguments do not make a base and a delta."""
        derived = any(
            other is not self.kind and self.kind in classes.ancestry(other)
            for other in module_kinds(self.context).values()
        )
        plain = len(classes.ancestry(self.kind)) == 1 and classes.external_bases(self.kind) == ("torch.nn.Module",)
        if derived or not plain:
            raise CannotRewrite(f"{self.kind.name} shares its constructor with other classes", _MANUAL)
        parameters = self.constructor.parameters[1:]
        if any(p.kind in ("*", "**") for p in parameters):
            raise CannotRewrite(f"the constructor of {self.kind.name} takes any arguments", _MANUAL)
        if self._rebinds({p.name for p in parameters}):
            raise CannotRewrite(f"the constructor of {self.kind.name} changes its own arguments", _MANUAL)
        if any(isinstance(n, s.Return) for n in self.constructor.body):
            raise CannotRewrite(f"the constructor of {self.kind.name} may return early", _MANUAL)
        near = self.context.program.near(self.kind.path)
        for kind in module_kinds(self.context).values():
            own = (n for n in kind.node.body if isinstance(n, s.Function) and n.name == "__init__")
            called = (n.function for f in own for n in s.walk(f.body) if isinstance(n, s.Call))
            if kind.path in near and any(isinstance(c, s.Attribute) and c.name in _READS for c in called):
                raise CannotRewrite(
                    f"the constructor of {kind.name} reads values of tensors, absent on the meta device",
                    _MANUAL,
                )

    def _rebinds(self, names: set[str]) -> bool:
        for node in s.walk(self.constructor.body):
            targets = node.targets if isinstance(node, s.Assign) else ()
            targets = (node.target,) if isinstance(node, s.AugmentedAssign) else targets
            for target in targets:
                holder = target.value if isinstance(target, s.Attribute) else target
                if isinstance(holder, s.Name) and holder.id in names:
                    return True
        return False

    def write(self) -> None:
        """Set the shapes after the last statement that adds a parameter or ties one."""
        context, path = self.context, self.kind.path
        widths = spelled(context, self.kind, context.program.widths)
        fixed = [sp for sp in spelled(context, self.kind, context.bases.symbols) if sp not in widths]
        for spelling in (*widths, *fixed):
            context.bases.need(self.kind, spelling)
        context.models.append(f"{path}:{self.kind.name}")
        document = context.tree.documents[path]
        taken = {n.id for n in s.walk(self.constructor.body) if isinstance(n, s.Name)}
        taken |= {p.name for p in self.constructor.parameters}
        if clash := sorted(taken & {"base", "delta", "sizes"}):
            raise CannotRewrite(f"the name {clash[0]} is taken in {path}", f"rename {clash[0]} in {path}")
        context.imports.need_package(path, "mup")
        context.imports.need_package(path, "torch")
        step, quote = document.step(), document.quote()
        given = " or ".join(f"{sp.base} is not None" for sp in widths)
        sizes = self._sizes(widths, fixed, quote)
        lines = [
            COMMENT,
            "base = delta = None",
            f"if {given}:",
            *(f"{step}{line}" for line in sizes),
            f"{step}with torch.device({quote}meta{quote}):",
            f"{2 * step}base = {self._built(widths, fixed, 1)}",
            f"{2 * step}delta = {self._built(widths, fixed, 2)}",
            "mup.set_base_shapes(self, base, delta=delta)",
        ]
        context.tree.add_line_after(path, self.constructor.body[self._last], *lines)

    def _sizes(self, widths: list[Spelling], fixed: list[Spelling], quote: str) -> Iterator[str]:
        """What the configurations of base and delta share, where their sizes come in one."""
        several = [sp for sp in (*widths, *fixed) if sp.holder is not None]
        if several:
            own = [f"{quote}{sp.name}{quote}: {_size(sp)}" for sp in fixed if sp.holder is not None]
            bases = [f"{quote}base_{sp.name}{quote}: None" for sp in several]
            yield f"sizes = {{{', '.join([*own, *bases])}}}"

    def _built(self, widths: list[Spelling], fixed: list[Spelling], times: int) -> str:
        """The call that builds a model whose widths are that many times those of the base."""
        only = len(widths) == 1
        sizes = {
            **{(sp.holder, sp.name): _size(sp, times, certain=only) for sp in widths},
            **{(sp.holder, sp.name): _size(sp) for sp in fixed},
        }
        holders = dict.fromkeys(sp.holder for sp in widths if sp.holder)
        if len({sp.holder for sp in (*widths, *fixed)}) > 1:
            raise CannotRewrite(f"the sizes of {self.kind.name} come from several places", _MANUAL)
        arguments = []
        for parameter in self.constructor.parameters[1:]:
            name = parameter.name
            if name in {f"base_{sp.name}" for sp in (*widths, *fixed) if sp.holder is None}:
                continue
            value = sizes.get((None, name), name)
            if name in holders:
                self._check_dataclass(name)
                own = ", ".join(f"{sp.name}={sizes[name, sp.name]}" for sp in widths)
                value = f"dataclasses.replace({name}, {own}, **sizes)"
                self.context.imports.need_module(self.kind.path, "dataclasses")
            arguments.append(f"{name}={value}" if parameter.kind == "keyword" else value)
        return f"{self.kind.name}({', '.join(arguments)})"

    def _check_dataclass(self, holder: str) -> None:
        found = [c.given[holder] for c in self.context.bases.constructions(self.kind) if holder in c.given]
        objects = [o for value in found for o in options(value) if isinstance(o, ObjectValue)]
        for kind in {id(o.kind): o.kind for o in objects}.values():
            document = self.context.tree.documents[kind.path]
            decorators = [d.function if isinstance(d, s.Call) else d for d in kind.node.decorators]
            if not any(document.qualified(d) == "dataclasses.dataclass" for d in decorators):
                raise CannotRewrite(
                    f"{kind.name} is no dataclass: mulint copies no other with other sizes", _MANUAL
                )
        if not objects:
            raise CannotRewrite(f"what {holder} is was not recognised", _MANUAL)

    @property
    def _last(self) -> int:
        """The last statement of the constructor that adds a parameter or ties one."""
        seen, path = self.context.program.seen, self.kind.path
        sites = [layer.site for layer in seen.layers] + [c.site for c in seen.constructions]
        sites += [p.weight.site for p in self.context.program.parameters]
        spans = {site.span for site in sites if site.path == path}
        adding = [f.name for f in self._methods if any(contains(f.span, span) for span in spans)]
        last = -1
        for index, statement in enumerate(self.constructor.body):
            adds = any(contains(statement.span, span) for span in spans)
            tied = isinstance(statement, s.Assign) and any(
                isinstance(t, s.Attribute) and isinstance(t.value, s.Attribute) for t in statement.targets
            )
            if adds or tied or any(_mentions(statement, name) for name in adding):
                last = index
        if last < 0:
            raise CannotRewrite(f"the constructor of {self.kind.name} builds no layer", _MANUAL)
        return last

    @property
    def _methods(self) -> list[s.Function]:
        own = [n for n in self.kind.node.body if isinstance(n, s.Function)]
        return [f for f in own if f.name != "__init__"]

    def draws_after(self, site: Site) -> bool:
        """Whether a draw is made by the constructor, or by what it calls, and only after the shapes are set."""
        if site.path == self.kind.path and contains(self.constructor.span, site.span):
            return self._first(site.span) > self._last
        function = self.context.tree.at(site).innermost(site.span, s.Function)
        if function is None:
            return False
        around = self.context.bases.kind_at(site)
        if around is not None and around.node is not self.kind.node:
            return False
        calls = [i for i, statement in enumerate(self.constructor.body) if _mentions(statement, function.name)]
        return bool(calls) and min(calls) > self._last

    def _first(self, span: Span) -> int:
        return next(i for i, statement in enumerate(self.constructor.body) if contains(statement.span, span))


def _mentions(statement: s.Statement, name: str) -> bool:
    """Whether a statement has a function's name in it: that of a method, or a plain one."""
    nodes = s.walk(statement)
    return any(
        (isinstance(n, s.Name) and n.id == name)
        or (isinstance(n, s.Attribute) and n.name == name and isinstance(n.value, s.Name) and n.value.id == "self")
        for n in nodes
    )


def _size(spelling: Spelling, times: int = 1, *, certain: bool = False) -> str:
    """A size in the base, so many times as large; ``certain``: the base is known not to be None."""
    size = spelling.base if certain else f"{spelling.base} or {spelling.own}"
    if times == 1:
        return size
    return f"{times} * {size}" if certain else f"{times} * ({size})"
