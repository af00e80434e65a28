"""A readout becomes a ``mup.MuReadout``, which scales its input; one that is tied stays tied."""

from __future__ import annotations

from mulint.findings import Finding
from mulint.rewriting.context import Context
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets import parameter
from mulint.rewriting.targets.readouts import plain_readout
from mulint.rules.readouts import readouts

LAYER = "torch.nn.Linear"


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU401, MU409 or MU410."""
    site = site_of(finding)
    found = next((r for r in readouts(context.program) if r.site == site), None)
    if found is not None and found.parameter.weight.layer is None and not found.parameter.tied:
        parameter.rewrite(context, found)
        return
    call, _ = plain_readout(context, site, (LAYER,), "a linear layer of torch itself, the only one mup has")
    context.imports.put_from_package(site.path, "mup.MuReadout", call.function)
    context.readouts.append(site)
