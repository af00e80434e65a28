"""Plans the edits of one unit of findings: all of what belongs together, or none of it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from mulint.analysis import Analysis, analyse
from mulint.configuration import Configuration
from mulint.findings import Finding
from mulint.program import Program
from mulint.rewriting import changing
from mulint.rewriting.base import Bases
from mulint.rewriting.context import Context
from mulint.rewriting.documents import Documents
from mulint.rewriting.edits import CannotRewrite, Cause
from mulint.rewriting.imports import Imports
from mulint.rewriting.patch import Left
from mulint.rewriting.repairs import cause_of
from mulint.rewriting.scripts import Scripts
from mulint.rewriting.targets import TARGETS, Target
from mulint.rewriting.threading import bring
from mulint.rewriting.tree import Tree
from mulint.source.reading import SourceFile
from mulint.theory import Role

_OPTIMIZERS = ("MU101", "MU102")
_SCHEDULES = ("MU201", "MU202", "MU203")
# What is left of these has a bounded effect and holds nothing back.
_BOUNDED = ("MU203", "MU303", "MU306")
EXPLAIN = "see `mulint explain {code}` for what to write instead"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to fix: base sizes by knob (``width``: of every width), and whether parts of a unit may be left out.

    ``unsafe``: rewrites that change the base model are wanted.
    """

    base: Mapping[str, float] = field(default_factory=dict)
    partial: bool = False
    unsafe: bool = False


