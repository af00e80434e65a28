"""Recurrent layers and attention biases with torch's own init.

## What it does
Finds `nn.LSTM`, `nn.GRU` and `nn.RNN` that read something finite with torch's default weights, and the `bias_k`
and `bias_v` of `nn.MultiheadAttention`.

## Why is this bad?
torch draws all weights of a recurrent layer from U(±1/√hidden), whatever they read. That is right for the
recurrent weights; the input weights sum over a fixed number of inputs, so theirs must not depend on the width.
What the cell reads shrinks as 1/√hidden. The biases of attention's keys and values are drawn by `xavier_normal_`,
which shrinks in the same way.

## Example
```python
from torch import nn


class Reader(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.cell = nn.LSTM(3, hidden, batch_first=True)
        self.mix = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x):
        states, _ = self.cell(x)
        return self.head(self.mix(states[:, -1]).relu())
```

## Use instead
```python
class Reader(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.cell = nn.LSTM(3, hidden, batch_first=True)
        self.mix = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)
        nn.init.normal_(self.cell.weight_ih_l0, std=0.2)

    def forward(self, x):
        states, _ = self.cell(x)
        return self.head(self.mix(states[:, -1]).relu())
```

## What it leaves alone
Layers that read a width (there the default has the right power), weights that the code draws itself, inputs whose
size is a knob, and the default biases, whose effect is small.

## Fix safety
No automatic fix: another scale changes the base model.

## References
PyTorch, `torch.nn.RNNBase.reset_parameters`; Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8, column of
input weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.library.layers import ROWS
from mulint.program.parameters import Parameter, same_site
from mulint.program.records import Layer
from mulint.program.run import truth
from mulint.program.values import Constant, as_number
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.theory import Role, init_std_exponent, law, required_init

RULE = Header("MU306", "default-init-of-recurrent-input", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Input weights of recurrent layers, and key and value biases, with torch's default."""
    inputs = [p for p in program.parameters if p.role is Role.INPUT and p.weight.name == "weight_ih_l0"]
    for group in same_site(inputs):
        if any(p.weight.inits for p in group) or group[0].weight.fan_in.constant is None:
            continue
        yield from _recurrent(program, group[0])
    seen = set()
    for layer in program.seen.layers:
        if layer.site not in seen and _has_wide_biases(program, layer):
            seen.add(layer.site)
            yield _attention(program, layer)


def _recurrent(program: Program, parameter: Parameter) -> Iterator[Finding]:
    layer = parameter.weight.layer
    if layer is None or ROWS[layer.type].behaviour != "recurrent":
        return
    hidden = as_number(layer.arguments["hidden_size"])
    growth = program.growth(hidden)
    if not growth:
        return
    # U(±1/√hidden) is what kaiming_uniform_ draws for a weight that reads the hidden size.
    scale = init_std_exponent("kaiming_uniform_", fan_in_exponent=growth, fan_out_exponent=growth)
    width = describe.width_name(program, hidden)
    yield RULE.finding(
        layer.site,
        subject=subject("recurrent", layer.site),
        symbol=parameter.weight.symbol,
        message=f"{parameter.weight.symbol} reads a fixed size but starts ∝ {law(scale, width)}, torch's default",
        expected=f"std ∝ {law(required_init(Role.INPUT), width)}",
        found=f"std ∝ {law(scale, width)}",
    )


def _has_wide_biases(program: Program, layer: Layer) -> bool:
    if (
        ROWS[layer.type].behaviour != "attention"
        or truth(layer.arguments.get("add_bias_kv", Constant(False))) is not True
    ):
        return False
    return bool(program.growth(as_number(layer.arguments["embed_dim"])))


def _attention(program: Program, layer: Layer) -> Finding:
    size = as_number(layer.arguments["embed_dim"])
    growth = program.growth(size) or required_init(Role.VECTOR)
    scale = init_std_exponent("xavier_normal_", fan_in_exponent=growth, fan_out_exponent=growth)
    width = describe.width_name(program, size)
    return RULE.finding(
        layer.site,
        subject=subject("recurrent", layer.site),
        symbol=layer.symbol,
        message=f"bias_k and bias_v of {layer.symbol} start ∝ {law(scale, width)}, torch's default",
        expected=f"std ∝ {law(required_init(Role.VECTOR), width)}",
        found=f"std ∝ {law(scale, width)}",
    )
