"""Records one run of a model: every operation, the tensors that flow between them, and where the user wrote it.

A ``TorchFunctionMode`` sees each call with its spelling, its Python scalars and its parameters. A
``TorchDispatchMode`` beside it records what reaches no such call, so that nothing is missed silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    _pop_mode,
    _push_mode,
)

from mulint.tracing.catalogue import CORE, QUERIES, writes
from mulint.tracing.constants import tensors_in
from mulint.tracing.memory import Memory
from mulint.tracing.model import Use
from mulint.tracing.opaque import hooked, transparent_batches, transparent_functionals
from mulint.tracing.places import Places


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor as seen by an operation: the node that made it, and its shape.

    ``number``: the value of a tensor of one number that no operation made; not a number on meta.
    """

    node: int
    shape: tuple[int, ...]
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One operation. ``key`` is equal for the same operation in the same place at another width."""

    op: str
    key: tuple[object, ...]
    use: Use
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Ref, ...]

    def tensors(self) -> tuple[Ref, ...]:
        """All tensors among the arguments, in order."""
        return tuple(refs_in((self.args, self.kwargs)))


@dataclass(slots=True)
class Recording:
    """All operations of one run at one width, and what the nodes are that no operation made.

    ``kept``: tensors of one number that the model holds, such as a scale in a buffer.
    """

    width: float
    events: list[Event] = field(default_factory=list)
    parameters: dict[int, str] = field(default_factory=dict)
    inputs: set[int] = field(default_factory=set)
    kept: dict[int, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sites: dict[str, Use] = field(default_factory=dict)
    module_sites: dict[str, Use] = field(default_factory=dict)


def refs_in(value: object) -> Iterator[Ref]:
    """Every tensor in a nested argument."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from refs_in(item)


