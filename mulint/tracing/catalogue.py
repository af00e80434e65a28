"""Torch's operations by what they do to the size of numbers."""

from __future__ import annotations

from fractions import Fraction


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def writes(name: str) -> bool:
    """Whether an operation changes its first argument, as its name says."""
    return name.startswith("__i") or name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


MULTIPLY = _words("mul mul_ multiply __mul__ __rmul__ __imul__")
DIVIDE = _words("div div_ divide true_divide __truediv__ __itruediv__")
INVERTED = _words("__rdiv__ __rtruediv__")
# Products, which may also sum over nothing and only scale.
SCALES = _words("einsum matmul __matmul__ mm bmm tensordot outer")
ADD = _words(
    """
    add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ rsub subtract where maximum
    minimum masked_fill masked_fill_ masked_scatter lerp addcmul __setitem__ index_add scatter
    scatter_add clamp clamp_ clamp_min clamp_max clip fill_diagonal_ copy_
    """
)
HALF = Fraction(1, 2)
ONE = Fraction(1)
POWER = _words("pow pow_ __pow__ __ipow__")
POWERS = {"sqrt": HALF, "rsqrt": -HALF, "reciprocal": -ONE, "square": Fraction(2), "sqrt_": HALF, "rsqrt_": -HALF}
SUMS = _words("sum nansum")
MEANS = _words("mean nanmean amax amin max min median std cumsum logsumexp")
NORMS = _words("norm linalg_norm linalg_vector_norm")
NORMALISERS = {
    "layer_norm": (2, 4),
    "rms_norm": (2, 3),
    "group_norm": (2, 4),
    "batch_norm": (1, 3),
    "instance_norm": (1, 3),
}
LOOKUPS = _words("embedding embedding_bag")
# Operations that keep every number's size: moves, casts, choices among elements, piecewise linear functions.
KEEPS = _words(
    """
    t T mT H mH adjoint transpose swapaxes swapdims transpose_ permute movedim moveaxis view reshape
    flatten unflatten squeeze unsqueeze view_as reshape_as expand expand_as repeat repeat_interleave
    tile broadcast_to split chunk unbind __getitem__ narrow tensor_split split_with_sizes select
    index_select gather take_along_dim unfold to float half double bfloat16 type type_as contiguous
    clone detach data cuda cpu alias positive dropout dropout_ dropout1d dropout2d dropout3d
    feature_dropout alpha_dropout relu relu_ leaky_relu leaky_relu_ abs neg __neg__ prelu max_pool1d
    max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d max_pool2d_with_indices interpolate
    upsample_nearest2d pad constant_pad_nd _pad tril triu roll flip sort topk pixel_shuffle
    pixel_unshuffle im2col col2im fold squeeze_ unsqueeze_ view_as_real view_as_complex as_strided
    unwrap threshold hardtanh relu6 diagonal diag_embed nan_to_num to_dense coalesce real imag polar
    """
)
# Choices of rows by the numbers in a tensor.
CHOICES = _words("__getitem__ index_select gather take_along_dim")
# Of what KEEPS, those that may give the rows of one axis another order.
REORDER = _words("index_select gather take_along_dim roll flip sort topk _pad pad constant_pad_nd fold unfold")
# Functions of every number by itself that are not homogeneous.
ACTIVATIONS = _words("silu silu_ gelu gelu_ sigmoid tanh softplus elu elu_ selu mish hardswish logsigmoid exp")
# What logits of attention go into: a softmax, or a function that caps them in front of it.
SOFTMAX = _words("softmax _softmax tanh")
JOINS = _words("cat concat concatenate stack hstack vstack column_stack block_diag")
# Operations whose effect on a matrix among their arguments is known.
FOLLOWED = (
    MULTIPLY | DIVIDE | INVERTED | ADD | POWER | POWERS.keys() | SUMS | MEANS | NORMS | KEEPS | ACTIVATIONS | JOINS
)
# Operations in which rows of a parameter stand among, or in place of, those of an activation.
PLACES = JOINS | _words("where masked_scatter masked_scatter_ index_put index_put_ __setitem__ scatter scatter_")
# Operations that make one new tensor, of sizes that follow from those of the arguments.
MAKES_NEW = frozenset(
    name
    for name in (
        *(MULTIPLY | DIVIDE | INVERTED | ADD | POWER | POWERS.keys() | SUMS | NORMS | ACTIVATIONS | JOINS),
        *(*NORMALISERS, "mean", "neg", "abs", "linear", "matmul", "bmm", "softmax", "sin", "cos"),
        "scaled_dot_product_attention",
    )
    if not writes(name)
)
WEIGHT_NORMS = _words("_weight_norm _weight_norm_interface")
# Tensors made from Python numbers, with the same number everywhere.
FILLED = _words("ones zeros full zeros_like ones_like full_like new_zeros new_ones new_full")
FROM_DATA = _words("tensor as_tensor scalar_tensor new_tensor")
# Tensors made in the shape of another one, of which they hold nothing.
SHAPED = _words(
    """
    zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full
    new_empty new_tensor
    """
)
# Queries that produce no tensor of the model's computation.
QUERIES = _words(
    """
    shape dtype device dim size numel is_nested requires_grad ndim __len__ is_floating_point stride
    is_cuda grad grad_fn is_contiguous data_ptr names layout is_sparse requires_grad_ is_leaf
    storage_offset nelement __hash__ __repr__ __format__ is_complex element_size untyped_storage
    retain_grad register_hook
    """
)
# Operations of torch's core by the name of the call that does the same to its arguments.
CORE = {
    "_unsafe_view": "view",
    "_reshape_alias": "view",
    "_to_copy": "to",
    "slice": "narrow",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "native_batch_norm": "batch_norm",
    "_native_batch_norm_legit": "batch_norm",
    "_scaled_dot_product_flash_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention_for_cpu": "scaled_dot_product_attention",
    "_scaled_dot_product_efficient_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_cudnn_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_fused_attention_overrideable": "scaled_dot_product_attention",
}
