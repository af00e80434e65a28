"""Modules as values: building library layers, containers, traversal, methods every module has, tying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from mulint.program import classes
from mulint.program.library import initialisers, layer_calls
from mulint.program.library.layers import (
    ACTIVATION_MODULES,
    CONTAINERS,
    KEYED_CONTAINERS,
    LINEAR_MODULES,
    ROWS,
    canonical,
)
from mulint.program.numbers import UNKNOWN_NUMBER, Number
from mulint.program.records import Layer, Weight
from mulint.program.run import Arguments, Run, iterate, truth
from mulint.program.values import (
    Choice,
    Constant,
    DictValue,
    ListValue,
    ModuleValue,
    Site,
    Tensor,
    Unknown,
    Value,
    as_number,
    options,
)

METHODS = frozenset(
    (
        "apply parameters named_parameters modules named_modules children named_children register_buffer "
        "register_parameter add_module append extend insert train eval to cuda cpu half float bfloat16 double "
        "state_dict load_state_dict requires_grad_ zero_grad get_parameter get_submodule compile items keys "
        "to_empty values update __init__ type post_init init_weights"
    ).split()
)

# The arguments that say how often a layer repeats its parts, and their positions.
_DEPTHS: dict[str, tuple[tuple[str, int], ...]] = {
    **{f"torch.nn.{name}": (("num_layers", 1),) for name in ("TransformerEncoder", "TransformerDecoder")},
    **{f"torch.nn.{name}": (("num_layers", 2),) for name in ("RNN", "GRU", "LSTM")},
    "torch.nn.Transformer": (("num_encoder_layers", 2), ("num_decoder_layers", 3)),
}
_NUMBERED = (CONTAINERS - KEYED_CONTAINERS) | {"repeated"}
# The weights of a model in sight, as ``state_dict()`` gives them.
STATE = Unknown("state_dict() of a module")


@cache
def is_layer_name(name: str) -> bool:
    """Whether an external name is a module class of torch or mup."""
    public = canonical(name)
    known = public in ROWS or public in CONTAINERS or public in LINEAR_MODULES or public in ACTIVATION_MODULES
    return known or (
        public.startswith("torch.nn.") and public.rpartition(".")[2][:1].isupper() and public.count(".") == 2
    )


def construct(run: Run, name: str, arguments: Arguments) -> Value:
    """Construct a module of the library by its public name; one made by a helper is built where that is called."""
    public, helper = canonical(name), run.helper
    for depth in _DEPTHS.get(public, ()):
        run.seen.depths |= as_number(arguments.get(*depth) or Unknown()).symbols
    called = arguments if helper is None else replace(arguments, site=helper.site, owner=helper.owner)
    module = ModuleValue(None, called.site, container=public, level=run.uncertainty)
    fill(run, module, public, called)
    if module.layer is not None and helper is not None:
        module.layer.written = arguments.site
    return module


def tell_apart(result: Value, site: Site) -> None:
    """Several layers that one call of a helper gives are each built where the helper constructs it."""
    items = result.items if isinstance(result, ListValue) else []
    layers = [o.layer for i in items for o in options(i) if isinstance(o, ModuleValue) and o.layer is not None]
    made = {layer.written: layer for layer in layers if layer.site == site and layer.written is not None}
    if len(made) < 2 or len(made) < len(layers):
        return
    for written, layer in made.items():
        layer.site = written
        for weight in layer.weights.values():
            weight.site = written


def construct_base(run: Run, module: ModuleValue, arguments: Arguments) -> None:
    """Run the library's constructor on an instance of a user's subclass of a layer or container."""
    assert module.kind is not None
    if classes.is_pretrained(module.kind) and (config := arguments.get("config", 0)) is not None:
        module.attributes["config"] = config
    for name in classes.external_bases(module.kind):
        if is_layer_name(name) and name != "torch.nn.Module":
            fill(run, module, name, arguments)
            return


def fill(run: Run, module: ModuleValue, public: str, arguments: Arguments) -> None:
    """Give a module the weights or children that the library's constructor makes."""
    module.container = public
    if public in CONTAINERS:
        _fill_container(module, public, arguments)
        return
    row = ROWS.get(public)
    if row is None:
        return
    values = arguments.bind(row.signature)
    # A subclass of a layer is built where its own constructor is called, not where it calls its base's.
    site = module.site if module.kind is not None else arguments.site
    owner = module.owner if module.kind is not None else arguments.owner
    layer = Layer(public, site, owner.partition(".")[0], values)
    sizes = {name: _size(values.get(name), row.defaults.get(name)) for name in row.signature}
    for weight_row in row.weights:
        if weight_row.switch and truth(values.get(weight_row.switch, Constant(True))) is False:
            module.attributes[weight_row.name] = Constant(None)
            continue
        weight = Weight(
            weight_row.name,
            site,
            layer.owner,
            weight_row.dims(sizes),
            weight_row.contracted,
            weight_row.lookup,
            layer,
            level=run.uncertainty,
            arms=run.arms,
        )
        if weight_row.std is not None:
            initialisers.record(run, weight, "normal_", site, Number.of(weight_row.std), "fan_in", "torch")
        layer.weights[weight_row.name] = weight
        run.seen.weights.append(weight)
        _nest(module, weight_row.name, Tensor(weight.dims, open=False, weight=weight))
    shared = values.get("weight")
    for option in options(shared) if shared is not None else ():
        if isinstance(option, Tensor) and option.weight is not None:
            module.attributes["weight"] = shared or option
            option.weight.ties.append(arguments.site)
    module.layer = layer
    run.seen.layers.append(layer)
    layer_calls.at_construction(run, layer, sizes, arguments.site)