def named_parameters(model: nn.Module) -> tuple[dict[str, nn.Parameter], dict[str, tuple[str, ...]]]:
    """Every parameter once, by its first name, and the other names of each (tied weights)."""
    names: dict[int, str] = {}
    first: dict[str, nn.Parameter] = {}
    aliases: dict[str, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        known = names.setdefault(id(parameter), name)
        if known == name:
            first[name], aliases[name] = parameter, ()
        else:
            aliases[known] = (*aliases[known], name)
    return first, aliases


def kept_numbers(model: nn.Module) -> dict[str, Tensor]:
    """Tensors of one floating-point number that the modules hold: buffers and plain attributes."""
    found = {}
    for prefix, module in model.named_modules():
        for name, value in (*module._buffers.items(), *vars(module).items()):
            if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
                found[f"{prefix}.{name}".lstrip(".")] = value
    return found


def record(width: float, model: nn.Module, batch: object, run: Callable[[], object], root: Path) -> Recording:
    """Call ``run`` once and return what happened."""
    recorder = _Recorder(width, model, batch, root)
    with ExitStack() as stack:
        stack.enter_context(transparent_functionals())
        stack.enter_context(transparent_batches(recorder.note))
        stack.enter_context(recorder.follow_modules(model))
        stack.enter_context(recorder.beneath)
        stack.enter_context(recorder)
        run()
    return recorder.recording


class _Recorder(TorchFunctionMode):
    def __init__(self, width: float, model: nn.Module, batch: object, root: Path) -> None:
        super().__init__()
        self.recording = Recording(width)
        self.nodes: dict[int, int] = {}
        self.keep: list[object] = []  # identities stay unique only while the tensors live, and number the nodes
        self.seen: dict[tuple[object, ...], int] = {}
        self.modules: list[str] = [""]
        self.places = Places(root)
        self.beneath = _Beneath(self)
        self.memory = Memory()
        self.inside = 0
        first, self.recording.aliases = named_parameters(model)
        for name, parameter in first.items():
            self.recording.shapes[name] = tuple(parameter.shape)
            self.recording.parameters[self.node(parameter)] = name
        self.named = {
            full: self.node(first[name])
            for name, others in self.recording.aliases.items()
            for full in (name, *others)
        }
        for name, tensor in kept_numbers(model).items():
            self.recording.kept[self.node(tensor)] = name
        for tensor in tensors_in(batch):
            self.recording.inputs.add(self.node(tensor))

    def node(self, tensor: Tensor) -> int:
        known = self.nodes.get(id(tensor))
        if known is None:
            known = self.nodes[id(tensor)] = len(self.keep)
            self.keep.append(tensor)
        return known

    def ref(self, value: object) -> object:
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, tuple | list):
            return tuple(self.ref(item) for item in value)
        if isinstance(value, dict):
            return {key: self.ref(item) for key, item in value.items()}
        if isinstance(value, bool | int | float | str | type(None) | slice) or value is Ellipsis:
            return value
        return type(value).__name__

    def tensor(self, value: Tensor) -> Ref:
        known = id(value) in self.nodes
        node = self.node(value)
        if known or value.numel() != 1 or not value.is_floating_point():
            return Ref(node, tuple(value.shape))
        number = math.nan if value.device.type == "meta" else float(value.detach())
        return Ref(node, tuple(value.shape), number)

    @contextmanager
    def follow_modules(self, model: nn.Module) -> Iterator[None]:
        handles = []

        def enter(name: str) -> Callable[..., None]:
            def entered(module: nn.Module, _: object) -> None:
                self.modules.append(name)
                self.gathered(name, module)

            return entered

        def leave(*_: object) -> None:
            self.modules.pop()

        for name, module in hooked(model):
            handles.append(module.register_forward_pre_hook(enter(name)))
            handles.append(module.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def gathered(self, prefix: str, module: nn.Module) -> None:
        """Sharded parameters are others while their module runs: whole ones, of the same names."""
        for name, parameter in module._parameters.items():
            node = self.named.get(f"{prefix}.{name}".lstrip("."))
            if parameter is not None and node is not None and id(parameter) not in self.nodes:
                self.nodes[id(parameter)] = node
                self.keep.append(parameter)

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        if name in QUERIES:
            if name == "data_ptr" and args[0].is_meta:
                # A kernel of the model's own would write to address zero and take the device down with it.
                raise RuntimeError("the model asks for the memory of a tensor that has none")
            return func(*args, **kwargs)
        before = self.ref(args), self.ref(kwargs)  # an operation in place must not hide what it read
        # Nothing is looked for inside of a recorded call. Popping the mode saves time.
        topmost = _get_current_dispatch_mode() is self.beneath
        if topmost:
            _pop_mode()
        self.inside += 1
        try:
            result = self.memory.call(func, name, args, kwargs)
        finally:
            self.inside -= 1
            if topmost:
                _push_mode(self.beneath)
        made = [args[0]] if name == "__setitem__" else list(tensors_in(result))
        if made:
            self.add(name, before, made)
        return result

    def note(self, name: str, arguments: tuple[Any, ...], result: Tensor) -> None:
        """Record an operation that is none of torch's calls."""
        self.add(name, (self.ref(arguments), {}), [result])

    def add(self, name: str, before: tuple[Any, Any], made: list[Tensor]) -> None:
        outputs = []
        for tensor in made:
            if writes(name):  # the same object holds a new value from here on
                self.nodes.pop(id(tensor), None)
            outputs.append(Ref(self.node(tensor), tuple(tensor.shape)))
        site, use = self.places.find(name)
        key = (name, self.modules[-1], site)
        count = self.seen[key] = self.seen.get(key, -1) + 1
        self.recording.events.append(Event(name, (*key, count), use, before[0], before[1], tuple(outputs)))


class _Beneath(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operations of torch's core that no recorded call stands for, such as those of a script."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.recorder.inside:
            return func(*args, **kwargs)
        before = self.recorder.ref(args), self.recorder.ref(kwargs)
        with torch._C.DisableTorchFunction():
            result = func(*args, **kwargs)
        name = func._schema.name.split("::")[-1]
        if made := list(tensors_in(result)):
            self.recorder.add(CORE.get(name, name), before, made)
        return result


def _name(func: Any) -> str:
    name = str(getattr(func, "__name__", type(func).__name__))
    if name == "__get__":
        return str(func.__self__.__name__)
    return name.split(".")[0]  # an overload such as mm.default
