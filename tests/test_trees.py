"""Copies of a project to run from: what they hold, and what they leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from mulint.rewriting.patch import FilePatch
from mulint.verification import trees
from mulint.verification.certifying import certify

MODEL = """
import torch
from torch import nn
from {module} import ACTIVATION


class Net(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.first = nn.Linear(8, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        return self.head(ACTIVATION(self.first(x)))
"""


def test_what_is_copied(tmp_path: Path) -> None:
    root, target = tmp_path / "project", tmp_path / "copy"
    kept = ("model.py", "package/deep/config.yaml", "vocabulary.txt", "native.so")
    left = (".git/config", "venv/lib/a.py", "own/pyvenv.cfg", "own/a.py", "__pycache__/a.pyc", "weights.bin")
    for path in (*kept, *left):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "weights.bin").write_bytes(bytes(trees.LARGEST + 1))
    (root / "native.so").write_bytes(bytes(trees.LARGEST + 1))
    trees.copy(root, target)
    assert {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()} == set(kept)


def test_links(tmp_path: Path) -> None:
    root, target, shared = tmp_path / "project", tmp_path / "copy", tmp_path / "shared"
    for folder in (root / "package", shared):
        folder.mkdir(parents=True)
        (folder / "a.py").write_text("x = 1\n")
    (root / "inside").symlink_to(root / "package")
    (root / "outside").symlink_to(shared)
    (root / "file.py").symlink_to(root / "package" / "a.py")
    (root / "loop").symlink_to(root)
    (root / "broken.py").symlink_to(root / "not there.py")
    trees.copy(root, target)
    assert (target / "inside").resolve() == target / "package"
    assert (target / "outside").resolve() == shared
    assert not (target / "file.py").is_symlink()
    assert (target / "loop").resolve() == target


def test_a_patch_keeps_the_encoding(tmp_path: Path) -> None:
    before = "# coding: latin-1\r\nx = 'é'\r\n"
    root, tree = tmp_path / "project", tmp_path / "copy"
    root.mkdir()
    (root / "a.py").write_bytes(before.encode("latin-1"))
    patches = [FilePatch("a.py", before, before.replace("x", "y"), 1), FilePatch("new.py", None, "μ = 1\n", 1)]
    trees.apply(patches, root, tree)
    assert (tree / "a.py").read_bytes() == before.replace("x", "y").encode("latin-1")
    assert (tree / "new.py").read_bytes() == "μ = 1\n".encode()
    assert (root / "a.py").read_bytes() == before.encode("latin-1")


@pytest.mark.parametrize("module", ["own", "elsewhere"])
def test_code_that_is_loaded_from_the_project_itself(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "own.py").write_text("import torch\n\nACTIVATION = torch.relu\n")
    (tmp_path / "lib" / "elsewhere.py").write_text("import torch\n\nACTIVATION = torch.relu\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    source = MODEL.format(module=module)
    (tmp_path / "model.py").write_text(source)
    found = certify(tmp_path, [FilePatch("model.py", source, source + "\n", 1)], "model.py:Net", {})
    details = {detail.what: detail for detail in found.details}
    if module == "own":
        assert details["forward on the training path"].ok is True
    else:
        assert found.base_identical is None
        assert "lib/elsewhere.py is imported from the project" in details["original model"].note
