"""Makes a batch and a loss for a model that comes without: from its first layers and its forward's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mulint.tracing.cases import moved
from mulint.tracing.model import CannotBuild

ROWS = 4
TOKENS = 32
PIXELS = 32
TARGETS = frozenset(["targets", "target", "labels", "label", "y", "tgt_ids", "tgt_y"])
SECOND_SEQUENCE = frozenset(["tgt", "trg", "decoder_input_ids", "tgt_tokens", "target_ids", "dec_input"])
TEXTS = frozenset(
    ["text", "texts", "tokens", "text_tokens", "text_ids", "input_ids", "token_ids", "ids", "captions"]
)
TIMES = frozenset(["t", "timesteps", "timestep", "time"])

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
Make = Callable[[torch.Generator], Inputs]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a batch, and what was assumed about it."""

    make: Make
    assumptions: tuple[str, ...]

    def batch(self, seed: int) -> Inputs:
        """The same numbers for the same seed, whatever the width."""
        return self.make(torch.Generator().manual_seed(seed + 1))


def recipe(
    model: nn.Module,
    settings: Mapping[str, Any],
    describe: Callable[[Exception], str],
    likely: Iterable[tuple[str, Make]] = (),
) -> Recipe:
    """Find inputs that the model's forward takes, by trying what is likely, then what its first layers suggest.

    Raises:
        CannotBuild: no attempt went through; the message tells how to write a case.
    """
    first: Exception | None = None
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    for text, make in (*likely, *_attempts(model, settings)):
        try:
            arguments, keywords = moved(make(torch.Generator().manual_seed(0)), device)
            main_output(model(*arguments, **keywords))
        except Exception as error:
            first = first or error
            continue
        return Recipe(make, (text,))
    reason = f": {describe(first)}" if first is not None else ""
    raise CannotBuild(
        f"no batch that mulint tried goes through {type(model).__name__}{reason}; "
        "pass other --widths or --set, or write a case with a batch: def case(width) -> mulint.Case"
    )


def loss_of(output: object, inputs: Inputs) -> Tensor:
    """A scalar that the model returns is its loss; else cross entropy for tokens, mean square for the rest."""
    for tensor in tensors(output):
        if tensor.numel() == 1 and tensor.is_floating_point() and (tensor.requires_grad or tensor.dim() == 0):
            return tensor.reshape(())
    main = main_output(output).float()
    tokens = next((t for t in tensors(inputs) if not t.is_floating_point() and t.dim() >= 1), None)
    if tokens is not None and main.dim() == tokens.dim() + 1 and main.shape[:-1] == tokens.shape:
        return F.cross_entropy(main.reshape(-1, main.shape[-1]), tokens.reshape(-1) % main.shape[-1])
    return (main - 1).pow(2).mean()


def main_output(output: object) -> Tensor:
    """The first floating-point tensor of what forward returned.

    Raises:
        TypeError: there is none.
    """
    for tensor in tensors(output):
        if tensor.is_floating_point():
            return tensor
    raise TypeError("forward returned no floating-point tensor")


def _attempts(model: nn.Module, settings: Mapping[str, Any]) -> Iterator[tuple[str, Make]]:
    names, required = _signature(model)
    context = _context(settings)
    for text, first in _first_arguments(model, settings):
        for with_targets in (True, False):
            extra = [name for name in names[1:] if name in TARGETS]
            if with_targets and not extra:
                continue
            targets = extra[:1] if with_targets else []
            rest = [name for name in names[1:] if name in targets or (name in required and "mask" not in name)]
            for alike in (False, True):  # one number for every row, or as many as the first argument has
                found = _with_rest(model, first, names, required, targets, context, alike=alike)
                if found is not None:
                    yield " and ".join((text, *rest)), found
                if set(rest) <= {*targets, *SECOND_SEQUENCE, *TEXTS, *TIMES}:
                    break


