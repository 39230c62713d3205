"""GE2E against hand-worked numbers, the CBHG encoder's shape and padding, batches, and sources told apart on unseen days."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasting.embedding import EmbeddingQuality, SourceEncoder, equal_error_rate
from forecasting.errors import DataError, SettingError, UnknownNameError
from forecasting.nn.cbhg import CBHG, Highway, SourceEncoderNetwork
from forecasting.nn.ge2e import GE2ELoss, similarity
from forecasting.samples import DayAheadSamples
from forecasting.source_segments import SourceSeries, season_of
from tests.forecasting.neural_samples import make_samples


def distinct_sources(days: int, first: str = "2023-01-01", seed: int = 0) -> DayAheadSamples:
    """Three sources that differ in how fast their noise forgets; level and scale are the same."""
    base = make_samples(days, zones=("fast", "middle", "slow"))
    rng = np.random.default_rng(seed)
    y = np.empty_like(base.y)
    for zone, memory in (("fast", 0.0), ("middle", 0.8), ("slow", 0.99)):
        noise = rng.normal(size=(days * 24,))
        series = np.empty(days * 24)
        state = 0.0
        for step, shock in enumerate(noise):
            state = memory * state + math.sqrt(1 - memory**2) * shock
            series[step] = state
        y[base.zone == zone] = series.reshape(days, 24)
    day = np.tile(np.datetime64(first) + np.arange(days), 3)
    return replace(base, y=y, day=day)


def test_similarity_and_loss_match_a_hand_worked_batch() -> None:
    half = math.sqrt(0.5)
    # Source 0: (1, 0) and (0, 1). Source 1: twice (half, half).
    embeddings = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[half, half], [half, half]]])
    s = similarity(embeddings)
    # Own centroid without itself: for (1, 0) it is (0, 1), cosine 0. Source 1's centroid is (half, half), cosine half.
    torch.testing.assert_close(s[0], torch.tensor([[0.0, half], [0.0, half]]))
    torch.testing.assert_close(s[1], torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    loss = GE2ELoss(scale=2.0, offset=0.5)(embeddings)
    first = math.log(math.exp(0.5) + math.exp(2 * half + 0.5)) - 0.5
    assert loss.item() == pytest.approx(2 * first + 2 * math.log(2), rel=1e-6)


def test_loss_falls_when_a_segment_moves_towards_its_own_source_and_scale_stays_positive() -> None:
    criterion = GE2ELoss()
    angle = torch.tensor(1.2, requires_grad=True)
    mover = torch.stack([torch.cos(angle), torch.sin(angle)])
    right, up = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    loss = criterion(torch.stack([torch.stack([right, mover]), torch.stack([up, up])]))
    loss.backward()
    assert angle.grad is not None and angle.grad.item() > 0  # a smaller angle is nearer to its own source
    criterion.log_scale.data.fill_(-30.0)
    assert criterion.log_scale.exp().item() > 0


@pytest.mark.parametrize("bank", [1, 4, 5])
def test_cbhg_keeps_time_and_doubles_the_width(bank: int) -> None:
    encoder = CBHG(3, bank=bank, width=8, highways=2)
    assert encoder(torch.randn(4, 30, 3)).shape == (4, 30, 16)


def test_highway_carries_its_input_when_the_gate_is_shut() -> None:
    highway = Highway(4)
    torch.nn.init.zeros_(highway.gate.weight)
    torch.nn.init.constant_(highway.gate.bias, -50.0)
    x = torch.randn(2, 4)
    torch.testing.assert_close(highway(x), x)


def test_embeddings_have_unit_length() -> None:
    network = SourceEncoderNetwork(2, 6, bank=2, width=8, highways=1).eval()
    torch.testing.assert_close(network(torch.randn(5, 48, 2)).norm(dim=-1), torch.ones(5))


def test_batches_mix_seasons_and_share_their_dates_between_sources() -> None:
    series = SourceSeries.of(distinct_sources(365), ("target",))
    encoder = SourceEncoder(segment_days=3, segments_per_source=8, sources_per_batch=3)
    starts = series.segment_starts(3)
    sources, dates = encoder._draw(series, starts, np.random.default_rng(0))
    assert sorted(sources.tolist()) == [0, 1, 2]
    assert np.bincount(season_of(series.days[dates])).tolist() == [2, 2, 2, 2]
    batch = series.segments(sources, dates, 3)
    assert batch.shape == (3, 8, 72, 2)
    expected = series.values[sources[1], dates[4] : dates[4] + 3].reshape(72)
    np.testing.assert_array_equal(batch[1, 4, :, 0].numpy(), expected)


def test_segments_with_gaps_are_left_out() -> None:
    samples = distinct_sources(20)
    y = samples.y.copy()
    y[(samples.zone == "slow") & (samples.day == np.datetime64("2023-01-10"))] = np.nan
    starts = SourceSeries.of(replace(samples, y=y), ("target",)).segment_starts(4)
    assert set(range(17)) - set(starts.tolist()) == {6, 7, 8, 9}


def test_days_with_a_gap_are_cut_into_all_segments_that_do_not_overlap() -> None:
    samples = distinct_sources(20)
    kept = samples.select(samples.day != np.datetime64("2023-01-09"))
    series = SourceSeries.of(kept, ("target",))
    assert series.separate_starts(4).tolist() == [0, 4, 9, 13]
    encoder = SourceEncoder(segment_days=4, size=3, bank=2, width=4, highways=1, average_days=4)
    vectors, names = encoder.embed(kept)
    assert vectors.shape == (3 * 4, 3) and names[:4] == ("fast",) * 4


def test_map_keeps_distances_of_embeddings_that_lie_in_a_plane() -> None:
    flat = np.random.default_rng(0).normal(size=(9, 2)) * [3.0, 1.0]
    turned = flat @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0][:2]
    points, share = EmbeddingQuality(0.0, 1.0, 0.5, 9, turned, ("a",) * 9).plane()
    assert share == pytest.approx(1.0)

    def distances(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x[:, None] - x[None], axis=-1)

    np.testing.assert_allclose(distances(points), distances(flat), atol=1e-9)
    assert points[:, 0].std() > points[:, 1].std()


def test_season_of_the_month() -> None:
    days = np.array(["2023-12-31", "2023-02-01", "2023-03-01", "2023-08-31", "2023-11-30"], dtype="datetime64[D]")
    assert season_of(days).tolist() == [0, 0, 1, 2, 3]


def test_equal_error_rate_of_hand_worked_scores() -> None:
    assert equal_error_rate(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0.0
    assert equal_error_rate(np.array([1.0, 3.0, 4.0, 5.0]), np.array([0.0, 0.5, 0.7, 3.5])) == pytest.approx(0.25)


def test_trained_encoder_tells_sources_apart_on_unseen_days_and_survives_its_state() -> None:
    encoder = SourceEncoder(
        segment_days=3, size=4, bank=3, width=8, highways=1, steps=40, segments_per_source=4, learning_rate=5e-3,
        average_days=30,
    )  # fmt: skip
    enrolled, unseen = distinct_sources(120), distinct_sources(60, first="2024-01-01", seed=7)
    losses = encoder.fit(enrolled, seed=1)
    quality = encoder.quality(enrolled, unseen)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert quality.nearest_centroid_accuracy > 0.75 and quality.chance == pytest.approx(1 / 3)
    assert quality.equal_error_rate < 0.2
    assert quality.segments == 3 * 20

    vectors = encoder.describe(unseen)
    assert set(vectors) == {"fast", "middle", "slow"} and vectors["slow"].shape == (4,)
    again = SourceEncoder(**encoder.settings()).load_state(encoder.state())
    assert np.array_equal(again.embed(unseen)[0], encoder.embed(unseen)[0])


def test_faults_are_named() -> None:
    with pytest.raises(SettingError, match="segment_days"):
        SourceEncoder(segment_days=0)
    with pytest.raises(UnknownNameError, match="did you mean 'wind_forecast'"):
        SourceEncoder(channels=("target", "wind_forcast")).fit(distinct_sources(60))
    with pytest.raises(DataError, match="two sources"):
        SourceEncoder(segment_days=3, segments_per_source=2).fit(make_samples(30))
    with pytest.raises(DataError, match="complete segments"):
        SourceEncoder(segment_days=7).fit(distinct_sources(10))
