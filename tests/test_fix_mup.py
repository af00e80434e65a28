"""``mulint fix --target mup``: what it writes with the mup package, that the base stays, and what it leaves."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mup
import pytest
import torch
from torch import nn

from mulint.configuration import Configuration
from mulint.rewriting.fixing import fix
from mulint.rewriting.patch import Patch
from mulint.rewriting.planning import Plan
from mulint.theory import EmbeddingPolicy, WeightDecayPolicy
from tests.repositories import FIXTURES, check, mulint, sites
from tests.test_fix import PLAIN, plain, texts


def planned(root: Path, **settings: Any) -> Patch:
    patch, errors = fix([root], root, Configuration(target="mup", **settings), Plan())
    assert errors == []
    return patch


@pytest.mark.parametrize("fixture", PLAIN)
def test_the_patched_tree_is_the_one_that_was_reviewed(fixture: str, tmp_path: Path) -> None:
    root = plain(fixture, tmp_path)
    patch = planned(root)
    assert patch.left == ()
    assert {**texts(root), **{f.path: f.after for f in patch.files}} == texts(FIXTURES / f"{fixture}_fixed_mup")
    assert patch.packages == ("mup",)


@pytest.mark.parametrize("fixture", PLAIN)
def test_a_second_run_changes_nothing(fixture: str) -> None:
    root = FIXTURES / f"{fixture}_fixed_mup"
    assert planned(root) == Patch((), ())
    assert fix([root], root, Configuration(), Plan())[0] == Patch((), ())


def test_the_flag_beats_the_table_and_the_patch_is_proved(tmp_path: Path) -> None:
    root = plain("gpt", tmp_path)
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.mulint]\ntarget = "torch"\n')
    result = mulint("fix", ".", "--target", "mup", "--verify", "--output-format", "json", cwd=root)
    assert result.returncode == 0, result.stderr
    certificate = json.loads(result.stdout)["certificate"]
    assert (certificate["base_identical"], certificate["invariants"]) == (True, "pass"), certificate["details"]
    assert texts(root) == texts(FIXTURES / "gpt_fixed_mup")


def classifier(fixture: str) -> Callable[..., nn.Module]:
    path = FIXTURES / fixture / "model.py"
    spec = importlib.util.spec_from_file_location(f"{fixture}_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Classifier  # type: ignore[no-any-return]


def built(make: Callable[..., nn.Module], *sizes: int, **base: int) -> nn.Module:
    torch.manual_seed(0)
    return make(*sizes, **base)


TWINS = {
    "Adam": (torch.optim.Adam, mup.MuAdam, {"lr": 1e-2}),
    "SGD": (torch.optim.SGD, mup.MuSGD, {"lr": 1e-2, "momentum": 0.9}),
}


@pytest.mark.parametrize("base", [{}, {"base_hidden": 24}], ids=["base left out", "base given"])
@pytest.mark.parametrize("name", TWINS)
def test_the_classifier_trains_as_before_at_its_base(name: str, base: dict[str, int]) -> None:
    plain_class, twin, options = TWINS[name]
    before, after = built(classifier("mlp"), 6, 24, 3), built(classifier("mlp_fixed_mup"), 6, 24, 3, **base)
    x, y = torch.randn(16, 6), torch.randint(3, (16,))
    for model, make in ((before, plain_class), (after, twin)):
        optimizer = make(model.parameters(), **options)
        for _ in range(3):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(x), y))
            optimizer.step()
    for (key, one), (other_key, other) in zip(
        before.state_dict().items(), after.state_dict().items(), strict=True
    ):
        assert key == other_key
        assert torch.equal(one, other)


@pytest.mark.parametrize(("name", "enter", "hidden"), [("Adam", 1.0, 0.5), ("SGD", 2.0, 1.0)])
def test_at_twice_the_base_the_rates_are_those_of_the_roles(name: str, enter: float, hidden: float) -> None:
    _, twin, options = TWINS[name]
    model = built(classifier("mlp_fixed_mup"), 6, 48, 3, base_hidden=24)
    groups = twin(model.parameters(), **options).param_groups
    rates = {id(p): group["lr"] / options["lr"] for group in groups for p in group["params"]}
    found = {key: rates[id(p)] for key, p in model.named_parameters()}
    others = {"first.weight", "first.bias", "body.0.bias", "body.1.bias", "head.weight"}
    expected = {"body.0.weight": hidden, "body.1.weight": hidden, "head.bias": 1.0}
    assert found == {**expected, **dict.fromkeys(others, enter)}


def test_the_base_is_built_without_random_numbers() -> None:
    make = classifier("mlp_fixed_mup")
    built(make, 6, 48, 3)
    expected = torch.get_rng_state()
    built(make, 6, 48, 3, base_hidden=24)
    assert torch.equal(torch.get_rng_state(), expected)


NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.enter = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(torch.relu(self.mix(torch.relu(self.enter(x)))))


def train(data):
    model = Net(6, 64, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for x, y in data:
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
"""
HEAD = "        self.head = nn.Linear(width, classes)\n"
BUILT = "    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)\n"
HIDDEN = "nn.init.uniform_(self.mix.weight.data, -0.1, 0.1)\n"

