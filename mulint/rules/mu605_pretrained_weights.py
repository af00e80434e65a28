"""Rates by width on a model that starts from pretrained weights.

## What it does
Finds projects with an optimizer whose rates depend on the width and with weights that transformers'
`from_pretrained` loads. It says so only where it is selected by name: `--extend-select MU605`.

## Why is this bad?
The rates follow from the init: weights of order 1/√fan-in that training has not yet aligned. Pretrained weights
are neither, and were mostly trained under another parametrization, so the rates found for a small model need not
fit.

## Example
```python
from mup import MuAdamW, set_base_shapes
from transformers import AutoModelForCausalLM


def build(name, base, delta, rate):
    model = AutoModelForCausalLM.from_pretrained(name)
    set_base_shapes(model, base, delta=delta, rescale_params=False)
    return model, MuAdamW(model.parameters(), lr=rate)
```

## Use instead
```python
import torch
from transformers import AutoModelForCausalLM


def build(name, rate):
    model = AutoModelForCausalLM.from_pretrained(name)
    return model, torch.optim.AdamW(model.parameters(), lr=rate)
```

## What it leaves alone
Checkpoints that are loaded with `load_state_dict`, which is how a run of one's own resumes; tokenizers and
configurations.

## Fix safety
There is no automatic fix: tune the rate of a fine-tuning run at its own width.

## References
Yang et al., Tensor Programs V (arXiv 2203.03466), section 3: the parametrization is of a model at its init.
"""

from __future__ import annotations

from collections.abc import Iterator

from mulint.findings import Finding, Severity
from mulint.program import Program
from mulint.program.values import Site
from mulint.rules.rule import Header, subject

RULE = Header("MU605", "rates-on-pretrained-weights", Severity.NOTE, default=False)


def find(program: Program) -> Iterator[Finding]:
    """Pretrained weights beside optimizers that scale by width, once for each place."""
    scaled = [view.record for view in program.optimizers if view.is_scaled]
    found: dict[Site, Finding] = {}
    for practice in program.seen.practices:
        near = program.near(practice.site.path) if practice.kind == "pretrained" else frozenset()
        record = next((r for r in scaled if r.site.path in near), None)
        if record is not None:
            found[practice.site] = RULE.finding(
                practice.site,
                subject=subject("weights", practice.site),
                symbol=practice.name,
                message="pretrained weights do not start as the rates that depend on the width assume",
                expected="one rate, tuned at this width",
                found=f"{record.type} with rates that depend on the width",
                related=[(record.site, "the optimizer is built here")],
            )
    yield from found.values()
