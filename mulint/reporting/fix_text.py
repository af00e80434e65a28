"""A patch as text for people: what changed, what is left and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mulint.rewriting.edits import Cause
from mulint.rewriting.patch import Left, Patch
from mulint.rewriting.repairs import Repair

NOT_PROVED = "Not proved: no code was run. --verify builds the model before and after the patch and compares.\n"
FILES_NAMED = 8
NOT_WRITTEN = (
    "Nothing was written, as the proof failed. "
    "`mulint fix --diff` shows the change; --no-verify writes it unproved.\n"
)
_MARKS = {True: "ok", False: "FAILED", None: "not checked"}


def summary(patch: Patch, shown: Callable[[str], str], *, written: bool) -> str:
    """What was done, or would be, in a few lines; ``shown`` turns a path into the one to print."""
    if not patch.files:
        return "" if patch.left else "Nothing to fix.\n"
    done = "Fixed" if written else "Would fix"
    new = [shown(f.path) for f in patch.files if f.before is None]
    changed = [shown(f.path) for f in patch.files if f.before is not None]
    places = ", ".join(changed) if len(changed) <= FILES_NAMED else f"{len(changed)} files"
    lines = [
        f"{done} {_count(patch.fixed, 'finding')} in {places}" + (f"; new: {', '.join(new)}" if new else "") + "."
    ]
    if patch.base:
        sizes = ", ".join(f"{name} = {value:g}" for name, value in dict(patch.base).items())
        but = ", but for what changes training" if patch.changing else ""
        lines.append(f"The base model has {sizes}: there everything trains as before{but}.")
    for code, path, line in patch.changing:
        lines.append(f"Changes training: {code} at {shown(path)}:{line}.")
    lines += [f"Note: {note}." for note in patch.notes]
    lines += [
        f"Note: the code now imports the package {package}: add it to the dependencies of the project."
        for package in patch.packages
    ]
    return "\n".join(lines) + "\n"


def repair(item: Repair, shown: Callable[[str], str]) -> str:
    """One repair to decide on: the place, the rule and its reason, and the change."""
    finding = item.finding
    lines = [
        f"{shown(finding.place.path)}:{finding.place.line}: {finding.code} {finding.name}: {finding.message}",
        f"    expected: {finding.expected}",
    ]
    if item.changing:
        lines.append("    It changes how the base model trains.")
    if not item.files:
        lines.append("    It needs no edit but those that are made for several findings.")
    return "\n".join(lines) + "\n" + "".join(file.diff for file in item.files)


def next_step(patch: Patch, *, written: bool) -> str:
    """The commands that lead on from a patch."""
    if not patch.files:
        return ""
    if not written:
        return "Next: `mulint fix` writes this.\n"
    measured = "".join(f" and `mulint trace {model}`" for model in patch.models[:1])
    return f"Next: `mulint check`{measured}.\n"


def left(items: Sequence[Left], shown: Callable[[str], str]) -> str:
    """What was not repaired: place, reason, what to do by hand, and what has to wait for it."""
    waiting: dict[Cause | None, list[str]] = {}
    for item in items:
        waiting.setdefault(item.behind, []).append(f"{item.code} at {shown(item.path)}:{item.line}")
    lines = []
    for item in items:
        if item.behind is None:
            lines += [f"{shown(item.path)}:{item.line}: {item.code} left: {item.reason}", f"    {item.manual}"]
            behind = waiting.get((item.code, item.path, item.line))
            if behind:
                lines.append(f"    Waiting for it, or alone with --select: {', '.join(dict.fromkeys(behind))}")
    return "".join(f"{line}\n" for line in lines)


def unsafe(patch: Patch) -> str:
    """How many more findings the rewrites that change the base model would repair."""
    more = sum(item.unsafe for item in patch.left)
    return f"{more} more with --unsafe-fixes, which changes the base model.\n" if more else ""


def certificate(data: Mapping[str, Any], patch: Patch) -> str:
    """What was proved about the patch."""
    same, invariants = _SAME[data["base_identical"]], data["invariants"]
    if patch.changing and data["base_identical"] is None:
        same = f"changed on purpose by {_count(len(patch.changing), 'edit')}"
    lines = [f"Certificate: the base model is {same}; invariants: {invariants}"]
    for detail in data["details"]:
        note = f" ({detail['note']})" if detail["note"] else ""
        lines.append(f"  {_MARKS[detail['ok']]:<12}{detail['what']}{note}")
    return "\n".join(lines) + "\n"


_SAME = {True: "unchanged, bit for bit", False: "CHANGED", None: "not checked"}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
