"""Readouts as the rewrites of every target see them: raw weights, and calls that build a plain layer alone."""

from __future__ import annotations

from collections.abc import Callable, Container

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets import parameter
from mulint.rules.readouts import readouts

# Given the unit, the site, the call that builds the layer and the layer's public name, writes the readout.
Write = Callable[[Context, Site, s.Call, str], None]


def rewrite(context: Context, finding: Finding, layers: Container[str], what: str, write: Write) -> None:
    """Repair MU401, MU409 or MU410: a raw weight where it is applied, a layer by what the target writes.

    Args:
        context: the unit.
        finding: what is repaired.
        layers: the layers that the target has a readout for.
        what: those, in words.
        write: writes the target's readout in place of a layer.

    Raises:
        CannotRewrite: it cannot be repaired.
    """
    site = site_of(finding)
    found = next((r for r in readouts(context.program) if r.site == site), None)
    if found is not None and found.parameter.weight.layer is None and not found.parameter.tied:
        parameter.rewrite(context, found)
        return
    write(context, site, *_plain(context, site, layers, what))


def _plain(context: Context, site: Site, layers: Container[str], what: str) -> tuple[s.Call, str]:
    """The call that builds a readout, which builds nothing else, and the public name of its layer."""
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    built = [layer for layer in context.program.seen.layers if layer.site == site]
    own = any(c.site == site for c in context.program.seen.constructions)
    plain = (call and document.qualified(call.function)) or ""
    if call is None or plain not in layers or own or any(layer.type != plain for layer in built):
        raise CannotRewrite(
            f"the readout is not built by {what}",
            "multiply the readout's input by the base width over the width, inside the module",
        )
    here = [p for p in context.program.parameters if p.weight.site == site and len(p.weight.dims) > 1]
    if any(not p.may_be_readout for p in here):
        raise CannotRewrite(
            "the same call also builds layers that are no readouts", "build the readout by a call of its own"
        )
    return call, plain
