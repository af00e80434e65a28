"""From findings to a patch: edits by unit, checked by the same rules before anything is written."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mulint.checking import Analysis, analyse, load_sources
from mulint.configuration import Configuration
from mulint.findings import FileError, Finding
from mulint.program import Program
from mulint.rewriting.base import Bases
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.imports import Imports
from mulint.rewriting.patch import FilePatch, Left, Patch
from mulint.rewriting.scripts import Scripts
from mulint.rewriting.targets.torch import attention, groups, initialisation, readout, schedule, template
from mulint.rewriting.threading import bring
from mulint.rewriting.tree import Tree
from mulint.rewriting.units import units
from mulint.source.discovery import select
from mulint.source.reading import SourceFile
from mulint.theory import Role

REWRITES: Mapping[str, Callable[[Context, Finding], None]] = {
    "MU401": readout.rewrite,
    "MU409": readout.rewrite,
    "MU405": attention.rewrite,
    "MU301": initialisation.rewrite,
    "MU101": groups.rewrite,
    "MU102": groups.rewrite,
    "MU201": schedule.rewrite,
}
_EXPLAIN = "see `mulint explain {code}` for what to write instead"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to fix: base sizes by knob (``width``: of every width), and whether parts of a unit may be left out."""

    base: Mapping[str, float] = field(default_factory=dict)
    partial: bool = False


def fix(
    paths: Sequence[Path], root: Path, configuration: Configuration, plan: Plan
) -> tuple[Patch, list[FileError]]:
    """The patch for every unit that the named files are part of, and the files of theirs that cannot be read.

    Units are taken one after the other; each is planned on the text that the ones before it left.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    selection = select(paths, root, configuration.exclude)
    sources, errors, _ = load_sources(selection, configuration)
    before = {source.path: source.text for source in sources}
    state = _State({source.path: source for source in sources}, analyse(sources, configuration))
    unparsed = state.analysis.errors
    tried: set[frozenset[Key]] = set()
    attempts: list[_Attempt] = []
    while True:
        found = units(state.analysis.program, state.analysis.findings)
        named = [u for u in found if any(f.place.path in selection.named for f in u)]
        unit = next((u for u in named if _key(u) not in tried), None)
        if unit is None:
            break
        tried.add(_key(unit))
        attempt = _attempt(state, unit, configuration, plan)
        attempts.append(attempt)
        state = attempt.state
    edits = Counter(path for attempt in attempts for path in attempt.edited)
    files = [
        FilePatch(path, before.get(path), source.text, edits[path])
        for path, source in sorted(state.sources.items())
        if before.get(path) != source.text
    ]
    return Patch(
        files=tuple(files),
        left=tuple(left for attempt in attempts for left in attempt.left),
        fixed=sum(attempt.fixed for attempt in attempts),
        notes=tuple(dict.fromkeys(note for attempt in attempts for note in attempt.notes)),
        base=tuple((name, value) for attempt in attempts for name, value in attempt.base.items()),
        models=tuple(model for attempt in attempts for model in attempt.models),
    ), [e for e in (*errors, *unparsed) if e.path in {*selection.named, *selection.missing}]


Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _State:
    """The texts so far, and what the rules say of them."""

    sources: Mapping[str, SourceFile]
    analysis: Analysis

    def patched(self, texts: Mapping[str, str], configuration: Configuration) -> _State:
        """The state after some files got a new text."""
        new = {path: SourceFile(path, text, mentions_torch=True) for path, text in texts.items()}
        sources = {**self.sources, **new}
        return _State(sources, analyse([sources[path] for path in sorted(sources)], configuration))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The outcome for one unit: the state after it, unchanged where it was left."""

    state: _State
    left: tuple[Left, ...] = ()
    fixed: int = 0
    edited: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    base: Mapping[str, float] = field(default_factory=dict)
    models: tuple[str, ...] = ()


def _key(unit: Sequence[Finding]) -> frozenset[Key]:
    return frozenset((f.code, f.place.path, f.symbol) for f in unit)


def _attempt(state: _State, unit: list[Finding], configuration: Configuration, plan: Plan) -> _Attempt:
    """Rewrite one unit, if that can be done with certainty and removes its findings without adding any."""
    context = _context(state, unit, configuration, plan)
    refused = _rewrite(context, unit)
    taken = [f for f in unit if f not in refused]
    if refused and plan.partial and taken:
        context = _context(state, taken, configuration, plan)
        _rewrite(context, taken)
    elif refused:
        return _Attempt(state, _left(unit, refused))
    try:
        patched = state.patched(_finished(context), configuration)
        _check(state, patched, taken)
    except CannotRewrite as refusal:
        return _Attempt(state, _left(unit, dict.fromkeys(unit, refusal)))
    return _Attempt(
        patched,
        left=_left(list(refused), refused),
        fixed=len(taken),
        edited=(*(e.path for e in context.tree.edits), *context.tree.new),
        notes=(*context.scripts.notes, *_without_optimizer(context)),
        base=context.scripts.values,
        models=tuple(context.models),
    )


