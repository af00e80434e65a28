"""A factor of the width inside the model, on what a hidden weight gives.

## What it does
Finds outputs of hidden weights that are multiplied by a power of the width, as in `x + self.mix(x) / width`, and
then go into a sum, an activation function or another hidden weight, while the weight's init has its own factor
already.

## Why is this bad?
With an init ∝ 1/√fan_in what a hidden weight gives keeps its size at every width, and so do its updates under μP.
A further factor makes both shrink or grow: in a wide model the branch falls silent or drowns the rest, and no
learning rate repairs that.

## Example
```python
from torch import nn


class Model(nn.Module):
    def __init__(self, features, width, classes):
        super().__init__()
        self.width = width
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x).relu()
        x = x + self.mix(x) * self.width**-0.5
        return self.head(x)
```

## Use instead
```python
class Model(nn.Module):
    def __init__(self, features, width, classes, base_width):
        super().__init__()
        self.scale = base_width**-0.5
        self.embed = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x).relu()
        x = x + self.mix(x) * self.scale
        return self.head(x)
```

## What it leaves alone
Factors that an init makes up for (unit scaling, NTK), scales of attention (MU405), products (MU407), embeddings
(MU404) and readouts (MU401, MU402), factors of the depth, whatever goes straight into a norm, what was
summed over the width, weights with a parametrization, and numbers of heads or streams.

## Fix safety
There is no automatic fix: the factor was a choice at one width, and which constant stands for it is one too.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), Table 8: hidden weights have no multiplier.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.dimensions import Symbol
from mulint.program.parameters import Parameter
from mulint.program.records import Application, ScaledActivation
from mulint.program.values import Site
from mulint.rules import describe, draws
from mulint.rules.rule import Header, subject
from mulint.rules.steps import remade
from mulint.theory import Role, law, required_init

RULE = Header("MU411", "width-factor-inside-the-model", Severity.WARNING)


def find(program: Program) -> Iterator[Finding]:
    """Factors of the width on what hidden weights give, once for each place."""
    parameters = {id(p.weight): p for p in program.parameters}
    apart, counts = _told_elsewhere(program, parameters), _counts(program)
    made = remade(program)  # what a parametrization makes of a weight has a scale of its own
    found: dict[Site, Finding] = {}
    for scaled in program.seen.scaled:
        growth, size = program.growth(scaled.factor), program.growth(scaled.size)
        if not growth or not size or size < 0 or apart & set(scaled.sites) or counts & scaled.factor.symbols:
            continue
        uses = [*scaled.linear, *([scaled.taker] if scaled.taker else [])]
        if any(use.layer is not None and id(use.layer) in made for use in uses):
            continue
        if scaled.sites[-1] not in found and all(_is_right(program, parameters, use) for use in uses):
            found[scaled.sites[-1]] = _finding(program, scaled)
    yield from found.values()


def _told_elsewhere(program: Program, parameters: dict[int, Parameter]) -> set[Site]:
    """Where factors of attention, of lookups and on what any other than a hidden weight takes appear."""
    sites = {site for attention in program.seen.attentions for site in attention.factor_sites}
    sites |= {scale.site for scale in program.seen.lookup_scales}
    for use in program.seen.applications:
        parameter = parameters.get(id(use.weight))
        if use.kind == "linear" and (parameter is None or parameter.role is not Role.HIDDEN):
            sites.update(use.before_sites)
    return sites


def _counts(program: Program) -> frozenset[Symbol]:
    """Numbers of heads or streams: what multiplies a width in a size, and is no width of a weight by itself."""
    hidden = [p.weight.dims for p in program.parameters if p.role is Role.HIDDEN]
    terms = [t for dims in hidden for size in dims for a in size.alternatives for t, _ in a.terms]
    together = [{symbol for symbol, power in term if power > 0} & program.widths for term in terms]
    alone = [{s for size in dims for s in size.symbols & program.widths} for dims in hidden]
    multiplied = frozenset(symbol for symbols in together if len(symbols) > 1 for symbol in symbols)
    return multiplied - {symbol for symbols in alone if len(symbols) == 1 for symbol in symbols}


def _is_right(program: Program, parameters: dict[int, Parameter], use: Application) -> bool:
    """Whether it applies a hidden weight whose init gives the right scale without a factor."""
    parameter = parameters.get(id(use.weight))
    if parameter is None or parameter.role is not Role.HIDDEN or use.kind != "linear":
        return False
    if not use.weight.inits:
        return use.layer is not None and use.layer.type == "torch.nn.Linear"
    exponents = {draw.exponent for draw in draws.draws_of(program, parameter)}
    return exponents == {required_init(Role.HIDDEN)}


def _finding(program: Program, scaled: ScaledActivation) -> Finding:
    site = scaled.sites[-1]
    width = describe.width_name(program, scaled.factor)
    growth = program.growth(scaled.factor)
    assert growth is not None
    weights = sorted({use.weight.symbol.removesuffix(".weight") for use in scaled.linear})
    built = [p for p in program.parameters if any(use.weight is p.weight for use in scaled.linear)]
    return RULE.finding(
        site,
        subject=subject("factor", site),
        symbol=weights[0],
        message=f"what {describe.listed(weights)} gives is multiplied by {law(growth, width)}",
        expected="a factor that does not depend on the width",
        found=f"factor {scaled.factor}",
        related=[*((s, "the factor comes from here") for s in scaled.sites[:-1]), *describe.weights(built)],
    )
