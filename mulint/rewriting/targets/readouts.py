"""Readouts as the rewrites of every target see them: raw weights, and calls that build a plain layer alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.library.layers import ROWS
from mulint.program.parameters import Parameter
from mulint.program.records import Layer
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.rewriting.targets import parameter
from mulint.rules.readouts import readouts

BY_HAND = "multiply the readout's input by the base width over the width, inside the module"
# Given the unit, the site, the call that builds the layer and the layer's public name, writes the readout.
Write = Callable[[Context, Site, s.Call, str], None]
# Given the unit, the site and the call, writes a readout of the class that is called.
WriteOwn = Callable[[Context, Site, s.Call], None]


def rewrite(
    context: Context,
    finding: Finding,
    layers: Container[str],
    what: str,
    write: Write,
    write_own: WriteOwn | None = None,
) -> None:
    """Repair MU401, MU409 or MU410: a raw weight where it is applied, a layer by what the target writes.

    Args:
        context: the unit.
        finding: what is repaired.
        layers: the layers that the target has a readout for.
        what: those, in words.
        write: writes the target's readout in place of a layer.
        write_own: writes one in place of a layer of another class, if the target can.

    Raises:
        CannotRewrite: it cannot be repaired.
    """
    site = site_of(finding)
    found = next((r for r in readouts(context.program) if r.site == site), None)
    if found is not None and all(use.layer is None or _is_table(use.layer) for use in found.uses):
        parameter.rewrite(context, found)
        return
    document = context.tree.at(site)
    call = document.exactly(site.span, s.Call)
    plain = (call and document.qualified(call.function)) or ""
    here = [p for p in context.program.parameters if p.weight.site == site and len(p.weight.dims) > 1]
    own = any(c.site == site for c in context.program.seen.constructions)
    built = {layer.type for layer in context.program.seen.layers if layer.site == site}
    if call is not None and plain in layers and built <= {plain} and not own:
        if any(not p.may_be_readout for p in here):
            raise CannotRewrite(
                "the same call also builds layers that are no readouts", "build the readout by a call of its own"
            )
        write(context, site, call, plain)
    elif call is not None and write_own is not None and _is_one_layer(here):
        write_own(context, site, call)
    else:
        raise CannotRewrite(f"the readout is not built by {what}", BY_HAND)


def _is_one_layer(here: Collection[Parameter]) -> bool:
    """Whether a call builds one matrix alone, in a class that is a linear layer or is made from one."""
    layers = [p.weight.layer for p in here]
    linear = all(layer is not None and ROWS[layer.type].behaviour == "linear" for layer in layers)
    return linear and len({p.key for p in here}) == 1 and all(p.may_be_readout for p in here)


def _is_table(layer: Layer) -> bool:
    """Whether a layer looks up rows of its weight: what reads its weight out is a product beside it."""
    return ROWS[layer.type].behaviour == "lookup"
