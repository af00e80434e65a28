"""A readout becomes a ``Readout``, which scales its input: the bias is not scaled, and every path passes."""

from __future__ import annotations

from mulint.facts import syntax as s
from mulint.facts.spans import start_of
from mulint.findings import Finding
from mulint.program.library import modules
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.documents import Document
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.targets import readouts
from mulint.rewriting.targets.torch.template import READOUTS, SCALED_INPUT, readout_class


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU401, MU409 or MU410."""
    what = "one linear layer, or a convolution of torch itself"
    readouts.rewrite(context, finding, READOUTS, what, _write, _write_own)


def _write(context: Context, site: Site, call: s.Call, plain: str) -> None:
    ratio = _ratio(context, site)
    context.imports.put(site.path, READOUTS[plain], call.function)
    context.tree.add_keywords(site.path, call, f"ratio={ratio}")


def _write_own(context: Context, site: Site, call: s.Call) -> None:
    """A class beside the model, of the one that is called and of what scales an input."""
    document, path = context.tree.at(site), site.path
    around, called = document.class_at(site.span), document.source(call.function)
    ratio = _ratio(context, site)
    assert around is not None  # else there is no ratio
    if not _is_class(context, document, call.function, around):
        raise CannotRewrite(
            f"the readout is built by {called}, which is no class that is known above {around.name}",
            readouts.BY_HAND,
        )
    key = (path, called)
    if key not in context.own_readouts:
        name = f"{called.rpartition('.')[2]}Readout"
        if name in document.names:
            raise CannotRewrite(f"the name {name} is taken in {path}", f"rename {name} in {path}")
        context.imports.need(path, SCALED_INPUT)
        context.tree.add_line_before(path, around, *readout_class(name, called), "", "")
        context.own_readouts[key] = name
    context.tree.replace(path, call.function.span, context.own_readouts[key])
    context.tree.add_keywords(path, call, f"ratio={ratio}")


def _is_class(context: Context, document: Document, called: s.Expression, around: s.Class) -> bool:
    """Whether what is called is a class of the project, or a layer of a package, by then."""
    if modules.is_layer_name(document.qualified(called) or ""):
        return True
    if not isinstance(called, s.Name):
        return False
    above = [n for n in document.body if start_of(n.span) < start_of(around.span)]
    if any(isinstance(n, s.Class) and n.name == called.id for n in above):
        return True
    for node in (n for n in above if isinstance(n, s.Import) and n.binds == called.id):
        home = context.tree.documents.get(context.tree.resolve(node.module, document.path, node.level) or "")
        if home is not None and any(isinstance(n, s.Class) and n.name == node.name for n in home.body):
            return True
    return False


def _ratio(context: Context, site: Site) -> str:
    """The ratio of what the layer at a site sums over."""
    built = [layer for layer in context.program.seen.layers if layer.site == site]
    weights = [p.weight for p in context.program.parameters if p.weight.site == site]
    weights += [layer.weights["weight"] for layer in built if "weight" in layer.weights]
    # A tied table says nothing of what its use as a readout sums over.
    numbers = [w.dims[-1] if w.lookup else w.fan_in for w in weights if _is_matrix(w.dims)]
    return context.bases.ratio(site, numbers, widths_only=True)


def _is_matrix(dims: tuple[object, ...]) -> bool:
    return len(dims) > 1
