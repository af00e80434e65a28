"""The ``[tool.mulint]`` table: found, validated, and the rules it selects."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mulint.theory import EmbeddingPolicy, EpsilonPolicy, Policies, WeightDecayPolicy

DEFAULT_MAX_FILE_SIZE = 1_000_000


class ConfigurationError(Exception):
    """The configuration or the selection is not valid; the message names the place and the remedy."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Names of sizes that are widths whatever the code shows, and of those that are none.

    A name is written as far as it must be to be unique: ``n_embd``, ``Config.n_embd``, ``model.Config.n_embd``.
    """

    knobs: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One ``[[tool.mulint.models]]``: a case function, or a class that mulint builds, and its sizes.

    ``target`` is ``path/file.py:name``; the path is relative to ``folder``, which holds the table. ``settings``
    is the key ``set``.
    """

    folder: Path
    name: str
    target: str
    is_case: bool
    knobs: tuple[str, ...] = ()
    follow: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, float] = field(default_factory=dict)
    widths: tuple[float, ...] = ()

    def relative_to(self, root: Path) -> str:
        """The target with its path relative to a folder."""
        file, _, name = self.target.rpartition(":")
        return f"{Path(os.path.relpath(self.folder / file, root)).as_posix()}:{name}"

    def table(self) -> dict[str, Any]:
        """The keys of the table; those without a value are left out."""
        values = {
            "name": self.name,
            "case" if self.is_case else "build": self.target,
            "knobs": list(self.knobs),
            "follow": dict(self.follow),
            "set": dict(self.settings),
            "base": {knob: _written(size) for knob, size in self.base.items()},
            "widths": [_written(width) for width in self.widths],
        }
        return {key: value for key, value in values.items() if value}


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
    widths: Widths = Widths()
    declares_decay: bool = False
    models: tuple[Model, ...] = ()

    @property
    def policies(self) -> Policies:
        """The choices that decide what some rules expect."""
        return Policies(self.weight_decay, self.embedding_lr, self.epsilon, self.declares_decay)

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
_KEYS = (*_LISTS, *_CHOICES, "target", "per-file-ignores", "max-file-size", "baseline", "widths", "models")
_MODEL_KEYS = ("name", "case", "build", "knobs", "follow", "set", "base", "widths")


def load(root: Path, explicit: Path | None = None) -> Configuration:
    """The configuration of a project: a named file, or the closest pyproject.toml with the table.

    Raises:
        ConfigurationError: the file is missing, is not TOML, or holds a key or value that is not known.
    """
    if explicit is not None:
        named = load_from(explicit)
        if named is None:
            raise ConfigurationError(f"{explicit}: there is no [tool.mulint] table in it")
        return named
    paths = (folder / "pyproject.toml" for folder in (root, *root.parents))
    found = (load_from(path) for path in paths if path.is_file())
    return next((configuration for configuration in found if configuration is not None), Configuration())


def load_from(path: Path) -> Configuration | None:
    """The configuration that one file holds; None if it has no table.

    Raises:
        ConfigurationError: as for ``load``.
    """
    table = _table(path)
    return None if table is None else _parse(path, table)


def _table(path: Path) -> Mapping[str, Any] | None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; check the path given to --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    tools = content.get("tool")
    table = tools.get("mulint") if isinstance(tools, dict) else None
    return table if isinstance(table, dict) else None


def _parse(path: Path, table: Mapping[str, Any]) -> Configuration:
    _only_known(path, "[tool.mulint]", table, _KEYS)
    values: dict[str, Any] = {"path": path}
    for key, value in table.items():
        if key in _LISTS:
            values[_LISTS[key]] = tuple(_texts(path, key, value))
        elif key in _CHOICES:
            name, choices = _CHOICES[key]
            values[name] = _choice(path, key, value, choices)
            values["declares_decay"] = values.get("declares_decay", False) or key == "weight-decay"
        elif key == "target":
            if value not in ("torch", "mup"):
                raise ConfigurationError(f'{path}: target = {value!r}: use "torch" or "mup"')
            values["target"] = value
        elif key == "per-file-ignores":
            if not isinstance(value, dict):
                raise ConfigurationError(f"{path}: per-file-ignores must be a table of globs and lists of codes")
            values["per_file_ignores"] = {
                glob: tuple(_texts(path, f"per-file-ignores of {glob!r}", codes)) for glob, codes in value.items()
            }
        elif key == "max-file-size":
            if not isinstance(value, int) or value <= 0:
                raise ConfigurationError(f"{path}: max-file-size = {value!r}: give a number of bytes")
            values["max_file_size"] = value
        elif key == "baseline":
            if not isinstance(value, str):
                raise ConfigurationError(f"{path}: baseline must be the path of a file")
            values["baseline"] = path.parent / value
        elif key == "widths":
            values["widths"] = _widths(path, value)
        elif key == "models":
            values["models"] = _models(path, value)
    return Configuration(**values)


