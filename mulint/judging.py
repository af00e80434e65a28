"""What is to be reported of a project: each component judged, or known from before where it is unchanged."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from mulint.analysis import CODES, OPT_IN, named, reported, weighed
from mulint.configuration import Configuration, nearest, selected
from mulint.facts import FileFacts
from mulint.findings import FileError, Understood
from mulint.gathering import Reading, without_collection
from mulint.judgement import Judgement, Part
from mulint.notices import UNKNOWN_NAME
from mulint.program import Failure, Modules, full_names, link
from mulint.program.components import Component, components
from mulint.program.intent import packages, strongest
from mulint.source.cache import Store, digest
from mulint.source.reading import SourceFile


def judge(
    sources: Sequence[SourceFile],
    configuration: Configuration,
    store: Store | None = None,
    jobs: int = 1,
    folder: str = "",
) -> Judgement:
    """Run the selected rules over decoded files, wherever their text comes from.

    Args:
        sources: the decoded files of a whole project.
        configuration: what is in force.
        store: where the outcome for components and the facts of files are kept; None: nowhere.
        jobs: how many processes may read files.
        folder: the name of the project's folder, which is the package's name where it is itself a package.

    Raises:
        ConfigurationError: a rule selector is not known.
    """
    codes = selected(CODES, configuration, OPT_IN)
    with without_collection():
        reading = Reading(sources, store, jobs)
        judging = _Judging(sources, Modules(reading.imports, folder), reading, configuration, codes, store)
        parts = [judging.part(component) for component in components(reading.imports, judging.modules)]
        if reading.errors:  # what cannot be parsed has no part in any program, but may hold suppressions
            parts.append(judging.fresh([], [error.path for error in reading.errors]))
    return _joined(parts, reading.errors, configuration)


class _Judging:
    def __init__(
        self,
        sources: Sequence[SourceFile],
        modules: Modules,
        reading: Reading,
        configuration: Configuration,
        codes: frozenset[str],
        store: Store | None,
    ) -> None:
        self.modules = modules
        self._sources = {source.path: source for source in sources}
        self._reading = reading
        self._configuration = configuration
        self._codes = codes
        self._store = store

    def part(self, component: Component) -> Part:
        """The outcome for one component: kept from before if its files and what they import are the same."""
        if self._store is None:
            return self.fresh(self._reading.take(component.paths), component.paths)
        name = f"judgement of {component.paths[0]} under {self._configuration!r}"
        texts = (part for path in component.paths for part in (path, self._reading.marks[path]))
        origin = digest(*texts, "imports", *(path for link in component.links for path in link))
        kept = self._store.get(name, origin)
        if kept is not None:
            try:
                return Part.from_json(kept)
            except ValueError:
                pass
        part = self.fresh(self._reading.take(component.paths), component.paths)
        if not part.failures:
            self._store.put(name, origin, part.to_json())
        return part

    def fresh(self, facts: Sequence[FileFacts], paths: Sequence[str]) -> Part:
        """The outcome for some files and their facts."""
        program = link(facts, named(self._configuration), self._configuration.policies, self.modules)
        return Part(
            signs=program.signs,
            findings=tuple(reported(program, [self._sources[path] for path in paths], self._codes)),
            understood=program.understood,
            not_understood=program.not_understood,
            failures=tuple(map(_internal, program.failures)),
            sizes=full_names(program.seen),
        )


def _joined(parts: Sequence[Part], errors: tuple[FileError, ...], configuration: Configuration) -> Judgement:
    known = packages([part.signs for part in parts], opted_in=configuration.opts_in)
    findings = weighed((f for part in parts for f in part.findings), known)
    understood = _sum([part.understood for part in parts])
    unknown: list[str] = []
    sizes = sorted({size for part in parts for size in part.sizes})
    if understood.parameters and UNKNOWN_NAME.code in selected(CODES, configuration, OPT_IN):
        unknown = named(configuration).unknown(sizes)
    return Judgement(
        intent=strongest(known),
        packages=known,
        findings=tuple(sorted(findings, key=lambda f: (f.place, f.code))),
        understood=understood,
        not_understood=tuple(
            sorted((n for part in parts for n in part.not_understood), key=lambda n: (n.path, n.line, n.what))
        ),
        errors=errors,
        failures=tuple(failure for part in parts for failure in part.failures),
        unknown_names=tuple((name, nearest(name, sizes)) for name in unknown),
    )


def _sum(several: Sequence[Understood]) -> Understood:
    return Understood(
        files=sum(u.files for u in several),
        modules=sum(u.modules for u in several),
        parameters=sum(u.parameters for u in several),
        optimizers=sum(u.optimizers for u in several),
        schedulers=sum(u.schedulers for u in several),
    )


def _internal(failure: Failure) -> tuple[FileError, str]:
    error = failure.error
    return (
        FileError("MU905", failure.path, failure.line, f"{type(error).__name__}: {error}"),
        "".join(traceback.format_exception(error)),
    )
