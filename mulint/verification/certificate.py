"""What a certificate says, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


def _all(details: tuple[Detail, ...]) -> bool | None:
    if any(detail.ok is False for detail in details):
        return False
    return None if not details or any(detail.ok is None for detail in details) else True
