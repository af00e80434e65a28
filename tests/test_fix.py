"""What ``mulint fix`` writes, and that the base model trains as before to the last bit."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

import mulint as package
from tests import forking
from tests.injections import INJECTIONS, Injection
from tests.repositories import FIXTURES, check, copy, inject, mulint, sites

PLAIN = ("gpt", "mlp")
SMALL = ("n_layer=2", "n_embd=32", "base_n_embd=32", "max_steps=6", "eval_interval=3", "eval_batches=1")


def plain(fixture: str, folder: Path) -> Path:
    """A copy of a fixture without the marks of what is expected."""
    root = copy(fixture, folder)
    for path in root.rglob("*.py"):
        path.write_text(re.sub(r"  # expect: .*", "", path.read_text()))
    return root


def texts(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): p.read_text() for p in sorted(root.rglob("*.py"))}


def run(root: Path, *arguments: str) -> str:
    return forking.script(arguments, root)


@pytest.mark.parametrize("fixture", PLAIN)
def test_the_patched_tree_is_the_one_that_was_reviewed(fixture: str, tmp_path: Path) -> None:
    root = plain(fixture, tmp_path)
    result = mulint("fix", ".", cwd=root)
    assert result.returncode == 0, result.stderr
    assert texts(root) == texts(FIXTURES / f"{fixture}_fixed")


@pytest.mark.parametrize("fixture", PLAIN)
def test_a_second_run_changes_nothing(fixture: str, tmp_path: Path) -> None:
    root = plain(f"{fixture}_fixed", tmp_path)
    result = mulint("fix", ".", cwd=root)
    assert (result.returncode, result.stdout) == (0, "Nothing to fix.\n")
    assert texts(root) == texts(FIXTURES / f"{fixture}_fixed")


def test_a_diff_writes_nothing(tmp_path: Path) -> None:
    root = plain("gpt", tmp_path)
    before = texts(root)
    result = mulint("fix", ".", "--diff", cwd=root)
    assert result.returncode == 0
    assert texts(root) == before
    changed = [line for line in result.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]
    helper = len((FIXTURES / "gpt_fixed" / "mup_scaling.py").read_text().splitlines())
    assert len(changed) - helper < 80


def test_a_diff_applies(tmp_path: Path) -> None:
    root = plain("gpt", tmp_path)
    patch = mulint("fix", ".", "--diff", cwd=root).stdout
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "apply", "-"], cwd=root, input=patch, text=True, check=True)
    assert texts(root) == texts(FIXTURES / "gpt_fixed")


@pytest.mark.parametrize("fixture", PLAIN)
def test_json_fits_the_schema(fixture: str, tmp_path: Path) -> None:
    root = plain(fixture, tmp_path)
    result = mulint("fix", ".", "--diff", "--output-format", "json", cwd=root)
    data = json.loads(result.stdout)
    schema = Path(package.__file__).parent / "reporting" / "schemas" / "fix.schema.json"
    jsonschema.validate(data, json.loads(schema.read_text()))
    assert [f["path"] for f in data["files"]] == [
        path for path, text in texts(FIXTURES / f"{fixture}_fixed").items() if texts(root).get(path) != text
    ]
    assert data["left"] == []
    assert data["certificate"] == {"base_identical": None, "invariants": "not-checked", "details": []}


def test_the_gpt_trains_as_before(tmp_path: Path) -> None:
    small = [a for a in SMALL if not a.startswith("base_")]
    before = run(plain("gpt", tmp_path), "train.py", *small)
    after = run(plain("gpt_fixed", tmp_path), "train.py", *SMALL)
    assert after == before
    assert before.count("loss") == 3


@pytest.mark.parametrize("script", ["train_adam.py", "train_sgd.py"])
def test_the_classifier_trains_as_before(script: str, tmp_path: Path) -> None:
    before = run(plain("mlp", tmp_path), script)
    assert run(plain("mlp_fixed", tmp_path), script) == before
    assert before.count("loss") > 2


def test_a_checkpoint_from_before_is_resumed_as_before(tmp_path: Path) -> None:
    old, new = plain("gpt", tmp_path), plain("gpt_fixed", tmp_path)
    small = [a for a in SMALL if not a.startswith("base_")]
    run(old, "train.py", *small)
    (new / "out").mkdir()
    (new / "out" / "ckpt.pt").write_bytes((old / "out" / "ckpt.pt").read_bytes())
    arguments = ("init_from=resume", "max_steps=8", "eval_batches=1")
    assert run(new, "train.py", *arguments) == run(old, "train.py", *arguments)
    assert run(new, "sample.py", "--steps", "5") == run(old, "sample.py", "--steps", "5")


def test_the_patched_gpt_passes_a_trace(tmp_path: Path) -> None:
    result = mulint("trace", "model.py:GPT", "--steps", "3", "--seeds", "1", cwd=plain("gpt_fixed", tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_declared_rate_of_embeddings_is_written_and_proved(tmp_path: Path) -> None:
    root = plain("gpt", tmp_path)
    table = '\n[tool.mulint]\nembedding-lr = "sqrt"\n'
    (root / "pyproject.toml").write_text((root / "pyproject.toml").read_text() + table)
    result = mulint("fix", ".", "--verify", "--output-format", "json", cwd=root)
    assert result.returncode == 0, result.stderr
    certificate = json.loads(result.stdout)["certificate"]
    assert (certificate["base_identical"], certificate["invariants"]) == (True, "pass"), certificate["details"]
    assert '"input": (-0.5, 0.5),' in (root / "mup_scaling.py").read_text()

    def rate(name: str) -> tuple[float, bool]:
        quick = ("--stages", "roles,invariants", "--seeds", "1", "--output-format", "json")
        traced = json.loads(mulint("trace", "model.py:GPT", *quick, cwd=root).stdout)
        (parameter,) = (p for p in traced["parameters"] if p["name"] == name)
        (ok,) = (i["ok"] for i in parameter["invariants"] if i["name"] == "update")
        return round(parameter["lr"]["exponent"], 6), ok

    assert rate("pos_embed.weight") == (-0.5, True)
    # What is right with the declared policy is wrong without it.
    (root / "pyproject.toml").write_text((root / "pyproject.toml").read_text().replace(table, ""))
    assert rate("pos_embed.weight") == (-0.5, False)


def test_base_width_beats_the_default(tmp_path: Path) -> None:
    root = plain("mlp", tmp_path)
    assert mulint("fix", ".", "--base-width", "hidden=32", cwd=root).returncode == 0
    assert '"--base-hidden", type=int, default=32' in (root / "train_adam.py").read_text()


def test_a_part_can_be_selected(tmp_path: Path) -> None:
    root = plain("gpt", tmp_path)
    assert mulint("fix", ".", "--select", "MU405", cwd=root).returncode == 0
    assert {code for _, _, code in sites(check(root))} == {"MU101", "MU201", "MU301", "MU409"}


MUP = [i for i in INJECTIONS if i.fixture in ("gpt_mup", "gpt_mup_untied", "mlp_mup")]


@pytest.mark.parametrize("injection", MUP, ids=lambda i: i.name)
def test_a_fault_in_code_in_mup_is_repaired_or_left_with_a_reason(injection: Injection, tmp_path: Path) -> None:
    root = inject(injection, tmp_path)
    before = texts(root)
    result = mulint("fix", ".", "--output-format", "json", cwd=root)
    data = json.loads(result.stdout)
    if result.returncode == 0:
        assert sites(check(root)) == []
    else:
        assert result.returncode == 1
        assert texts(root) == before
        assert data["files"] == []
        assert injection.code in [item["code"] for item in data["left"]]
        assert all(item["reason"] and item["manual"] for item in data["left"])


def test_a_size_that_the_script_takes_from_outside_is_asked_about(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    train = root / "train.py"
    text = train.read_text()
    assert text.count("n_embd = 128") == 1
    train.write_text("import sys\n" + text.replace("n_embd = 128", "n_embd = int(sys.argv[1])"))
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    result = mulint("fix", ".", cwd=root)
    assert result.returncode == 2
    assert "--base-width n_embd=N" in result.stderr
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before
    answered = mulint("fix", ".", "--base-width", "n_embd=128", cwd=root)
    assert answered.returncode == 0
    assert "base_n_embd=128" in train.read_text()
    assert "Not proved" in answered.stdout


TIMM = """
import torch
from timm.scheduler import CosineLRScheduler
from torch import nn


