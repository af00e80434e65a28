"""What tuners of hyperparameters do: they call a function with values that they propose."""

from __future__ import annotations

from collections.abc import Callable

from mulint.program.dimensions import Symbol
from mulint.program.numbers import Number
from mulint.program.run import Arguments, Run, iterate
from mulint.program.values import Constant, DictValue, External, Knob, ListValue, Partial, Site, Unknown, Value

Handler = Callable[[Run, Arguments], Value]
# What a function may declare that it is given.
TRIALS = frozenset({"optuna.Trial", "optuna.trial.Trial"})
TRIAL = External("optuna.trial.Trial")


def _proposed(run: Run, name: str, site: Site) -> Knob:
    """A value that a tuner proposes: a knob, as one from a command line is."""
    symbol = Symbol(name, site.path, site.line)
    run.seen.tuned.setdefault(symbol, site)
    return Knob(symbol)


def _place(site: Site) -> str:
    line, column, *_ = site.ends
    return f"proposal {line}:{column}"


# optuna


def _study(run: Run, arguments: Arguments) -> Value:
    del run
    site = arguments.site
    methods: dict[str, Value] = {name: External(f"optuna.study.Study.{name}") for name in ("optimize", "ask")}
    return Knob(Symbol("study", site.path, site.line), foreign=True, attributes=methods)


def _optimize(run: Run, arguments: Arguments) -> Value:
    function = arguments.get("func", 0) or Unknown("no objective given")
    run.call(function, Arguments((TRIAL,), {}, arguments.site, arguments.owner))
    return Constant(None)


def _ask(run: Run, arguments: Arguments) -> Value:
    del run, arguments
    return TRIAL


def _suggest(run: Run, arguments: Arguments) -> Value:
    name = arguments.get("name", 0)
    label = name.value if isinstance(name, Constant) and name.value else _place(arguments.site)
    return _proposed(run, f"trial.{label!s}", arguments.site)


def _suggest_one_of(run: Run, arguments: Arguments) -> Value:
    choices = arguments.get("choices", 1)
    items, complete = iterate(choices) if isinstance(choices, ListValue) else ([], False)
    are_numbers = complete and all(isinstance(item, Number) for item in items)
    return _suggest(run, arguments) if are_numbers else Unknown("one of several things that are no numbers")


# Ray Tune


def _sampled(run: Run, arguments: Arguments) -> Value:
    return _proposed(run, _place(arguments.site), arguments.site)


def _tuned(space: str) -> Handler:
    def handler(run: Run, arguments: Arguments) -> Value:
        function, given = arguments.get("trainable", 0), arguments.get(space)
        if isinstance(given, DictValue) and function is not None:
            run.call(function, Arguments((given,), {}, arguments.site, arguments.owner))
        return Unknown("a tuner")

    return handler


def _with_resources(run: Run, arguments: Arguments) -> Value:
    del run
    return arguments.get("trainable", 0) or Unknown("no function given")


def _with_parameters(run: Run, arguments: Arguments) -> Value:
    function = _with_resources(run, arguments)
    return Partial(function, (), tuple((k, v) for k, v in arguments.keywords.items() if k != "trainable"))


# Weights & Biases


def settings(run: Run, site: Site) -> Value:
    """``wandb.config``: one for the whole program."""
    if run.settings is None:
        run.settings = Knob(Symbol("config", site.path, site.line), foreign=True)
    return run.settings


def _started(run: Run, arguments: Arguments) -> Value:
    symbol = Symbol("init", arguments.site.path, arguments.site.line)
    return Knob(symbol, foreign=True, attributes={"config": settings(run, arguments.site)})


def _sweep(run: Run, arguments: Arguments) -> Value:
    """``wandb.sweep(configuration)``: its parameters are proposed, but for those that are given one value."""
    given = arguments.get("sweep", 0)
    parameters = given.entries.get("parameters") if isinstance(given, DictValue) else None
    for name, space in parameters.entries.items() if isinstance(parameters, DictValue) else ():
        setting = run.attribute(settings(run, arguments.site), str(name), arguments.site)
        if isinstance(setting, Knob) and isinstance(space, DictValue) and "value" not in space.entries:
            run.seen.tuned.setdefault(setting.symbol, arguments.site)
    return Unknown("the name of a sweep")


def _agent(run: Run, arguments: Arguments) -> Value:
    function = arguments.get("function", 1)
    if function is not None:
        run.call(function, Arguments((), {}, arguments.site, arguments.owner))
    return Constant(None)


_SPACES = (
    "uniform quniform loguniform qloguniform randn qrandn randint qrandint lograndint choice grid_search".split()
)
_SUGGESTIONS = "float int uniform loguniform discrete_uniform".split()

FUNCTIONS: dict[str, Handler] = {
    **{f"optuna.{study}": _study for study in ("create_study", "load_study")},
    **{f"optuna.study.{study}": _study for study in ("create_study", "load_study")},
    "optuna.study.Study.optimize": _optimize,
    "optuna.study.Study.ask": _ask,
    **{f"{TRIAL.name}.suggest_{kind}": _suggest for kind in _SUGGESTIONS},
    f"{TRIAL.name}.suggest_categorical": _suggest_one_of,
    **{f"ray.tune.{space}": _sampled for space in _SPACES},
    "ray.tune.Tuner": _tuned("param_space"),
    "ray.tune.run": _tuned("config"),
    "ray.tune.with_resources": _with_resources,
    "ray.tune.with_parameters": _with_parameters,
    "wandb.init": _started,
    "wandb.sweep": _sweep,
    "wandb.agent": _agent,
}
