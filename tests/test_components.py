"""Judging a project component by component says what judging it whole does, whatever was kept from before."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulint.analysis import analyse
from mulint.checking import check
from mulint.configuration import Configuration, Widths
from mulint.facts import extract
from mulint.facts.imports import imports
from mulint.judgement import Judgement
from mulint.judging import judge
from mulint.program import Modules
from mulint.program.components import components
from mulint.program.intent import packages
from mulint.source.cache import Store
from mulint.source.reading import SourceFile
from tests.repositories import FIXTURES

SNIPPETS = sorted((FIXTURES / "snippets").glob("*.py"))
PROJECTS = sorted(p for p in FIXTURES.iterdir() if p.is_dir())
TRAINING = "import torch\nfrom {module} import *\n\nfor kind in list(globals().values()):\n    model = kind()\n"
HEAD = """
from torch import nn

class Head(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(x)
"""
CLASSIFIER = """
from torch import nn
from vision.layers import Head

class Classifier(nn.Module):
    def __init__(self, width=256, classes=10):
        super().__init__()
        self.first = nn.Linear(3, width)
        self.middle = nn.Linear(width, width)
        self.head = Head(width, classes)

    def forward(self, x):
        return self.head(self.middle(self.first(x)))
"""
BROKEN = SourceFile("broken.py", "import torch\ndef f(:  # mulint: ignore[MU101]\n", True)


def source(path: str, text: str) -> SourceFile:
    return SourceFile(path, text, True)


def files(folder: Path) -> list[SourceFile]:
    paths = sorted(folder.rglob("*.py"))
    return [source(p.relative_to(folder).as_posix(), p.read_text()) for p in paths]


def assert_whole(sources: Sequence[SourceFile], judged: Judgement, configuration: Configuration) -> None:
    """That a judgement is what one program of all files gives."""
    whole = analyse(sources, configuration)
    assert judged.findings == tuple(sorted(whole.findings, key=lambda f: (f.place, f.code)))
    assert judged.packages == packages([whole.program.signs], opted_in=configuration.opts_in)
    assert judged.understood == whole.program.understood
    assert judged.not_understood == whole.program.not_understood
    assert judged.errors == whole.errors


@pytest.mark.parametrize("opted_in", [False, True])
@pytest.mark.parametrize("folder", [*PROJECTS, FIXTURES], ids=lambda p: p.name)
def test_components_together_say_what_the_whole_does(folder: Path, opted_in: bool) -> None:
    configuration = Configuration(path=Path("pyproject.toml") if opted_in else None)
    sources = [*files(folder), BROKEN]
    assert_whole(sources, judge(sources, configuration), configuration)


@st.composite
def projects(draw: st.DrawFn) -> list[SourceFile]:
    """Some of the snippets in a few folders, and scripts that import some of them."""
    chosen = draw(st.lists(st.sampled_from(SNIPPETS), min_size=2, max_size=5, unique=True))
    found = []
    for snippet in chosen:
        folder = draw(st.sampled_from(["", "a/", "a/b/", "c/"]))
        found.append(source(f"{folder}{snippet.name}", snippet.read_text()))
        if draw(st.booleans()):
            text = TRAINING.format(module=snippet.stem)
            found.append(source(f"{draw(st.sampled_from(['', folder]))}use_{snippet.name}", text))
    return found


@settings(max_examples=25, deadline=None)
@given(sources=projects(), data=st.data())
def test_what_was_kept_changes_nothing(sources: list[SourceFile], data: st.DataObject) -> None:
    configuration = Configuration()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "kept", Path(folder))
        assert_whole(sources, judge(sources, configuration, store), configuration)
        changed = data.draw(st.sampled_from(sources))
        rest = [s for s in sources if s is not changed]
        for after in (
            [*rest, source(changed.path, f"{changed.text}\nwidth = 64\n")],
            rest,
            [*rest, source(changed.path, "import torch\n")],
            [*sources, source("a/more.py", "from a.b import *\nimport heads\nfrom c.parts import *\n")],
        ):
            judged = judge(after, configuration, store)
            assert judged == judge(after, configuration)
            assert judged == judge(data.draw(st.permutations(after)), configuration, store)
            assert_whole(sorted(after, key=lambda s: s.path), judged, configuration)


def test_a_changed_file_costs_its_component_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where something uses the mup package the whole project is one component.
    plain = [p for p in SNIPPETS if not re.search(r"^(from|import) mup\b", p.read_text(), re.MULTILINE)]
    sources = [source(f"{p.stem}/{p.name}", p.read_text()) for p in plain]
    store = Store(tmp_path / "kept", tmp_path)
    judge(sources, Configuration(), store)
    read: list[str] = []

    def noted(path: str, text: str) -> object:
        read.append(path)
        return extract(path, text)

    monkeypatch.setattr("mulint.gathering.extract", noted)
    monkeypatch.setattr("mulint.gathering.loads", lambda path, _: pytest.fail(f"{path} was read again"))
    sources[3] = source(sources[3].path, sources[3].text + "\n# more\n")
    judge(sources, Configuration(), store)
    assert read == [sources[3].path]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"a.py": "import b", "b.py": "", "c.py": ""}, [("a.py", "b.py"), ("c.py",)]),
        ({"a.py": "def f():\n    import b", "b.py": "import c", "c.py": ""}, [("a.py", "b.py", "c.py")]),
        ({"p/a.py": "from . import b", "p/b.py": "", "b.py": ""}, [("b.py",), ("p/a.py", "p/b.py")]),
        ({"p/__init__.py": "", "p/a.py": "from . import x", "c.py": ""}, [("c.py",), ("p/__init__.py", "p/a.py")]),
        ({"a.py": "try:\n    from q.z import x\nexcept A:\n    x = 1", "s/q/z.py": ""}, [("a.py", "s/q/z.py")]),
        ({"a.py": "from q.z import x", "s/q/z.py": "", "t/q/z.py": ""}, [("a.py",), ("s/q/z.py",), ("t/q/z.py",)]),
        ({"a.py": "import mup", "b/c.py": ""}, [("a.py", "b/c.py")]),
    ],
)
def test_components_follow_imports(texts: dict[str, str], expected: list[tuple[str, ...]]) -> None:
    found = {path: imports(extract(path, text)) for path, text in texts.items()}
    assert [c.paths for c in components(found, Modules(found))] == expected


def test_a_declared_name_is_looked_for_in_all_components() -> None:
    # Where something uses the mup package the whole project is one component.
    plain = [p for p in SNIPPETS if not re.search(r"^(from|import) mup\b", p.read_text(), re.MULTILINE)]
    sources = [source(f"{p.stem}/{p.name}", p.read_text()) for p in plain]
    named = Configuration(widths=Widths(knobs=("heads.DepthwiseLast.width", "heads.DepthwiseLast.widht", "size")))
    assert judge(sources, named).unknown_names == (
        ("heads.DepthwiseLast.widht", "; did you mean 'heads.heads.DepthwiseLast.width'?"),
    )


def test_a_package_that_is_checked_from_inside_finds_its_own_modules(tmp_path: Path) -> None:
    package = tmp_path / "vision"
    (package / "layers").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "layers" / "__init__.py").write_text("from .head import Head\n")
    (package / "layers" / "head.py").write_text(HEAD)
    (package / "model.py").write_text(CLASSIFIER)
    outside = [(f.place.path, f.code) for f in check([tmp_path], tmp_path, Configuration()).findings]
    inside = [(f"vision/{f.place.path}", f.code) for f in check([package], package, Configuration()).findings]
    assert inside == outside == [("vision/layers/head.py", "MU401")]