class Net(nn.Module):
    def __init__(self, width=64, classes=10):
        super().__init__()
        self.stem = nn.Linear(32, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.mix(self.stem(x).relu()).relu())


def main():
    model = Net(width=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return CosineLRScheduler(optimizer, t_initial=100)
"""


def test_schedules_that_read_the_factor_themselves_do_not_scale_twice(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TIMM)
    result = mulint("fix", "--diff", "--no-verify", ".", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "weight_decay=0.01, recorded=False)" in result.stdout
    unknown = TIMM.replace("optimizer, t_initial", "Net(), t_initial")
    (tmp_path / "net.py").write_text(unknown)
    result = mulint("fix", "--diff", "--no-verify", ".", cwd=tmp_path)
    assert result.returncode == 1
    assert "a scheduler of timm in reach multiplies rates by lr_scale" in result.stderr


SCALED = """\
import math

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=128, base=128):
        super().__init__()
        self.ratio = width / base
        self.first = nn.Linear(8, width)
        self.second = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)
        nn.init.normal_(self.second.weight, std=0.1 / self.ratio)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu()) / self.ratio


def train(width):
    net = Net(width)
    hidden = [net.second.weight]
    rest = [net.first.weight, net.first.bias, net.second.bias, net.head.weight, net.head.bias]
    optimizer = torch.optim.Adam([{"params": hidden, "lr": 1e-3 / net.ratio}, {"params": rest, "lr": 1e-3}])
    for step in range(100):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * math.cos(step / 100)
        optimizer.step()
