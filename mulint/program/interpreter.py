"""The abstract run: evaluates a project's code over symbolic sizes, with bounded effort."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mulint.facts.syntax import Expression, Statement
from mulint.program import attributes, calls, classes, expressions, statements
from mulint.program.dimensions import Symbol
from mulint.program.joining import join_all
from mulint.program.library import (
    frameworks,
    groups,
    initialisers,
    methods,
    modules,
    mup_package,
    optimizers,
    practices,
    python,
    tensors,
    torch_calls,
    tuners,
    zoos,
)
from mulint.program.library.layers import canonical
from mulint.program.numbers import ONE, Number
from mulint.program.run import Arguments, Frame, OutOfBudget, Run, sources_of
from mulint.program.scopes import Files, Scope
from mulint.program.values import (
    Bound,
    Choice,
    ClassValue,
    Constant,
    DictValue,
    External,
    FunctionValue,
    GroupValue,
    Knob,
    ListValue,
    Method,
    ModuleValue,
    OptimizerValue,
    SchedulerValue,
    Site,
    SuperValue,
    Tensor,
    Unknown,
    Value,
)

_STEPS_PER_ENTRY = 60_000
# What a model computes of its options before it builds its layers takes far fewer.
_STEPS_WITHOUT_SIGHT = 3_000
# A function that nobody calls and that shows nothing of a model for so long prepares data or text.
_STEPS_OF_BLIND_FUNCTION = 12_000
_TOO_LONG = "it is too long to be followed while a model is built"
_DEEPEST_CALL = 40
# A zoo builds one class from dozens of functions; a few such entry points show all there is. Small ones are cheap.
_MOST_BUILDS = 6
_STEPS_FOR_BUILDS = 10_000
_OF_MODELS = (ModuleValue, Tensor, OptimizerValue, ListValue, DictValue)
_LASTING = (Constant, External, ClassValue, FunctionValue)
_INIT_PACKAGES = {"torch.nn.init": "torch", "mup.init": "mup", "mup": "mup"}
_TORCH_ROOTS = ("torch.", "flash_attn.", "xformers.", "einops.")


class _Fruitless(Exception):
    """A call was followed for long, and nothing of a model was seen in it."""


class Interpreter(Run):
    """Carries out ``Run``; every operation is delegated to the module that owns it."""

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._scopes: dict[str, Scope] = {}
        self._active: list[int] = []
        self._steps = 0
        self._limit = _STEPS_PER_ENTRY
        self._seen_before: int | None = None  # when the call aside that is being followed began
        self._seen_at_start = 0
        self._fruitless: set[int] = set()
        self._answers: dict[object, Value] = {}
        self._applied = 0
        self._building = 0
        self._constructing: list[int] = []
        self._builds: Counter[int] = Counter()
        self._spent: Counter[int] = Counter()
        self._built_here: set[int] = set()
        self.called: set[int] = set()
        self.built: dict[ModuleValue, bool] = {}  # and whether no other module was being built

    def begin(self, *, is_function: bool = False) -> None:
        """Start a new entry point with a full budget."""
        self._steps = 0
        self._limit = _STEPS_OF_BLIND_FUNCTION if is_function else _STEPS_PER_ENTRY
        self._seen_before = None
        self._seen_at_start = self.seen.count
        self.entry += 1
        self.arms = ()
        self.files_written.clear()
        self.repeats = ONE
        self._active.clear()
        self._applied = 0
        self._building = 0
        self._constructing.clear()
        self.helper = None
        self._builds.update(self._built_here)
        self._built_here.clear()
        self.uncertainty = 0

    def spend(self) -> None:
        self._steps += 1
        if self._steps > self._limit:
            self._run_out()

    def evaluate(self, expression: Expression, scope: Scope) -> Value:
        # As `spend` does, without a call.
        self._steps += 1
        if self._steps > self._limit:
            self._run_out()
        follow = expressions.FOLLOWED.get(type(expression))
        return follow(self, expression, scope) if follow else Unknown("syntax that is not followed")

    def _run_out(self) -> None:
        if self._steps > _STEPS_PER_ENTRY:
            raise OutOfBudget
        if self.seen.count == self._seen_before:
            raise _Fruitless
        if self._seen_before is None and self.seen.count == self._seen_at_start:
            raise OutOfBudget
        self._limit = _STEPS_PER_ENTRY

    def execute(self, body: Sequence[Statement], scope: Scope, frame: Frame) -> bool:
        return statements.execute(self, body, scope, frame)

    def attribute(self, value: Value, name: str, site: Site) -> Value:
        return attributes.attribute(self, value, name, site)

    def set_attribute(self, value: Value, name: str, new: Value, site: Site) -> None:
        attributes.set_attribute(self, value, name, new, site)

    def module_scope(self, path: str) -> Scope:
        if path not in self._scopes:
            scope = Scope(path)
            self._scopes[path] = scope  # before it runs, so that circular imports end
            depth, self._active = self._active, []
            # An import is paid for by the file that is imported.
            steps, self._steps = self._steps, 0
            limit, self._limit = self._limit, _STEPS_PER_ENTRY
            try:
                statements.execute(self, self.files.by_path[path].body, scope, Frame())
            except OutOfBudget:
                self.note(Site.of_line(path, 1), "the rest of this file", "it is too large to be followed whole")
            finally:
                self._active, self._steps, self._limit = depth, steps, limit
        return self._scopes[path]

    def call(self, function: Value, arguments: Arguments) -> Value:
        self.spend()
        match function:
            case External():
                return self._external(function.name, arguments)
            case Method():
                return self._method(function, arguments)
            case FunctionValue() | Bound():
                return self._guarded(function, arguments)
            case ModuleValue():
                return self._apply(function, arguments)
            case ClassValue():
                return self._build(function, arguments)
            case _:
                return calls.call(self, function, arguments)

    def _build(self, kind: ClassValue, arguments: Arguments) -> Value:
        from_knobs = not arguments.complete and not arguments.values
        if not self._building and not from_knobs and self._is_built_often(kind):
            return Unknown(f"{kind.name} was built often enough")
        if self._constructing.count(id(kind)) > 1:  # a class that builds its own kind inside itself
            return Unknown("recursion")
        if classes.is_module_class(kind):
            self._limit = _STEPS_PER_ENTRY  # what is computed aside is a part of a model
        self._building += 1
        self._constructing.append(id(kind))
        helper, self.helper = self.helper, None
        before = self._steps
        try:
            result = calls.call(self, kind, arguments)
        finally:
            self._building -= 1
            self._constructing.pop()
            self.helper = helper
        if isinstance(result, ModuleValue):
            self.built[result] = not self._building
            if not self._building:
                self._built_here.add(id(kind))
                self._spent[id(kind)] += self._steps - before
        return result

    def _is_built_often(self, kind: ClassValue) -> bool:
        return self._builds[id(kind)] >= _MOST_BUILDS and self._spent[id(kind)] >= _STEPS_FOR_BUILDS

    def _guarded(self, function: FunctionValue | Bound, arguments: Arguments) -> Value:
        inner = function.function if isinstance(function, Bound) else function
        key = id(inner.node)
        request = _request(function, arguments)
        if request in self._answers:
            return self._answers[request]
        before = self.seen.count if request is not None else None
        if self._active.count(key) > 1 or len(self._active) > _DEEPEST_CALL:
            return sources_of(arguments.values) or Unknown("recursion")
        self.called.add(key)
        self._active.append(key)
        # Inside a method of a model, what its parts return is not yet an output.
        receiver = function.receiver if isinstance(function, Bound) else None
        model = isinstance(receiver, ModuleValue) and not self._building
        self._applied += model
        helper = self.helper
        if self._building and isinstance(function, FunctionValue) and inner.owner is None:
            self.helper = helper or arguments
        try:
            result = self._follow(function, inner, arguments)
            if self.helper is arguments:
                modules.tell_apart(result, arguments.site)
        finally:
            self._active.pop()
            self._applied -= model
            self.helper = helper
        if isinstance(receiver, ModuleValue) and self._applied == 0 and _has_no_forward(receiver):
            tensors.mark_output(self, result)
        if before is not None and isinstance(result, _LASTING) and self.seen.count == before:
            self._answers[request] = result
        return result

    def _follow(self, function: FunctionValue | Bound, inner: FunctionValue, arguments: Arguments) -> Value:
        if initialisers.is_copy(inner):
            with initialisers.copied(self, inner, arguments):
                return calls.call(self, function, arguments)
        if self._is_aside(function, arguments):
            return self._aside(function, id(inner.node), arguments)
        return calls.call(self, function, arguments)

    def _is_aside(self, function: FunctionValue | Bound, arguments: Arguments) -> bool:
        """Whether a model that is being built computes something in which no part of a model takes part."""
        return (
            self._building > 0
            and self._seen_before is None
            and not (isinstance(function, Bound) and isinstance(function.receiver, _OF_MODELS))
            and not any(isinstance(v, _OF_MODELS) for v in arguments.values)
        )

    def _aside(self, function: FunctionValue | Bound, key: int, arguments: Arguments) -> Value:
        """Follow a call aside for a while; one that shows nothing is given up, here and wherever it is made."""
        if key in self._fruitless:
            return Unknown(_TOO_LONG)
        self._seen_before = self.seen.count
        self._limit = min(self._steps + _STEPS_WITHOUT_SIGHT, _STEPS_PER_ENTRY)
        try:
            return calls.call(self, function, arguments)
        except _Fruitless:
            self._fruitless.add(key)
            self.note(arguments.site, "what this call gives", _TOO_LONG)
            return Unknown(_TOO_LONG)
        finally:
            self._seen_before = None
            self._limit = _STEPS_PER_ENTRY

    def _apply(self, module: ModuleValue, arguments: Arguments) -> Value:
        """Apply a module; what the outermost one returns is the output of a model."""
        if module.kind is not None:
            key = id(module)
            if self._active.count(key) > 1 or len(self._active) > _DEEPEST_CALL:
                return sources_of(arguments.values) or Unknown("recursion")
            self._active.append(key)
        self._applied += 1
        try:
            result = calls.call(self, module, arguments)
        finally:
            self._applied -= 1
            if module.kind is not None:
                self._active.pop()
        if self._applied == 0 and module.kind is not None:
            tensors.mark_output(self, result)
        return result

    def _external(self, name: str, arguments: Arguments) -> Value:
        package, _, last = name.rpartition(".")
        public = canonical(name)
        mup_package.observe_function(self, public, arguments)
        practices.observe_function(self, public, arguments)
        if name in python.FUNCTIONS:
            return python.FUNCTIONS[name](self, arguments)
        if package in _INIT_PACKAGES and last.rstrip("_") + "_" in initialisers.FUNCTIONS:
            return initialisers.call(self, _INIT_PACKAGES[package], last, arguments)
        if name in torch_calls.NAMED:
            return torch_calls.NAMED[name](self, arguments)
        if zoos.is_model(name):
            return zoos.construct(self, name, arguments)
        if modules.is_layer_name(name):
            return modules.construct(self, public, arguments)
        first = next(iter(arguments.positional), None)
        if isinstance(first, ModuleValue) and modules.is_layer_name(package):
            return self._of_base(first, last, replace(arguments, positional=arguments.positional[1:]))
        if name in frameworks.FUNCTIONS:
            return frameworks.FUNCTIONS[name](self, arguments)
        if name in tuners.FUNCTIONS:
            return tuners.FUNCTIONS[name](self, arguments)
        if optimizers.is_scheduler(name):
            return optimizers.scheduler(self, name, arguments)
        if optimizers.is_optimizer(name):
            return optimizers.construct(self, name, arguments)
        if name.startswith("mup."):
            self.seen.package_calls.append((public, arguments.site))
            return mup_package.result(public, arguments)
        if name.startswith("torch.distributions."):
            for value in arguments.values:
                tensors.mark_output(self, value)
        if name.startswith(_TORCH_ROOTS):
            return torch_calls.function(self, last, arguments)
        return sources_of(arguments.values) or from_outside(name, arguments)

    def _method(self, method: Method, arguments: Arguments) -> Value:
        receiver = method.receiver
        match receiver:
            case GroupValue():
                return groups.call_method(self, receiver, method.name, arguments)
            case Tensor():
                return torch_calls.method(self, receiver, method.name, arguments)
            case ModuleValue():
                mup_package.observe_method(self, receiver, method.name, arguments)
                practices.observe_method(self, method.name, arguments)
                return modules.call_method(self, receiver, method.name, arguments)
            case OptimizerValue():
                return optimizers.call_method(self, receiver, method.name, arguments)
            case SchedulerValue():
                return optimizers.call_scheduler_method(self, receiver, method.name, arguments)
            case SuperValue(receiver=ModuleValue() as module):
                return self._of_base(module, method.name, arguments)
            case Choice(options=several):
                return join_all([self._method(Method(o, method.name), arguments) for o in several])
            case _:
                return methods.call_method(self, method, arguments)

    def _of_base(self, module: ModuleValue, name: str, arguments: Arguments) -> Value:
        """A method of the library's class that a module derives from: ``super().forward(x)``."""
        match name:
            case "__init__":
                modules.construct_base(self, module, arguments)
                return Constant(None)
            case "forward":
                return modules.apply_layer(self, module, arguments)
            case _:
                return modules.call_method(self, module, name, arguments)


