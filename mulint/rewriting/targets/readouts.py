"""Readouts as the rewrites of every target see them: one call that builds a plain layer and nothing else."""

from __future__ import annotations

from collections.abc import Container

from mulint.facts import syntax as s
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite


def plain_readout(context: Context, site: Site, layers: Container[str], what: str) -> tuple[s.Call, str]:
    """The call that builds a readout, and the public name of its layer.

    Args:
        context: the unit.
        site: where the readout is built.
        layers: the layers that the target has a readout for.
        what: those, in words.

    Raises:
        CannotRewrite: it is built by something else, or the call builds other layers too.
    """
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
