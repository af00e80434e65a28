"""The settings of a model by what their names say, and the values that all of them take at a width."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from mulint.tracing.blueprints import MISSING, Blueprint
from mulint.tracing.leaves import changed
from mulint.tracing.model import CannotBuild

SMALLEST = 64
LEAST = 16  # the smallest width where those from SMALLEST on make the widest model heavy
HEAVY = 100_000_000  # numbers in matrices
SMALLEST_HEAD = 4
HEAD_COUNT = 4
DEPTH = 2
VOCABULARY = 256
CONTEXT = 32

# Names are only candidates: a knob counts when building at two values changes the parameters.
WIDTH = re.compile(
    r"(n_embd|n_embed|d_model|dim|width|model_dim|channel|(n_|num_|d_|base_|hidden_|embed_|emb_|model_)?"
    r"(hidden|channels|units|filters|embedding_dim|emb_dim|embed_dim|hidden_dim|hidden_size|emb_size|embed_size|embd)s?"
    r"|hidden_(size|dim|units|channels|width|features)s?|embedding_(dim|size)|embed(ding)?_channels|nhid|ninp|ngf|ndf|nf|"
    r"intermediate_size|mlp_dim|ffn_dim|dim_feedforward|d_ff|d_mlp|d_inner|ffn_hidden_size|inner_dim|dim_ff|growth_rate|"
    r"width_mult(iplier)?|widen_factor|wm|encoder_ffn_dim|decoder_ffn_dim|"
    r"(vision|visual|text|transformer|encoder|decoder|backbone)_(width|embed_dim|hidden_size|hidden_dim|d_model))"
)
HEADS = re.compile(r"(.*_)?(n|num|q|kv)*heads|(n|num|n_|num_)?(attention_|attn_)?head")
HEAD_SIZES = re.compile(
    r".*(head_(dim|size)|d_kv|kv_channels|dim_head|qk_rope_head_dim|qk_nope_head_dim|v_head_dim)"
    r"|d_(head|k|v|q|key|value|query)"
)
LAYERS = re.compile(
    r"(n_|num_|n|num)?(hidden_|encoder_|decoder_|enc_|dec_)?(layers?|blocks?)|depth|n_depth|num_depth"
)
TOKENS = re.compile(r"(n_|num_|src_|tgt_)?(vocab|tokens?|embeddings)(_size|_sz)?|ntokens?|n_vocab|vocabulary_size")
CONTEXTS = re.compile(
    r"block_size|context(_length|_size|_len)?|n_ctx|n_positions|(max_)?(seq|sequence)_?(len|length)|max_len(gth)?"
    r"|max_position_embeddings|max_positions?|max_seqlen|ctx_len|T_max"
)
DROPOUTS = re.compile(
    r"(.*_)?(dropout|drop|pdrop|dropout_prob|dropout_p|drop_rate|p_drop|drop_path|drop_path_rate)(_.*)?"
)
BASES = re.compile(r"(mup_)?base_(?P<after>\w+)|(mup_)?(?P<before>\w+)_base")
# Not widths, even where a layer mixes over them: positions, pictures, experts, identifiers, input channels.
OTHER = re.compile(
    r".*(image|img|input|window|patch|kernel|grid|feat)_?size.*|.*experts?(_per.*)?|.*_ids?|.*stride.*|.*kernel.*"
    r"|.*(num_|in_|input_)(channels|chans)|.*groups?|.*max_.*position.*|.*resolution.*|.*num_(mel|frames|labels).*"
)
# Not widths of a class of one's own either: multiples of a width, lengths of sequences, what data are made of.
FACTORS = re.compile(
    r".*(ratio|mult|factor|expan|scale).*|.*(len|length|patches)|(obs|action|data|label|x|y)_(dim|size)"
)
# Sizes between layers that are held, although they might grow.
NARROW = re.compile(r".*(rank|bottleneck|latent|squeeze|reduc|lora|adapter|code|state).*|(n_|d_)?z(_dim|_size)?")
# Not sizes of layers, where others are: how many of something.
COUNTS = re.compile(r"(n|num)_.+")
# The inputs of a model, unless another setting names them: then its width.
FEATURES = re.compile(r"(n_|num_)?features")
INPUTS = re.compile(
    r"(in|input|img|image)_?(dim|size|features|channels|chans|ch)|n_in|d_in|n_channels|channels_in"
)
# What a required argument gets when nobody says.
REQUIRED = (
    (
        re.compile(
            r"(num_|n_)?classes|out(put)?_(dim|size|features)|num_labels|n_out|out_features|dim_out|n_class"
        ),
        10,
    ),
    (re.compile(r"in(put)?_(dim|size|features)|n_in|features|n_features|num_features|d_in|dim_in"), 32),
    (re.compile(r"(in_|input_|img_|image_)?(channels|chans)|in_ch|n_in_channels|nc"), 3),
    (re.compile(r"(image|img|input)_size|resolution"), 32),
    (re.compile(r"patch(_size)?"), 8),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every setting as a function of the width of the first knob.

    ``knobs``: settings, or numbers in one that is a list: ``channels.0``.
    ``real``: knobs that are not rounded to whole numbers.
    """

    knobs: tuple[str, ...]
    fixed: Mapping[str, Any]
    ratios: Mapping[str, Fraction]
    follow: Mapping[str, ast.expr]
    real: frozenset[str] = frozenset()

    def sizes(self, width: float) -> dict[str, int | float]:
        """The knobs alone at one width."""
        found: dict[str, int | float] = {}
        for name, ratio in self.ratios.items():
            exact = ratio * Fraction(width)
            small = exact < 4 and exact.denominator != 1
            found[name] = float(exact) if small or name in self.real else round(exact)
        return found

    def at(self, width: float) -> dict[str, Any]:
        """All values at one width."""
        values = merged(self.fixed, self.sizes(width))
        for name, expression in self.follow.items():
            values[name] = _evaluate(expression, values, name)
        return values


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values of which some have changed, also inside of lists: ``channels.0``."""
    found = dict(values)
    for path, new in changes.items():
        name, _, inner = path.partition(".")
        if inner and name in values:
            found[name] = changed(found[name], {inner: new})
        else:
            found[path] = new
    return found


def fixed_settings(plan: Blueprint, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Settings that make the model small and deterministic, and what was assumed for them.

    Raises:
        CannotBuild: a setting is unknown, or one without default cannot be guessed.
    """
    unknown = [name for name in given if name not in plan.defaults]
    if unknown:
        raise CannotBuild(f"{plan.name} has no setting {', '.join(unknown)}; it has {', '.join(plan.defaults)}")
    values: dict[str, Any] = {}
    said: list[str] = []
    for name, default in plan.defaults.items():
        value = given.get(name, _small(name.lower(), default))
        if value is MISSING and not WIDTH.fullmatch(name.lower()):
            raise CannotBuild(f"{plan.name} needs {name}, which has no default; pass --set {name}=VALUE")
        values[name] = value
        if name not in given and value is not default and value != default:
            before = "no default" if default is MISSING else f"default {default!r}"
            said.append(f"{name} = {value!r} ({before})")
    return values, said


