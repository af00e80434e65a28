"""Edits on ranges: everything outside stays, whatever the text and whatever the edits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulint.facts import extract
from mulint.facts import syntax as s
from mulint.rewriting.documents import Document, Documents
from mulint.rewriting.edits import CannotRewrite, TextEdit, apply
from mulint.rewriting.tree import Tree

TEXT = st.text(alphabet="ab\t\r\n\u00e9\u4e2d\U0001f600 ", max_size=60)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, list[TextEdit]]:
    """A text and edits of it that do not overlap."""
    text = draw(TEXT)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [TextEdit("f.py", start, end, draw(TEXT)) for start, end in pairs]


@given(edited())
def test_what_lies_between_edits_is_kept(case: tuple[str, list[TextEdit]]) -> None:
    text, edits = case
    result = apply(text, edits)
    position, rest = 0, result
    for edit in edits:
        kept = text[position : edit.start] + edit.text
        assert rest.startswith(kept)
        rest, position = rest[len(kept) :], edit.end
    assert rest == text[position:]


@given(edited(), st.randoms())
def test_the_order_in_which_edits_are_given_does_not_matter(
    case: tuple[str, list[TextEdit]], random: object
) -> None:
    text, edits = case
    shuffled = list(edits)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert apply(text, shuffled) == apply(text, edits)


def test_edits_of_the_same_characters_are_refused() -> None:
    with pytest.raises(CannotRewrite, match="same characters"):
        apply("abcdef", [TextEdit("f.py", 0, 3, "x"), TextEdit("f.py", 2, 4, "y")])


def test_the_same_insertion_is_made_once() -> None:
    edit = TextEdit("f.py", 1, 1, "-")
    assert apply("ab", [edit, edit]) == "a-b"


@given(
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.sampled_from(["x = 1", "y = f(2, k=3)", "# \u4e2d"]), min_size=1),
)
def test_the_range_of_a_node_is_its_text(end: str, lines: list[str]) -> None:
    text = end.join(lines)
    document = Document(extract("f.py", text), text)
    for node in document.body:
        assert document.source(node) in ("x = 1", "y = f(2, k=3)")


ADDED = [
    ("f(a, b)", "f(a, b, k=1)"),
    ("f()", "f(k=1)"),
    ("f(a,)", "f(a, k=1,)"),
    ("f((a))", "f((a), k=1)"),
    ("f(**d)", "f(**d, k=1)"),
    ("f(\n    a,\n    b=2,\n)", "f(\n    a,\n    b=2,\n    k=1,\n)"),
    ("f(a,\n  b)", "f(a,\n  b,\n  k=1)"),
    ("f(a, g(b))", "f(a, g(b), k=1)"),
]


@pytest.mark.parametrize(("before", "after"), ADDED)
def test_keywords_are_added_where_the_others_are(before: str, after: str) -> None:
    tree = Tree(Documents([extract("f.py", before)], {"f.py": before}))
    call = next(n for n in s.walk(tree.documents["f.py"].body) if isinstance(n, s.Call))
    tree.add_keywords("f.py", call, "k=1")
    assert tree.patched() == {"f.py": after}


PARAMETERS = [
    ("def f(self, a): 0", "def f(self, a, k=None): 0"),
    ("def f(self, a, b=(1)): 0", "def f(self, a, b=(1), k=None): 0"),
    ("def f(self, a=1, **rest): 0", "def f(self, a=1, k=None, **rest): 0"),
    ("def f(self, *, a, b=1): 0", "def f(self, *, a, b=1, k=None): 0"),
    ("def f(self, a, *, b: int = 1, **rest): 0", "def f(self, a, *, b: int = 1, k=None, **rest): 0"),
    ("def f(\n    self,\n    a: int = 1,\n): 0", "def f(\n    self,\n    a: int = 1,\n    k=None,\n): 0"),
    ("def f(\n    self,\n    *,\n    a = 1\n): 0", "def f(\n    self,\n    *,\n    a = 1,\n    k=None\n): 0"),
    ("def f(\n    self,\n    a=1,  # one\n): 0", "def f(\n    self,\n    a=1, k=None,  # one\n): 0"),
    ("def f(self,\n      a, b): 0", "def f(self,\n      a, b, k=None): 0"),
]


@pytest.mark.parametrize(("before", "after"), PARAMETERS)
def test_a_parameter_is_added_where_the_others_are(before: str, after: str) -> None:
    tree = Tree(Documents([extract("f.py", before)], {"f.py": before}))
    function = next(n for n in s.walk(tree.documents["f.py"].body) if isinstance(n, s.Function))
    tree.add_parameter("f.py", function, "k=None")
    assert tree.patched() == {"f.py": after}


MULTIPLIED = [
    ("x", "x * m"),
    ("a / b", "a / b * m"),
    ("a @ b", "a @ b * m"),
    ("a + b", "(a + b) * m"),
    ("a if b else c", "(a if b else c) * m"),
    ("-a", "(-a) * m"),
    ("f(a + b)", "f(a + b) * m"),
    ("a ** b", "a ** b * m"),
]


ENCLOSED = [
    ("x @ w", "(x * m) @ w"),
    ("f(x) @ w", "(f(x) * m) @ w"),
    ("(a + b) @ w", "((a + b) * m) @ w"),
    ("a * b @ w", "(a * b * m) @ w"),
    ("-a @ w", "(-a) * m @ w"),
]


@pytest.mark.parametrize(("before", "after"), ENCLOSED)
def test_an_operand_of_a_product_is_multiplied_first(before: str, after: str) -> None:
    tree = Tree(Documents([extract("f.py", before)], {"f.py": before}))
    product = next(n for n in s.walk(tree.documents["f.py"].body) if isinstance(n, s.Binary) and n.operator == "@")
    tree.times("f.py", product.left, "m", enclosed=True)
    assert tree.patched() == {"f.py": after}


@pytest.mark.parametrize(("before", "after"), MULTIPLIED)
def test_a_factor_multiplies_the_whole_expression(before: str, after: str) -> None:
    text = f"y = {before}"
    tree = Tree(Documents([extract("f.py", text)], {"f.py": text}))
    statement = tree.documents["f.py"].body[0]
    assert isinstance(statement, s.Assign)
    assert statement.value is not None
    tree.times("f.py", statement.value, "m")
    assert tree.patched() == {"f.py": f"y = {after}"}
