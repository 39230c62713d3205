"""Generalised end-to-end loss (Wan et al. 2018; Shi et al. 2023, Eqs 6 to 8)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


def similarity(embeddings: Tensor) -> Tensor:
    """Cosine of each embedding with each source's centroid: ``[K, M, d] -> [K, M, K]``.

    The centroid of an embedding's own source leaves that embedding out (Eq. 6), so that it cannot recognise itself.
    """
    sources, segments, _ = embeddings.shape
    total = embeddings.sum(dim=1)  # [K, d]
    others = (total[:, None] - embeddings) / (segments - 1)
    unit = normalize(embeddings, dim=-1)
    cosines = unit @ normalize(total / segments, dim=-1).T  # [K, M, K]
    own = (unit * normalize(others, dim=-1)).sum(dim=-1)
    diagonal = torch.eye(sources, dtype=torch.bool, device=embeddings.device)[:, None, :]
    return torch.where(diagonal, own[..., None], cosines)


class GE2ELoss(nn.Module):
    """Softmax form, ``sum of -s_own + log sum_k exp s_k`` with ``s = w cos + b`` and learned ``w > 0``, ``b``.

    The paper prints Eq. 7 with the opposite sign and without the exponential; minimising that would push each segment away
    from its own source. Wan et al. 2018, Eq. 6 is used, the sum over sources including the own one.
    """

    def __init__(self, scale: float = 10.0, offset: float = -5.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Total loss (Eq. 8) of a batch ``[K sources, M segments, d]``; ``K`` and ``M`` at least 2."""
        scores = self.log_scale.exp() * similarity(embeddings) + self.offset  # [K, M, K]
        own = scores.diagonal(dim1=0, dim2=2).T  # [K, M]
        return (torch.logsumexp(scores, dim=-1) - own).sum()
