"""A readout becomes a ``mup.MuReadout``, which scales its input; one that is tied stays tied."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.targets import readouts

LAYER = "torch.nn.Linear"


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU401, MU409 or MU410."""
    readouts.rewrite(context, finding, (LAYER,), "a linear layer of torch itself, the only one mup has", _write)


def _write(context: Context, site: Site, call: s.Call, _: str) -> None:
    context.imports.put_from_package(site.path, "mup.MuReadout", call.function)
    context.readouts.append(site)