def _request(function: FunctionValue | Bound, arguments: Arguments) -> object:
    """What tells a call whose answer is the same each time: of a function at the top of a file, on constants."""
    if not isinstance(function, FunctionValue) or function.scope.parent is not None or not arguments.complete:
        return None
    if not all(isinstance(v, _LASTING) for v in arguments.values):
        return None
    return function, arguments.positional, tuple(arguments.keywords.items())


def _has_no_forward(module: ModuleValue) -> bool:
    """Whether other methods than ``forward`` apply a module: what they return is its output."""
    return module.kind is not None and classes.method(module.kind, "forward") is None


def from_outside(name: str, arguments: Arguments) -> Value:
    """What an unknown library returns: a knob, like a command-line option, unless it is computed from a size.

    It is called what it is asked for by (``os.environ.get("WIDTH")``), else as the function.
    """
    if any(isinstance(v, Number) and v.constant is None for v in arguments.values):
        return Unknown(f"{name} is not known")
    first = next(iter(arguments.positional), None)
    asked = first.value if isinstance(first, Constant) else None
    called = asked if isinstance(asked, str) and asked.isidentifier() else name.rpartition(".")[2]
    symbol = Symbol(called, arguments.site.path, arguments.site.line)
    return Knob(symbol, foreign=name.partition(".")[0] not in sys.stdlib_module_names)
