"""The models of a project, the sizes that make them wider, and what its training scripts give for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mulint.facts import FileFacts
from mulint.facts import syntax as s
from mulint.facts.spans import contains
from mulint.program import Program, classes
from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.records import Construction
from mulint.program.values import ClassValue, Knob, ObjectValue, Site, Value, as_number, options


@dataclass(frozen=True, slots=True)
class Setting:
    """One argument of a model's constructor, or one field of its configuration.

    ``value`` is the number that the training scripts give, else its default; None if they differ or none is known.
    ``is_base``: it is a width or divides one into heads, so that the base model needs it.
    """

    name: str
    value: float | None
    is_width: bool
    is_base: bool
    is_required: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A model that is no part of another one.

    ``configuration`` is the class whose instance holds the settings and is passed as the only argument; None: the
    settings are arguments. ``sites``: where scripts build it; ``optimizers``: what trains it.
    """

    kind: ClassValue
    configuration: ClassValue | None
    settings: tuple[Setting, ...]
    sites: tuple[Site, ...]
    optimizers: tuple[tuple[str, Site], ...]
    parts: int

    @property
    def widths(self) -> tuple[Setting, ...]:
        """The settings that make it wider."""
        return tuple(setting for setting in self.settings if setting.is_width)

    @property
    def base(self) -> dict[str, float]:
        """The sizes of the base model, widths first; nothing when one of the widths is not known."""
        if any(setting.value is None for setting in self.widths):
            return {}
        ordered = sorted(self.settings, key=lambda setting: not setting.is_width)
        return {s.name: s.value for s in ordered if s.is_base and s.value is not None}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The sizes of the base model that are not known."""
        return tuple(setting.name for setting in self.settings if setting.is_base and setting.value is None)


def models(program: Program, facts: Sequence[FileFacts]) -> list[Found]:
    """All models with a width, those that a script trains first, larger ones first among them."""
    files = {file.path: file for file in facts}
    kinds = {id(c.kind.node): c.kind for c in program.seen.constructions if classes.is_module_class(c.kind)}
    own = list(kinds.values())
    outside = [c for c in program.seen.constructions if not _is_part(c, own)]
    found = [_found(program, files, kind, [c for c in outside if c.kind.node is kind.node]) for kind in own]
    kept = [model for model in found if model is not None and model.widths]
    return sorted(kept, key=lambda m: (not m.sites, not m.optimizers, -m.parts, m.kind.path, m.kind.node.span))


def optimizers(program: Program, near: str | None = None) -> tuple[tuple[str, Site], ...]:
    """Type and place of every optimizer that is built, or only of those in or beside a file."""
    around = None if near is None else program.near(near)
    seen = ((record.type, record.site) for record in program.seen.optimizers)
    return tuple(dict.fromkeys((kind, site) for kind, site in seen if around is None or site.path in around))


def _is_part(construction: Construction, kinds: Iterable[ClassValue]) -> bool:
    """Whether it stands in the code of a module class, and so builds a part of that."""
    site = construction.site
    return any(
        kind.path == site.path and kind.node.span != site.span and contains(kind.node.span, site.span)
        for kind in kinds
    )


def _found(
    program: Program, files: dict[str, FileFacts], kind: ClassValue, built: Sequence[Construction]
) -> Found | None:
    own = Site(kind.path, kind.node.span)
    scripts = [c for c in built if c.site != own]
    training = [c for c in scripts if _trains(files[c.site.path])] or scripts
    given = [dict(_settings(c)) for c in (*training, *(c for c in built if c.site == own))]
    if not given:
        return None
    held = [holder for c in built for holder in _held(c)]
    configuration = next((holder.kind for holder in held if isinstance(holder, ObjectValue)), None)
    if held and configuration is None:  # settings of an object that no class in sight describes
        return None
    required = _required(configuration or kind)
    heads = _heads(program)
    settings = []
    for name in dict.fromkeys(name for values in given for name in values):
        values = [values[name] for values in given if name in values]
        symbols = {symbol for value in values for symbol in _symbols(value)}
        sizes = {size for v in values[: len(training) or None] for size in [_size(v, files)]}
        is_width = bool(symbols & program.widths)
        settings.append(
            Setting(
                name,
                sizes.pop() if len(sizes) == 1 else None,
                is_width,
                is_width or bool(symbols & heads),
                name in required,
            )
        )
    sites = tuple(dict.fromkeys(c.site for c in training))
    parts = sum(1 for weight in program.seen.weights if weight.site.path == kind.path)
    near = kind.path
    return Found(kind, configuration, tuple(settings), sites, optimizers(program, near), parts)


def _settings(construction: Construction) -> Iterator[tuple[str, Value]]:
    """What the constructor was given: its arguments, or the fields of the one that holds them."""
    holders = list(_held(construction))
    for holder in holders[:1]:
        yield from holder.attributes.items()
    if not holders:
        yield from ((name, value) for name, value in construction.given.items() if name != "self")


def _held(construction: Construction) -> Iterator[ObjectValue | Knob]:
    for name, value in construction.given.items():
        for option in options(value) if name != "self" else ():
            if isinstance(option, ObjectValue) or (isinstance(option, Knob) and option.attributes):
                yield option


def _required(kind: ClassValue) -> frozenset[str]:
    """The arguments of a class that have no default."""
    initialiser = classes.method(kind, "__init__")
    if initialiser is not None and isinstance(initialiser.node, s.Function):
        parameters = initialiser.node.parameters[1:]
        return frozenset(p.name for p in parameters if p.default is None and not p.kind.startswith("*"))
    return frozenset(name for name, _, node in classes.fields(kind) if node.value is None)


def _heads(program: Program) -> frozenset[Symbol]:
    """The numbers by which a width is divided to give the size of a head."""
    sizes = (size for attention in program.seen.attentions for size in attention.head_dim.alternatives)
    return frozenset(symbol for size in sizes for powers, _ in size.terms for symbol, power in powers if power < 0)


def _symbols(value: Value) -> frozenset[Symbol]:
    """The knob that a setting is; nothing where it is computed from knobs."""
    size = as_number(value).only if isinstance(value, Number | Knob) else None
    return frozenset(size.symbols) if size is not None and len(size.terms) == 1 else frozenset()


def _size(value: Value, files: dict[str, FileFacts]) -> float | None:
    """The number that a value is as the code stands: a constant, the default of a knob or of an option."""
    match value:
        case Number(constant=constant) if constant is not None:
            return float(constant)
        case Knob(symbol=symbol, default=default):
            if default is not None:
                return _size(default, files)
            file = files.get(symbol.path)
            return None if file is None else _option(file, symbol.short)
        case _:
            return None


def _option(file: FileFacts, name: str) -> float | None:
    """The default of a command-line option."""
    for node in s.walk(file.body):
        match node:
            case s.Call(function=s.Attribute(name="add_argument"), arguments=(s.Literal(value=str(flag)), *_)):
                if flag.lstrip("-").replace("-", "_") == name:
                    return _number(node.argument("default"))
    return None


def _number(node: s.Expression | None) -> float | None:
    match node:
        case s.Literal(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case _:
            return None


def _trains(file: FileFacts) -> bool:
    """Whether a script computes gradients."""
    return any(
        isinstance(node, s.Call) and isinstance(node.function, s.Attribute) and node.function.name == "backward"
        for node in s.walk(file.body)
    )
