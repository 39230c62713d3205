"""An artefact written long ago still loads and still forecasts the same numbers (made by ``tests.forecasting.data.freeze``)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import forecasting
from forecasting.artefact import FORMAT_VERSION
from forecasting.errors import ArtefactError
from tests.forecasting.data.freeze import MODELS, artefact_path, forecast_path, frozen_samples


@pytest.mark.parametrize("model", MODELS)
def test_a_frozen_artefact_forecasts_what_it_did_when_it_was_written(model: str) -> None:
    trained = forecasting.load(artefact_path(model))
    assert trained.meta.model == model and trained.meta.seed == 7
    prediction = trained.predict(frozen_samples())
    with np.load(forecast_path()) as stored:
        for part in ("mean", "std", "quantiles"):
            np.testing.assert_allclose(getattr(prediction, part), stored[f"{model}.{part}"], rtol=1e-5, atol=1e-3)
    assert np.abs(prediction.mean - frozen_samples().y).mean() < 12  # prices about 50: it forecasts, not only loads


def test_frozen_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in forecast_path().parent.glob("*format*")) < 300_000


def test_another_format_version_is_refused_with_both_numbers_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    shutil.copy(artefact_path("lear"), path)
    content = torch.load(path, weights_only=True)
    for version in (FORMAT_VERSION - 1, FORMAT_VERSION + 1):
        content["meta"]["format_version"] = version
        torch.save(content, path)
        with pytest.raises(
            ArtefactError, match=rf"format {version}, this version reads {FORMAT_VERSION}; train .* again"
        ):
            forecasting.load(path)


def test_a_setting_that_no_longer_exists_is_explained(tmp_path: Path) -> None:
    from forecasting.artefact import _fingerprint

    content = torch.load(artefact_path("lear"), weights_only=True)
    meta = {key: value for key, value in content["meta"].items() if key != "fingerprint"}
    meta["settings"] = {**meta["settings"], "window_lengths": [28]}
    content["meta"] = {**meta, "fingerprint": _fingerprint(meta, content["state"])}
    torch.save(content, tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match=r"another version .*window_lengths.*train the model again"):
        forecasting.load(tmp_path / "old.pt")