def _context(state: _State, unit: Sequence[Finding], configuration: Configuration, plan: Plan) -> Context:
    program = state.analysis.program
    tree = Tree(state.analysis.facts, {path: source.text for path, source in state.sources.items()})
    imports = Imports(tree, posixpath.join(_home(program, unit), template.NAME))
    bases, scripts = Bases(tree, program, imports), Scripts(tree, _base(program, configuration, plan))
    return Context(program, configuration, tree, imports, bases, scripts)


def _base(program: Program, configuration: Configuration, plan: Plan) -> dict[str, float]:
    """The base sizes that the user gives, those of the command line first."""
    configured = {name: size for model in configuration.models for name, size in model.get("base", {}).items()}
    base = {**configured, **plan.base}
    if "width" in base:
        base = {**{symbol.short: base["width"] for symbol in program.widths}, **base}
    return base


def _home(program: Program, unit: Sequence[Finding]) -> str:
    """The folder of the model."""
    optimizers = ("MU101", "MU102", "MU201")
    models = [f.place.path for f in unit if f.code not in optimizers]
    models += [p.weight.site.path for f in unit for p in program.reachable(f.place.path, Role.HIDDEN)]
    return posixpath.dirname(models[0] if models else unit[0].place.path)


def _rewrite(context: Context, unit: Sequence[Finding]) -> dict[Finding, CannotRewrite]:
    """Plan all edits of a unit; the findings that were refused, and why."""
    refused: dict[Finding, CannotRewrite] = {}
    for finding in sorted(unit, key=lambda f: f.code in ("MU101", "MU102")):
        try:
            rewrite = REWRITES.get(finding.code)
            if rewrite is None:
                raise CannotRewrite("it has no rewrite", _EXPLAIN.format(code=finding.code))
            rewrite(context, finding)
        except CannotRewrite as refusal:
            refused[finding] = refusal
    return refused


def _finished(context: Context) -> dict[str, str]:
    """All edits carried out, those that several rewrites share included."""
    tree, imports = context.tree, context.imports
    groups.make_scalable(context)
    bring(context.bases, context.scripts)
    imports.emit()
    families = [family for several in context.optimizers.values() for family in several]
    text = template.render(list(dict.fromkeys(families)), context.configuration)
    if imports.home not in tree.documents:
        tree.new[imports.home] = text
    else:
        missing = imports.missing(tree.documents[imports.home].names)
        if missing:
            raise CannotRewrite(
                f"{imports.home} exists and has no {missing[0]}", f"add {', '.join(missing)} to {imports.home}"
            )
    return tree.patched()


def _check(before: _State, after: _State, taken: Sequence[Finding]) -> None:
    """The same rules again: everything parses, what was taken is gone, nothing is new."""
    broken = [e for e in after.analysis.errors if e not in before.analysis.errors]
    if broken:
        raise CannotRewrite(
            f"the rewritten {broken[0].path} would not parse (line {broken[0].line})", "rewrite it by hand"
        )
    expected = Counter(_name(f) for f in before.analysis.findings) - Counter(_name(f) for f in taken)
    found = Counter(_name(f) for f in after.analysis.findings)
    for code, path, symbol in found - expected:
        raise CannotRewrite(
            f"the rewritten code would have {code} in {path} ({symbol})", _EXPLAIN.format(code=code)
        )


def _name(finding: Finding) -> Key:
    return (finding.code, finding.place.path, finding.symbol)


def _left(unit: Sequence[Finding], refused: Mapping[Finding, CannotRewrite]) -> tuple[Left, ...]:
    """What is left of a unit: with its own reason, or because another part cannot be rewritten."""
    first = next(iter(refused), None)
    left = []
    for finding in unit:
        refusal = refused.get(finding)
        if refusal is None and first is not None:
            where = f"{first.code} at {first.place.path}:{first.place.line}"
            refusal = CannotRewrite(
                f"it belongs together with {where}, which cannot be rewritten",
                f"repair that by hand first, or take this alone with --select {finding.code}",
            )
        if refusal is not None:
            place = finding.place
            left.append(Left(finding.code, place.path, place.line, refusal.reason, refusal.manual))
    return tuple(left)


def _without_optimizer(context: Context) -> list[str]:
    if context.program.optimizers:
        return []
    helper = f"{template.SCALE_GROUPS} of {context.imports.home}"
    return [f"no optimizer was found: pass its parameter groups through {helper} where it is built"]
