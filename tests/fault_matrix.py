"""Models in μP under ``fixtures/verdicts``, each as it is, in every legal gauge, and with one fault at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mulint.tracing.request import Request

FIXTURES = Path(__file__).parent.parent / "fixtures" / "verdicts"
WIDTHS = {"resnet": (32.0, 64.0, 128.0, 256.0)}
Changes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Variation:
    """Replacements in one file, and the faults that its trace has to name: none if it has to pass.

    ``faults``: a rule, and one parameter or module that breaks it.
    """

    model: str
    name: str
    changes: Changes = ()
    faults: tuple[tuple[str, str], ...] = ()
    embedding_lr: str = "constant"

    @property
    def codes(self) -> frozenset[str]:
        """The rules that a trace has to name, and no other."""
        return frozenset(code for code, _ in self.faults)

    def __str__(self) -> str:
        return f"{self.model}: {self.name}"


def write(variation: Variation, folder: Path) -> Path:
    """The changed model in a folder; every replacement must fit exactly once."""
    text = (FIXTURES / f"{variation.model}.py").read_text()
    for old, new in variation.changes:
        assert text.count(old) == 1, f"{variation}: {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    file = folder / f"{variation.model}.py"
    file.write_text(text)
    return file


def request(variation: Variation, file: Path) -> Request:
    """What to ask of a trace of a written variation."""
    return Request(
        file=str(file),
        name="case",
        root=str(file.parent),
        widths=WIDTHS.get(variation.model, ()),
        embedding_lr=variation.embedding_lr,
    )


_HIDDEN_RATE = '{"params": hidden, "lr": RATE / ratio'
_TABLES = '{"params": tables, "lr": RATE}'
_HEAD = '{"params": [model.head.weight], "lr": RATE}'
_VECTORS = '{"params": vectors, "lr": RATE'
_HEAD_INIT = "nn.init.normal_(self.head.weight, std=0.1)"
_ZERO_HEAD = (_HEAD_INIT, "nn.init.zeros_(self.head.weight)")
_PLAIN_HEAD = ("self.head(self.norm(x) / self.ratio)", "self.head(self.norm(x))")
_HEAD_RATE = (_HEAD, '{"params": [model.head.weight], "lr": RATE / ratio}')
_QKV = "        y = F.scaled_dot"
_NORMED = (_QKV, f"        q, k = F.rms_norm(q, q.shape[-1:]), F.rms_norm(k, k.shape[-1:])\n{_QKV}")

TRANSFORMER = (
    Variation("transformer", "table 8"),
    Variation(
        "transformer",
        "table 3",
        ((_HEAD_INIT, "nn.init.normal_(self.head.weight, std=0.1 / self.ratio)"), _PLAIN_HEAD, _HEAD_RATE),
    ),
    Variation(
        "transformer",
        "table 9",
        (
            (_HEAD_INIT, "nn.init.normal_(self.head.weight, std=0.1 * self.ratio**-0.5)"),
            ("self.norm(x) / self.ratio", "self.norm(x) * self.ratio**-0.5"),
            (_HEAD, '{"params": [model.head.weight], "lr": RATE * ratio**-0.5}'),
            ("self.tokens.weight, std=0.5", "self.tokens.weight, std=0.5 * self.ratio**-0.5"),
            ("self.positions.weight, std=0.5", "self.positions.weight, std=0.5 * self.ratio**-0.5"),
            ("x = self.tokens(tokens)", "x = self.tokens(tokens) * self.ratio**0.5"),
            (
                "x + self.positions(torch.arange(tokens.shape[1], device=tokens.device))",
                "x + self.positions(torch.arange(tokens.shape[1], device=tokens.device)) * self.ratio**0.5",
            ),
            (_TABLES, '{"params": tables, "lr": RATE * ratio**-0.5}'),
        ),
    ),
    Variation("transformer", "zero readout", (_ZERO_HEAD, _PLAIN_HEAD, _HEAD_RATE)),
    Variation("transformer", "zero readout with a multiplier", (_ZERO_HEAD,)),
    Variation(
        "transformer",
        "heads of one size under the root",
        (("self.heads = HEADS", "self.heads = HEADS * width // BASE"), (", scale=self.scale", "")),
    ),
    Variation(
        "transformer",
        "tied",
        ((_HEAD_INIT, "self.head.weight = self.tokens.weight"), (f"        {_HEAD},\n", "")),
    ),
    Variation(
        "transformer",
        "u-μP",
        (
            (_TABLES, '{"params": tables, "lr": RATE * ratio**-0.5}'),
            (
                "class Attention(",
                """class Unit(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight * self.in_features**-0.5, self.bias)


