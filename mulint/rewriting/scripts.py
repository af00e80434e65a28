"""Training scripts: the base becomes a setting beside the size, passed on with it and taken from checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mulint.facts import syntax as s
from mulint.facts.spans import Span, line_of
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.tree import Tree

COMMENT = "# the base model: the sizes at which the hyperparameters were tuned"


@dataclass(frozen=True, slots=True)
class _Setting:
    """A size that a script sets: its name, the statement, and the line that sets its base."""

    name: str
    statement: s.Statement
    line: str


@dataclass
class Scripts:
    """Passes bases from scripts; ``given`` are base sizes that the user names, by knob.

    ``values`` collects what was written; ``notes`` what could not be found out.
    """

    tree: Tree
    given: Mapping[str, float]
    values: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _settings: dict[str, list[_Setting]] = field(default_factory=dict)
    _dicts: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def pass_to_call(
        self,
        path: str,
        call: s.Call,
        arguments: Mapping[str, s.Expression | None],
        defaults: Mapping[str, s.Expression | None],
    ) -> None:
        """Give ``base_<name>`` to a call that gets ``name``.

        Args:
            path: the script.
            call: the construction of a model or of its configuration.
            arguments: what the call gives for each name itself, None where it gives nothing or a ``**dict``.
            defaults: what a name is where nothing is given.
        """
        document = self.tree.documents[path]
        added = []
        for name, argument in arguments.items():
            if f"base_{name}" in call.named:
                continue
            base = None
            if argument is not None:
                base = self._base(document, name, argument)
            elif not call.unpacked and _trains(document):
                base = self._default(name, defaults.get(name))
            added += [f"base_{name}={base}"] if base is not None else []
        if added:
            self.tree.add_keywords(path, call, *added)
        packed = [name for name, argument in arguments.items() if argument is None]
        for source in call.unpacked:
            if isinstance(source, s.Name):
                self._pass_in_dict(document, source, packed)

    def set_after(self, path: str, statement: s.Assign, name: str) -> None:
        """After ``config.n_embd = 48`` set ``config.base_n_embd`` as well."""
        document = self.tree.documents[path]
        target = document.source(statement.targets[0])
        holder = target[: -len(name)]
        base = self._base(document, name, statement.value) if statement.value else None
        if (
            base is None
            and isinstance(statement.value, s.Literal)
            and isinstance(statement.value.value, int | float)
        ):
            base = self._value(name, statement.value.value)
        if base is not None:
            self.tree.add_line_after(path, statement, f"{holder}base_{name} = {base}")

    def finish(self) -> None:
        """Write the settings, and have resumed runs take their base from the checkpoint."""
        for path, settings in self._settings.items():
            self._note_presets(path, settings)
            last = max(settings, key=lambda setting: setting.statement.span)
            lines = dict.fromkeys(setting.line for setting in settings)
            comment = [] if any("add_argument" in line for line in lines) else [COMMENT]
            self.tree.add_line_after(path, last.statement, *comment, *lines)
        for (path, holder), names in self._dicts.items():
            self._restore(self.tree.documents[path], holder, names)

    def _note_presets(self, script: str, settings: Sequence[_Setting]) -> None:
        """Files that only set names, some of them sizes of a script, are settings that it may be run with."""
        sizes = {setting.name for setting in settings}
        for path, document in self.tree.documents.items():
            assigned = [n for n in document.body if isinstance(n, s.Assign) and isinstance(n.targets[0], s.Name)]
            names = [n.targets[0].id for n in assigned if isinstance(n.targets[0], s.Name)]
            set_here = [name for name in names if name in sizes]
            if path != script and set_here and len(assigned) == len(document.body):
                bases = " and ".join(f"base_{name}" for name in set_here)
                self.notes.append(
                    f"{path} sets {' and '.join(set_here)}: if {script} is run with it, set {bases} there too, "
                    "to the sizes at which its rates were tuned"
                )

    # How a script spells the base

    def _base(self, document: Document, name: str, argument: s.Expression) -> str | None:
        """The expression of a base beside that of the size; None where the script holds the size fixed."""
        match argument:
            case s.Name(id=variable):
                assigned = _assignment(document, variable, argument.span)
                if assigned is not None:
                    base = f"{'BASE' if variable.isupper() else 'base'}_{variable}"
                    if _assignment(document, base, argument.span) is None:
                        line = f"{base} = {self._value(name, assigned[1])}"
                        self._settings.setdefault(document.path, []).append(_Setting(variable, assigned[0], line))
                    return base
            case s.Attribute(name=option):
                declared = _option(document, option)
                if declared is not None:
                    if _option(document, f"base_{option}") is None:
                        self._declare_option(document, name, *declared)
                    return f"{document.source(argument.value)}.base_{option}"
        if name in self.given:
            return self._value(name, self.given[name])
        if not isinstance(argument, s.Literal):
            if _trains(document):
                raise CannotRewrite(
                    f"the base of {name} is not known ({document.path}:{line_of(argument.span)})",
                    f"run again with --base-width {name}=N, the size whose hyperparameters were tuned",
                    question=True,
                )
            self.notes.append(
                f"{document.path}:{line_of(argument.span)}: the base of {name} is not known here, so the model is "
                f"its own base; pass base_{name}, or run again with --base-width {name}=N"
            )
        return None

    def _default(self, name: str, default: s.Expression | None) -> str | None:
        """The base of a size that a training script leaves at its default."""
        if isinstance(default, s.Literal) and isinstance(default.value, int | float):
            return self._value(name, default.value)
        return self._value(name, self.given[name]) if name in self.given else None

    def _value(self, name: str, default: float) -> str:
        value = self.given.get(name, default)
        self.values[name] = value
        return str(int(value)) if float(value).is_integer() else repr(value)

    def _declare_option(self, document: Document, name: str, statement: s.Statement, call: s.Call) -> None:
        flag = call.arguments[0]
        text = document.source(flag)
        quote = text[-1]
        dashes = "-" if "_" not in text else "_"
        spelled = f"{quote}--base{dashes}{text.strip(quote).lstrip('-')}{quote}"
        options = {k.name: document.source(k.value) for k in call.keywords}
        default = call.argument("default")
        value = "None"
        if isinstance(default, s.Literal) and isinstance(default.value, int | float):
            value = self._value(name, default.value)
        elif name in self.given:
            value = self._value(name, self.given[name])
        kept = [spelled, *(f"type={options['type']}" for _ in range("type" in options)), f"default={value}"]
        line = f"{document.source(call.function)}({', '.join(kept)})"
        self._settings.setdefault(document.path, []).append(
            _Setting(text.strip(quote).lstrip("-"), statement, line)
        )

    # Dictionaries of arguments

    def _pass_in_dict(self, document: Document, holder: s.Name, names: Sequence[str]) -> None:
        for node in _assigned_dicts(document, holder.id):
            entries = _entries(node)
            bases = {
                name: self._base(document, name, entries[name])
                for name in names
                if name in entries and f"base_{name}" not in entries
            }
            known = {name: base for name, base in bases.items() if base is not None}
            if not known:
                continue
            if isinstance(node, s.Call):
                self.tree.add_keywords(
                    document.path, node, *(f"base_{name}={base}" for name, base in known.items())
                )
            else:
                quote = document.source(next(k for k in node.keys if k is not None))[0]
                end = document.range(node.values[-1].span)[1]
                text = "".join(f", {quote}base_{name}{quote}: {base}" for name, base in known.items())
                self.tree.insert(document.path, end, text)
            self._dicts.setdefault((document.path, holder.id), []).extend(known)

    def _restore(self, document: Document, holder: str, names: Sequence[str]) -> None:
        """Where the dictionary takes sizes from elsewhere, it takes their bases too: old checkpoints have none."""
        for loop in (n for n in s.walk(document.body) if isinstance(n, s.For)):
            copied = _copied(loop, holder)
            listed = _listed(loop)
            known = [listed[name] for name in names if name in listed]
            if copied is None or not known or not isinstance(loop.target, s.Name):
                continue
            quote = document.source(known[0])[0]
            bases = [f"{quote}base_{name}{quote}" for name in names if name in listed]
            if isinstance(copied, s.Subscript):
                key = loop.target.id
                inner = document.indent(line_of(loop.body[0].span))[len(document.indent(line_of(loop.span))) :]
                self.tree.add_line_after(
                    document.path,
                    loop,
                    f"for {key} in [{', '.join(bases)}]:",
                    f"{inner}{holder}[{key}] = {document.source(copied.value)}.get({key})"
                    "  # None: saved before there was a base",
                )
            else:
                last = max(known, key=lambda node: node.span)
                self.tree.insert(document.path, document.range(last.span)[1], "".join(f", {b}" for b in bases))


def _trains(document: Document) -> bool:
    """Whether a script computes gradients."""
    calls = (n.function for n in s.walk(document.body) if isinstance(n, s.Call))
    return any(isinstance(function, s.Attribute) and function.name == "backward" for function in calls)


def _assignment(document: Document, variable: str, use: Span) -> tuple[s.Assign, float] | None:
    """The statement that sets a variable to a number, in the function of its use or at the top of the file."""
    function = document.innermost(use, s.Function)
    for body in ([function.body] if function else []) + [document.body]:
        for node in body:
            if isinstance(node, s.Assign) and any(
                isinstance(t, s.Name) and t.id == variable for t in node.targets
            ):
                value = node.value
                number = isinstance(value, s.Literal) and isinstance(value.value, int | float)
                if number and not isinstance(value.value, bool):  # type: ignore[union-attr]
                    return node, value.value  # type: ignore[union-attr, return-value]
                return None
    return None


def _option(document: Document, option: str) -> tuple[s.Statement, s.Call] | None:
    """The ``add_argument`` of a command-line option."""
    for node in s.walk(document.body):
        if not isinstance(node, s.Evaluate) or not isinstance(node.value, s.Call) or not node.value.arguments:
            continue
        call, first = node.value, node.value.arguments[0]
        added = isinstance(call.function, s.Attribute) and call.function.name == "add_argument"
        text = first.value if isinstance(first, s.Literal) else None
        named = isinstance(text, str) and text.startswith("--") and text.lstrip("-").replace("-", "_") == option
        if added and named:
            return node, call
    return None


def _assigned_dicts(document: Document, name: str) -> Iterator[s.Call | s.DictDisplay]:
    for node in s.walk(document.body):
        if isinstance(node, s.Assign) and any(isinstance(t, s.Name) and t.id == name for t in node.targets):
            match node.value:
                case s.DictDisplay(values=values) as display if values:
                    yield display
                case s.Call(function=s.Name(id="dict")) as call:
                    yield call


def _entries(node: s.Call | s.DictDisplay) -> dict[object, s.Expression]:
    if isinstance(node, s.Call):
        return {k.name: k.value for k in node.keywords}
    pairs = zip(node.keys, node.values, strict=True)
    return {k.value: v for k, v in pairs if isinstance(k, s.Literal)}


def _copied(loop: s.For, holder: str) -> s.Subscript | s.Call | None:
    """For ``for k in ...: holder[k] = source``, the source ``other[k]`` or ``getattr(other, k)``."""
    key = loop.target
    for node in loop.body:
        if not isinstance(node, s.Assign) or not isinstance(node.targets[0], s.Subscript):
            continue
        target, value = node.targets[0], node.value
        if not isinstance(target.value, s.Name) or target.value.id != holder or not _same(target.index, key):
            continue
        if isinstance(value, s.Subscript) and _same(value.index, key):
            return value
        if isinstance(value, s.Call) and isinstance(value.function, s.Name) and value.function.id == "getattr":
            return value
    return None


def _same(a: s.Expression, b: s.Expression) -> bool:
    return isinstance(a, s.Name) and isinstance(b, s.Name) and a.id == b.id


def _listed(loop: s.For) -> dict[object, s.Literal]:
    items = loop.iterable.items if isinstance(loop.iterable, s.Display) else ()
    return {item.value: item for item in items if isinstance(item, s.Literal)}
