"""Static and measured knowledge as one list: confirmed, withdrawn, static only, measured only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.repositories import copy, mulint

NET = """
import torch
import torch.nn.functional as F
from torch import nn
import mulint

BASE = 32


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ratio = width / BASE
        self.first = nn.Linear(8, width, bias=False)
        self.mix = {mix}(width, width, bias=False)
        self.head = nn.Linear(width, 4, bias=False)
        nn.init.normal_(self.first.weight, std=0.3)
        nn.init.normal_(self.mix.weight, std=0.1)
        nn.init.normal_(self.head.weight, std=0.1)
        {after}

    def forward(self, x):
        return self.head(F.relu(self.mix(F.relu(self.first(x)))) / self.ratio)


def configure(model):
    hidden = [model.mix.weight]
    others = [model.first.weight, model.head.weight]
    return torch.optim.Adam([dict(params=hidden, lr=1e-3 / model.ratio), dict(params=others, lr=1e-3)])


def case(width):
    batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(1)), torch.arange(16) % 4
    return mulint.Case(Net(width), batch, lambda m, b: F.cross_entropy(m(b[0]), b[1]), optimizer=configure)
"""


def findings(root: Path, mix: str = "nn.Linear", after: str = "") -> list[dict[str, Any]]:
    (root / "net.py").write_text(NET.replace("{mix}", mix).replace("{after}", after))
    result = mulint("trace", "net.py:case", "--output-format", "json", "--widths", "64,128,256,512", cwd=root)
    assert result.returncode in (0, 1), result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return found


def test_what_both_passes_see_is_one_finding(tmp_path: Path) -> None:
    (found,) = findings(tmp_path)
    assert (found["code"], found["evidence"], found["severity"]) == ("MU301", "both", "error")
    assert "self.mix.weight, std" in (tmp_path / "net.py").read_text().splitlines()[found["line"] - 1]


def test_what_is_measured_as_it_must_be_is_withdrawn(tmp_path: Path) -> None:
    hidden_repair = "vars(self)['_modules']['mix'].weight.data.mul_(self.ratio**-0.5)"
    (found,) = findings(tmp_path, after=hidden_repair)
    assert (found["code"], found["evidence"], found["severity"]) == ("MU301", "trace", "note")
    assert "withdrawn" in found["message"]


QUERY = """
import torch
import torch.nn.functional as F
from torch import nn
import mulint

BASE = 64


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ratio = width / BASE
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def split(self, x):
        return x.unflatten(-1, (4, -1)).transpose(1, 2)

    def forward(self, x):
        query, key = self.split(self.query(x * self.ratio**-0.5)), self.split(self.key(x))
        return self.norm(x + F.scaled_dot_product_attention(query, key, self.split(x)).transpose(1, 2).flatten(2))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ratio = width / BASE
        self.embed = nn.Embedding(16, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.head = nn.Linear(width, 16, bias=False)
        nn.init.normal_(self.head.weight, std=0.1)

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x / self.ratio)


def configure(model):
    hidden = [weight for block in model.blocks for weight in (block.query.weight, block.key.weight)]
    others = [model.embed.weight, model.head.weight, *(p for p in model.parameters() if p.ndim == 1)]
    return torch.optim.Adam([dict(params=hidden, lr=1e-3 / model.ratio), dict(params=others, lr=1e-3)])


def case(width):
    tokens = torch.arange(64).view(4, 16) % 16
    return mulint.Case(
        Net(width), tokens, lambda m, t: F.cross_entropy(m(t).flatten(0, 1), t.flatten()), optimizer=configure
    )
"""


def test_a_factor_on_a_query_that_is_right_is_withdrawn_for_the_embedding_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(QUERY)
    result = mulint("trace", "net.py:case", "--output-format", "json", "--widths", "64,128,256,512", cwd=tmp_path)
    trace = json.loads(result.stdout)
    assert trace["verdict"] == "pass"
    assert {f["severity"] for f in trace["findings"]} <= {"note"}


def test_what_only_the_trace_sees_stands_where_the_layer_is_built(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, mix="vars(nn)['Lin' + 'ear']")
    assert (found["code"], found["evidence"], found["symbol"]) == ("MU301", "trace", "mix.weight")
    assert "self.mix = " in (tmp_path / "net.py").read_text().splitlines()[found["line"] - 1]


def test_schedules_of_the_training_script_stay_static(tmp_path: Path) -> None:
    root = copy("gpt", tmp_path)
    result = mulint("trace", "model.py:GPT", "--output-format", "json", cwd=root)
    evidence = {(f["code"], f["path"], f["evidence"]) for f in json.loads(result.stdout)["findings"]}
    assert ("MU201", "train.py", "static") in evidence
    assert {("MU101", "both"), ("MU301", "both"), ("MU405", "both"), ("MU409", "both")} <= {
        (code, kind) for code, _, kind in evidence
    }
    assert "trace" not in {kind for _, _, kind in evidence}


OTHER = """
from torch import nn


class Other(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        return self.head(self.mix(x).relu())
"""


def test_findings_about_other_models_are_counted_not_listed(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"other{number}.py").write_text(OTHER)
    (tmp_path / "net.py").write_text(NET.replace("{mix}", "nn.Linear").replace("{after}", ""))
    text = mulint("trace", "net.py:case", "--stages", "roles,invariants", cwd=tmp_path).stdout
    assert text.count("other") == 6
    assert "\n  and 3 more in other files: `mulint check` lists them\n" in text
    assert "Next: `mulint fix --diff` shows what it rewrites." in text


def test_a_fault_that_only_the_trace_sees_does_not_lead_to_a_rewrite(tmp_path: Path) -> None:
    constant = "vars(self)['_modules']['mix'].weight.data.normal_(std=0.1)"
    text = NET.replace("{mix}", "nn.Linear").replace("nn.init.normal_(self.mix.weight, std=0.1)", constant)
    (tmp_path / "net.py").write_text(text.replace("{after}", ""))
    result = mulint("trace", "net.py:case", "--stages", "roles,invariants", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.endswith("Next: `mulint explain MU301` says what to write instead.\n")
