"""A readout becomes a ``Readout``, which scales its input: the bias is not scaled, and every path passes."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.targets import readouts
from mulint.rewriting.targets.torch.template import READOUTS


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU401, MU409 or MU410."""
    readouts.rewrite(context, finding, READOUTS, "a linear layer or a convolution of torch itself", _write)


def _write(context: Context, site: Site, call: s.Call, plain: str) -> None:
    built = [layer for layer in context.program.seen.layers if layer.site == site]
    weights = [p.weight for p in context.program.parameters if p.weight.site == site]
    weights += [layer.weights["weight"] for layer in built if "weight" in layer.weights]
    # A tied table says nothing of what its use as a readout sums over.
    numbers = [w.dims[-1] if w.lookup else w.fan_in for w in weights if _is_matrix(w.dims)]
    ratio = context.bases.ratio(site, numbers, widths_only=True)
    context.imports.put(site.path, READOUTS[plain], call.function)
    context.tree.add_keywords(site.path, call, f"ratio={ratio}")


def _is_matrix(dims: tuple[object, ...]) -> bool:
    return len(dims) > 1
