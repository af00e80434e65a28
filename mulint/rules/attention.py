"""What the rules about the scale of attention share: attention whose scale has the wrong power of the width."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mulint.findings import Finding
from mulint.program import Program
from mulint.program.library.indexing import LAST_AXIS
from mulint.program.numbers import Number
from mulint.program.parameters import growths
from mulint.program.records import AttentionRecord
from mulint.program.values import Site
from mulint.rules import describe
from mulint.rules.rule import Header, subject
from mulint.rules.settings import Withheld
from mulint.theory import attention_scale_exponent, law, root_scale_exponent


def wrong(program: Program) -> Iterator[dict[Site, AttentionRecord]]:
    """Attention with the wrong scale, once for each function that computes it: its branches in source order.

    Not a class whose right scale waits for a setting that is out of reach.
    """
    found: dict[tuple[str, str], dict[Site, AttentionRecord]] = {}
    # Where one expression has either scale, by a flag or by its caller, the author keeps both parametrizations.
    # Where a caller gives more heads to a wider model, the head dimension is fixed.
    right = {a.site for a in program.seen.attentions if _may_be_right(program, a) or _is_fixed(program, a)}
    withheld = Withheld.of(program)
    for attention in program.seen.attentions:
        head, scale = _head_growth(program, attention), program.growth(_scale(program, attention))
        if not head or head < 0 or scale is None or attention.site in right or _is_exempt(program, attention):
            continue
        if withheld.has(attention.site.path, attention.owner, attention_scale_exponent(head)):
            continue
        key = (attention.site.path, attention.owner or str(attention.site.line))
        found.setdefault(key, {}).setdefault(_anchor(attention), attention)
    for branches in found.values():
        yield dict(sorted(branches.items(), key=lambda item: item[0].span))


def is_normalised(branches: dict[Site, AttentionRecord]) -> bool:
    """Whether every branch takes queries and keys that come from a norm."""
    return all(attention.norms for attention in branches.values())


def _is_between_channels(program: Program, attention: AttentionRecord) -> bool:
    """Whether the softmax runs over a part of the width, or of the last axis of what came in, and no sum does."""
    if program.growth(attention.over):
        return True
    axes, summed = (
        [symbol.name for symbol in size.symbols if symbol.kind == "size"]
        for size in (attention.over, attention.head_dim)
    )
    return axes == [LAST_AXIS] != summed and len(attention.over.symbols) > 1


def _is_exempt(program: Program, attention: AttentionRecord) -> bool:
    """Whether nothing can be said of a scale.

    The product of queries and keys of unit length is bounded whatever the head dimension, and one between channels
    is a sum over tokens. Of a scale that is a setting by itself the code does not show what it is given.
    """
    bounded = bool(attention.norms) and all(norm.unit for norm in attention.norms)
    scale = _scale(program, attention)
    return bounded or _is_between_channels(program, attention) or (scale.is_knob and program.growth(scale) == 0)


def _head_growth(program: Program, attention: AttentionRecord) -> Fraction | None:
    """How the head dimension grows; where it was not followed, the root of a width by a head count says it."""
    head, factor = program.growth(attention.head_dim), _scale(program, attention)
    if head is not None or program.growth(factor) != root_scale_exponent(Fraction(1)):
        return head
    by_count = all(len(scale.symbols) > 1 for scale in factor.alternatives)
    return Fraction(1) if by_count else None


def _scale(program: Program, attention: AttentionRecord) -> Number:
    """The scale; of a constant that may be given and what stands in for it, the latter."""
    several = [(size, program.growth(Number((size,)))) for size in attention.factor.alternatives]
    moving = tuple(size for size, growth in several if growth)
    known = all(growth is not None for _, growth in several)
    return Number(moving) if moving and known else attention.factor


def _may_be_right(program: Program, attention: AttentionRecord) -> bool:
    scales = growths(attention.factor, program.growth)
    heads = growths(attention.head_dim, program.growth)
    return any(head and attention_scale_exponent(head) in scales for head in heads)


def _is_fixed(program: Program, attention: AttentionRecord) -> bool:
    """Whether a width that grows is shared out among so many heads that a number is left for each."""
    if not attention.head_dim.computed or attention.head_dim.constant is None:
        return False
    return any(
        program.growth(size) and size.symbols == weight.fan_in.symbols
        for weight in attention.weights
        for index, size in enumerate(weight.dims)
        if index not in (weight.contracted or ())
    )


def _anchor(attention: AttentionRecord) -> Site:
    """The expression with the scale, else the call or product whose default implies it."""
    here = [s for s in attention.factor_sites if s.path == attention.site.path]
    return here[-1] if here else attention.site


def finding(rule: Header, program: Program, branches: dict[Site, AttentionRecord], more: str = "") -> Finding:
    """What the rules say of one function's attention; ``more`` completes the message."""
    (site, attention), *others = branches.items()
    head = _head_growth(program, attention) or Fraction(0)
    factor = _scale(program, attention)
    scale = program.growth(factor) or Fraction(0)
    due = attention_scale_exponent(head)
    width = describe.width_name(program, attention.head_dim, factor)
    followed = program.growth(attention.head_dim) is not None
    dimension = f"the head dimension {attention.head_dim} grows" if followed else "so the head dimension grows"
    how = "by default" if attention.implied else "here"
    return rule.finding(
        site,
        subject=subject("attention", site),
        symbol=attention.owner,
        message=f"attention logits are scaled by {law(scale, width)} {how}, and {dimension} with {width}{more}",
        expected=f"scale ∝ {law(due, width)}",
        found=f"scale {factor}",
        related=[
            *((other, "another branch of the same attention") for other, _ in others),
            *((s, "the scale comes from here") for s in attention.factor_sites if s != site),
            *([(attention.site, "the logits are computed here")] if attention.site != site else []),
        ],
    )
