"""What is to be reported of a project before anything is left out, and its form in the cache."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from mulint import wire
from mulint.findings import FileError, Finding, Intent, NotUnderstood, Package, Signs, Understood

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of one analysis.

    ``errors``: files that cannot be parsed. ``failures``: mulint's own errors, each with its traceback.
    ``unknown_names``: names in the configuration that no size has, each with a hint at what may be meant.
    """

    intent: Intent
    packages: tuple[Package, ...]
    findings: tuple[Finding, ...]
    understood: Understood
    not_understood: tuple[NotUnderstood, ...]
    errors: tuple[FileError, ...]
    failures: tuple[tuple[FileError, str], ...]
    unknown_names: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        """The judgement as text."""
        return json.dumps(self, default=_fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Judgement:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: the text is something else.
        """
        return _read(cls, text)


@dataclass(frozen=True, slots=True)
class Part:
    """The outcome for one component of a project, before the intent of its packages is known.

    ``findings`` have the severity of departures from a μP that is asked for. ``sizes``: the full names of all
    sizes that the configuration can mean.
    """

    signs: Signs
    findings: tuple[Finding, ...]
    understood: Understood
    not_understood: tuple[NotUnderstood, ...]
    failures: tuple[tuple[FileError, str], ...]
    sizes: tuple[str, ...]

    def to_json(self) -> str:
        """The part as text."""
        return json.dumps(self, default=_fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Part:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: the text is something else.
        """
        return _read(cls, text)


def _fields(value: Any) -> dict[str, Any]:
    """What JSON is to hold of a dataclass; ``asdict`` copies every leaf."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _read(kind: type[T], text: str) -> T:
    try:
        return wire.read(kind, json.loads(text))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not what {kind.__name__} writes: {error}") from None
