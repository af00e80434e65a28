"""A readout becomes a ``Readout``, which scales its input: the bias is not scaled, and every path passes."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets.torch.template import READOUT

_PLAIN = "torch.nn.Linear"


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU401 or MU409."""
    site = site_of(finding)
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    built = [layer for layer in context.program.seen.layers if layer.site == site]
    own = any(c.site == site for c in context.program.seen.constructions)
    named = call is not None and document.qualified(call.function) == _PLAIN
    if call is None or not named or own or any(layer.type != _PLAIN for layer in built):
        raise CannotRewrite(
            "the readout is not built by torch.nn.Linear itself",
            "multiply the readout's input by the base width over the width, inside the module",
        )
    _check_shared(context, site)
    numbers = [
        p.weight.dims[-1]
        for p in context.program.parameters
        if p.weight.site == site and _is_matrix(p.weight.dims)
    ]
    numbers += [layer.weights["weight"].dims[-1] for layer in built if "weight" in layer.weights]
    ratio = context.bases.ratio(site, numbers, widths_only=True)
    context.imports.need(site.path, READOUT)
    context.tree.replace(site.path, call.function.span, READOUT)
    context.tree.add_keywords(site.path, call, f"ratio={ratio}")


def _is_matrix(dims: tuple[object, ...]) -> bool:
    return len(dims) > 1


def _check_shared(context: Context, site: Site) -> None:
    """One call that builds readouts and other layers cannot become a readout."""
    here = [p for p in context.program.parameters if p.weight.site == site and _is_matrix(p.weight.dims)]
    if any(not p.may_be_readout for p in here):
        raise CannotRewrite(
            "the same call also builds layers that are no readouts", "build the readout by a call of its own"
        )
