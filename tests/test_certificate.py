"""A certificate holds for a right patch, and for a wrong one fails and names what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mulint.rewriting.patch import FilePatch
from mulint.tracing.request import Limits
from mulint.verification.certificate import Certificate
from mulint.verification.certifying import certify
from tests.patches import Fault, patch_of_gpt
from tests.repositories import copy

BASE = {"n_embd": 128.0, "n_head": 4.0}


def certificate(
    folder: Path,
    files: list[FilePatch],
    target: str | None = "model.py:GPT",
    limits: Limits = Limits(),  # noqa: B008
) -> Certificate:
    return certify(copy("gpt", folder), files, target, BASE, limits=limits)


def failing(found: Certificate) -> set[str]:
    return {detail.what for detail in found.details if detail.ok is False}


def test_a_right_patch(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    script = (root / "train.py").read_text()
    found = certify(root, [*patch_of_gpt(), FilePatch("train.py", script, script + "\n", 1)], "model.py:GPT", BASE)
    assert found.base_identical is True
    assert found.invariants == "pass"
    assert [detail.what for detail in found.details if not detail.ok] == ["train.py"], found.details
    assert found.details[-1].note.startswith("changed by the patch, but building")
    assert found.details[0].note.startswith("n_embd = 96; base_n_embd, base_n_head left out and given")
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before


BASE_FAULTS = [
    Fault(
        "init changed in the last bit",
        "model.py",
        "nn.init.normal_(p, mean=0.0, std=std * self.width_ratio**-0.5)",
        "p.data = torch.nextafter(nn.init.normal_(p, mean=0.0, std=std), torch.zeros(())).data",
        "parameters after init",
    ),
    Fault(
        "a second random draw",
        "model.py",
        "                nn.init.normal_(p, mean=0.0, std=std * self.width_ratio**-0.5)\n",
        """\
                nn.init.normal_(p, mean=0.0, std=std)
        for name, p in self.named_parameters():
            if name.endswith("ffn.up.weight"):
                p.data.mul_(1.0 + 0 * torch.randn_like(p))
""",
        "random numbers drawn",
    ),
    Fault(
        "the square root of the base over the size",
        "model.py",
        "scale = (1.0 / math.sqrt(q.size(-1))) * self.head_dim_ratio**-0.5",
        "scale = math.sqrt(q.size(-1) / self.head_dim_ratio) / q.size(-1)",
        "forward on the inference path",
    ),
    Fault(
        "a state dict key renamed",
        "model.py",
        "        self.norm = nn.LayerNorm(config.n_embd, bias=config.bias)\n",
        """\
        self.final_norm = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.norm = lambda x: self.final_norm(x)
""",
        "a checkpoint from before",
    ),
    Fault(
        "groups in another order",
        "model.py",
        """\
            {"params": decay, "weight_decay": weight_decay},
            {"params": no_decay, "weight_decay": 0.0},
""",
        """\
            {"params": no_decay, "weight_decay": 0.0},
            {"params": decay, "weight_decay": weight_decay},
