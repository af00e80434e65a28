"""What a certificate says, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that was checked; ``ok`` is None where it could not be, and ``note`` says why."""

    what: str
    ok: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether a patch keeps the model at its base, and gives the invariants of μP at other widths.

    ``base_identical``: None when some of it could not be checked and nothing else differs.
    """

    base_identical: bool | None
    invariants: Literal["pass", "fail", "not-checked"]
    details: tuple[Detail, ...]


def conclude(base: Iterable[Detail], invariants: Iterable[Detail], beside: Iterable[Detail] = ()) -> Certificate:
    """One failure fails, one unchecked thing leaves it open; nothing checked is nothing proved.

    ``beside`` is said but decides nothing.
    """
    base, invariants = tuple(base), tuple(invariants)
    outcome = {True: "pass", False: "fail", None: "not-checked"}[_all(invariants)]
    return Certificate(_all(base), outcome, (*base, *invariants, *beside))  # type: ignore[arg-type]


def for_changing(changing: Iterable[str], keeping: Certificate | None, whole: Certificate) -> Certificate:
    """The certificate of a patch that changes the base model on purpose.

    It claims nothing of the base for the patch as a whole.

    Args:
        changing: the edits that change the base, in words.
        keeping: the certificate of the base for the other edits; None if there are none.
        whole: the certificate of the invariants for all edits.
    """
    note = "it changes the base model, which is not claimed to train as before"
    details = [Detail(edit, None, note) for edit in changing]
    if keeping is not None:
        details += [replace(d, what=f"without that: {d.what}") for d in keeping.details]
    identical = False if keeping is not None and keeping.base_identical is False else None
    return Certificate(identical, whole.invariants, (*details, *whole.details))


def _all(details: tuple[Detail, ...]) -> bool | None:
    if any(detail.ok is False for detail in details):
        return False
    return None if not details or any(detail.ok is None for detail in details) else True
