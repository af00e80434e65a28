"""Command-line options: whatever they are, they come from outside."""

from __future__ import annotations

from collections.abc import Callable

from mulint.program.dimensions import Symbol
from mulint.program.run import Arguments, Run
from mulint.program.values import External, Knob, ListValue, Site, Unknown, Value

# What libraries keep the options of a program in.
HOLDERS = frozenset({"absl.flags.FLAGS", "torch_geometric.graphgym.config.cfg"})


def held(run: Run, holder: str, site: Site) -> Knob:
    """All options that a library keeps: one object for the whole program."""
    symbol = Symbol(holder.rpartition(".")[2], site.path, site.line)
    return run.options.setdefault(holder, Knob(symbol))


def _parser(run: Run, arguments: Arguments) -> Value:
    del run, arguments
    return External("argparse.parser")


def _parsed(run: Run, arguments: Arguments) -> Value:
    del run
    return Knob(Symbol("args", arguments.site.path, arguments.site.line))


def _partly_parsed(run: Run, arguments: Arguments) -> Value:
    return ListValue([_parsed(run, arguments), Unknown("the remaining arguments")])


FUNCTIONS: dict[str, Callable[[Run, Arguments], Value]] = {
    "argparse.ArgumentParser": _parser,
    "argparse.parser.add_argument_group": _parser,
    "argparse.parser.add_mutually_exclusive_group": _parser,
    "argparse.parser.parse_args": _parsed,
    "argparse.parser.parse_known_args": _partly_parsed,
}
