"""``mulint fix`` on repositories in several styles, encodings and states."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mulint.configuration import Configuration
from mulint.rewriting.fixing import fix
from mulint.rewriting.patch import Patch
from mulint.rewriting.planning import Plan
from mulint.rewriting.targets.optimizers import DEFAULT_RATES
from tests.fix_styles import CASES, CONFIG_CLASS, REFUSED, STYLES, THREADED
from tests.repositories import check, mulint, sites


def repository(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    return folder


def planned(root: Path, **plan: object) -> Patch:
    patch, errors = fix([root], root, Configuration(), Plan(**plan))  # type: ignore[arg-type]
    assert errors == []
    return patch


def applied(root: Path) -> Patch:
    patch = planned(root)
    for file in patch.files:
        (root / file.path).write_bytes(file.after.encode())
    return patch


def run(root: Path, arguments: list[str]) -> str:
    command = [sys.executable, *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("style", STYLES)
def test_the_base_model_trains_as_before(style: str, tmp_path: Path) -> None:
    files, command = STYLES[style]
    root = repository(tmp_path, files)
    before = run(root, command)
    assert len(before.splitlines()) > 3
    patch = applied(root)
    assert patch.left == ()
    assert run(root, command) == before


@pytest.mark.parametrize("style", STYLES)
def test_nothing_is_left_to_find_or_fix(style: str, tmp_path: Path) -> None:
    root = repository(tmp_path, STYLES[style][0])
    applied(root)
    report = check(root)
    assert sites(report) == []
    assert report["intent"] == "evident"
    assert planned(root) == Patch((), ())


@pytest.mark.parametrize("style", CASES)
def test_every_invariant_holds_at_other_widths(style: str, tmp_path: Path) -> None:
    root = repository(tmp_path, STYLES[style][0])
    applied(root)
    (root / "cases.py").write_text(CASES[style])
    result = mulint("trace", "cases.py:case", "--widths", "32,64,128", "--steps", "3", "--seeds", "1", cwd=root)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", REFUSED)
def test_a_unit_with_a_site_that_cannot_be_rewritten_is_left_whole(name: str, tmp_path: Path) -> None:
    files, code, reason = REFUSED[name]
    root = repository(tmp_path, files)
    patch = planned(root)
    assert patch.files == ()
    assert any(item.code == code and reason in item.reason and item.manual for item in patch.left), patch.left
    # Whatever was found is listed, with its own reason or that of the site that stands in the way.
    assert {(item.code, item.path, item.line) for item in patch.left} >= {
        (c, p, n) for p, n, c in sites(check(root))
    }


def test_what_waits_for_another_site_is_listed_below_it(tmp_path: Path) -> None:
    files, code, reason = REFUSED["attention inside a library's layer"]
    root = repository(tmp_path, files)
    told = mulint("fix", "--diff", ".", cwd=root).stderr.splitlines()
    (place,) = (number for number, line in enumerate(told) if reason in line)
    assert f"{code} left:" in told[place]
    assert [line for line in told if " left: " in line] == [told[place]]
    others = [f"{c} at {path}:{line}" for path, line, c in sites(check(root)) if c != code]
    assert others
    assert all(other in told[place + 2] for other in others), told


@pytest.mark.parametrize("name", DEFAULT_RATES)
def test_default_rates_are_those_of_torch(name: str) -> None:
    kind = getattr(torch.optim, name.rpartition(".")[2])
    assert inspect.signature(kind).parameters["lr"].default == DEFAULT_RATES[name]


def test_one_unit_that_is_left_does_not_hold_back_another(tmp_path: Path) -> None:
    files, *_ = REFUSED["attention inside a library's layer"]
    repository(tmp_path, {f"one/{path}": text for path, text in files.items()})
    repository(tmp_path, {f"two/{path}": text for path, text in THREADED.items()})
    patch = planned(tmp_path)
    assert {file.path.partition("/")[0] for file in patch.files} == {"two"}
    assert {item.path.partition("/")[0] for item in patch.left} == {"one"}


LINE_ENDS = ("\n", "\r\n", "\r")


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("indent", ["    ", "\t", "  "], ids=["four", "tab", "two"])
def test_line_ends_and_indents_are_kept(end: str, indent: str, tmp_path: Path) -> None:
    files = {p: t.replace("    ", indent).replace("\n", end) for p, t in CONFIG_CLASS.items()}
    patch = planned(repository(tmp_path, files))
    plain = planned(repository(tmp_path / "plain", CONFIG_CLASS))
    assert patch.left == ()
    for file, usual in zip(patch.files, plain.files, strict=True):
        ast.parse(file.after)
        if file.before is not None:
            assert file.after == usual.after.replace("    ", indent).replace("\n", end)


@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-8-sig", ""), ("utf-8", ""), ("latin-1", "# -*- coding: latin-1 -*-\n")]
)
def test_encodings_and_marks_are_kept(encoding: str, mark: str, tmp_path: Path) -> None:
    words = "# \u00e9t\u00e9, na\u00efve\n"
    for path, text in CONFIG_CLASS.items():
        (tmp_path / path).write_bytes(f"{mark}{words}{text}".encode(encoding))
    result = mulint("fix", ".", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for path in CONFIG_CLASS:
        data = (tmp_path / path).read_bytes()
        assert data.startswith(f"{mark}{words}".encode(encoding))
        assert "ratio_to_base" in data.decode(encoding) or "scale_groups" in data.decode(encoding)
    assert sites(check(tmp_path)) == []


@pytest.mark.parametrize("style", STYLES)
def test_only_lines_with_an_edit_change(style: str, tmp_path: Path) -> None:
    patch = planned(repository(tmp_path, STYLES[style][0]))
    for file in patch.files:
        if file.before is None:
            continue
        removed = [line for line in file.diff.splitlines() if line.startswith("-") and not line.startswith("---")]
        assert 0 <= len(removed) <= file.edits
        assert len(file.after.splitlines()) - len(file.before.splitlines()) < 3 * file.edits


def test_the_base_is_asked_for_where_it_is_not_known(tmp_path: Path) -> None:
    files = {**THREADED, "train.py": THREADED["train.py"].replace("WIDTH = 32", "WIDTH = int(input())")}
    root = repository(tmp_path, files)
    asked = planned(root)
    assert asked.files == ()
    assert all("--base-width width=N" in item.manual for item in asked.left)
    patch = planned(root, base={"width": 48.0})
    assert patch.notes == ()
    script = next(file.after for file in patch.files if file.path == "train.py")
    assert "base_width=48" in script


def test_a_library_without_an_optimizer_is_patched_and_says_so(tmp_path: Path) -> None:
    patch = planned(repository(tmp_path, {"net.py": THREADED["net.py"]}))
    assert {file.path for file in patch.files} == {"net.py", "mup_scaling.py"}
    assert any("no optimizer was found" in note for note in patch.notes)


def test_a_file_of_settings_is_pointed_out(tmp_path: Path) -> None:
    files = {**THREADED, "wide.py": "# run with train.py\nWIDTH = 96\nrate = 1e-4\n"}
    patch = planned(repository(tmp_path, files))
    assert [note for note in patch.notes if note.startswith("wide.py sets WIDTH")]


def test_a_floor_that_cannot_be_split_is_listed_and_holds_nothing_back(tmp_path: Path) -> None:
    script = CONFIG_CLASS["train.py"].replace(
        "    tokens = ", "    CosineLRScheduler(optimizer, 9, lr_min=1e-5)\n    tokens = "
    )
    script = f"from timm.scheduler import CosineLRScheduler\n{script}"
    patch = planned(repository(tmp_path, {**CONFIG_CLASS, "train.py": script}))
    assert [item.code for item in patch.left] == ["MU203"]
    assert {file.path for file in patch.files} == {"net.py", "train.py", "mup_scaling.py"}