""",
        "optimizer groups",
    ),
    Fault(
        "another weight decay",
        "mup_scaling.py",
        '"weight_decay": decay * width_ratio',
        '"weight_decay": 0.0',
        "optimizer groups",
    ),
    Fault(
        "code that does not run",
        "mup_scaling.py",
        "x * (1.0 / self.width_ratio)",
        "x * (1.0 / self.ratio)",
        "patched model",
    ),
    Fault(
        "code that cannot be imported",
        "mup_scaling.py",
        "import torch.nn as nn\n",
        "import torch.nn as nn\nimport not_there\n",
        "patched model",
    ),
]


@pytest.mark.parametrize("fault", BASE_FAULTS, ids=lambda fault: fault.name)
def test_another_model_at_the_base(fault: Fault, tmp_path: Path) -> None:
    found = certificate(tmp_path, patch_of_gpt(fault))
    assert found.base_identical is False
    assert fault.what in failing(found), found.details


WIDTH_FAULTS = [
    Fault(
        "the readout's factor on the training path only",
        "mup_scaling.py",
        "super().forward(x * (1.0 / self.width_ratio))",
        "super().forward(x * (1.0 / self.width_ratio) if x.shape[1] > 1 else x)",
        "training and inference paths at half and twice the base",
    ),
    Fault(
        "the hidden rate missing above the base",
        "mup_scaling.py",
        "            scale = 1.0 / width_ratio\n",
        "            scale = 1.0 / min(width_ratio, 1.0)\n",
        "MU101: layers.0.attn.qkv.weight, layers.0.attn.proj.weight, layers.0.ffn.up.weight and 5 more",
    ),
    Fault(
        "a group only where there is something to scale",
        "mup_scaling.py",
        "        if ours:\n",
        """\
        if width_ratio == 1.0:
            result.append({**group, "lr": lr})
            continue
        if ours:
""",
        "optimizer groups at half and twice the base",
    ),
    Fault(
        "the attention's scale forgotten",
        "model.py",
        "scale = (1.0 / math.sqrt(q.size(-1))) * self.head_dim_ratio**-0.5",
        "scale = 1.0 / math.sqrt(q.size(-1))",
        "MU405: layers.0.attn.qkv.weight, layers.1.attn.qkv.weight",
    ),
]


@pytest.mark.parametrize("fault", WIDTH_FAULTS, ids=lambda fault: fault.name)
def test_another_model_at_other_widths(fault: Fault, tmp_path: Path) -> None:
    found = certificate(tmp_path, patch_of_gpt(fault))
    assert found.base_identical is True, found.details
    assert found.invariants == "fail"
    assert fault.what in failing(found), found.details


def test_without_a_model(tmp_path: Path) -> None:
    found = certificate(tmp_path, patch_of_gpt(), target=None)
    assert (found.base_identical, found.invariants) == (None, "not-checked")
    assert found.details[0].note.startswith("no model is configured")


def test_an_original_that_cannot_be_built(tmp_path: Path) -> None:
    found = certificate(tmp_path, patch_of_gpt(), target="model.py:GPD")
    assert (found.base_identical, found.invariants) == (None, "not-checked")
    assert "model.py has no GPD" in found.details[0].note


@pytest.mark.parametrize("target", ["model.py", "../model.py:GPT", "/elsewhere/model.py:GPT"])
def test_a_target_that_is_none(tmp_path: Path, target: str) -> None:
    found = certificate(tmp_path, patch_of_gpt(), target)
    assert (found.base_identical, found.invariants) == (None, "not-checked")
    assert found.details[0].note == f"{target} is not path/file.py:name inside the project"


def test_a_limit_says_nothing_about_the_patch(tmp_path: Path) -> None:
    found = certificate(tmp_path, patch_of_gpt(), limits=Limits(seconds=0.5))
    assert (found.base_identical, found.invariants) == (None, "not-checked")
    assert "longer than 0.5 s" in found.details[0].note


CASE = """
import torch
import mulint
from model import GPT, GPTConfig


def gpt(width):
    model = GPT(GPTConfig(vocab_size=32, block_size=16, n_layer=2, n_head=4, n_embd=width))
    tokens = torch.arange(64).view(4, 16) % 32
    return mulint.Case(
        model,
        tokens,
        lambda model, x: model(x, x.roll(1, 1))[1],
        optimizer=lambda model: model.configure_optimizers(1e-3, 0.1, (0.9, 0.95), "cpu"),
        inference=lambda model, x: model(x)[0],
    )
"""


def test_a_case_from_before_the_patch(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    (root / "cases.py").write_text(CASE)
    found = certify(root, patch_of_gpt(), "cases.py:gpt", BASE)
    assert (found.base_identical, found.invariants) == (True, "pass"), found.details
    assert found.details[0].note.startswith("width = 96; base_n_embd, base_n_head left out and given")


OWN_BASE = """
import torch
from torch import nn

