"""From findings to a patch: edits by unit, checked by the same rules before anything is written."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mulint.analysis import Analysis, analyse
from mulint.checking import load_sources
from mulint.configuration import Configuration
from mulint.findings import FileError, Finding
from mulint.program import Program
from mulint.rewriting import changing
from mulint.rewriting.base import Bases
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite, Cause, TextEdit, apply
from mulint.rewriting.imports import Imports
from mulint.rewriting.patch import FilePatch, Left, Patch
from mulint.rewriting.repairs import Choose, Repair, cause_of, repairs
from mulint.rewriting.scripts import Scripts
from mulint.rewriting.targets import TARGETS, Target
from mulint.rewriting.threading import bring
from mulint.rewriting.tree import Tree
from mulint.rewriting.units import units
from mulint.source.discovery import select
from mulint.source.reading import SourceFile
from mulint.theory import Optimizer, Role

_OPTIMIZERS = ("MU101", "MU102")
_SCHEDULES = ("MU201", "MU202", "MU203")
# What is left of these has a bounded effect and holds nothing back.
_BOUNDED = ("MU203", "MU303", "MU306")
_DECLINED = ("it was declined", "run mulint fix --interactive again to be asked again")
_EXPLAIN = "see `mulint explain {code}` for what to write instead"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to fix: base sizes by knob (``width``: of every width), and whether parts of a unit may be left out.

    ``unsafe``: rewrites that change the base model are wanted.
    """

    base: Mapping[str, float] = field(default_factory=dict)
    partial: bool = False
    unsafe: bool = False


