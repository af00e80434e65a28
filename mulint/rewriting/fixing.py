"""From findings to a patch: edits by unit, checked by the same rules before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mulint.analysis import analyse
from mulint.checking import load_sources
from mulint.configuration import Configuration
from mulint.findings import FileError, Finding
from mulint.rewriting.edits import CannotRewrite, Cause, TextEdit, apply
from mulint.rewriting.patch import FilePatch, Left, Patch
from mulint.rewriting.planning import EXPLAIN, Outcome, Plan, State, notes, plan_unit
from mulint.rewriting.repairs import Choose, Repair, cause_of, repairs
from mulint.rewriting.targets import TARGETS
from mulint.rewriting.units import units
from mulint.source.discovery import select
from mulint.source.reading import SourceFile
from mulint.theory import Optimizer

_DECLINED = ("it was declined", "run mulint fix --interactive again to be asked again")


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
    before = State({source.path: source for source in sources}, analyse(sources, configuration))
    found = units(before.analysis.program, before.analysis.findings)
    chosen = [u for u in found if any(f.place.path in selection.named for f in u)]
    outcomes, texts = _settled(
        before, [plan_unit(before, unit, configuration, plan) for unit in chosen], configuration
    )
    declined = choose(_repairs(outcomes)) if choose is not None else frozenset()
    if declined:
        rest = [_without(before, outcome, declined, configuration, plan) for outcome in outcomes]
        outcomes, texts = _settled(before, rest, configuration)
    asked = {*selection.named, *selection.missing}
    problems = [e for e in (*errors, *before.analysis.errors) if e.path in asked]
    patch = _patch(before, outcomes, texts)
    patch = replace(patch, left=(*patch.left, *(Left(*cause, *_DECLINED) for cause in sorted(declined))))
    return patch, [*problems, *_notebooks({path.absolute() for path in paths}, root, loaded)]


def _settled(before: State, outcomes: list[Outcome], configuration: Configuration) -> tuple[list[Outcome], _Texts]:
    """The units that stand together and pass the same rules again, and the texts after them."""
    texts = _Texts({}, {})
    while any(o.context for o in outcomes):
        outcomes, texts = _combined(before, outcomes, configuration)
        refusals = _refusals(before, before.patched(texts.after, configuration), outcomes)
        if not refusals:
            break
        outcomes = [o.refused(refusals[i]) if i in refusals else o for i, o in enumerate(outcomes)]
    return outcomes, texts


def _repairs(outcomes: Sequence[Outcome]) -> list[Repair]:
    return [r for o in outcomes if o.context for r in repairs(o.context.tree, o.taken)]


def _without(
    before: State, outcome: Outcome, declined: frozenset[Cause], configuration: Configuration, plan: Plan
) -> Outcome:
    """The same unit planned again without what is not wanted of it; what is left of it may be a part."""
    rest = tuple(f for f in outcome.unit if cause_of(f) not in declined)
    if outcome.context is None or rest == outcome.unit:
        return outcome
    if not any(f in outcome.taken for f in rest):
        return Outcome(rest, (), None, outcome.left)
    return plan_unit(before, rest, configuration, replace(plan, partial=True))


def _notebooks(paths: Collection[Path], root: Path, sources: Sequence[SourceFile]) -> Iterator[FileError]:
    """Notebooks are left out, which is said of those that are named themselves."""
    for source in sources:
        if source.is_notebook and root / source.path in paths:
            message = "a notebook is never rewritten; move the model into a .py file, or change it by hand"
            yield FileError("MU904", source.path, 1, message)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The new texts of files, and those without the edits that change the base model."""

    after: dict[str, str]
    keeping: dict[str, str]


def _combined(
    before: State, outcomes: Sequence[Outcome], configuration: Configuration
) -> tuple[list[Outcome], _Texts]:
    """The texts after all planned units; one that wants the same characters as those before it is left."""
    kept: list[Outcome] = []
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


def _refusals(before: State, after: State, outcomes: Sequence[Outcome]) -> dict[int, CannotRewrite]:
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
        wrong.append((path, CannotRewrite(reason, EXPLAIN.format(code=code))))
    refusals: dict[int, CannotRewrite] = {}
    for path, refusal in wrong:
        blamed = [index for index, outcome in planned.items() if path in outcome.paths] or list(planned)
        refusals |= dict.fromkeys(blamed, refusal)
    return refusals


def _name(finding: Finding) -> tuple[str, str, str]:
    return (finding.code, finding.place.path, finding.symbol)


def _patch(before: State, outcomes: Sequence[Outcome], texts: _Texts) -> Patch:
    planned = [o for o in outcomes if o.context]
    contexts = [o.context for o in planned if o.context]
    edits = [e for context in contexts for e in context.tree.edits]
    causes = dict.fromkeys(e.cause for e in edits if e.changing and e.cause is not None)
    return Patch(
        files=_files(before, texts.after if planned else {}, Counter(e.path for e in edits)),
        left=tuple(left for outcome in outcomes for left in outcome.left),
        fixed=sum(len(o.taken) for o in planned),
        notes=tuple(dict.fromkeys(note for c in contexts for note in notes(c))),
        packages=tuple(sorted({package for c in contexts for package in c.imports.packages - {"torch"}})),
        base=tuple((name, value) for c in contexts for name, value in c.scripts.values.items()),
        models=tuple(model for c in contexts for model in c.models),
        changing=tuple(sorted(causes, key=lambda cause: (cause[1], cause[2], cause[0]))),
        keeping=_files(before, texts.keeping if planned else {}, Counter(e.path for e in edits if not e.changing)),
    )


def _files(before: State, texts: Mapping[str, str], edits: Counter[str]) -> tuple[FilePatch, ...]:
    old = {path: source.text for path, source in before.sources.items()}
    return tuple(FilePatch(path, old.get(path), text, edits[path] or 1) for path, text in sorted(texts.items()))
