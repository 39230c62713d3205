"""Source embedding: an encoder that tells sources (zones, wind farms) apart by how their series behave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from forecasting.errors import ArtefactError, DataError, SettingError, UnknownNameError
from forecasting.names import unknown
from forecasting.nn.cbhg import SourceEncoderNetwork
from forecasting.nn.ge2e import GE2ELoss
from forecasting.samples import DayAheadSamples
from forecasting.source_segments import SourceSeries, season_of

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class EmbeddingQuality:
    """How well segments of days that training never saw are told apart.

    ``equal_error_rate``: share of errors where false acceptances and false rejections of "same source" are equally many
    (0 is perfect, 0.5 is chance). ``nearest_centroid_accuracy``: share of segments whose nearest training centroid is their
    own source's; ``chance`` is one over the number of sources. ``embeddings`` ``[n, size]`` and ``source`` ``[n]`` of the
    unseen segments, for a map.
    """

    equal_error_rate: float
    nearest_centroid_accuracy: float
    chance: float
    segments: int
    embeddings: FloatArray = field(repr=False)
    source: tuple[str, ...] = field(repr=False)

    def scores(self) -> dict[str, float]:
        """The figures without the embeddings, as plain JSON values."""
        names = ("equal_error_rate", "nearest_centroid_accuracy", "chance", "segments")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        return (
            f"source embedding on {self.segments} segments of unseen days: equal error rate {self.equal_error_rate:.3f}, "
            f"nearest-centroid accuracy {self.nearest_centroid_accuracy:.3f} (chance {self.chance:.3f})"
        )

    def plane(self) -> tuple[FloatArray, float]:
        """The embeddings on their first two principal components ``[n, 2]``, and the share of variance these hold."""
        centred = self.embeddings - self.embeddings.mean(axis=0)
        _, spread, axes = np.linalg.svd(centred, full_matrices=False)
        axes[:2] *= np.sign(axes[:2].sum(axis=1, keepdims=True))  # the sign of an axis is free: fix it
        total = float(np.square(spread).sum())
        return centred @ axes[:2].T, float(np.square(spread[:2]).sum()) / total if total else 1.0


class SourceEncoder:
    """CBHG encoder trained by the GE2E loss (Shi et al. 2023, section 3.2.3).

    Each batch takes all its segments of one source from different seasons, and the same dates for every source: what tells
    segments apart is then the source, and neither season nor weather. With one channel this is the paper's encoder; with
    the published regional forecast as a second channel it sees how a site answers its region.

    Parameters
    ----------
    channels: ``target`` and names of published series. segment_days: days of one segment.
    size: length of the embedding. bank, width, highways: the CBHG encoder (Tacotron's are 16, 128, 4).
    steps, sources_per_batch, segments_per_source, learning_rate: training; the paper's batch of 64 is 8 times 8.
    average_days: days whose segments are averaged into the vector of a source.
    """

    name = "source_encoder"

    def __init__(
        self,
        *,
        channels: Sequence[str] = ("target",),
        segment_days: int = 7,
        size: int = 16,
        bank: int = 8,
        width: int = 32,
        highways: int = 4,
        steps: int = 300,
        sources_per_batch: int = 8,
        segments_per_source: int = 8,
        learning_rate: float = 1e-3,
        average_days: int = 180,
    ) -> None:
        if segment_days < 1 or average_days < segment_days:
            raise SettingError(f"need 1 <= segment_days <= average_days, got {segment_days} and {average_days}")
        if min(sources_per_batch, segments_per_source) < 2:
            raise SettingError("a batch needs at least two sources and two segments of each")
        self.channels = tuple(channels)
        self.segment_days = segment_days
        self.size = size
        self.bank = bank
        self.width = width
        self.highways = highways
        self.steps = steps
        self.sources_per_batch = sources_per_batch
        self.segments_per_source = segments_per_source
        self.learning_rate = learning_rate
        self.average_days = average_days
        self.network = self._build()

    def _build(self) -> SourceEncoderNetwork:
        inputs = 2 * len(self.channels)  # values and their mask
        return SourceEncoderNetwork(inputs, self.size, bank=self.bank, width=self.width, highways=self.highways)

    def fit(self, samples: DayAheadSamples, *, seed: int = 0) -> list[float]:
        """Train on every source in ``samples``; returns the mean loss per segment of each step.

        Raises ``DataError`` for fewer than two sources or too few complete segments.
        """
        series = SourceSeries.of(samples, self.channels)
        starts = series.segment_starts(self.segment_days)
        if len(series.sources) < 2:
            raise DataError(
                f"source encoder: need at least two sources, got {', '.join(series.sources)}; add samples of other zones or sites"
            )
        if len(starts) < self.segments_per_source:
            raise DataError(
                f"source encoder: {len(starts)} complete segments of {self.segment_days} days, "
                f"{self.segments_per_source} are needed; give more days or shorten segment_days"
            )
        rng = np.random.default_rng(seed)
        losses: list[float] = []
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = self._build()
            criterion = GE2ELoss()
            weights = [*self.network.parameters(), *criterion.parameters()]
            optimizer = torch.optim.Adam(weights, lr=self.learning_rate)
            self.network.train()
            for _ in range(self.steps):
                sources, dates = self._draw(series, starts, rng)
                batch = series.segments(sources, dates, self.segment_days)  # [K, M, T, 2C]
                embeddings = self.network(batch.flatten(0, 1)).unflatten(0, batch.shape[:2])
                loss = criterion(embeddings)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(weights, 3.0)
                optimizer.step()
                losses.append(loss.item() / (len(sources) * len(dates)))
        self.network.eval()
        return losses

    def _draw(
        self, series: SourceSeries, starts: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sources, and dates that they share: one season after the other until the batch is full."""
        count = min(self.sources_per_batch, len(series.sources))
        sources = rng.choice(len(series.sources), size=count, replace=False)
        season = season_of(series.days[starts])
        queues = [rng.permutation(starts[season == s]).tolist() for s in rng.permutation(4)]
        dates: list[int] = []
        while len(dates) < self.segments_per_source:
            for queue in queues:
                if queue and len(dates) < self.segments_per_source:
                    dates.append(queue.pop())
        return sources, np.asarray(dates)

    def embed(self, samples: DayAheadSamples) -> tuple[FloatArray, tuple[str, ...]]:
        """Embeddings ``[n, size]`` of all complete, non-overlapping segments, and the source of each."""
        series = SourceSeries.of(samples, self.channels)
        starts = series.separate_starts(self.segment_days)
        if not len(starts):
            raise DataError(f"source encoder: no complete segment of {self.segment_days} days in the samples")
        everyone = np.arange(len(series.sources))
        with torch.inference_mode():
            segments = series.segments(everyone, starts, self.segment_days).flatten(0, 1)
            vectors = torch.cat([self.network(segments[k : k + 256]) for k in range(0, len(segments), 256)])
        names = tuple(name for name in series.sources for _ in starts)
        return vectors.double().numpy(), names

    def describe(self, samples: DayAheadSamples) -> dict[str, NDArray[np.float32]]:
        """One vector per source: the mean embedding of its last ``average_days``, for ``set_context`` of a forecaster."""
        vectors: dict[str, NDArray[np.float32]] = {}
        for zone in sorted(set(samples.zone.tolist())):
            rows = samples.select(samples.zone == zone)
            recent = rows.select(rows.day > rows.day.max() - np.timedelta64(self.average_days, "D"))
            found, _ = self.embed(recent)
            vectors[zone] = found.mean(axis=0).astype(np.float32)
        return vectors

    def quality(self, enrolled: DayAheadSamples, unseen: DayAheadSamples) -> EmbeddingQuality:
        """Compare segments of ``unseen`` days with the centroids of the same sources on ``enrolled`` (training) days."""
        known, known_names = self.embed(enrolled)
        tested, tested_names = self.embed(unseen)
        sources = sorted(set(known_names))
        absent = sorted(set(tested_names) - set(sources))
        if absent:
            raise UnknownNameError(unknown("source", absent[0], sources))
        centroids = torch.stack([torch.from_numpy(known[np.array(known_names) == s].mean(axis=0)) for s in sources])
        scores = (torch.from_numpy(tested) @ normalize(centroids, dim=-1).T).numpy()
        truth = np.array([sources.index(name) for name in tested_names])
        genuine = np.arange(len(sources))[None] == truth[:, None]
        return EmbeddingQuality(
            equal_error_rate=equal_error_rate(scores[genuine], scores[~genuine]),
            nearest_centroid_accuracy=float((scores.argmax(axis=1) == truth).mean()),
            chance=1.0 / len(sources),
            segments=len(truth),
            embeddings=tested,
            source=tested_names,
        )

    def settings(self) -> dict[str, Any]:
        """Constructor arguments as plain JSON values."""
        names = (
            "segment_days",
            "size",
            "bank",
            "width",
            "highways",
            "steps",
            "sources_per_batch",
            "segments_per_source",
            "learning_rate",
            "average_days",
        )
        return {"channels": list(self.channels)} | {name: getattr(self, name) for name in names}

    def state(self) -> dict[str, Tensor]:
        """The network's weights."""
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> Self:
        """Restore what :meth:`state` returned."""
        try:
            self.network.load_state_dict(dict(state))
        except RuntimeError as error:
            raise ArtefactError(f"saved weights do not fit this source encoder ({error}); train it again") from error
        self.network.eval()
        return self


def equal_error_rate(genuine: FloatArray, impostor: FloatArray) -> float:
    """Error rate at the threshold where as large a share of ``genuine`` scores is refused as of ``impostor`` accepted."""
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    refused = np.searchsorted(np.sort(genuine), thresholds, side="left") / len(genuine)
    accepted = 1.0 - np.searchsorted(np.sort(impostor), thresholds, side="left") / len(impostor)
    best = np.argmin(np.abs(refused - accepted))
    return float((refused[best] + accepted[best]) / 2)