def fix(
    paths: Sequence[Path], root: Path, configuration: Configuration, plan: Plan, choose: Choose | None = None
) -> tuple[Patch, list[FileError]]:
    """The patch for every unit that the named files are part of, and the files of theirs that cannot be read.

    ``choose`` is asked which of the planned repairs are not wanted; the others are then planned without them.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    selection = select(paths, root, configuration.exclude)
    loaded, errors, _ = load_sources(selection, configuration)
    sources = [source for source in loaded if not source.is_notebook]
    before = _State({source.path: source for source in sources}, analyse(sources, configuration))
    found = units(before.analysis.program, before.analysis.findings)
    chosen = [u for u in found if any(f.place.path in selection.named for f in u)]
    outcomes, texts = _settled(
        before, [_plan(before, unit, configuration, plan) for unit in chosen], configuration
    )
    declined = choose(_repairs(outcomes)) if choose is not None else frozenset()
    if declined:
        rest = [_without(before, outcome, declined, configuration, plan) for outcome in outcomes]
        outcomes, texts = _settled(before, rest, configuration)
    asked = {*selection.named, *selection.missing}
    problems = [e for e in (*errors, *before.analysis.errors) if e.path in asked]
    patch = _patch(before, outcomes, texts)
    patch = replace(patch, left=(*patch.left, *(Left(*cause, *_DECLINED) for cause in sorted(declined))))
    return patch, [*problems, *_notebooks(paths, loaded)]


def _settled(
    before: _State, outcomes: list[_Outcome], configuration: Configuration
) -> tuple[list[_Outcome], _Texts]:
    """The units that stand together and pass the same rules again, and the texts after them."""
    texts = _Texts({}, {})
    while any(o.context for o in outcomes):
        outcomes, texts = _combined(before, outcomes, configuration)
        refusals = _refusals(before, before.patched(texts.after, configuration), outcomes)
        if not refusals:
            break
        outcomes = [o.refused(refusals[i]) if i in refusals else o for i, o in enumerate(outcomes)]
    return outcomes, texts


def _repairs(outcomes: Sequence[_Outcome]) -> list[Repair]:
    return [r for o in outcomes if o.context for r in repairs(o.context.tree, o.taken)]


def _without(
    before: _State, outcome: _Outcome, declined: frozenset[Cause], configuration: Configuration, plan: Plan
) -> _Outcome:
    """The same unit planned again without what is not wanted of it; what is left of it may be a part."""
    rest = tuple(f for f in outcome.unit if cause_of(f) not in declined)
    if outcome.context is None or rest == outcome.unit:
        return outcome
    if not any(f in outcome.taken for f in rest):
        return _Outcome(rest, (), None, outcome.left)
    return _plan(before, rest, configuration, replace(plan, partial=True))


def _notebooks(paths: Sequence[Path], sources: Sequence[SourceFile]) -> Iterator[FileError]:
    """Notebooks are left out, which is said of those that are named themselves."""
    names = {path.name for path in paths}
    for source in sources:
        if source.is_notebook and posixpath.basename(source.path) in names:
            message = "a notebook is never rewritten; move the model into a .py file, or change it by hand"
            yield FileError("MU904", source.path, 1, message)


@dataclass(frozen=True, slots=True)
class _State:
    """The texts of a project, and what the rules say of them."""

    sources: Mapping[str, SourceFile]
    analysis: Analysis

    def patched(self, texts: Mapping[str, str], configuration: Configuration) -> _State:
        """The state after some files got a new text."""
        new = {path: SourceFile(path, text, mentions_torch=True) for path, text in texts.items()}
        sources = {**self.sources, **new}
        return _State(sources, analyse([sources[path] for path in sorted(sources)], configuration))


@dataclass(frozen=True, slots=True)
class _Texts:
    """The new texts of files, and those without the edits that change the base model."""

    after: dict[str, str]
    keeping: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Outcome:
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

    def refused(self, refusal: CannotRewrite) -> _Outcome:
        """The same unit, left for one reason."""
        return _Outcome(self.unit, (), None, _left((), {cause_of(f): refusal for f in self.unit}))


def _plan(before: _State, unit: Sequence[Finding], configuration: Configuration, plan: Plan) -> _Outcome:
    """Plan the edits of one unit, if every part of it can be rewritten with certainty."""
    unit = tuple(unit)
    context = _context(before, unit, configuration, plan)
    refused = _rewrite(context, unit, plan)
    others = {} if plan.partial else _companions(context, unit)
    taken = tuple(f for f in unit if cause_of(f) not in refused)
    blocked = others or any(code not in _BOUNDED for code, _, _ in refused)
    if not taken or (blocked and not plan.partial):
        return _Outcome(unit, (), None, _left(unit, refused | others))
    if refused:
        context = _context(before, taken, configuration, plan)
        _rewrite(context, taken, plan)
        if not plan.partial:
            _companions(context, taken)
    outcome = _Outcome(unit, taken, context, _left((), refused))
    try:
        _finish(context)
        context.tree.patched()
    except CannotRewrite as refusal:
        return outcome.refused(refusal)
    return outcome


def _combined(
    before: _State, outcomes: Sequence[_Outcome], configuration: Configuration
) -> tuple[list[_Outcome], _Texts]:
    """The texts after all planned units; one that wants the same characters as those before it is left."""
    kept: list[_Outcome] = []
    edits: dict[str, list[TextEdit]] = {}
    for outcome in outcomes:
        wanted = {path: list(several) for path, several in edits.items()}
        for edit in outcome.context.tree.edits if outcome.context else ():
            wanted.setdefault(edit.path, []).append(edit)
        try:
            for path in outcome.paths & wanted.keys():
                apply(before.sources[path].text, wanted[path])
        except CannotRewrite as refusal:
            kept.append(outcome.refused(refusal))
            continue
        kept.append(outcome)
        edits = wanted
    texts = _Texts(
        {path: apply(before.sources[path].text, several) for path, several in edits.items()},
        {
            path: apply(before.sources[path].text, several)
            for path, found in edits.items()
            if (several := [edit for edit in found if not edit.changing])
        },
    )
    families: dict[str, dict[Optimizer, None]] = {}
    names: dict[str, set[str]] = {}
    for outcome in kept:
        context = outcome.context
        if context is not None and context.imports.used and context.imports.home not in before.sources:
            known = families.setdefault(context.imports.home, {})
            known.update(dict.fromkeys(f for several in context.optimizers.values() for f in several))
            names.setdefault(context.imports.home, set()).update(context.imports.names)
    generated = TARGETS[configuration.target].generated
    for home, known in families.items():
        assert generated is not None  # else nothing of it is imported
        texts.after[home] = texts.keeping[home] = generated.render(list(known), configuration, names[home])
    return kept, texts


def _refusals(before: _State, after: _State, outcomes: Sequence[_Outcome]) -> dict[int, CannotRewrite]:
    """The units to leave after the same rules ran again: all parses, what was taken is gone, nothing is new."""
    planned = {index: outcome for index, outcome in enumerate(outcomes) if outcome.context}
    wrong = [
        (e.path, CannotRewrite(f"the rewritten {e.path} would not parse (line {e.line})", "rewrite it by hand"))
        for e in after.analysis.errors
        if e not in before.analysis.errors
    ]
    expected = Counter(_name(f) for f in before.analysis.findings)
    expected -= Counter(_name(f) for outcome in planned.values() for f in outcome.taken)
    for code, path, symbol in Counter(_name(f) for f in after.analysis.findings) - expected:
        reason = f"the rewritten code would have {code} in {path} ({symbol})"
        wrong.append((path, CannotRewrite(reason, _EXPLAIN.format(code=code))))
    refusals: dict[int, CannotRewrite] = {}
    for path, refusal in wrong:
        blamed = [index for index, outcome in planned.items() if path in outcome.paths] or list(planned)
        refusals |= dict.fromkeys(blamed, refusal)
    return refusals


def _patch(before: _State, outcomes: Sequence[_Outcome], texts: _Texts) -> Patch:
    planned = [o for o in outcomes if o.context]
    contexts = [o.context for o in planned if o.context]
    edits = [e for context in contexts for e in context.tree.edits]
    causes = dict.fromkeys(e.cause for e in edits if e.changing and e.cause is not None)
    return Patch(
        files=_files(before, texts.after if planned else {}, Counter(e.path for e in edits)),
        left=tuple(left for outcome in outcomes for left in outcome.left),
        fixed=sum(len(o.taken) for o in planned),
        notes=tuple(dict.fromkeys(note for c in contexts for note in _notes(c))),
        base=tuple((name, value) for c in contexts for name, value in c.scripts.values.items()),
        models=tuple(model for c in contexts for model in c.models),
        changing=tuple(sorted(causes, key=lambda cause: (cause[1], cause[2], cause[0]))),
        keeping=_files(before, texts.keeping if planned else {}, Counter(e.path for e in edits if not e.changing)),
    )


def _files(before: _State, texts: Mapping[str, str], edits: Counter[str]) -> tuple[FilePatch, ...]:
    old = {path: source.text for path, source in before.sources.items()}
    return tuple(FilePatch(path, old.get(path), text, edits[path] or 1) for path, text in sorted(texts.items()))


def _context(state: _State, unit: Sequence[Finding], configuration: Configuration, plan: Plan) -> Context:
    program, target = state.analysis.program, TARGETS[configuration.target]
    tree = Tree(state.analysis.facts, {path: source.text for path, source in state.sources.items()})
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
        raise CannotRewrite("it has no rewrite", _EXPLAIN.format(code=code))
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


def _name(finding: Finding) -> tuple[str, str, str]:
    return (finding.code, finding.place.path, finding.symbol)


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
            left.append(Left(*cause_of(finding), reason, manual, unsafe=unsafe))
    return tuple(sorted(left, key=lambda item: (item.path, item.line, item.code)))


def _notes(context: Context) -> list[str]:
    """What to know about a unit that was rewritten."""
    notes = list(context.scripts.notes)
    notes += [
        f"the code now imports the package {package}: add {package} to the dependencies of the project"
        for package in sorted(context.imports.packages - {"torch"})
    ]
    names = list(dict.fromkeys(context.bases.declared))
    if not context.scripts.values and names:
        notes.append(f"no script sets {' and '.join(names)} yet: until one does, every model is its own base")
    if not context.optimizers and not any(v.is_scaled for v in context.program.optimizers):
        notes.append(f"no optimizer was found: {_target(context).by_hand.format(home=context.imports.home)}")
    return notes