def _size(value: Value | None, default: float | None) -> Number:
    if value is None:
        return UNKNOWN_NUMBER if default is None else Number.of(default)
    if isinstance(value, ListValue) and value.items:
        return as_number(value.items[-1])
    return as_number(value)


def _nest(module: ModuleValue, name: str, value: Value) -> None:
    """Put a weight at a dotted name (``out_proj.weight``) into a submodule of that name."""
    head, _, rest = name.partition(".")
    if not rest:
        module.attributes[head] = value
        return
    child = module.attributes.setdefault(head, ModuleValue(None, module.site, container="torch.nn.Module"))
    if isinstance(child, ModuleValue):
        _nest(child, rest, value)


def _fill_container(module: ModuleValue, public: str, arguments: Arguments) -> None:
    entries: dict[str, Value] = {}
    complete = arguments.complete
    values = list(arguments.positional)
    if len(values) == 1 and not isinstance(values[0], ModuleValue):
        first = next((o for o in options(values[0]) if not isinstance(o, Constant)), values[0])
        if isinstance(first, DictValue):
            entries = {str(k): v for k, v in first.entries.items()}
            complete = complete and first.complete
            values = []
        else:
            values, known = iterate(first)
            complete = complete and known
    entries |= {str(i): v for i, v in enumerate(values)}
    # Anything but a module in a container is a repetition that could not be counted.
    module.container = public if complete or public in KEYED_CONTAINERS else "repeated"
    module.attributes.update(entries)
    for name, value in entries.items():
        _name_item(value, name)


def _name_layer(value: Value, name: str) -> None:
    for option in options(value):
        if isinstance(option, ModuleValue) and option.layer is not None and not option.layer.name:
            option.layer.name = name


def _name_item(value: Value, name: str) -> None:
    """Name a layer, or a weight that belongs to none, after the key under which a container holds it."""
    _name_layer(value, name)
    for option in options(value):
        if isinstance(option, Tensor) and option.weight is not None and option.weight.layer is None:
            option.weight.name = option.weight.name or name