def _widths(path: Path, value: object) -> Widths:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: widths must be a table with the lists knobs and fixed")
    _only_known(path, "[tool.mulint.widths]", value, ("knobs", "fixed"))
    found = {key: tuple(_texts(path, f"widths.{key}", names)) for key, names in value.items()}
    both = sorted(set(found.get("knobs", ())) & set(found.get("fixed", ())))
    if both:
        raise ConfigurationError(f"{path}: {both[0]} is in widths.knobs and in widths.fixed; take it out of one")
    return Widths(**found)


def _models(path: Path, value: object) -> tuple[Model, ...]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ConfigurationError(f"{path}: models must be tables, each under [[tool.mulint.models]]")
    found = tuple(_model(path, table) for table in value)
    names = [model.name for model in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{path}: two models are called {twice!r}; give each its own name")
    return found


def _model(path: Path, table: Mapping[str, Any]) -> Model:
    _only_known(path, "[[tool.mulint.models]]", table, _MODEL_KEYS)

    def wrong(key: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"{path}: {key} of the model {table.get('name', '?')!r}: {remedy}")

    targets = [key for key in ("case", "build") if key in table]
    if len(targets) != 1:
        raise wrong("case or build", "give one of them")
    target = table[targets[0]]
    if not isinstance(target, str) or not all(target.rpartition(":")):
        raise wrong(targets[0], 'write "path/file.py:name"')
    is_case = targets == ["case"]
    for key in ("knobs", "follow", "set") if is_case else ():
        if key in table:
            raise wrong(key, "a case sets its own sizes; leave it out, or use build")
    name = table.get("name", target.rpartition(":")[2])
    if not isinstance(name, str) or not name or ":" in name:
        raise wrong("name", "write a text without a colon")
    for key in ("follow", "set", "base"):
        if not isinstance(table.get(key, {}), dict):
            raise wrong(key, "write a table, as in { n_embd = 256 }")
    follow, base, widths = table.get("follow", {}), table.get("base", {}), table.get("widths", [])
    if not all(isinstance(expression, str) for expression in follow.values()):
        raise wrong("follow", 'write expressions as texts, as in { d_ff = "4 * d_model" }')
    if not all(_is_size(size) for size in base.values()):
        raise wrong("base", "write positive numbers, as in { n_embd = 256 }")
    if not isinstance(widths, list) or not all(map(_is_size, widths)) or len(set(widths)) < len(widths):
        raise wrong("widths", "write different positive numbers, as in [128, 256, 512]")
    knobs = tuple(_texts(path, f"knobs of the model {name!r}", table.get("knobs", [])))
    return Model(
        path.parent,
        name,
        target,
        is_case,
        knobs,
        follow,
        table.get("set", {}),
        {knob: float(size) for knob, size in base.items()},
        tuple(map(float, widths)),
    )


def _written(size: float) -> float:
    return int(size) if size.is_integer() else size


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _only_known(path: Path, where: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            remedy = nearest(key, known, cutoff=0.7) or f"; use one of {', '.join(sorted(known))}"
            raise ConfigurationError(f"{path}: unknown key {key!r} in {where}{remedy}")


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
        **({"widths": widths} if (widths := _given(configuration.widths)) else {}),
        **({"models": [model.table() for model in configuration.models]} if configuration.models else {}),
    }


def _given(widths: Widths) -> dict[str, list[str]]:
    return {key: list(names) for key, names in (("knobs", widths.knobs), ("fixed", widths.fixed)) if names}


def nearest(word: str, known: Collection[str], *, cutoff: float = 0.5) -> str:
    """``; did you mean X?`` for the closest known word that is at least as similar as ``cutoff``, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {found[0]!r}?" if found else ""


def selected(codes: Sequence[str], configuration: Configuration, opt_in: Collection[str] = ()) -> frozenset[str]:
    """The codes that are selected: the longest matching prefix wins, and a tie means ignored.

    The prefix that all codes share does not select those that are ``opt_in``: they need a longer one.

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
    return frozenset(
        code
        for code in codes
        if _longest(code, wanted) > max(_longest(code, configuration.ignore), len("MU") if code in opt_in else 0)
    )


def _longest(code: str, selectors: Sequence[str]) -> int:
    return max((len(s) for s in selectors if code.startswith(s)), default=0)
