"""A learned power curve: one perceptron that answers for every step of the day from what is published around that step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecasting.encoding import Batch, Layout
from forecasting.nn.heads import Head

#: Hours before and after a step whose published values the step sees.
NEIGHBOUR_HOURS: tuple[int, ...] = (-6, -3, -2, -1, 1, 2, 3, 6)
#: Half-lives in hours over which the past is averaged: the last hour, the last quarter day, the last day, the last weeks.
HALF_LIVES_H: tuple[float, ...] = (0.5, 6.0, 24.0, 120.0, 480.0)
#: Days of history that the summary of the day reads hour by hour.
SUMMARY_DAYS = 2


class PowerCurveNetwork(nn.Module):
    """``Batch -> [B, S, head.raw_size]``.

    Each step sees its own published values, those of the hours around it and the mean of the day; averages of the past
    target, and of its departure from what was published then, over several half-lives; a summary of the last days and
    of the delivery day by a perceptron; the season and the context of the source. Its weights are shared by all steps,
    a bias of its own per step apart. Steps whose past is unknown count for nothing in the averages.
    """

    def __init__(
        self, layout: Layout, head: Head, *, width: int, summary: int, dropout: float, summary_dropout: float
    ) -> None:
        super().__init__()
        self.layout = layout
        self.twins = tuple((k, twin) for k, twin in enumerate(layout.twins) if twin is not None)
        slots, futures = layout.slots, len(layout.futures)
        days = min(SUMMARY_DAYS, layout.history_days)
        self.side = layout.context_size + 4 * layout.season
        past = len(HALF_LIVES_H) * (1 + len(self.twins))
        whole = slots * (2 * days + days * len(self.twins) + futures) + self.side
        self.summary = nn.Sequential(
            nn.Linear(whole, 4 * summary), nn.GELU(), nn.Dropout(summary_dropout), nn.Linear(4 * summary, summary)
        )
        self.step = nn.Linear(futures * (3 + len(NEIGHBOUR_HOURS)) + past + summary + self.side, width)
        self.position = nn.Parameter(0.02 * torch.randn(slots, width))
        self.body = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)
        )
        self.out = nn.Linear(width, head.raw_size)
        age = torch.arange(layout.history_days * slots - 1, -1, -1.0) * layout.step_minutes / 60.0
        self.register_buffer("decay", torch.stack([torch.exp2(-age / h) for h in HALF_LIVES_H]), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        side = self._side(batch)
        around = self._around(batch.future)
        known = batch.future_observed
        step = torch.cat([batch.future, known, *around], dim=-1)  # [B, S, n]
        shared = torch.cat([self._past(batch), self.summary(self._whole(batch, side)), side], dim=-1)
        wide = shared[:, None].expand(-1, step.shape[1], -1)
        hidden = self.step(torch.cat([step, wide], dim=-1)) + self.position
        return self.out(self.body(hidden))  # type: ignore[no-any-return]

    def _side(self, batch: Batch) -> Tensor:
        """Season and source; wind knows no weekdays."""
        season = batch.calendar[:, -4:] if self.layout.season else batch.calendar[:, :0]
        return torch.cat([season, batch.context], dim=-1)

    def _around(self, future: Tensor) -> list[Tensor]:
        slots = self.layout.slots
        at = torch.arange(slots, device=future.device)
        neighbours = [future[:, (at + hour * slots // 24).clamp(0, slots - 1)] for hour in NEIGHBOUR_HOURS]
        return [*neighbours, future.mean(dim=1, keepdim=True).expand_as(future)]

    def _past(self, batch: Batch) -> Tensor:
        """``[B, n]``: averages of the target and of its departures over the half-lives, 0 where nothing is known."""
        observed = batch.history_observed.flatten(1)  # [B, T]
        parts = [self._averages(batch.history.flatten(1), observed)]
        for _, twin in self.twins:
            both = observed * batch.drivers_observed[..., twin].flatten(1)
            parts.append(self._averages((batch.history - batch.drivers[..., twin]).flatten(1), both))
        return torch.cat(parts, dim=-1)

    def _averages(self, values: Tensor, observed: Tensor) -> Tensor:
        decay = self.decay
        assert isinstance(decay, Tensor)
        # A floor under the weights lets the newest known step speak when the last days are unknown.
        total = (observed @ decay.T).clamp(min=1e-20)
        return ((values * observed) @ decay.T) / total

    def _whole(self, batch: Batch, side: Tensor) -> Tensor:
        days = min(SUMMARY_DAYS, self.layout.history_days)
        parts = [batch.history[:, -days:].flatten(1), batch.history_observed[:, -days:].flatten(1)]
        parts += [batch.drivers[:, -days:, :, twin].flatten(1) for _, twin in self.twins]
        return torch.cat([*parts, batch.future.flatten(1), side], dim=-1)