BASE = 64


class Net(nn.Module):
    def __init__(self, width=512):
        super().__init__()
        self.m = width / BASE
        self.first = nn.Linear(8, width, bias=False)
        self.body = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 4, bias=False)
        nn.init.normal_(self.body.weight, std=width**-0.5)
        nn.init.normal_(self.head.weight, std=0.1)

    def forward(self, x):
        return self.head(torch.relu(self.body(torch.relu(self.first(x)))) / self.m)

    def make_optimizer(self, lr=1e-3):
        hidden = [self.body.weight]
        others = [self.first.weight, self.head.weight]
        return torch.optim.Adam([{"params": hidden, "lr": lr}, {"params": others, "lr": lr}])
"""


@pytest.mark.parametrize(("base", "identical"), [({"width": 64.0}, True), ({}, None)])
def test_code_with_its_own_base(tmp_path: Path, base: dict[str, float], identical: bool | None) -> None:
    (tmp_path / "model.py").write_text(OWN_BASE)
    repaired = OWN_BASE.replace('hidden, "lr": lr}', 'hidden, "lr": lr / self.m}')
    found = certify(tmp_path, [FilePatch("model.py", OWN_BASE, repaired, 1)], "model.py:Net", base)
    assert found.base_identical is identical, found.details
    assert found.invariants == ("pass" if identical else "not-checked"), found.details


def test_batch_statistics_and_dropout_are_no_fault(tmp_path: Path) -> None:
    source = TOLD.replace("nn.ReLU()", "nn.BatchNorm1d(size), nn.Dropout(0.5)").replace("self, fan", "self, fan=8")
    (tmp_path / "model.py").write_text(source)
    found = certify(
        tmp_path, [FilePatch("model.py", source, source + "\n", 1)], "model.py:Net", {}, knobs=["size"]
    )
    details = {detail.what: detail for detail in found.details}
    assert found.base_identical is True, found.details
    assert details["training and inference paths at half and twice the base"].ok is True
    # a layer between two sizes of which only one grows is a readout that learns too fast
    assert found.invariants == "fail"


def test_a_model_without_an_inference_path(tmp_path: Path) -> None:
    source = TOLD.replace("self, fan", "self, fan=8").replace("forward(self, x)", "forward(self, x, targets)")
    source = source.replace("self.net(x)", "self.net(x), nn.functional.cross_entropy(self.net(x), targets)")
    (tmp_path / "model.py").write_text(source)
    found = certify(
        tmp_path, [FilePatch("model.py", source, source + "\n", 1)], "model.py:Net", {}, knobs=["size"]
    )
    details = {detail.what: detail for detail in found.details}
    assert found.base_identical is None
    for what in ("forward on the inference path", "training and inference paths at half and twice the base"):
        assert details[what].ok is None
        assert "missing 1 required positional argument: 'targets'" in details[what].note
    assert details["forward on the training path"].ok is True


def test_a_trace_that_ends_the_process_takes_nothing_from_the_base(tmp_path: Path) -> None:
    source = TOLD.replace("self, fan", "self, fan=8").replace(
        "        return self.net(x)", "        x.is_meta and __import__('os')._exit(3)\n        return self.net(x)"
    )
    assert "_exit" in source
    (tmp_path / "model.py").write_text(source)
    found = certify(
        tmp_path, [FilePatch("model.py", source, source + "\n", 1)], "model.py:Net", {}, knobs=["size"]
    )
    assert (found.base_identical, found.invariants) == (True, "not-checked"), found.details
    assert any(detail.what == "invariants" and "ended" in detail.note for detail in found.details), found.details


def test_a_base_that_no_setting_holds(tmp_path: Path) -> None:
    plain = OWN_BASE.replace("width / BASE", "1.0")
    hidden = plain.replace("BASE = 64", "base_width = None").replace(
        "self.m = 1.0", "self.m = width / (base_width or width)"
    )
    (tmp_path / "model.py").write_text(plain)
    found = certify(tmp_path, [FilePatch("model.py", plain, hidden, 1)], "model.py:Net", {"width": 64.0})
    assert (found.base_identical, found.invariants) == (None, "not-checked"), found.details
    notes = [detail.note for detail in found.details if detail.ok is None]
    assert notes[0].startswith("Net has no setting base_width")


def test_a_model_whose_state_dict_is_not_all(tmp_path: Path) -> None:
    counting = TOLD.replace(
        "    def forward(self, x):\n", "    calls = 0\n\n    def forward(self, x):\n        self.calls += 1\n"
    )
    counting = counting.replace("self.net(x)", "self.net(x) * self.calls").replace("self, fan,", "self, fan=8,")
    (tmp_path / "model.py").write_text(counting)
    found = certify(
        tmp_path, [FilePatch("model.py", counting, counting + "\n", 1)], "model.py:Net", {}, knobs=["size"]
    )
    details = {detail.what: detail for detail in found.details}
    assert details["a checkpoint from before"].ok is None
    assert details["five optimizer steps"].ok is True


TOLD = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, fan, inside=16, size=8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(fan, size), nn.ReLU(), nn.Linear(size, inside), nn.Linear(inside, 4))

    def forward(self, x):
        return self.net(x)

    def make_optimizer(self):
        return torch.optim.Adam(self.parameters())
"""


