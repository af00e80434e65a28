"""The repairs of a patch one by one, for a user who chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mulint.findings import Finding
from mulint.rewriting.edits import Cause, TextEdit, apply
from mulint.rewriting.patch import FilePatch
from mulint.rewriting.tree import Tree


@dataclass(frozen=True, slots=True)
class Repair:
    """A finding and what its own edits make of the files; what several findings share is not among them.

    ``changing``: it changes the base model.
    """

    finding: Finding
    files: tuple[FilePatch, ...]
    changing: bool

    @property
    def cause(self) -> Cause:
        """The finding as the cause of an edit."""
        return cause_of(self.finding)


# Gets all repairs and answers with those that are not wanted.
Choose = Callable[[Sequence[Repair]], frozenset[Cause]]


def cause_of(finding: Finding) -> Cause:
    """A finding as the cause of an edit."""
    return (finding.code, finding.place.path, finding.place.line)


def repairs(tree: Tree, findings: Iterable[Finding]) -> Iterator[Repair]:
    """The repairs of findings, by the edits that were collected for them."""
    for finding in sorted(findings, key=lambda f: f.place):
        edits = [e for e in tree.edits if e.cause == cause_of(finding)]
        yield Repair(finding, tuple(_files(tree, edits)), any(e.changing for e in edits))


def _files(tree: Tree, edits: Sequence[TextEdit]) -> Iterator[FilePatch]:
    for path in dict.fromkeys(e.path for e in edits):
        text, own = tree.documents[path].text, [e for e in edits if e.path == path]
        yield FilePatch(path, text, apply(text, own), len(own))