def _name_items(value: Value, name: str) -> None:
    """Name layers in a list or a sequence after the attribute that holds it as well: ``layers.0``."""
    for option in options(value):
        if not isinstance(option, ModuleValue) or option.kind is not None or option.layer is not None:
            continue
        for key, inner in option.attributes.items() if option.container in _NUMBERED else ():
            for item in options(inner) if key.isdigit() else ():
                if isinstance(item, ModuleValue) and item.layer is not None and item.layer.name == key:
                    item.layer.name = f"{name}.{key}"
            _name_items(inner, f"{name}.{key}")


def adopt(run: Run, module: ModuleValue, name: str, new: Value, site: Site) -> Value:
    """What becomes of a value assigned to an attribute of a module: layers get names, weights get tied."""
    _name_layer(new, name)
    _name_items(new, name)
    if module.kind is not None and module.site.span != module.kind.node.span:
        _place(new, module.site)
    for option in options(new):
        if isinstance(option, Tensor) and option.weight is not None:
            _adopt_weight(run, module, name, option.weight, site)
    return new


def _place(value: Value, site: Site) -> None:
    """Say of layers and raw weights, also inside containers, where the module that holds them is built."""
    for option in options(value):
        if isinstance(option, Tensor) and option.weight is not None and option.weight.layer is None:
            option.weight.holder = option.weight.holder or site
        elif isinstance(option, ModuleValue) and option.kind is None:
            if option.layer is not None:
                option.layer.inside = option.layer.inside or site
            elif option.container in CONTAINERS or option.container == "repeated":
                for inner in option.attributes.values():
                    _place(inner, site)


def _adopt_weight(run: Run, module: ModuleValue, name: str, weight: Weight, site: Site) -> None:
    replaced = module.attributes.get(name)
    if isinstance(replaced, Tensor) and replaced.weight is not None and replaced.weight is not weight:
        if weight.name:
            weight.ties.append(site)
            weight.inits.extend(replaced.weight.inits)
        else:
            _wrapped_again(weight, replaced.weight)
        if module.layer is not None and replaced.weight in module.layer.weights.values():
            module.layer.weights[name] = weight
        if run.uncertainty <= module.level:
            run.seen.weights = [w for w in run.seen.weights if w is not replaced.weight]
    elif weight.layer is None and not weight.name:
        weight.name = name


def _wrapped_again(weight: Weight, replaced: Weight) -> None:
    """``layer.weight = nn.Parameter(layer.weight[:n])``: the same weight in a new wrapper."""
    weight.name, weight.layer, weight.lookup = replaced.name, replaced.layer, replaced.lookup
    weight.contracted, weight.site, weight.owner = replaced.contracted, replaced.site, replaced.owner
    weight.inits[:0] = replaced.inits


def set_tensor_attribute(tensor: Tensor, name: str, new: Value) -> None:
    """``weight.requires_grad = False`` freezes it, and True thaws it."""
    trains = truth(new) if name == "requires_grad" else None
    if tensor.weight is not None and trains is not None:
        tensor.weight.frozen = not trains


# Traversal, in torch's order


def named_modules(module: ModuleValue, prefix: str = "") -> Iterator[tuple[str, ModuleValue]]:
    """All submodules with their dotted names, the module itself first."""
    yield from _walk(module, prefix, set())


def _walk(module: ModuleValue, prefix: str, seen: set[int]) -> Iterator[tuple[str, ModuleValue]]:
    if id(module) in seen:
        return
    seen.add(id(module))
    yield prefix, module
    for name, value in list(module.attributes.items()):
        for option in options(value):
            if isinstance(option, ModuleValue):
                yield from _walk(option, f"{prefix}.{name}" if prefix else name, seen)


def named_weights(module: ModuleValue) -> list[tuple[str, Tensor]]:
    """All parameters with their dotted names, tied ones once."""
    found: dict[int, tuple[str, Tensor]] = {}
    for prefix, inner in named_modules(module):
        for name, value in inner.attributes.items():
            for option in options(value):
                if isinstance(option, Tensor) and option.weight is not None:
                    dotted = f"{prefix}.{name}" if prefix else name
                    found.setdefault(id(option.weight), (dotted, option))
    return list(found.values())


