"""What is to be reported of a project before anything is left out, and its form in the cache."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mulint.findings import (
    Applicability,
    Edit,
    Evidence,
    FileError,
    Finding,
    Fix,
    Intent,
    NotUnderstood,
    Package,
    Place,
    Related,
    Severity,
    Signs,
    Understood,
)


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
        try:
            data = json.loads(text)
            return cls(
                intent=Intent(data["intent"]),
                packages=tuple(Package(**{**p, "intent": Intent(p["intent"])}) for p in data["packages"]),
                findings=tuple(map(_finding, data["findings"])),
                understood=Understood(**data["understood"]),
                not_understood=tuple(NotUnderstood(**n) for n in data["not_understood"]),
                errors=tuple(FileError(**e) for e in data["errors"]),
                failures=tuple((FileError(**e), text) for e, text in data["failures"]),
                unknown_names=tuple((name, hint) for name, hint in data["unknown_names"]),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a judgement: {error}") from None


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
        try:
            data = json.loads(text)
            signs = data["signs"]
            return cls(
                signs=Signs(
                    tuple(signs["files"]),
                    tuple((a, b) for a, b in signs["connected"]),
                    tuple((rank, path, line, because) for rank, path, line, because in signs["evidence"]),
                ),
                findings=tuple(map(_finding, data["findings"])),
                understood=Understood(**data["understood"]),
                not_understood=tuple(NotUnderstood(**n) for n in data["not_understood"]),
                failures=tuple((FileError(**e), text) for e, text in data["failures"]),
                sizes=tuple(data["sizes"]),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a part of a judgement: {error}") from None


def _fields(value: Any) -> dict[str, Any]:
    """What JSON is to hold of a dataclass; ``asdict`` copies every leaf."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _finding(data: dict[str, Any]) -> Finding:
    return Finding(
        **{
            **data,
            "severity": Severity(data["severity"]),
            "severity_if_scaled": Severity(data["severity_if_scaled"]),
            "evidence": Evidence(data["evidence"]),
            "place": Place(**data["place"]),
            "related": tuple(Related(**r) for r in data["related"]),
            "fix": data["fix"] and _fix(data["fix"]),
        }
    )


def _fix(data: dict[str, Any]) -> Fix:
    edits = (Edit(e["path"], tuple(e["start"]), tuple(e["end"]), e["text"]) for e in data["edits"])
    return Fix(Applicability(data["applicability"]), data["title"], tuple(edits))