"""


def test_what_cannot_be_taken_alone_is_not_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SCALED)
    left = {
        item["code"]: item
        for item in json.loads(mulint("fix", "--diff", "--output-format", "json", cwd=tmp_path).stdout)["left"]
    }
    assert set(left) == {"MU311", "MU201"}
    assert left["MU311"]["reason"] == "it has no rewrite"
    assert left["MU201"]["reason"].startswith(
        "the optimizer at net.py:24 does not record the factors of its groups"
    )
    assert "--select" not in left["MU201"]["manual"]


def test_a_schedule_is_not_multiplied_by_factors_that_nobody_records(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SCALED)
    result = mulint("fix", "--select", "MU201", cwd=tmp_path)
    assert result.returncode == 1
    assert (tmp_path / "net.py").read_text() == SCALED
    recorded = SCALED.replace('"lr": 1e-3 / net.ratio}', '"lr": 1e-3 / net.ratio, "lr_scale": 1 / net.ratio}')
    (tmp_path / "net.py").write_text(recorded)
    assert mulint("fix", "--select", "MU201", cwd=tmp_path).returncode == 0
    assert 'math.cos(step / 100) * group.get("lr_scale", 1.0)' in (tmp_path / "net.py").read_text()


ATTENTIVE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, vocabulary=32, width=64, heads=4):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        x = self.table(tokens)
        return self.head(self.attention(x, x, x, need_weights=False)[0])


def configure(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = Net(width=64, heads=4)
    optimizer = configure(net)
"""


def test_a_patch_whose_proof_fails_is_not_written_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(ATTENTIVE)
    model = '[tool.mulint]\n[[tool.mulint.models]]\nbuild = "net.py:Net"\nknobs = ["width"]\n'
    (tmp_path / "pyproject.toml").write_text(model)
    result = mulint("fix", "--select", "MU401", "--verify", cwd=tmp_path)
    assert result.returncode == 1
    assert "  FAILED      MU405: attention" in result.stdout
    assert "Nothing was written, as the proof failed." in result.stdout
    assert texts(tmp_path) == {"net.py": ATTENTIVE}
