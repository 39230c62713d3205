"""Attention on a CPU is two products and a softmax; the fused kernel of torch is the reference."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from forecasting.nn.attention import MultiHeadAttention


@pytest.mark.parametrize(("queries", "memory"), [(24, 39), (15, 15), (96, 111)])
def test_attention_equals_the_fused_kernel_and_its_gradient(queries: int, memory: int) -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(width=16, heads=4)
    asked, remembered = torch.randn(3, queries, 16, requires_grad=True), torch.randn(3, memory, 16)
    mixed = layer(asked, remembered)
    q, k, v = layer._split(asked, remembered)
    fused = layer.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixed, fused)
    gradients = [torch.autograd.grad(out.square().sum(), asked, retain_graph=True)[0] for out in (mixed, fused)]
    torch.testing.assert_close(*gradients)


def test_weights_for_explanation_are_those_that_mix_the_values() -> None:
    torch.manual_seed(1)
    layer = MultiHeadAttention(width=8, heads=2)
    asked, remembered = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    weights = layer.weights(asked, remembered)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 2, 5))
    values = layer._split(asked, remembered)[2]
    torch.testing.assert_close(layer(asked, remembered), layer.out((weights @ values).transpose(1, 2).flatten(2)))