class Attention(""",
            ),
            ("self.qkv = nn.Linear(", "self.qkv = Unit("),
            ("self.proj = nn.Linear(", "self.proj = Unit("),
            ("self.up = nn.Linear(", "self.up = Unit("),
            ("self.down = nn.Linear(", "self.down = Unit("),
            ("std=0.1 * self.ratio**-0.5", "std=1.0"),
            (_HIDDEN_RATE, '{"params": hidden, "lr": RATE * ratio**-0.5'),
            ("DECAY * ratio}", "DECAY * ratio**0.5}"),
        ),
        embedding_lr="sqrt",
    ),
    Variation(
        "transformer",
        "standard parametrization",
        (
            _PLAIN_HEAD,
            (", scale=self.scale", ""),
            ("std=0.1 * self.ratio**-0.5", "std=0.1"),
            (_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),
        ),
        (
            ("MU101", "blocks.0.up.weight"),
            ("MU301", "blocks.0.up.weight"),
            ("MU401", "head.weight"),
            ("MU405", "blocks.1.attention.qkv.weight"),
        ),
    ),
    Variation(
        "transformer",
        "hidden rate",
        ((_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),),
        (("MU101", "blocks.1.attention.proj.weight"),),
    ),
    Variation("transformer", "no readout multiplier", (_PLAIN_HEAD,), (("MU401", "head.weight"),)),
    Variation(
        "transformer",
        "half the power on the readout",
        (("self.norm(x) / self.ratio", "self.norm(x) / self.ratio**0.5"),),
        (("MU402", "head.weight"),),
    ),
    Variation(
        "transformer",
        "constant std of hidden weights",
        (("std=0.1 * self.ratio**-0.5", "std=0.1"),),
        (("MU301", "blocks.0.down.weight"),),
    ),
    Variation(
        "transformer",
        "std of one over fan-in",
        (("std=0.1 * self.ratio**-0.5", "std=0.1 / self.ratio"),),
        (("MU301", "blocks.0.down.weight"),),
    ),
    Variation(
        "transformer",
        "an embedding drawn smaller the wider the model",
        (("self.tokens.weight, std=0.5", "self.tokens.weight, std=self.ratio**-0.5"),),
        (("MU302", "tokens.weight"),),
    ),
    Variation(
        "transformer",
        "an embedding times the root of the width",
        (("x = self.tokens(tokens)", "x = self.tokens(tokens) * self.ratio**0.5"),),
        (("MU404", "tokens.weight"),),
    ),
    Variation(
        "transformer",
        "an embedding times the root of the width, drawn smaller",
        (
            ("x = self.tokens(tokens)", "x = self.tokens(tokens) * self.ratio**0.5"),
            ("self.tokens.weight, std=0.5", "self.tokens.weight, std=0.5 * self.ratio**-0.5"),
        ),
        (("MU404", "tokens.weight"),),
    ),
    Variation(
        "transformer",
        "groups by number of dimensions",
        (
            ("for p in model.blocks.parameters() if p.ndim == 2", "for p in model.parameters() if p.ndim == 2"),
            (f"        {_TABLES},\n        {_HEAD},\n", ""),
        ),
        (("MU104", "tokens.weight"),),
    ),
    Variation(
        "transformer",
        "rate of embeddings under the root of the width",
        ((_TABLES, '{"params": tables, "lr": RATE * ratio**-0.5}'),),
        (("MU104", "positions.weight"),),
    ),
    Variation(
        "transformer",
        "every rate divided by the width",
        (
            (_TABLES, '{"params": tables, "lr": RATE / ratio}'),
            _HEAD_RATE,
            (_VECTORS, '{"params": vectors, "lr": RATE / ratio'),
        ),
        (("MU105", "tokens.weight"),),
    ),
    Variation(
        "transformer",
        "the root of the head size",
        ((", scale=self.scale", ""),),
        (("MU405", "blocks.0.attention.qkv.weight"),),
    ),
    Variation(
        "transformer",
        "RAdam, whose first steps are plain gradients",
        (
            (
                "torch.optim.AdamW(groups, weight_decay=DECAY)",
                "torch.optim.RAdam(groups, decoupled_weight_decay=True)",
            ),
        ),
    ),
    Variation("transformer", "normed queries and keys", (_NORMED,)),
    Variation(
        "transformer",
        "normed queries and keys under the root",
        (_NORMED, (", scale=self.scale", "")),
        (("MU405", "scaled_dot_product_attention"),),
    ),
    Variation(
        "transformer",
        "post-norm",
        (
            ("x = x + self.attention(self.norm1(x))", "x = self.norm1(x + self.attention(x))"),
            (
                "return x + self.down(F.gelu(self.up(self.norm2(x))))",
                "return self.norm2(x + self.down(F.gelu(self.up(x))))",
            ),
        ),
    ),
    Variation(
        "transformer",
        "decay that grows faster than the rate falls",
        (("DECAY * ratio}", "DECAY * ratio**2}"),),
        (("MU112", "blocks.0.up.weight"),),
    ),
    Variation(
        "transformer",
        "a large epsilon",
        (("weight_decay=DECAY)\n\n\ndef loss", "weight_decay=DECAY, eps=1e-3)\n\n\ndef loss"),),
        (("MU111", "blocks.0.up.weight"),),
    ),
    Variation(
        "transformer",
        "SGD with the rates of AdamW",
        (("torch.optim.AdamW(groups", "torch.optim.SGD(groups"),),
        (("MU103", "blocks.0.up.weight"),),
    ),
)

_FIRST = '{"params": wide, "lr": RATE * ratio}'
_SGD_HEAD = '{"params": [model.head.weight], "lr": RATE * ratio}'
_SGD_PLAIN = ("self.head(x / self.ratio)", "self.head(x)")

MLP = (
    Variation("mlp", "table 8"),
    Variation(
        "mlp",
        "table 3",
        (
            (_HEAD_INIT, "nn.init.normal_(self.head.weight, std=0.1 / self.ratio)"),
            _SGD_PLAIN,
            (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE / ratio}'),
        ),
    ),
    Variation(
        "mlp",
        "table 9",
        (
            (_HEAD_INIT, "nn.init.normal_(self.head.weight, std=0.1 * self.ratio**-0.5)"),
            ("self.head(x / self.ratio)", "self.head(x * self.ratio**-0.5)"),
            (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE}'),
        ),
    ),
    Variation(
        "mlp",
        "zero readout",
        (_ZERO_HEAD, _SGD_PLAIN, (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE / ratio}')),
    ),
    Variation(
        "mlp",
        "standard parametrization",
        (
            (f"        {_HEAD_INIT}\n", ""),
            _SGD_PLAIN,
            (_FIRST, '{"params": wide, "lr": RATE}'),
            (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE}'),
        ),
        (("MU102", "first.weight"), ("MU401", "head.weight")),
    ),
    Variation(
        "mlp",
        "one rate",
        (
            (_FIRST, '{"params": wide, "lr": RATE}'),
            (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE}'),
        ),
        (("MU102", "first.weight"),),
    ),
    Variation(
        "mlp",
        "the first layer's rate",
        ((_FIRST, '{"params": wide, "lr": RATE}'),),
        (("MU102", "first.weight"),),
    ),
    Variation(
        "mlp",
        "Adam with the rates of SGD",
        (("torch.optim.SGD(groups, momentum=0.9)", "torch.optim.Adam(groups)"),),
        (("MU103", "body.0.weight"), ("MU103", "first.weight")),
    ),
    Variation(
        "mlp",
        "the rates of Adam",
        (
            ('{"params": hidden, "lr": RATE}', '{"params": hidden, "lr": RATE / ratio}'),
            (_FIRST, '{"params": wide, "lr": RATE}'),
            (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE}'),
        ),
        (("MU103", "body.0.weight"),),
    ),
    Variation("mlp", "no readout multiplier", (_SGD_PLAIN,), (("MU401", "head.weight"),)),
    Variation(
        "mlp",
        "constant std of hidden weights",
        (("std=1.4 * width**-0.5", "std=0.175"),),
        (("MU301", "body.1.weight"),),
    ),
)

_CONV_INIT = "nn.init.kaiming_normal_(layer.weight)"
_SINGLE = '{"params": single, "lr": RATE}'
RESNET = (
    Variation("resnet", "table 8"),
    Variation(
        "resnet",
        "zero readout",
        (
            ("nn.init.normal_(self.head.weight, std=0.2)", "nn.init.zeros_(self.head.weight)"),
            ("self.head(x.mean((2, 3))) / self.ratio", "self.head(x.mean((2, 3)))"),
            _HEAD_RATE,
        ),
    ),
    Variation(
        "resnet",
        "standard parametrization",
        (
            ("        nn.init.normal_(self.head.weight, std=0.2)\n", ""),
            ("self.head(x.mean((2, 3))) / self.ratio", "self.head(x.mean((2, 3)))"),
            (_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),
        ),
        (("MU101", "blocks.0.conv1.weight"), ("MU401", "head.weight")),
    ),
    Variation(
        "resnet",
        "hidden rate",
        ((_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),),
        (("MU101", "blocks.1.conv2.weight"),),
    ),
    Variation(
        "resnet",
        "no readout multiplier",
        (("self.head(x.mean((2, 3))) / self.ratio", "self.head(x.mean((2, 3)))"),),
        (("MU401", "head.weight"),),
    ),
    Variation(
        "resnet",
        "constant std of hidden weights",
        ((_CONV_INIT, "nn.init.normal_(layer.weight, std=0.05)"),),
        (("MU301", "blocks.0.conv1.weight"),),
    ),
    Variation(
        "resnet",
        "the rate of stem and depthwise convolutions",
        ((_SINGLE, '{"params": single, "lr": RATE / ratio}'),),
        (("MU104", "blocks.0.depthwise.weight"),),
    ),
    Variation(
        "resnet",
        "SGD in μP",
        (
            (_HIDDEN_RATE, '{"params": hidden, "lr": 10 * RATE'),
            (_SINGLE, '{"params": single, "lr": 10 * RATE * ratio}'),
            (_HEAD, '{"params": [model.head.weight], "lr": 10 * RATE * ratio}'),
            (_VECTORS, '{"params": vectors, "lr": 10 * RATE * ratio'),
            ("torch.optim.Adam(groups)", "torch.optim.SGD(groups, momentum=0.9)"),
        ),
    ),
    Variation(
        "resnet",
        "SGD with one rate",
        (
            (_HIDDEN_RATE, '{"params": hidden, "lr": 10 * RATE'),
            ("torch.optim.Adam(groups)", "torch.optim.SGD(groups, momentum=0.9)"),
        ),
        (("MU102", "stem.weight"),),
    ),
)

VIT = (
    Variation("vit", "table 8"),
    Variation("vit", "zero readout", (_ZERO_HEAD,)),
    Variation(
        "vit",
        "heads of one size under the root",
        (("self.heads = HEADS", "self.heads = HEADS * width // BASE"), ("4 * self.heads / width", "0.25")),
    ),
    Variation(
        "vit",
        "SGD in μP",
        (
            (_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),
            (_TABLES, '{"params": tables, "lr": RATE * ratio}'),
            (_HEAD, '{"params": [model.head.weight], "lr": RATE * ratio}'),
            (_VECTORS, '{"params": vectors, "lr": RATE * ratio'),
            ("torch.optim.Adam(groups)", "torch.optim.SGD(groups, momentum=0.9)"),
        ),
    ),
    Variation(
        "vit",
        "standard parametrization",
        (
            (f"        {_HEAD_INIT}\n", ""),
            ("self.norm(x[:, 0]) / self.ratio", "self.norm(x[:, 0])"),
            ("4 * self.heads / width", "(self.heads / width) ** 0.5"),
            (_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),
        ),
        (("MU101", "blocks.0.query.weight"), ("MU401", "head.weight"), ("MU405", "blocks.0.query.weight")),
    ),
    Variation(
        "vit",
        "hidden rate",
        ((_HIDDEN_RATE, '{"params": hidden, "lr": RATE'),),
        (("MU101", "blocks.0.value.weight"),),
    ),
    Variation(
        "vit",
        "no readout multiplier",
        (("self.norm(x[:, 0]) / self.ratio", "self.norm(x[:, 0])"),),
        (("MU401", "head.weight"),),
    ),
    Variation(
        "vit",
        "constant std of hidden weights",
        (("nn.init.xavier_uniform_(layer.weight)", "nn.init.trunc_normal_(layer.weight, std=0.1)"),),
        (("MU301", "blocks.1.up.weight"),),
    ),
    Variation(
        "vit",
        "Xavier on the patch embedding",
        ((_HEAD_INIT, f"{_HEAD_INIT}\n        nn.init.xavier_uniform_(self.patches.weight.flatten(1))"),),
        (("MU302", "patches.weight"),),
    ),
    Variation(
        "vit",
        "the rate of tokens and patches",
        ((_TABLES, '{"params": tables, "lr": RATE / ratio}'),),
        (("MU104", "token"),),
    ),
    Variation(
        "vit",
        "the root of the head size",
        (("4 * self.heads / width", "(self.heads / width) ** 0.5"),),
        (("MU405", "blocks.1.key.weight"),),
    ),
)

_BUILT = "optimizer=configure)"


def _scheduled(scheduler: str) -> tuple[str, str]:
    return _BUILT, f"optimizer=configure, scheduler={scheduler})"


_TORCH = "torch.optim.lr_scheduler"
_WRITTEN = """class Schedule:
    def __init__(self, optimizer):
        self.optimizer, self.count = optimizer, 0

    def step(self):
        self.count += 1
        for group in self.optimizer.param_groups:
            group["lr"] = {rate}


def case("""

SCHEDULES = (
    Variation("mlp", "a cosine", (_scheduled(f"lambda o: {_TORCH}.CosineAnnealingLR(o, 50)"),)),
    Variation(
        "mlp",
        "one cycle with a peak for every group",
        (_scheduled(f"lambda o: {_TORCH}.OneCycleLR(o, [4 * g['lr'] for g in o.param_groups], total_steps=50)"),),
    ),
    Variation(
        "mlp",
        "warm-up and decay by factors",
        (
            _scheduled(
                f"lambda o: {_TORCH}.SequentialLR(o, [{_TORCH}.LinearLR(o, 0.1), {_TORCH}.StepLR(o, 20)], [5])"
            ),
        ),
    ),
    Variation(
        "mlp", "a floor that does not count", (_scheduled(f"lambda o: {_TORCH}.CosineAnnealingLR(o, 50, 1e-6)"),)
    ),
    Variation(
        "mlp",
        "a rate written with the scale of its group",
        (("def case(", _WRITTEN.format(rate='0.99 * group["lr"]')), _scheduled("Schedule")),
    ),
    Variation(
        "mlp",
        "factors of the width from the schedule alone",
        (
            (_FIRST, '{"params": wide, "lr": RATE}'),
            (_SGD_HEAD, '{"params": [model.head.weight], "lr": RATE}'),
            _scheduled(
                f"lambda o: {_TORCH}.LambdaLR(o, [lambda t, f=f: f for f in (1, width / BASE, width / BASE, 1)])"
            ),
        ),
    ),
    Variation(
        "mlp",
        "one cycle with one peak",
        (_scheduled(f"lambda o: {_TORCH}.OneCycleLR(o, 0.1, total_steps=50)"),),
        (("MU202", "first.weight"), ("MU202", "head.weight")),
    ),
    Variation(
        "mlp",
        "a cosine with a floor",
        (_scheduled(f"lambda o: {_TORCH}.CosineAnnealingLR(o, 50, eta_min=0.01)"),),
        (("MU203", "first.weight"),),
    ),
    Variation(
        "mlp",
        "a plateau with a floor",
        (_scheduled(f"lambda o: {_TORCH}.ReduceLROnPlateau(o, min_lr=0.01)"),),
        (("MU203", "first.weight"),),
    ),
    Variation(
        "mlp",
        "an absolute rate",
        (("def case(", _WRITTEN.format(rate="RATE * 0.99**self.count")), _scheduled("Schedule")),
        (("MU201", "body.0.bias"),),
    ),
    Variation(
        "mlp",
        "a base rate from before the factors",
        (
            (
                "    return torch.optim.SGD(groups, momentum=0.9)",
                """    optimizer = torch.optim.SGD(groups, momentum=0.9)
    for group in optimizer.param_groups:
        group["initial_lr"] = RATE
    return optimizer""",
            ),
            _scheduled(f"lambda o: {_TORCH}.LambdaLR(o, lambda step: 0.9**step)"),
        ),
        (("MU204", "first.weight"),),
    ),
)

VARIATIONS = (*TRANSFORMER, *MLP, *RESNET, *VIT, *SCHEDULES)
