"""Training: the batch stream, schedule, early stopping, resumption, and what is left on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from forecasting.encoding import SampleEncoder, SourceContext
from forecasting.errors import SettingError
from forecasting.models import create
from forecasting.training import TensorBatches, learning_rate_factor
from forecasting.training_settings import TrainingSettings
from forecasting.transforms import TargetTransform
from tests.forecasting.neural_samples import make_samples

TINY = {"hidden": [16], "dropout": 0.2}


def encoded(days: int):  # type: ignore[no-untyped-def]
    samples = make_samples(days)
    encoder = SampleEncoder(
        history_days=7, transform=TargetTransform.LINEAR, level_days=7, condition=True, context=SourceContext.NONE
    )
    encoder.fit(samples)
    return encoder.encode(samples, with_target=True)


def test_every_row_is_seen_once_per_pass_and_any_batch_can_be_reached_alone() -> None:
    data = encoded(32)
    batches = TensorBatches(data, batch_size=8, steps=8, seed=3)
    stream = list(batches)
    first_pass = torch.cat([batch.y for batch in stream[:4]])
    assert sorted(first_pass.sum(dim=1).tolist()) == pytest.approx(sorted(data.y.sum(dim=1).tolist()))
    assert not torch.equal(first_pass, torch.cat([batch.y for batch in stream[4:]]))
    assert torch.equal(batches.at(6).y, stream[6].y)


def test_two_workers_read_disjoint_batches_of_the_same_stream() -> None:
    data = encoded(32)
    alone = TensorBatches(data, batch_size=8, steps=4, seed=0)
    parts = [TensorBatches(data, batch_size=8, steps=2, seed=0) for _ in range(2)]
    for rank, part in enumerate(parts):
        part.first, part.stride = rank, 2
    woven = [batch.y for pair in zip(*parts, strict=True) for batch in pair]
    assert all(torch.equal(a, b.y) for a, b in zip(woven, alone, strict=True))


def test_learning_rate_rises_then_follows_a_cosine_to_zero() -> None:
    settings = TrainingSettings(steps=100, warmup_share=0.1)
    factors = [learning_rate_factor(step, settings) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)
    assert learning_rate_factor(99, TrainingSettings(steps=100, warmup_share=0.0, cosine=False)) == 1.0


def test_early_stopping_ends_before_the_last_step_and_keeps_the_best_weights() -> None:
    samples = make_samples(80)
    train, valid = samples.select(slice(0, 30)), samples.select(slice(30, 80))
    training = {"steps": 3000, "checks": 100, "patience": 3, "learning_rate": 0.01, "average_decay": 0.5}
    model = create("feed_forward", hidden=[128], dropout=0.0, training=training)
    report = model.fit(train, valid)
    losses = [row["valid_loss"] for row in report.curve]
    assert report.curve[-1]["step"] < 3000
    assert len(losses) - 1 - int(np.argmin(losses)) == 3
    assert report.samples_per_second > 0


@pytest.mark.parametrize("with_validation", [False, True])
def test_an_interrupted_fit_resumes_to_the_same_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_validation: bool
) -> None:
    samples = make_samples(60)
    valid = samples.select(slice(50, 60)) if with_validation else None
    settings = {**TINY, "training": {"steps": 40, "checks": 4, "patience": 0}}
    whole = create("feed_forward", **settings)
    whole.fit(samples, valid, seed=2)

    calls = 0
    real = TensorBatches.at

    def fail_in_the_middle(self: TensorBatches, step: int):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 26:
            raise OSError("power cut")
        return real(self, step)

    broken = create("feed_forward", **settings)
    with monkeypatch.context() as patch:
        patch.setattr(TensorBatches, "at", fail_in_the_middle)
        with pytest.raises(OSError, match="power cut"):
            broken.fit(samples, valid, seed=2, checkpoint_dir=tmp_path)
    resumed = create("feed_forward", **settings)
    report = resumed.fit(samples, valid, seed=2, checkpoint_dir=tmp_path)
    assert report.curve[-1]["step"] == 40
    assert np.array_equal(resumed.predict(samples).quantiles, whole.predict(samples).quantiles)


def test_a_fit_writes_no_files_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    samples = make_samples(30)
    create("feed_forward", **TINY, training={"steps": 6, "checks": 2}).fit(samples, samples)
    assert list(tmp_path.iterdir()) == []
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_progress_shows_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    samples = make_samples(30)
    create("feed_forward", **TINY, training={"steps": 6, "checks": 2}).fit(samples, samples, progress=True)
    captured = capfd.readouterr()
    assert "6/6" in captured.out + captured.err


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"steps": 0}, {"learning_rate": 0.0}, {"average_decay": 1.0}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            TrainingSettings.of(wrong, {})
