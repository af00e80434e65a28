"""Makes a certificate: the original and the patched project side by side, each in processes of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from mulint.rewriting.patch import FilePatch
from mulint.traces import ParameterTrace, Trace
from mulint.tracing.process import TraceFailed, call
from mulint.tracing.request import Limits, Request
from mulint.verification import trees
from mulint.verification.certificate import Certificate, Detail, conclude
from mulint.verification.task import Stage, Task

Part = Literal["base", "invariants"]
PARTS: tuple[Part, ...] = ("base", "invariants")
# The roles for which an invariant that is off is an error.
JUDGED = {
    "init": ("hidden", "input", "output", "mixed"),
    "update": ("hidden", "input", "output", "vector", "mixed"),
}


def certify(
    root: Path,
    files: Sequence[FilePatch],
    target: str | None,
    base: Mapping[str, float],
    *,
    knobs: Sequence[str] = (),
    follow: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    embedding_lr: str = "constant",
    parts: Collection[Part] = PARTS,
    packages: Iterable[str] = (),
    limits: Limits = Limits(),  # noqa: B008
) -> Certificate:
    """Check that a patch keeps the model at its base and gives the invariants of μP at other widths.

    Nothing of the project is changed: both versions are copied and run from temporary folders.

    Args:
        root: the project root.
        files: the patch.
        target: ``path/file.py:name`` of a model class or a case function, relative to the root; None: no model.
        base: the base of the parametrization, knob by knob. Where the model's base can be set, a small one with
            the same code takes its place.
        knobs: the settings that are widths, when they are not to be found by name.
        follow: settings computed from knobs, as expressions.
        settings: literal values of other settings.
        embedding_lr: the declared policy for the rate of embeddings.
        parts: what to prove; the other part is left out of the certificate.
        packages: those that the patched code imports and the original does not.
        limits: what each process may use.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        return _open(f"the patched code needs {_listed(missing)}; install it into the environment of mulint")
    if target is None:
        return _open("no model is configured; name one under [[tool.mulint.models]]")
    file, _, name = target.rpartition(":")
    inside = os.path.relpath(root / file, root)
    if not file or inside.startswith(os.pardir):
        return _open(f"{target} is not path/file.py:name inside the project")
    request = Request(
        inside, name, "", tuple(knobs), dict(follow or {}), dict(settings or {}), embedding_lr=embedding_lr
    )
    with tempfile.TemporaryDirectory(prefix="mulint-") as folder:
        run = _Run(
            root.resolve(),
            Path(folder).resolve(),
            request,
            dict(base),
            tuple(patch.path for patch in files),
            _added(files, base),
            frozenset(parts),
            limits,
        )
        try:
            trees.copy(run.root, run.before)
            trees.copy(run.root, run.after)
            trees.apply(files, run.root, run.after)
        except OSError as error:
            return _open(f"the project cannot be copied: {error.strerror or error}; free space in {folder}")
        certificate, settled = run.certificate(exact=False)
        if settled:
            return certificate
        # No setting holds the base of this code: its ratios are 1 only at the base itself.
        return run.certificate(exact=True)[0]


def _added(files: Sequence[FilePatch], base: Mapping[str, float]) -> tuple[str, ...]:
    names = [f"base_{knob}" for knob in base]
    return tuple(name for name in names if any(name in f.after and name not in (f.before or "") for f in files))


def _open(reason: str) -> Certificate:
    return conclude([Detail("model", None, reason)], ())


