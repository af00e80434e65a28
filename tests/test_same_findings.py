"""What is found hangs on what code does: not on its layout, its comments, or what its local names are."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulint.configuration import Configuration
from mulint.findings import Finding
from mulint.judging import judge
from mulint.source.reading import SourceFile
from tests.repositories import FIXTURES

PROJECTS = ("gpt", "gpt_mup", "mlp", "mlp_mup", "mup_package", "snippets")
_COMMENTS = ("", "# a note", "# width = 64", "# def f(:")


def files(project: str) -> dict[str, str]:
    folder = FIXTURES / project
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*.py"))}


def found(texts: dict[str, str]) -> tuple[Finding, ...]:
    return judge([SourceFile(path, text, True) for path, text in texts.items()], Configuration()).findings


def said(texts: dict[str, str]) -> list[tuple[str, ...]]:
    """The findings without their lines."""
    return sorted((f.code, f.severity.value, f.place.path, f.symbol, f.expected, f.found) for f in found(texts))


def commented(text: str, data: st.DataObject) -> str:
    """The text with comments and blank lines above some of its statements."""
    lines = text.split("\n")
    tree = ast.parse(text)
    inside = {n for s in ast.walk(tree) if isinstance(s, ast.Constant | ast.JoinedStr) for n in _within(s)}
    starts = {s.lineno for s in ast.walk(tree) if isinstance(s, ast.stmt)} - inside
    for line in sorted(starts, reverse=True):
        here = lines[line - 1]
        if data.draw(st.booleans()):
            indent = here[: len(here) - len(here.lstrip())]
            lines[line - 1 : line - 1] = [indent + data.draw(st.sampled_from(_COMMENTS)), ""]
    return "\n".join(lines)


def _within(node: ast.expr) -> range:
    return range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)


class _Renaming(ast.NodeTransformer):
    """Gives every local variable of a function another name."""

    def __init__(self) -> None:
        self._names: list[dict[str, str]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        kept = {a.arg for n in ast.walk(node) if isinstance(n, ast.arguments) for a in _arguments(n)}
        kept |= {n for s in ast.walk(node) if isinstance(s, ast.Global | ast.Nonlocal) for n in s.names}
        own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        around = self._names[-1] if self._names else {}
        self._names.append({**around, **{name: f"local_{name}" for name in own - kept - set(dir(builtins))}})
        node.body = [self.visit(statement) for statement in node.body]
        self._names.pop()
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if self._names:
            node.id = self._names[-1].get(node.id, node.id)
        return node


def _arguments(node: ast.arguments) -> Iterator[ast.arg]:
    yield from (*node.posonlyargs, *node.args, *node.kwonlyargs)
    yield from (a for a in (node.vararg, node.kwarg) if a is not None)


@pytest.mark.parametrize("project", PROJECTS)
def test_layout_changes_nothing(project: str) -> None:
    texts = files(project)
    assert said({path: ast.unparse(ast.parse(text)) for path, text in texts.items()}) == said(texts)


@pytest.mark.parametrize("project", PROJECTS)
def test_names_of_local_variables_change_nothing(project: str) -> None:
    texts = files(project)
    renamed = {path: ast.unparse(_Renaming().visit(ast.parse(text))) for path, text in texts.items()}
    assert any(f"local_{name}" in text for text in renamed.values() for name in ("x", "optimizer", "out", "q"))
    assert said(renamed) == said(texts)


@settings(max_examples=8, deadline=None)
@given(project=st.sampled_from(PROJECTS), data=st.data())
def test_comments_change_neither_findings_nor_fingerprints(project: str, data: st.DataObject) -> None:
    texts = files(project)
    after = found({path: commented(text, data) for path, text in texts.items()})
    assert sorted(f.fingerprint for f in after) == sorted(f.fingerprint for f in found(texts))
