"""Attention keeps its operation and gets the missing power of the ratio of head dimensions after it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from mulint.facts import syntax as s
from mulint.findings import Finding
from mulint.program.records import AttentionRecord
from mulint.program.values import Site
from mulint.rewriting.context import Context
from mulint.rewriting.edits import CannotRewrite
from mulint.rewriting.findings import site_of
from mulint.theory import attention_scale_exponent, ratio_power

_SDPA = "scaled_dot_product_attention"
_LAYER = "torch.nn.MultiheadAttention"


def rewrite(context: Context, finding: Finding) -> None:
    """Repair MU405: every branch of the attention that the finding names."""
    anchor = site_of(finding)
    seen = context.program.seen.attentions
    owners = {a.owner for a in seen if anchor in (a.site, *a.factor_sites)}
    branches = [a for a in seen if a.owner in owners and a.site.path == anchor.path]
    for site in dict.fromkeys(a.site for a in branches):
        _branch(context, [a for a in branches if a.site == site])


def _branch(context: Context, records: list[AttentionRecord]) -> None:
    """One place that computes logits, as seen in every context."""
    growing = [(a, power) for a in records if (power := _missing(context, a))]
    if not growing:
        return
    powers = {power for _, power in growing}
    if len(powers) > 1:
        raise CannotRewrite("its scale differs from one use to another", "scale each use by hand")
    record, power = growing[0]
    ratio = context.bases.ratio(record.site, [a.head_dim for a, _ in growing], widths_only=False)
    factor = ratio_power(power, ratio)
    document = context.tree.at(record.site)
    call = document.exactly(record.site.span, s.Call)
    if call is not None and record.implied and document.qualified(call.function) == _LAYER:
        _query(context, record.site, call, ratio, factor)
    elif call is not None and record.implied:
        _implied(context, record.site, call, factor)
    elif call is not None and "scale" in call.named and _is_fused(call):
        context.tree.times(record.site.path, next(k.value for k in call.keywords if k.name == "scale"), factor)
    else:
        _manual(context, record.site, record.factor_sites, factor)


def _missing(context: Context, attention: AttentionRecord) -> Fraction:
    """The power of the ratio of head dimensions that the logits lack; 0 where nothing grows or is known."""
    head = context.program.growth(attention.head_dim)
    scale = context.program.growth(attention.factor)
    if not head or head < 0 or scale is None:
        return Fraction(0)
    return (attention_scale_exponent(head) - scale) / head


def _is_fused(call: s.Call) -> bool:
    function = call.function
    return (function.name if isinstance(function, s.Attribute) else getattr(function, "id", "")) == _SDPA


def _implied(context: Context, site: Site, call: s.Call, factor: str) -> None:
    """``scaled_dot_product_attention`` without a scale: its default is written out and multiplied."""
    query, given = call.argument("query", 0), call.argument("scale")
    if not _is_fused(call) or not isinstance(query, s.Name | s.Attribute):
        raise CannotRewrite(
            "the scale is inside a library's layer",
            "use scaled_dot_product_attention, or divide the queries by the root of the ratio of head dimensions",
        )
    context.imports.need_module(site.path, "math")
    document = context.tree.at(site)
    # Equal to the default in every dtype; a power -0.5 or sqrt(d) / d is not.
    value = f"(1.0 / math.sqrt({document.source(query)}.size(-1))) * {factor}"
    scale = context.tree.name_before(site.path, site.span, "scale", value)
    if given is not None:
        context.tree.replace(site.path, given.span, scale)
    else:
        context.tree.add_keywords(site.path, call, f"scale={scale}")


def _query(context: Context, site: Site, built: s.Call, ratio: str, factor: str) -> None:
    """``MultiheadAttention`` without biases: the query is multiplied in every call of the layer that is built."""
    given = built.argument("bias", 3)
    if not isinstance(given, s.Literal) or given.value is not False:
        raise CannotRewrite(
            "the scale is inside a library's layer, which adds a bias to the query that a factor would not reach",
            "build the layer with bias=False, or use scaled_dot_product_attention",
        )
    uses = [a for a in context.program.seen.applications if a.layer is not None and a.layer.site == site]
    home = context.bases.kind_at(site)
    for place in dict.fromkeys(use.site for use in uses):
        call = context.tree.at(place).exactly(place.span, s.Call)
        query = call.argument("query", 0) if call else None
        around = context.bases.kind_at(place)
        inside = home is not None and around is not None and around.node is home.node
        if not inside or not isinstance(query, s.Name | s.Attribute):
            uses = []
            break
        # At the base the query itself: attention computes in another way where it is the key as well.
        plain = context.tree.at(place).source(query)
        value = f"{plain} if {ratio} == 1.0 else {plain} * {factor}"
        context.tree.replace(
            place.path, query.span, context.tree.name_before(place.path, place.span, "query", value)
        )
    if not uses:
        raise CannotRewrite(
            "the scale is inside a library's layer, and its query is no variable in the class that builds it",
            f"multiply the query by {factor} in every call of the layer",
        )


def _manual(context: Context, site: Site, factor_sites: Iterable[Site], factor: str) -> None:
    """Logits computed by hand: the last operation that scales them, else the product itself."""
    document = context.tree.at(site)
    here = [place for place in factor_sites if place.path == site.path]
    span = here[-1].span if here else site.span
    product = document.exactly(span, s.Binary)
    call = document.exactly(span, s.Call)
    update = document.exactly(span, s.AugmentedAssign)
    if product is not None and product.operator in ("*", "/", "@"):
        context.tree.times(site.path, product, factor)
    elif update is not None and update.operator == "*":
        context.tree.times(site.path, update.value, factor)
    elif call is not None:
        context.tree.times(site.path, call, factor)
    else:
        raise CannotRewrite(
            "the operation that scales the logits was not recognised", f"multiply the logits by {factor}"
        )