TWIN = "mup.MuAdamW(model.parameters(), lr=1e-3, weight_decay=0.01)"
COPIED = "    import copy\n\n    average = copy.deepcopy(model)\n    average(data)\n"
UNBIASED = HEAD.replace("classes)", "classes, bias=False)")
TIED = (
    f"        self.names = nn.Embedding(classes, width)\n{UNBIASED}        self.head.weight = self.names.weight\n"
)

CYCLE = "torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=100)\n"
CROPPED = "    model.head.weight = nn.Parameter(model.head.weight[:2])\n"
DOUBLED = "    model.head.weight = nn.Parameter(model.head.weight.repeat(2, 1))\n"
SHAPED = """\
    from mup import MuAdamW, set_base_shapes

    set_base_shapes(model, Net(6, 16, 3), delta=Net(6, 32, 3))
    optimizer = MuAdamW(model.parameters(), lr=1e-3)
"""

WRITTEN = {
    "the shape of a cropped parameter": (
        BUILT,
        f"{CROPPED}{BUILT}",
        f"{CROPPED}    model.head.weight.infshape = infshape\n",
    ),
    "another default of the weight decay": (BUILT, BUILT, TWIN),
    "a rate by position": (BUILT, BUILT.replace("lr=1e-3", "1e-3"), TWIN),
    "a draw of the data": (HEAD, f"{HEAD}        {HIDDEN}", "mup.init.uniform_(self.mix.weight, -0.1, 0.1)"),
    "rates for a schedule": (
        BUILT,
        f"{BUILT.replace('1e-3', '10 * 1e-3')}    {CYCLE}",
        'group["lr_scale"] = group["lr"] / (10 * 1e-3)  # for schedules',
    ),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_what_is_written(case: str, tmp_path: Path) -> None:
    old, new, expected = WRITTEN[case]
    assert NET.count(old) == 1
    (tmp_path / "net.py").write_text(NET.replace(old, new))
    patch = planned(tmp_path)
    assert patch.left == ()
    assert expected in patch.files[0].after
    (tmp_path / "net.py").write_text(patch.files[0].after)
    assert sites(check(tmp_path)) == []


LEFT = {
    "a map that mup would assert about": (
        HEAD,
        f"{HEAD}        self.gate = nn.Linear(width, 4)\n",
        "asserts that Net.gate.weight is a MuReadout",
    ),
    "a draw before the shapes": (
        HEAD,
        f"        {HIDDEN}{HEAD}",
        "is not made by the model after its base shapes",
    ),
    "a draw that mup.init has not": (
        HEAD,
        f"{HEAD}        {HIDDEN.replace('-0.1', '0.0')}",
        "mup.init takes only draws around zero",
    ),
    "coupled weight decay": (
        BUILT,
        BUILT.replace("AdamW", "Adam").replace("1e-3", "1e-3, weight_decay=0.1"),
        "that is added to the gradient",
    ),
    "an optimizer without a twin": (BUILT, BUILT.replace("AdamW", "RMSprop"), "has no twin in the mup package"),
    "named parameters": (BUILT, BUILT.replace("parameters", "named_parameters"), "takes no named parameters"),
    "values of tensors": (
        HEAD,
        f"        self.keep = torch.linspace(0, 1, 3)[0].item()\n{HEAD}",
        "reads values of tensors",
    ),
    "arguments that change": (HEAD, f"        width = width or 64\n{HEAD}", "changes its own arguments"),
    "a copy that loses the shapes": (BUILT, f"{BUILT}{COPIED}", "would have MU503"),
    "a table that is not drawn again": (HEAD, TIED, "would rescale the table"),
    "shapes that are set already": (BUILT, SHAPED, "base shapes are set already, at net.py:21"),
    "a parameter that is replaced": (BUILT, f"{DOUBLED}{BUILT}", "whose base shape is lost"),
    "a convolution": (
        HEAD,
        HEAD.replace("Linear(width, classes", "Conv1d(width, classes, 1"),
        "the only one mup has",
    ),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_the_package_cannot_express_is_left_whole(case: str, tmp_path: Path) -> None:
    old, new, reason = LEFT[case]
    assert NET.count(old) == 1
    (tmp_path / "net.py").write_text(NET.replace(old, new))
    patch = planned(tmp_path)
    assert patch.files == ()
    assert any(reason in item.reason and item.manual for item in patch.left), patch.left


def test_a_part_can_be_selected_without_base_shapes(tmp_path: Path) -> None:
    root = plain("gpt", tmp_path)
    chosen = Configuration(target="mup", select=("MU405",))
    patch, _ = fix([root], root, chosen, Plan(partial=True))
    assert patch.fixed == 1
    assert all("import mup" not in file.after for file in patch.files)
    assert not any("dependencies" in note for note in patch.notes)


@pytest.mark.parametrize(
    "policy", [{"embedding_lr": EmbeddingPolicy.SQRT}, {"weight_decay": WeightDecayPolicy.UNSCALED}], ids=str
)
def test_choices_that_the_package_does_not_have_are_left(policy: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    patch = planned(tmp_path, **policy)
    assert patch.files == ()
    assert any(item.reason.startswith("mup has no ") for item in patch.left)
