"""A patch of the example transformer as a fix writes one, and changed versions of it."""

from __future__ import annotations

from dataclasses import dataclass

from mulint.rewriting.patch import FilePatch
from tests.repositories import FIXTURES

SCALING = '''\
"""Width ratios and parameter groups of the maximal update parametrization."""

import torch.nn as nn


def ratio(size, base):
    """How many times wider than the base; 1.0 without one."""
    return 1.0 if base is None else size / base


class ScaledReadout(nn.Linear):
    """A linear layer whose input is multiplied by the inverse width ratio."""

    def __init__(self, *args, width_ratio=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.width_ratio = width_ratio

    def forward(self, x):
        return super().forward(x * (1.0 / self.width_ratio))


def split(groups, hidden, width_ratio, lr):
    """Split every group in place into its hidden weights, which learn slower, and the others."""
    result = []
    for group in groups:
        ours = [p for p in group["params"] if id(p) in hidden]
        others = [p for p in group["params"] if id(p) not in hidden]
        decay = group["weight_decay"]
        if ours:
            scale = 1.0 / width_ratio
            scaled = {"lr": lr * scale, "weight_decay": decay * width_ratio, "lr_scale": scale}
            result.append({**group, "params": ours, **scaled})
        if others:
            result.append({**group, "params": others, "lr": lr, "lr_scale": 1.0})
    return result
'''
EDITS = (
    ("from torch.nn import functional as F\n", "from torch.nn import functional as F\n\nimport mup_scaling\n"),
    (
        "    bias: bool = True\n",
        "    bias: bool = True\n    base_n_embd: int | None = None\n    base_n_head: int | None = None\n",
    ),
    (
        "        self.dropout = config.dropout\n        self.qkv",
        """\
        self.dropout = config.dropout
        base_dim = None
        if config.base_n_embd is not None:
            base_dim = config.base_n_embd // (config.base_n_head or config.n_head)
        self.head_dim_ratio = mup_scaling.ratio(config.n_embd // config.n_head, base_dim)
        self.qkv""",
    ),
    (
        "            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)  # expect: MU405\n",
        """\
            scale = (1.0 / math.sqrt(q.size(-1))) * self.head_dim_ratio**-0.5
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True, scale=scale)
""",
    ),
    (
        "(q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(head_dim))",
        "(q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(head_dim)) * self.head_dim_ratio**-0.5",
    ),
    (
        "        self.config = config\n",
        """\
        self.config = config
        self.width_ratio = mup_scaling.ratio(config.n_embd, config.base_n_embd)
""",
    ),
    (
        "        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)  # expect: MU409\n",
        """\
        self.lm_head = mup_scaling.ScaledReadout(
            config.n_embd, config.vocab_size, bias=False, width_ratio=self.width_ratio
        )
""",
    ),
    (
        """\
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.n_layer))  # expect: MU301
""",
        """\
                std = 0.02 / math.sqrt(2 * config.n_layer)
                nn.init.normal_(p, mean=0.0, std=std * self.width_ratio**-0.5)
""",
    ),
    (
        "            nn.init.normal_(module.weight, mean=0.0, std=0.02)  # expect: MU301\n",
        """\
            hidden = not isinstance(module, mup_scaling.ScaledReadout)
            nn.init.normal_(module.weight, mean=0.0, std=0.02 * (self.width_ratio**-0.5 if hidden else 1.0))
""",
    ),
    (
        "        fused = device_type ==",
        """\
        hidden = {id(p) for n, p in trainable.items() if n.startswith("layers.") and p.dim() >= 2}
        groups = mup_scaling.split(groups, hidden, self.width_ratio, learning_rate)
        fused = device_type ==""",
    ),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One change to the patched files, and what the certificate must say of it."""

    name: str
    path: str
    old: str
    new: str
    what: str


def patch_of_gpt(fault: Fault | None = None) -> list[FilePatch]:
    """The patch, or the patch with one fault in it."""
    before = (FIXTURES / "gpt" / "model.py").read_text()
    after = {"model.py": _replaced(before, EDITS), "mup_scaling.py": SCALING}
    if fault is not None:
        after[fault.path] = _replaced(after[fault.path], [(fault.old, fault.new)])
    return [
        FilePatch("model.py", before, after["model.py"], len(EDITS)),
        FilePatch("mup_scaling.py", None, after["mup_scaling.py"], 1),
    ]


def _replaced(text: str, edits: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str:
    for old, new in edits:
        assert text.count(old) == 1, f"the text to replace must stand there once: {old}"
        text = text.replace(old, new)
    return text
