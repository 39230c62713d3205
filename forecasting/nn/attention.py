"""Attention and feed-forward blocks (Vaswani et al. 2017), normalised before each sub-layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

#: Activations of the feed-forward that a configuration can name.
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of ``heads`` heads: queries ``[B, Q, d]``, memory ``[B, M, d]`` -> ``[B, Q, d]``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, memory: Tensor, causal: bool = False) -> Tensor:
        q, k, v = self._split(queries, memory)
        if causal or q.is_cuda:
            mixed = scaled_dot_product_attention(q, k, v, is_causal=causal)
        else:
            # For a few dozen tokens the fused kernel of the CPU takes longer than two products: a quarter of a step.
            mixed = torch.softmax((q / math.sqrt(q.shape[-1])) @ k.transpose(2, 3), dim=-1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def weights(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Attention weights ``[B, heads, Q, M]``, for explanation."""
        q, k, _ = self._split(queries, memory)
        return torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), dim=-1)

    def _split(self, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = self.query(queries).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, h, Q, d/h]
        k, v = self.key_value(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # 2 x [B, h, M, d/h]
        return q, k, v


class RowDropout(nn.Module):
    """Dropout of whole features, the same for every token of a row: ``[B, T, d]`` with a mask ``[B, 1, d]``.

    Regularises like a mask per token, and draws ``T`` times fewer random numbers, which on a CPU were a fifth of a step.
    Attention weights are not dropped, so that the fused attention kernel can be used.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, tokens: Tensor) -> Tensor:
        if not self.training or self.share == 0.0:
            return tokens
        keep = torch.rand(tokens.shape[0], 1, tokens.shape[2], device=tokens.device) >= self.share
        return tokens * (keep / (1.0 - self.share))


class FeedForward(nn.Sequential):
    """Two linear layers with ``activation`` between them."""

    def __init__(self, width: int, hidden: int, dropout: float, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__(nn.Linear(width, hidden), activation(), RowDropout(dropout), nn.Linear(hidden, width))


class EncoderBlock(nn.Module):
    """Self-attention, then feed-forward, each with a residual."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, activation: type[nn.Module] = nn.GELU
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = FeedForward(width, hidden, dropout, activation)
        self.drop = RowDropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm_attention(tokens)
        tokens = tokens + self.drop(self.attention(normed, normed))
        return tokens + self.drop(self.feed(self.norm_feed(tokens)))  # type: ignore[no-any-return]


class DecoderBlock(nn.Module):
    """Self-attention among the queries, cross attention to the memory, then feed-forward, each with a residual."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, activation: type[nn.Module] = nn.GELU
    ) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(width)
        self.self_attention = MultiHeadAttention(width, heads)
        self.norm_cross = nn.LayerNorm(width)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = FeedForward(width, hidden, dropout, activation)
        self.drop = RowDropout(dropout)

    def forward(self, queries: Tensor, memory: Tensor, causal: bool = False) -> Tensor:
        normed = self.norm_self(queries)
        queries = queries + self.drop(self.self_attention(normed, normed, causal))
        queries = queries + self.drop(self.cross_attention(self.norm_cross(queries), memory))
        return queries + self.drop(self.feed(self.norm_feed(queries)))  # type: ignore[no-any-return]

    def cross_weights(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Weights of the cross attention ``[B, heads, Q, M]`` for these inputs of the block."""
        normed = self.norm_self(queries)
        queries = queries + self.self_attention(normed, normed)
        return self.cross_attention.weights(self.norm_cross(queries), memory)


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Positional encoding of Vaswani et al. 2017, section 3.5: ``[length, width]``."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table