def test_sizes_that_are_told(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(TOLD)
    patch = [FilePatch("model.py", TOLD, TOLD + "\n", 1)]
    assert "Net needs fan" in certify(tmp_path, patch, "model.py:Net", {}).details[0].note
    told: dict[str, Any] = {"knobs": ["size"], "follow": {"inside": "2 * size"}, "settings": {"fan": 8}}
    found = certify(tmp_path, patch, "model.py:Net", {}, **told)
    assert found.base_identical is True, found.details
    assert found.details[0].note.startswith("size = ")
    assert found.invariants == "fail"


def test_a_package_that_is_not_installed_leaves_it_open(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(TOLD)
    patch = [FilePatch("model.py", TOLD, "import not_a_package\n" + TOLD, 1)]
    found = certify(tmp_path, patch, "model.py:Net", {}, packages=["not_a_package"])
    assert (found.base_identical, found.invariants) == (None, "not-checked")
    assert "needs not_a_package; install it" in found.details[0].note


def test_code_without_an_optimizer_is_open(tmp_path: Path) -> None:
    plain = OWN_BASE[: OWN_BASE.index("    def make_optimizer")]
    (tmp_path / "model.py").write_text(plain)
    patched = plain + "\n# nothing changes\n"
    found = certify(tmp_path, [FilePatch("model.py", plain, patched, 1)], "model.py:Net", {"width": 64.0})
    assert (found.base_identical, found.invariants) == (None, "not-checked")
    unchecked = {detail.what: detail.note for detail in found.details if detail.ok is None}
    assert unchecked.keys() == {
        "optimizer groups",
        "five optimizer steps",
        "optimizer groups at half and twice the base",
        "update invariant",
    }
    assert all("optimizer" in note or "not judged" in note for note in unchecked.values())


def test_an_original_that_is_never_the_same(tmp_path: Path) -> None:
    unsteady = OWN_BASE.replace("std=0.1)", "std=0.1, generator=torch.Generator().manual_seed(time.time_ns()))")
    unsteady = unsteady.replace("import torch\n", "import time\n\nimport torch\n", 1)
    (tmp_path / "model.py").write_text(unsteady)
    found = certify(tmp_path, [FilePatch("model.py", unsteady, unsteady + "\n", 1)], "model.py:Net", {})
    assert found.base_identical is None
    notes = {detail.what: detail.note for detail in found.details if detail.ok is None}
    assert notes["parameters after init"].startswith("the original is not the same in two runs: head.weight")
    assert "random numbers drawn" not in notes