def _signature(model: nn.Module) -> tuple[list[str], set[str]]:
    parameters = [
        p
        for p in inspect.signature(model.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    return [p.name for p in parameters], {p.name for p in parameters if p.default is p.empty}


def _with_rest(
    model: nn.Module,
    first: Callable[[torch.Generator], Tensor],
    names: list[str],
    required: set[str],
    extra: list[str],
    context: int,
    *,
    alike: bool,
) -> Make | None:
    """All arguments: the input, targets, and required arguments.

    ``alike``: those whose names are not understood have the shape and the type of the input.
    """
    embeddings = [m for m in model.modules() if isinstance(m, nn.Embedding)]

    def make(generator: torch.Generator) -> Inputs:
        x = first(generator)
        keywords: dict[str, Any] = {}
        for name in names[1:]:
            if name in extra:
                size = tuple(x.shape) if not x.is_floating_point() else (x.shape[0],)
                high = embeddings[0].num_embeddings if embeddings and not x.is_floating_point() else 2
                keywords[name] = torch.randint(0, high, size, generator=generator)
            elif name not in required:
                continue
            elif name in SECOND_SEQUENCE:
                high = embeddings[-1].num_embeddings if embeddings else 2
                keywords[name] = torch.randint(0, high, tuple(x.shape), generator=generator)
            elif name in TEXTS and embeddings:
                high = embeddings[0].num_embeddings
                keywords[name] = torch.randint(0, high, (x.shape[0], context), generator=generator)
            elif "mask" in name:
                keywords[name] = None
            elif name in TIMES:
                keywords[name] = torch.randint(0, 100, (x.shape[0],), generator=generator)
            elif alike and x.is_floating_point():
                keywords[name] = torch.randn(x.shape, generator=generator)
            else:
                size = tuple(x.shape) if alike else (x.shape[0],)
                keywords[name] = torch.randint(0, 2, size, generator=generator)
        return (x,), keywords

    return make if names else None


def _first_arguments(
    model: nn.Module, settings: Mapping[str, Any]
) -> Iterator[tuple[str, Callable[[torch.Generator], Tensor]]]:
    """Candidates for the first argument, the likeliest first: as the first layers that have weights ask."""
    layers = [m for m in model.modules() if isinstance(m, _LAYERS)]
    pixels = next((v for k, v in settings.items() if k in _IMAGE_SIZES and isinstance(v, int)), PIXELS)
    context = _context(settings)
    if any(key in _IMAGE_SIZES for key in settings):
        channels = next((m.in_channels for m in layers if isinstance(m, nn.Conv2d)), 3)
        yield _normal("images", ROWS, channels, pixels, pixels)
    for layer in (*layers[:3], *(layer for layer in layers[3:] if isinstance(layer, nn.Embedding))):
        yield from _for_layer(layer, context, pixels)
    width = next((m.in_features for m in layers if isinstance(m, nn.Linear)), 3)
    yield _normal("features", ROWS, width)
    yield _normal("images", ROWS, 3, pixels, pixels)
    yield _normal("images", ROWS, 1, 28, 28)


def _context(settings: Mapping[str, Any]) -> int:
    """The length of sequences."""
    return min((TOKENS, *(v for k, v in settings.items() if k in _CONTEXTS and isinstance(v, int) and v > 0)))


def _for_layer(
    layer: nn.Module, context: int, pixels: int
) -> Iterator[tuple[str, Callable[[torch.Generator], Tensor]]]:
    match layer:
        case nn.Embedding(num_embeddings=high):
            yield (
                f"a batch of {ROWS} x {context} random token ids below {high}",
                lambda generator: torch.randint(0, high, (ROWS, context), generator=generator),
            )
        case nn.Conv1d(in_channels=channels):
            yield _normal("signals", ROWS, channels, context)
        case nn.Conv2d(in_channels=channels):
            yield _normal("images", ROWS, channels, pixels, pixels)
            yield _normal("images", ROWS, channels, 64, 64)
        case nn.Conv3d(in_channels=channels):
            yield _normal("volumes", ROWS, channels, 16, 16, 16)
        case nn.ConvTranspose2d(in_channels=channels):
            yield _normal("latents", ROWS, channels, 1, 1)
        case nn.Linear(in_features=width):
            yield _normal("features", ROWS, width)
            yield _normal("features", ROWS, context, width)
        case nn.RNNBase(input_size=width):
            yield _normal("features", ROWS, context, width)
        case nn.MultiheadAttention(embed_dim=width):
            yield _normal("features", ROWS, context, width)


def _normal(what: str, *shape: int) -> tuple[str, Callable[[torch.Generator], Tensor]]:
    text = f"a batch of random {what}, {' x '.join(map(str, shape))}"
    return text, lambda generator: torch.randn(shape, generator=generator)


_LAYERS = (
    nn.Embedding,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose2d,
    nn.Linear,
    nn.RNNBase,
    nn.MultiheadAttention,
)
_IMAGE_SIZES = frozenset(["image_size", "img_size", "input_size", "resolution"])
_CONTEXTS = frozenset(
    [
        "block_size",
        "context_length",
        "n_ctx",
        "n_positions",
        "seq_len",
        "max_seq_len",
        "max_len",
        "max_position_embeddings",
        "ctx_len",
    ]
)


def tensors(value: object) -> Iterator[Tensor]:
    """All tensors in what forward takes or returns; of an object with a loss, the loss first."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        if isinstance(value.get("loss"), Tensor):
            yield value["loss"]
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)
    elif hasattr(value, "__dict__"):
        yield from tensors(vars(value))