@dataclass(frozen=True, slots=True)
class _Run:
    """A project, the folder for its copies, and how to build its model.

    The request's file is relative. ``changed``: the files of the patch. ``added``: settings for the base that
    it brings.
    """

    root: Path
    folder: Path
    request: Request
    base: dict[str, float]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    parts: frozenset[Part]
    limits: Limits

    @property
    def before(self) -> Path:
        """The copy as it is."""
        return self.folder / "before"

    @property
    def after(self) -> Path:
        """The patched copy."""
        return self.folder / "after"

    def certificate(self, *, exact: bool) -> tuple[Certificate, bool]:
        """The certificate, and whether it is final: False when another base must be tried."""
        try:
            widths = tuple(self._ask("original", self.before, (), exact=exact)["widths"])
        except TraceFailed as failure:
            return conclude([Detail("original model", None, str(failure))], ()), True
        try:
            found = self._patched(widths, exact=exact)
        except TraceFailed as failure:
            ok = False if failure.of_code else None
            return conclude([Detail("patched model", ok, str(failure))], ()), True
        settings = found["base_settings"]
        how = f"{_listed(settings)} left out and given" if settings else "no setting holds the base"
        same = [
            Detail("base", True, f"{found['knob']} = {widths[1]:g}; {how}; in float32 and float64"),
            *map(_read, found["same"]),
        ]
        same = same if "base" in self.parts else []
        if self.added and not settings:
            reason = (
                f"{self.request.name} has no setting {_listed(self.added)}; write a case that builds the model"
            )
            same.append(Detail("base given", None, reason))
            return conclude(same, [Detail("invariants", None, reason)], self._not_run(found["ran"])), True
        invariants: list[Detail] = []
        if "invariants" in self.parts:
            invariants = [*map(_read, found["around"]), *_traced(found["trace"])]
        certificate = conclude(same, invariants, self._not_run(found["ran"]))
        return certificate, bool(settings) or exact or certificate.base_identical is not False

    def _patched(self, widths: tuple[float, ...], *, exact: bool) -> dict[str, Any]:
        """The patched model compared, and traced in the same process; without a trace if that ends the process."""
        if "invariants" in self.parts:
            try:
                return self._ask("patched", self.after, widths, exact=exact, invariants=True)
            except TraceFailed as failure:
                return {**self._ask("patched", self.after, widths, exact=exact), "trace": str(failure)}
        return self._ask("patched", self.after, widths, exact=exact)

    def _ask(
        self, stage: Stage, tree: Path, widths: tuple[float, ...], *, exact: bool, invariants: bool = False
    ) -> dict[str, Any]:
        request = replace(self._request(tree), widths=widths)
        records = str(self.folder / "records")
        task = Task(stage, request, str(self.root), records, self.base, exact, invariants)
        return call("mulint.verification.probe", task.to_json(), self.limits, folder=self._here(tree))

    def _not_run(self, ran: Collection[str]) -> list[Detail]:
        note = "changed by the patch, but building and training the model does not run it"
        return [Detail(path, None, note) for path in self.changed if path not in ran]

    def _request(self, tree: Path) -> Request:
        return replace(self.request, file=str(tree / self.request.file), root=str(tree))

    def _here(self, tree: Path) -> Path:
        """Where the code runs: the copy of the folder that the user is in, as far as there is one."""
        here = Path.cwd()
        inside = tree / here.relative_to(self.root) if here.is_relative_to(self.root) else tree
        return inside if inside.is_dir() else tree


def _traced(wire: dict[str, Any] | str) -> list[Detail]:
    return [Detail("invariants", None, wire)] if isinstance(wire, str) else invariants(Trace.from_wire(wire))


def invariants(trace: Trace) -> list[Detail]:
    """What a trace says of the invariants: each fault, what it could not judge, and what holds."""
    faults: dict[tuple[str, str], list[str]] = {}
    for culprit in trace.culprits:
        faults.setdefault((culprit.code, culprit.what), []).append(culprit.parameter)
    details = [Detail(f"{code}: {_listed(names)}", False, what) for (code, what), names in faults.items()]
    widths = ", ".join(f"{width:g}" for width in trace.widths)
    for name in JUDGED:
        open_, held = _sorted_out(name, trace.parameters)
        if open_:
            details.append(Detail(f"{name} invariant", None, f"not judged: {_listed([p.name for p in open_])}"))
        elif held or not faults:
            note = f"{len(held)} parameters at widths {widths}"
            details.append(Detail(f"{name} invariant", True if held else None, note))
    unclear = [f"{site.path}:{site.line}" for site in trace.attention if site.ok is None]
    if unclear:
        details.append(Detail("attention scale", None, f"could not be followed at {_listed(unclear)}"))
    elif trace.attention and all(site.ok for site in trace.attention):
        details.append(Detail("attention scale", True, f"at widths {widths}"))
    return details


def _sorted_out(
    name: str, parameters: Iterable[ParameterTrace]
) -> tuple[list[ParameterTrace], list[ParameterTrace]]:
    """The parameters whose invariant was not judged, and those for which it holds."""
    open_: list[ParameterTrace] = []
    held: list[ParameterTrace] = []
    for parameter in parameters:
        if parameter.role in JUDGED[name]:
            found = [one.ok for one in parameter.invariants if one.name == name]
            if None in found or not found:
                open_.append(parameter)
            elif all(found):
                held.append(parameter)
    return open_, held


def _read(data: dict[str, Any]) -> Detail:
    return Detail(data["what"], data["ok"], data["note"])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