@dataclass(frozen=True)
class State:
    """The texts of a project, and what the rules say of them."""

    sources: Mapping[str, SourceFile]
    analysis: Analysis

    @cached_property
    def documents(self) -> Documents:
        """The files to rewrite."""
        return Documents(self.analysis.facts, {path: source.text for path, source in self.sources.items()})

    def patched(self, texts: Mapping[str, str], configuration: Configuration) -> State:
        """The state after some files got a new text."""
        new = {path: SourceFile(path, text, mentions_torch=True) for path, text in texts.items()}
        sources = {**self.sources, **new}
        return State(sources, analyse([sources[path] for path in sorted(sources)], configuration))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One unit: the rewrite of what was taken, without a context if it is left as it is."""

    unit: tuple[Finding, ...]
    taken: tuple[Finding, ...]
    context: Context | None
    left: tuple[Left, ...]

    @property
    def paths(self) -> frozenset[str]:
        """The files that it changes."""
        if self.context is None:
            return frozenset()
        home = [self.context.imports.home] if self.context.imports.used else []
        return frozenset({*(e.path for e in self.context.tree.edits), *home})

    def refused(self, refusal: CannotRewrite) -> Outcome:
        """The same unit, left for one reason."""
        return Outcome(self.unit, (), None, _left((), {cause_of(f): refusal for f in self.unit}))


def plan_unit(before: State, unit: Sequence[Finding], configuration: Configuration, plan: Plan) -> Outcome:
    """Plan the edits of one unit, if every part of it can be rewritten with certainty."""
    unit = tuple(unit)
    context = _context(before, unit, configuration, plan)
    refused = _rewrite(context, unit, plan)
    others = {} if plan.partial else _companions(context, unit)
    taken = tuple(f for f in unit if cause_of(f) not in refused)
    blocked = others or any(code not in _BOUNDED for code, _, _ in refused)
    if not taken or (blocked and not plan.partial):
        return Outcome(unit, (), None, _left(unit, refused | others | _alone(before, taken, configuration, plan)))
    if refused:
        context = _context(before, taken, configuration, plan)
        _rewrite(context, taken, plan)
        if not plan.partial:
            _companions(context, taken)
    outcome = Outcome(unit, taken, context, _left((), refused))
    try:
        _finish(context)
        context.tree.patched()
    except CannotRewrite as refusal:
        return outcome.refused(refusal)
    return outcome


def _alone(
    before: State, rest: Sequence[Finding], configuration: Configuration, plan: Plan
) -> dict[Cause, CannotRewrite]:
    """Why the rest of a unit cannot be rewritten by itself; nothing if it can."""
    if not rest:
        return {}
    outcome = plan_unit(before, rest, configuration, replace(plan, partial=True))
    if outcome.context is not None:
        return {}
    return {
        (left.code, left.path, left.line): CannotRewrite(left.reason, left.manual, question=left.question)
        for left in outcome.left
    }


def _context(state: State, unit: Sequence[Finding], configuration: Configuration, plan: Plan) -> Context:
    program, target = state.analysis.program, TARGETS[configuration.target]
    tree = Tree(state.documents)
    home = posixpath.join(_home(program, unit), target.generated.name) if target.generated else ""
    imports = Imports(tree, home)
    bases = Bases(tree, program, partial(target.written, imports))
    scripts = Scripts(tree, _base(program, configuration, plan))
    return Context(program, configuration, tree, imports, bases, scripts)


def _base(program: Program, configuration: Configuration, plan: Plan) -> dict[str, float]:
    """The base sizes that the user gives, those of the command line first."""
    configured = {name: size for model in configuration.models for name, size in model.base.items()}
    base = {**configured, **plan.base}
    if "width" in base:
        base = {**{symbol.short: base["width"] for symbol in program.widths}, **base}
    return base


def _home(program: Program, unit: Sequence[Finding]) -> str:
    """The folder of the model."""
    models = [f.place.path for f in unit if f.code not in (*_OPTIMIZERS, *_SCHEDULES)]
    models += [p.weight.site.path for f in unit for p in program.reachable(f.place.path, Role.HIDDEN)]
    return posixpath.dirname(models[0] if models else unit[0].place.path)


def _rewrite(context: Context, unit: Sequence[Finding], plan: Plan) -> dict[Cause, CannotRewrite]:
    """Plan all edits of a unit; the places that were refused, and why."""
    refused: dict[Cause, CannotRewrite] = {}
    # Optimizers last: by then it is known which sizes need a base.
    for finding in sorted(unit, key=lambda f: f.code in _OPTIMIZERS):
        try:
            _repair(context, finding, plan)
        except CannotRewrite as refusal:
            refused[cause_of(finding)] = refusal
    return refused


def _repair(context: Context, finding: Finding, plan: Plan) -> None:
    """Plan the edits for one finding: those that keep the base model where there are any."""
    place, code = cause_of(finding), finding.code
    keeping, other = _target(context).rewrites.get(code), changing.REWRITES.get(code)
    if keeping is None and other is None:
        raise CannotRewrite("it has no rewrite", EXPLAIN.format(code=code))
    if keeping is not None:
        try:
            with context.tree.because(place):
                keeping(context, finding)
            return
        except CannotRewrite:
            if other is None:
                raise
            context.tree.take_back(place)
    assert other is not None
    with context.tree.because(place, changing=True):
        other(context, finding)
    if not plan.unsafe:
        context.tree.take_back(place)
        raise CannotRewrite(
            "its rewrite changes the base model", "mulint fix --unsafe-fixes writes it", unsafe=True
        )


def _companions(context: Context, unit: Sequence[Finding]) -> dict[Cause, CannotRewrite]:
    """Split the groups of optimizers that no finding names: those of a model that a script builds at one size."""
    named = {(f.place.path, f.place.line) for f in unit if f.code in _OPTIMIZERS}
    near = {path for f in unit for path in context.program.near(f.place.path)}
    refused: dict[Cause, CannotRewrite] = {}
    for view in context.program.optimizers:
        site = view.record.site
        if site.path not in near or (site.path, site.line) in named or view.is_scaled or not view.is_one_rate:
            continue
        try:
            if view.family is None or not (view.family.is_adaptive or view.family.is_sgd):
                raise CannotRewrite("its optimizer has no rewrite", "write its parameter groups by hand, by role")
            _target(context).split(context, site)
        except CannotRewrite as refusal:
            code = "MU102" if view.family is not None and view.family.is_sgd else "MU101"
            refused[code, site.path, site.line] = refusal
    return refused


def _finish(context: Context) -> None:
    """The edits that several rewrites share: bases brought to their sites, imports."""
    _target(context).finish(context)
    bring(context.bases, context.scripts)
    context.imports.emit()
    home = context.imports.home
    existing = context.tree.documents.get(home)
    missing = context.imports.missing(existing.names) if existing is not None else []
    if missing:
        raise CannotRewrite(f"{home} exists and has no {missing[0]}", f"add {', '.join(missing)} to {home}")


def _target(context: Context) -> Target:
    return TARGETS[context.configuration.target]


def _left(unit: Sequence[Finding], refused: Mapping[Cause, CannotRewrite]) -> tuple[Left, ...]:
    """What is left: each place with its own reason, the rest of the unit because of the first of them."""
    blocking = {place: refusal for place, refusal in refused.items() if place[0] not in _BOUNDED} or refused
    # All of the unit comes with the rewrites that change the base model, unless something else is in the way too.
    unsafe = all(refusal.unsafe for refusal in blocking.values())
    left = [
        Left(*place, refusal.reason, refusal.manual, refusal.question, refusal.unsafe and (unsafe or not unit))
        for place, refusal in refused.items()
    ]
    for finding in unit:
        if refused and cause_of(finding) not in refused:
            code, path, line = next(place for place, refusal in blocking.items() if unsafe or not refusal.unsafe)
            reason = f"it belongs together with {code} at {path}:{line}, which cannot be rewritten"
            manual = f"repair that by hand first, or take this alone with --select {finding.code}"
            if unsafe:
                reason = f"it belongs together with {code} at {path}:{line}, whose rewrite changes the base model"
                manual = f"take both with --unsafe-fixes, or this alone with --select {finding.code}"
            left.append(Left(*cause_of(finding), reason, manual, unsafe=unsafe, behind=(code, path, line)))
    return tuple(sorted(left, key=lambda item: (item.path, item.line, item.code)))


def notes(context: Context) -> list[str]:
    """What to know about a unit that was rewritten."""
    notes = list(context.scripts.notes)
    names = list(dict.fromkeys(context.bases.declared))
    if not context.scripts.values and names:
        notes.append(f"no script sets {' and '.join(names)} yet: until one does, every model is its own base")
    near = {path for edit in context.tree.edits for path in context.program.near(edit.path)}
    kept = [v.record.site for v in context.program.optimizers if v.record.site.path in near]
    if context.optimizers or any(v.is_scaled for v in context.program.optimizers):
        return notes
    if kept:
        notes.append(f"the learning rates of the optimizer at {kept[0].path}:{kept[0].line} stay as they are")
    else:
        notes.append(f"no optimizer was found: {_target(context).by_hand.format(home=context.imports.home)}")
    return notes