def _small(name: str, default: Any) -> Any:
    number = isinstance(default, int) and not isinstance(default, bool)
    for pattern, small in ((LAYERS, DEPTH), (TOKENS, VOCABULARY), (CONTEXTS, CONTEXT), (HEADS, HEAD_COUNT)):
        if pattern.fullmatch(name):
            if default is MISSING or (default is None and not name.startswith(("kv", "n_kv", "num_k"))):
                return small
            if pattern is HEADS or not number:
                return default
            return min(default, small) if default > 0 else small
    if DROPOUTS.fullmatch(name):
        return 0.0 if default is MISSING or isinstance(default, float) else default
    if default is not MISSING:
        return default
    return next((value for pattern, value in REQUIRED if pattern.fullmatch(name)), MISSING)


def based(settings: Settings, base: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Fill the settings that hold the base of the parametrization (``base_n_embd``) and are ``None`` by default.

    ``base`` has the values that all settings take in the base model.
    """
    found = {}
    for name, value in settings.fixed.items():
        of = base_of(name)
        of = settings.knobs[0] if of in ("width", "dim") else of
        if value is None and of is not None and of in base:
            found[name] = base[of]
    said = [f"{name} = {value!r}, as in the base" for name, value in found.items()]
    return replace(settings, fixed={**settings.fixed, **found}), said


def base_of(name: str) -> str | None:
    """The setting whose base a setting holds, by its name: ``n_embd`` for ``base_n_embd``."""
    match = BASES.fullmatch(name)
    return str(match["before"] or match["after"]) if match else None


def bare_name(name: str) -> str:
    """What a setting is called, without the way to it and without its index in a list."""
    parts = [part for part in name.lower().split(".") if not part.isdigit()]
    return parts[-1] if parts else name


def is_size(value: Any) -> bool:
    """A positive number, or one that has to be given."""
    return value is MISSING or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)


OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def parsed(name: str, text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise CannotBuild(
            f"--follow '{name}={text}' is not an expression; write e.g. --follow 'd_ff=4 * d_model'"
        ) from error


def _evaluate(expression: ast.expr, values: Mapping[str, Any], name: str) -> Any:
    match expression:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=other) if other in values:
            return values[other]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            sides = _evaluate(left, values, name), _evaluate(right, values, name)
            try:
                result = OPERATORS[type(op)](*sides)
            except (TypeError, ZeroDivisionError) as error:
                raise CannotBuild(
                    f"--follow {name}: {ast.unparse(expression)} cannot be computed from {sides[0]} and "
                    f"{sides[1]}; give what it uses a value with --set"
                ) from error
            return int(result) if isinstance(result, float) and result.is_integer() else result
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, values, name)
    raise CannotBuild(
        f"--follow {name}: {ast.unparse(expression)} is not understood; use settings, numbers and + - * / // % **"
    )
