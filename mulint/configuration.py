"""The ``[tool.mulint]`` table: found, validated, and the rules it selects."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mulint.theory import EmbeddingPolicy, EpsilonPolicy, WeightDecayPolicy

DEFAULT_MAX_FILE_SIZE = 1_000_000


class ConfigurationError(Exception):
    """The configuration or the selection is not valid; the message names the place and the remedy."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is in force for one run; ``path`` is the file that holds the table, None without one."""

    path: Path | None = None
    target: str = "torch"
    weight_decay: WeightDecayPolicy = WeightDecayPolicy.CONSTANT_LR_WD
    embedding_lr: EmbeddingPolicy = EmbeddingPolicy.CONSTANT
    epsilon: EpsilonPolicy = EpsilonPolicy.REPORT
    select: tuple[str, ...] = ("MU",)
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_file_size: int = DEFAULT_MAX_FILE_SIZE
    baseline: Path | None = None
    models: tuple[Mapping[str, Any], ...] = ()

    @property
    def opts_in(self) -> bool:
        """Whether a table asks for μP."""
        return self.path is not None


_LISTS = {"select": "select", "ignore": "ignore", "extend-select": "extend_select", "exclude": "exclude"}
_CHOICES: dict[str, tuple[str, type]] = {
    "weight-decay": ("weight_decay", WeightDecayPolicy),
    "embedding-lr": ("embedding_lr", EmbeddingPolicy),
    "epsilon": ("epsilon", EpsilonPolicy),
}
_KEYS = (*_LISTS, *_CHOICES, "target", "per-file-ignores", "max-file-size", "baseline", "models")


def load(root: Path, explicit: Path | None = None) -> Configuration:
    """The configuration of a project: a named file, or the closest pyproject.toml with the table.

    Raises:
        ConfigurationError: the file is missing, is not TOML, or holds a key or value that is not known.
    """
    if explicit is not None:
        table = _table(explicit)
        if table is None:
            raise ConfigurationError(f"{explicit}: there is no [tool.mulint] table in it")
        return _parse(explicit, table)
    for folder in (root, *root.parents):
        path = folder / "pyproject.toml"
        table = _table(path) if path.is_file() else None
        if table is not None:
            return _parse(path, table)
    return Configuration()


def _table(path: Path) -> Mapping[str, Any] | None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; check the path given to --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    table = content.get("tool", {}).get("mulint")
    return table if isinstance(table, dict) else None


def _parse(path: Path, table: Mapping[str, Any]) -> Configuration:
    values: dict[str, Any] = {"path": path}
    for key, value in table.items():
        if key in _LISTS:
            values[_LISTS[key]] = tuple(_texts(path, key, value))
        elif key in _CHOICES:
            name, choices = _CHOICES[key]
            values[name] = _choice(path, key, value, choices)
        elif key == "target":
            if value not in ("torch", "mup"):
                raise ConfigurationError(f'{path}: target = {value!r}: use "torch" or "mup"')
            values["target"] = value
        elif key == "per-file-ignores":
            if not isinstance(value, dict):
                raise ConfigurationError(f"{path}: per-file-ignores must be a table of globs and lists of codes")
            values["per_file_ignores"] = {g: tuple(_texts(path, g, codes)) for g, codes in value.items()}
        elif key == "max-file-size":
            if not isinstance(value, int) or value <= 0:
                raise ConfigurationError(f"{path}: max-file-size = {value!r}: give a number of bytes")
            values["max_file_size"] = value
        elif key == "baseline":
            if not isinstance(value, str):
                raise ConfigurationError(f"{path}: baseline must be the path of a file")
            values["baseline"] = path.parent / value
        elif key == "models":
            values["models"] = tuple(value)
        else:
            raise ConfigurationError(f"{path}: unknown key {key!r} in [tool.mulint]{nearest(key, _KEYS)}")
    return Configuration(**values)


def _texts(path: Path, key: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ConfigurationError(f"{path}: {key} must be a list of strings")
    return value


def _choice(path: Path, key: str, value: object, choices: Any) -> Any:
    allowed = [c.value for c in choices]
    if value not in allowed:
        raise ConfigurationError(f"{path}: {key} = {value!r}: use one of {', '.join(allowed)}")
    return choices(value)


def settings(configuration: Configuration) -> dict[str, Any]:
    """All keys of the table with the values in force, as plain data; keys without a value are left out."""
    baseline = configuration.baseline
    beside = configuration.path.parent if configuration.path else Path()
    return {
        "target": configuration.target,
        **{key: getattr(configuration, name).value for key, (name, _) in _CHOICES.items()},
        **{key: list(getattr(configuration, name)) for key, name in _LISTS.items()},
        "per-file-ignores": {glob: list(codes) for glob, codes in configuration.per_file_ignores.items()},
        "max-file-size": configuration.max_file_size,
        **({"baseline": baseline.relative_to(beside).as_posix()} if baseline else {}),
        **({"models": [dict(model) for model in configuration.models]} if configuration.models else {}),
    }


def nearest(word: str, known: Collection[str]) -> str:
    """``; did you mean X?`` for the closest known word, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def selected(codes: Sequence[str], configuration: Configuration) -> frozenset[str]:
    """The codes that are selected: the longest matching prefix wins, and a tie means ignored.

    Raises:
        ConfigurationError: a selector matches no code.
    """
    wanted = (*configuration.select, *configuration.extend_select)
    for selector in (
        *wanted,
        *configuration.ignore,
        *(c for v in configuration.per_file_ignores.values() for c in v),
    ):
        if not selector or not any(code.startswith(selector) for code in codes):
            raise ConfigurationError(
                f"unknown rule selector {selector!r}{nearest(selector, codes)} (`mulint rules` lists all codes)"
            )
    return frozenset(code for code in codes if _longest(code, wanted) > _longest(code, configuration.ignore))


def _longest(code: str, selectors: Sequence[str]) -> int:
    return max((len(s) for s in selectors if code.startswith(s)), default=0)
