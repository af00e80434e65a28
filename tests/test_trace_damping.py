"""The part of an Adam update that ε leaves, from a sample of the entries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mulint.tracing import training
from mulint.tracing.model import Built

EPSILON = 1e-1


def words(model: nn.Module, batch: object) -> Tensor:
    """A loss that uses few rows of the table, and a matrix whose columns get gradients of different sizes."""
    table, matrix = model.children()
    output: Tensor = matrix(table(batch))
    return (output * torch.logspace(-2, 0, output.shape[-1])).square().mean()


@pytest.mark.parametrize("count", [1, 2000], ids=["a rare word", "all words"])
def test_median_of_squares(count: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(2000, 512), nn.Linear(512, 768))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, eps=EPSILON)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    built = Built(512, 0, model, torch.arange(count), words, lambda _: optimizer)
    prepared = training.Prepared(built, optimizer, {}, names)
    training.step(prepared)
    found = training.undamped(training.roots_of(prepared))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        roots = parameter.grad.abs()
        roots = roots[roots > 0]
        assert found[name] == pytest.approx(float((roots / (roots + EPSILON)).median()), rel=0.05)
