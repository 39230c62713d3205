"""CBHG encoder: convolution bank, highway network and bidirectional GRU (Wang et al., Tacotron, 2017, Figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d, normalize, pad


class Highway(nn.Module):
    """``g * relu(W x) + (1 - g) * x`` with a learned gate ``g`` (Srivastava et al. 2015), its bias starting at -1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.relu(self.transform(x)) + (1.0 - gate) * x


class CBHG(nn.Module):
    """``[B, T, channels]`` to ``[B, T, 2 * width]``, in the order of the Tacotron paper.

    Filters of width 1 to ``bank`` side by side, max-pooling over two steps with stride 1, two projections of width 3, a
    residual to the input, ``highways`` highway layers, and a GRU in both directions. Every convolution is followed by batch
    normalisation. Tacotron's encoder has ``bank`` 16, ``width`` 128, ``highways`` 4.
    """

    def __init__(self, channels: int, *, bank: int, width: int, highways: int) -> None:
        super().__init__()
        self.bank = nn.ModuleList(nn.Conv1d(channels, width, k, bias=False) for k in range(1, bank + 1))
        self.bank_norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(bank))
        self.project_in = nn.Conv1d(bank * width, width, 3, padding=1, bias=False)
        self.project_in_norm = nn.BatchNorm1d(width)
        self.project_out = nn.Conv1d(width, channels, 3, padding=1, bias=False)
        self.project_out_norm = nn.BatchNorm1d(channels)
        self.widen = nn.Linear(channels, width)
        self.highways = nn.Sequential(*(Highway(width) for _ in range(highways)))
        self.recurrent = nn.GRU(width, width, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        signal = x.transpose(1, 2)  # [B, channels, T]
        stacked = []
        for number, (convolution, norm) in enumerate(zip(self.bank, self.bank_norms, strict=True)):
            # Filter of width number + 1, padded to keep T.
            padded = pad(signal, (number // 2, number - number // 2))
            stacked.append(torch.relu(norm(convolution(padded))))
        pooled = max_pool1d(pad(torch.cat(stacked, dim=1), (0, 1)), kernel_size=2, stride=1)
        projected = torch.relu(self.project_in_norm(self.project_in(pooled)))
        projected = self.project_out_norm(self.project_out(projected))
        tokens = self.highways(self.widen((projected + signal).transpose(1, 2)))
        out, _ = self.recurrent(tokens)
        return out  # type: ignore[no-any-return]


class SourceEncoderNetwork(nn.Module):
    """Segments ``[n, T, channels]`` to embeddings of unit length ``[n, size]`` (Shi et al. 2023, Eq. 5).

    The paper prints the norm as ``||.|| * 2``; its text says that the 2-norm is meant. The CBHG output is averaged over
    time and projected.
    """

    def __init__(self, channels: int, size: int, *, bank: int, width: int, highways: int) -> None:
        super().__init__()
        self.lift = nn.Linear(channels, width)
        self.body = CBHG(width, bank=bank, width=width, highways=highways)
        self.project = nn.Linear(2 * width, size)

    def forward(self, segments: Tensor) -> Tensor:
        encoded = self.body(torch.relu(self.lift(segments)))
        return normalize(self.project(encoded.mean(dim=1)), dim=-1)
