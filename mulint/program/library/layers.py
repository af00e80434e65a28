"""Layers of torch and mup: where the weights of each are and which of their dimensions are contracted.

A new layer type is one row of ``ROWS``. Sizes are functions of the constructor's arguments by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from mulint.program.numbers import ONE, Number

Sizes = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One parameter of a layer: its name, its sizes, the contracted ones, the argument that switches it on.

    ``std`` is that of the constructor's own draw, where it is not torch's default for the layer.
    """

    name: str
    dims: Callable[[Sizes], tuple[Number, ...]]
    contracted: tuple[int, ...] = ()
    switch: str = ""
    lookup: bool = False
    std: float | None = None


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer type.

    ``behaviour`` says what an application does to an activation: ``linear`` (last dimension), ``conv``
    (channels), ``lookup``, ``norm``, ``recurrent``, ``attention``, ``transformer``. ``output`` is the new
    size of the last (or channel) dimension. ``readout`` marks the mup package's scaled readouts; ``heads`` names
    the arguments for the width and the number of heads of a layer with attention inside.
    """

    signature: tuple[str, ...]
    behaviour: str
    weights: tuple[WeightRow, ...]
    output: str = ""
    defaults: Mapping[str, float] = field(default_factory=dict)
    readout: bool = False
    heads: tuple[str, str] | None = None


def _vector(name: str, size: str, switch: str = "") -> WeightRow:
    return WeightRow(name, lambda a: (a[size],), (), switch)


_LINEAR = (
    WeightRow("weight", lambda a: (a["out_features"], a["in_features"]), (1,)),
    _vector("bias", "out_features", "bias"),
)
_CONV_SIGNATURE = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
)
_TRANSPOSED_SIGNATURE = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "output_padding",
    "groups",
    "bias",
)


def _conv(spatial: int) -> LayerRow:
    kernel = (ONE,) * spatial
    weight = WeightRow(
        "weight",
        lambda a: (a["out_channels"], a["in_channels"] / a["groups"], *kernel),
        tuple(range(1, spatial + 2)),
    )
    return LayerRow(
        _CONV_SIGNATURE,
        "conv",
        (weight, _vector("bias", "out_channels", "bias")),
        "out_channels",
        {"groups": 1},
    )


def _transposed(spatial: int) -> LayerRow:
    kernel = (ONE,) * spatial
    contracted = (0, *range(2, spatial + 2))
    weight = WeightRow(
        "weight", lambda a: (a["in_channels"], a["out_channels"] / a["groups"], *kernel), contracted
    )
    return LayerRow(
        _TRANSPOSED_SIGNATURE,
        "conv",
        (weight, _vector("bias", "out_channels", "bias")),
        "out_channels",
        {"groups": 1},
    )


def _norm(size: str, *others: str, bias: bool = True) -> LayerRow:
    weights = (_vector("weight", size), *((_vector("bias", size),) if bias else ()))
    return LayerRow((size, *others), "norm", weights)


def _recurrent(gates: int) -> LayerRow:
    stacked = Number.of(gates)
    return LayerRow(
        ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"),
        "recurrent",
        (
            WeightRow("weight_ih_l0", lambda a: (stacked * a["hidden_size"], a["input_size"]), (1,)),
            WeightRow("weight_hh_l0", lambda a: (stacked * a["hidden_size"], a["hidden_size"]), (1,)),
            WeightRow("bias_ih_l0", lambda a: (stacked * a["hidden_size"],), (), "bias"),
            WeightRow("bias_hh_l0", lambda a: (stacked * a["hidden_size"],), (), "bias"),
        ),
        "hidden_size",
    )


def _transformer(*more: str, crossed: bool) -> LayerRow:
    three = Number.of(3)
    attentions = ("self_attn", "multihead_attn") if crossed else ("self_attn",)
    weights: list[WeightRow] = []
    for name in attentions:
        weights.append(WeightRow(f"{name}.in_proj_weight", lambda a: (three * a["d_model"], a["d_model"]), (1,)))
        weights.append(WeightRow(f"{name}.out_proj.weight", lambda a: (a["d_model"], a["d_model"]), (1,)))
    weights.append(WeightRow("linear1.weight", lambda a: (a["dim_feedforward"], a["d_model"]), (1,)))
    weights.append(WeightRow("linear2.weight", lambda a: (a["d_model"], a["dim_feedforward"]), (1,)))
    signature = ("d_model", "nhead", *more, "dim_feedforward", "dropout")
    return LayerRow(
        signature,
        "transformer",
        tuple(weights),
        "d_model",
        {"dim_feedforward": 2048},
        heads=("d_model", "nhead"),
    )


_ATTENTION = LayerRow(
    (
        "embed_dim",
        "num_heads",
        "dropout",
        "bias",
        "add_bias_kv",
        "add_zero_attn",
        "kdim",
        "vdim",
        "batch_first",
    ),
    "attention",
    (
        WeightRow("in_proj_weight", lambda a: (Number.of(3) * a["embed_dim"], a["embed_dim"]), (1,)),
        WeightRow("in_proj_bias", lambda a: (Number.of(3) * a["embed_dim"],), (), "bias"),
        WeightRow("out_proj.weight", lambda a: (a["embed_dim"], a["embed_dim"]), (1,)),
        _vector("out_proj.bias", "embed_dim", "bias"),
    ),
    "embed_dim",
    heads=("embed_dim", "num_heads"),
)

# The parts of timm's vision transformer, which many models are put together from.


def _matrix(name: str, rows: Callable[[Sizes], Number], columns: Callable[[Sizes], Number]) -> WeightRow:
    return WeightRow(name, lambda a: (rows(a), columns(a)), (1,))


def _inner(sizes: Sizes) -> Number:
    given = sizes["hidden_features"]
    return given if given.alternatives else sizes["in_features"]


def _outer(sizes: Sizes) -> Number:
    given = sizes["out_features"]
    return given if given.alternatives else sizes["in_features"]


_QKV = _matrix("attn.qkv.weight", lambda a: Number.of(3) * a["dim"], lambda a: a["dim"])
_PROJECTION = _matrix("attn.proj.weight", lambda a: a["dim"], lambda a: a["dim"])
_TIMM = {
    "timm.Mlp": LayerRow(
        ("in_features", "hidden_features", "out_features"),
        "transformer",
        (
            _matrix("fc1.weight", _inner, lambda a: a["in_features"]),
            _matrix("fc2.weight", _outer, _inner),
        ),
    ),
    "timm.Attention": LayerRow(
        ("dim", "num_heads"),
        "transformer",
        (_QKV, _PROJECTION),
        "dim",
        {"num_heads": 8},
        heads=("dim", "num_heads"),
    ),
    "timm.Block": LayerRow(
        ("dim", "num_heads", "mlp_ratio"),
        "transformer",
        (
            _QKV,
            _PROJECTION,
            _matrix("mlp.fc1.weight", lambda a: a["mlp_ratio"] * a["dim"], lambda a: a["dim"]),
            _matrix("mlp.fc2.weight", lambda a: a["dim"], lambda a: a["mlp_ratio"] * a["dim"]),
        ),
        "dim",
        {"mlp_ratio": 4},
        heads=("dim", "num_heads"),
    ),
    "timm.PatchEmbed": LayerRow(
        ("img_size", "patch_size", "in_chans", "embed_dim"),
        "transformer",
        (WeightRow("proj.weight", lambda a: (a["embed_dim"], a["in_chans"], ONE, ONE), (1, 2, 3)),),
        "embed_dim",
        {"in_chans": 3, "embed_dim": 768},
    ),
}

# The layer of GPT-2 in the package transformers: a linear map whose weight is stored as (in, out).
_TRANSPOSED_LINEAR = LayerRow(
    ("nf", "nx"),
    "linear",
    (
        WeightRow("weight", lambda a: (a["nx"], a["nf"]), (0,), std=0.02),
        WeightRow("bias", lambda a: (a["nf"],), std=0.0),
    ),
    "nf",
)

_EMBEDDING = LayerRow(
    ("num_embeddings", "embedding_dim", "padding_idx", "max_norm"),
    "lookup",
    (WeightRow("weight", lambda a: (a["num_embeddings"], a["embedding_dim"]), (), lookup=True),),
    "embedding_dim",
)

ROWS: Mapping[str, LayerRow] = {
    **_TIMM,
    "transformers.Conv1D": _TRANSPOSED_LINEAR,
    "torch.nn.Linear": LayerRow(("in_features", "out_features", "bias"), "linear", _LINEAR, "out_features"),
    "torch.nn.Conv1d": _conv(1),
    "torch.nn.Conv2d": _conv(2),
    "torch.nn.Conv3d": _conv(3),
    "torch.nn.ConvTranspose1d": _transposed(1),
    "torch.nn.ConvTranspose2d": _transposed(2),
    "torch.nn.ConvTranspose3d": _transposed(3),
    "torch.nn.Embedding": _EMBEDDING,
    "torch.nn.EmbeddingBag": _EMBEDDING,
    "torch.nn.LayerNorm": _norm("normalized_shape", "eps", "elementwise_affine", "bias"),
    "torch.nn.RMSNorm": _norm("normalized_shape", "eps", "elementwise_affine", bias=False),
    "torch.nn.BatchNorm1d": _norm("num_features", "eps", "momentum", "affine"),
    "torch.nn.BatchNorm2d": _norm("num_features", "eps", "momentum", "affine"),
    "torch.nn.BatchNorm3d": _norm("num_features", "eps", "momentum", "affine"),
    "torch.nn.GroupNorm": LayerRow(
        ("num_groups", "num_channels", "eps", "affine"),
        "norm",
        (_vector("weight", "num_channels"), _vector("bias", "num_channels")),
    ),
    "torch.nn.LSTM": _recurrent(4),
    "torch.nn.GRU": _recurrent(3),
    "torch.nn.RNN": _recurrent(1),
    "torch.nn.MultiheadAttention": _ATTENTION,
    "torch.nn.TransformerEncoderLayer": _transformer(crossed=False),
    "torch.nn.TransformerDecoderLayer": _transformer(crossed=True),
    "torch.nn.Transformer": _transformer("num_encoder_layers", "num_decoder_layers", crossed=True),
    "mup.MuReadout": LayerRow(
        ("in_features", "out_features", "bias", "readout_zero_init", "output_mult"),
        "linear",
        _LINEAR,
        "out_features",
        readout=True,
    ),
    "mup.MuSharedReadout": LayerRow(("weight", "bias", "output_mult"), "linear", (), readout=True),
}

CONTAINERS = frozenset(
    f"torch.nn.{name}" for name in ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
)
KEYED_CONTAINERS = frozenset({"torch.nn.ModuleDict", "torch.nn.ParameterDict"})

# Modules without parameters: those that keep a value linear, and those that do not.
LINEAR_MODULES = frozenset(
    f"torch.nn.{name}"
    for name in (
        *(
            "Identity",
            "Dropout",
            "Dropout1d",
            "Dropout2d",
            "Dropout3d",
            "AlphaDropout",
            "Flatten",
            "Unflatten",
        ),
        *("AvgPool1d", "AvgPool2d", "AvgPool3d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "Upsample"),
        *("ZeroPad2d", "ReflectionPad1d", "ReflectionPad2d", "PixelShuffle", "PixelUnshuffle"),
    )
)
ACTIVATION_MODULES = frozenset(
    f"torch.nn.{name}"
    for name in (
        *("ReLU", "ReLU6", "GELU", "SiLU", "Mish", "ELU", "SELU", "CELU", "LeakyReLU", "Tanh", "Sigmoid"),
        *("Hardswish", "Hardsigmoid", "Softplus", "GLU", "Softsign", "LogSigmoid", "MaxPool1d", "MaxPool2d"),
        *("MaxPool3d", "AdaptiveMaxPool2d", "Softmax", "LogSoftmax", "PReLU", "Threshold", "Hardtanh"),
    )
)


_ALIASES = {
    **{
        f"fairscale.nn.model_parallel.layers.{name}": f"torch.nn.{layer}"
        for name, layer in (
            ("ColumnParallelLinear", "Linear"),
            ("RowParallelLinear", "Linear"),
            ("ParallelEmbedding", "Embedding"),
            ("VocabParallelEmbedding", "Embedding"),
        )
    },
    **{
        f"transformers.{module}.Conv1D": "transformers.Conv1D"
        for module in ("modeling_utils", "pytorch_utils", "models.gpt2.modeling_gpt2")
    },
    "apex.normalization.FusedLayerNorm": "torch.nn.LayerNorm",
    "apex.normalization.FusedRMSNorm": "torch.nn.RMSNorm",
    "bitsandbytes.nn.Linear8bitLt": "torch.nn.Linear",
    "bitsandbytes.nn.Linear4bit": "torch.nn.Linear",
}


@cache
def canonical(name: str) -> str:
    """The public name of a class that can be reached by several paths (``torch.nn.modules.linear.Linear``).

    Layers of other libraries with the weights of one of torch's count as that.
    """
    name = _ALIASES.get(name, name)
    if name.startswith("torch.nn.modules."):
        return f"torch.nn.{name.rpartition('.')[2]}"
    for package in ("mup", "timm"):
        if name.startswith(f"{package}."):
            return f"{package}.{name.rpartition('.')[2]}"
    return name
