"""Parameters that are replaced by a part of themselves keep their base shape, which hangs on the parameter."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.facts.spans import line_of
from mulint.rewriting.context import Context
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite

_NAME = "infshape"


def keep_shapes(context: Context, path: str) -> None:
    """Hand the base shape on wherever a file replaces a parameter.

    Raises:
        CannotRewrite: the new parameter may be of another shape.
    """
    document = context.tree.documents.get(path)
    for statement in s.walk(document.body) if document is not None else ():
        if isinstance(statement, s.Assign) and document is not None:
            _keep(context, document, statement)


def _keep(context: Context, document: Document, statement: s.Assign) -> None:
    target, value = statement.targets[0], statement.value
    if not isinstance(target, s.Attribute) or not isinstance(value, s.Call) or not value.arguments:
        return
    name, new = document.source(target), value.arguments[0]
    old = [n for n in s.walk(new) if isinstance(n, s.Attribute) and document.source(n) == name]
    function = document.innermost(statement.span, s.Function)
    # In a constructor the shapes are not set yet.
    building = function is not None and function.name == "__init__"
    if document.qualified(value.function) != "torch.nn.Parameter" or not old or building:
        return
    rows = isinstance(new, s.Subscript) and document.source(new.value) == name and isinstance(new.index, s.Slice)
    if not rows or _NAME in document.names:
        raise CannotRewrite(
            f"{document.path}:{line_of(statement.span)} replaces {name}, whose base shape is lost",
            f"set {name}.{_NAME} to that of the parameter before",
        )
    before = f"{_NAME} = {name}.{_NAME}  # mup keeps it on the parameter"
    context.tree.add_line_before(document.path, statement, before)
    context.tree.add_line_after(document.path, statement, f"{name}.{_NAME} = {_NAME}")
