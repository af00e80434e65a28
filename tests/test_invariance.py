"""What is found depends on what code does: not on its layout, the names of locals, or the order it is read in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulint.configuration import Configuration
from mulint.findings import Finding
from mulint.judging import judge
from mulint.source.reading import SourceFile
from tests.repositories import FIXTURES

PROJECTS = ("gpt", "mlp", "gpt_fixed", "mlp_mup", "mup_package", "snippets")
EXAMPLES = settings(max_examples=20, deadline=None, derandomize=True)
projects = st.sampled_from(PROJECTS)


@cache
def sources(project: str) -> tuple[SourceFile, ...]:
    folder = FIXTURES / project
    paths = sorted(folder.rglob("*.py"))
    return tuple(SourceFile(p.relative_to(folder).as_posix(), p.read_text(), True) for p in paths)


def findings(files: tuple[SourceFile, ...] | list[SourceFile], jobs: int = 1) -> list[Finding]:
    judgement = judge(files, Configuration(), jobs=jobs)
    assert not judgement.errors
    assert not judgement.failures
    return list(judgement.findings)


@cache
def original(project: str) -> tuple[Finding, ...]:
    return tuple(findings(sources(project)))


@cache
def plain(project: str) -> tuple[SourceFile, ...]:
    """The files as ``ast`` writes them: one logical line is one line."""
    return tuple(SourceFile(s.path, ast.unparse(ast.parse(s.text)), True) for s in sources(project))


def said(found: list[Finding] | tuple[Finding, ...]) -> list[tuple[str, ...]]:
    """All of a finding but where it stands."""
    return sorted(
        (f.code, f.severity_if_scaled, f.place.path, f.symbol, f.message, f.expected, f.found) for f in found
    )


def lines(found: list[Finding] | tuple[Finding, ...]) -> list[tuple[str, int, str]]:
    return sorted((f.place.path, f.place.line, f.code) for f in found)


@EXAMPLES
@given(project=projects, draw=st.data())
def test_the_order_of_files_and_the_number_of_processes(project: str, draw: st.DataObject) -> None:
    shuffled = draw.draw(st.permutations(sources(project)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mulint.gathering.LARGE", 0)
        found = findings(shuffled, jobs=draw.draw(st.sampled_from((1, 2))))
    assert found == list(original(project))


@pytest.mark.parametrize("project", PROJECTS)
def test_formatting(project: str) -> None:
    assert said(findings(plain(project))) == said(original(project))


@EXAMPLES
@given(project=projects, draw=st.data())
def test_comments_and_blank_lines(project: str, draw: st.DataObject) -> None:
    changed, moved = [], {}
    for source in sources(project):
        starts = sorted(set(statements(ast.parse(source.text))))
        before = draw.draw(st.sets(st.sampled_from(starts)))
        extra = draw.draw(st.sampled_from(("", "# a remark", "        # width = 3")))
        written: list[str] = []
        for number, line in enumerate(source.text.splitlines(), 1):
            written += [extra] * (number in before)
            written.append(line)
            moved[source.path, number] = len(written)
        changed.append(SourceFile(source.path, "\n".join(written) + "\n", True))
    expected = sorted((path, moved[path, line], code) for path, line, code in lines(original(project)))
    found = findings(changed)
    assert lines(found) == expected
    assert [f.fingerprint for f in found] == [f.fingerprint for f in original(project)]


@EXAMPLES
@given(project=projects, draw=st.data())
def test_names_of_locals(project: str, draw: st.DataObject) -> None:
    changed = []
    for source in plain(project):
        tree = ast.parse(source.text)
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and own_locals(n)]
        for function in functions:
            chosen = draw.draw(st.sets(st.sampled_from(sorted(own_locals(function)))))
            Renaming({name: f"renamed_{number}" for number, name in enumerate(sorted(chosen))}).visit(function)
        changed.append(SourceFile(source.path, ast.unparse(tree), True))
    assert lines(findings(changed)) == lines(findings(plain(project)))


def statements(tree: ast.Module) -> Iterator[int]:
    """The first lines of statements that have their lines for themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            decorators = getattr(node, "decorator_list", ())
            yield min([node.lineno, *(d.lineno for d in decorators)])


def own_locals(function: ast.FunctionDef) -> set[str]:
    """Names that the function gives values to, and that no other kind of binding in it shares."""
    inside = [node for statement in function.body for node in ast.walk(statement)]
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    others = {n.arg for n in [*inside, *ast.walk(function.args)] if isinstance(n, ast.arg)}
    for node in inside:
        if isinstance(node, ast.Global | ast.Nonlocal):
            others.update(node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.alias | ast.ExceptHandler):
            others.add(node.name or "")
    return stored - others


class Renaming(ast.NodeTransformer):
    """Gives names in the body of a function other names."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)