def call_method(run: Run, module: ModuleValue, name: str, arguments: Arguments) -> Value:
    """A method that every module, or a container, has."""
    match name:
        case "apply":
            function = arguments.get("fn", 0)
            for _, inner in reversed(list(named_modules(module))):
                if function is not None:
                    run.call(function, replace(arguments, positional=(inner,), keywords={}))
            return module
        case "parameters":
            found: list[Value] = [tensor for _, tensor in named_weights(module)]
            return ListValue(found) if found else ListValue([Tensor(parameter=True)], complete=False)
        case "named_parameters":
            pairs: list[Value] = [ListValue([Constant(n), t]) for n, t in named_weights(module)]
            unknown = ListValue([Unknown("a name"), Tensor(parameter=True)])
            return ListValue(pairs) if pairs else ListValue([unknown], complete=False)
        case "modules":
            return ListValue([m for _, m in named_modules(module)])
        case "named_modules":
            return ListValue([ListValue([Constant(n), m]) for n, m in named_modules(module)])
        case "children" | "values":
            return ListValue(
                [o for v in module.attributes.values() for o in options(v) if isinstance(o, ModuleValue)]
            )
        case "named_children" | "items":
            inside = [
                (n, o) for n, v in module.attributes.items() for o in options(v) if isinstance(o, ModuleValue)
            ]
            return ListValue([ListValue([Constant(n), m]) for n, m in inside])
        case "append" | "add_module" | "register_parameter" | "register_buffer" | "extend":
            _add(run, module, name, arguments)
            return module
        case "requires_grad_":
            for _, tensor in named_weights(module):
                set_tensor_attribute(tensor, "requires_grad", arguments.get("requires_grad", 0) or Constant(True))
            return module
        case "post_init" | "init_weights" if module.kind is not None and classes.is_pretrained(module.kind):
            # transformers draws every module by the model's own method.
            function = run.attribute(module, "_init_weights", arguments.site)
            return call_method(run, module, "apply", replace(arguments, positional=(function,), keywords={}))
        case "__init__":
            return Constant(None)
        case "state_dict":
            return STATE
        case "load_state_dict" | "keys" | "get_parameter" | "get_submodule" | "type":
            return Unknown(f"{name}() of a module")
        case _:
            return module


def _add(run: Run, module: ModuleValue, name: str, arguments: Arguments) -> None:
    if name == "append":
        value = arguments.get("module", 0)
        if value is not None:
            key = str(len(module.attributes))
            if run.uncertainty and module.container != "repeated":
                module.container = "repeated"
            module.attributes[key] = value
            _name_item(value, key)
    elif name == "extend":
        items, complete = iterate(arguments.positional[0]) if arguments.positional else ([], False)
        for item in items:
            module.attributes[str(len(module.attributes))] = item
        module.container = module.container if complete else "repeated"
    else:
        key_value, value = (
            arguments.get("name", 0),
            arguments.get({"add_module": "module", "register_parameter": "param"}.get(name, "tensor"), 1),
        )
        if isinstance(key_value, Constant) and isinstance(key_value.value, str) and value is not None:
            run.set_attribute(module, key_value.value, value, arguments.site)


def apply_layer(run: Run, module: ModuleValue, arguments: Arguments) -> Value:
    """What a library module does to an activation."""
    value = arguments.positional[0] if arguments.positional else next(iter(arguments.keywords.values()), Unknown())
    if module.container == "torch.nn.Sequential" or (module.container == "repeated" and module.layer is None):
        for inner in list(module.attributes.values()):
            value = run.call(inner, replace(arguments, positional=(value,), keywords={}))
        return value
    return layer_calls.apply(run, module, value, arguments)


def choose(value: Value) -> list[ModuleValue]:
    """All modules a value may be."""
    return [o for o in (value.options if isinstance(value, Choice) else (value,)) if isinstance(o, ModuleValue)]
