"""What Shi et al., Energies 16 (2023) 4507, print in their Tables 2 and 5: errors on ENTSO-E data of their own choice.

Task 1 is the spot price (``price``), task 2 local wind power (``wind``); errors are of mean-variance standardised series,
so that 1 is about the error of always saying the mean.
"""

from __future__ import annotations

from collections.abc import Mapping

#: (RMSE, MAE) by model and task, Table 2. A mean absolute error is never above the root mean square of the same errors;
#: the table prints it so for CNN and the proposed model in task 1 (.752/.753 and .540/.553): its two columns cannot both
#: be of one set of errors.
TABLE_2: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "lstm": {"price": (1.003, 0.836), "wind": (0.909, 0.840)},
    "cnn": {"price": (0.752, 0.753), "wind": (0.756, 0.674)},
    "seq2seq": {"price": (0.630, 0.616), "wind": (0.535, 0.513)},
    "proposed": {"price": (0.540, 0.553), "wind": (0.469, 0.453)},
}

#: RMSE by ablation and task, Table 5. Its prose says that the embedding matters more for wind and the condition more for
#: the price; the table says the opposite.
TABLE_5: Mapping[str, Mapping[str, float]] = {
    "without_embedding": {"price": 0.621, "wind": 0.525},
    "without_condition": {"price": 0.594, "wind": 0.553},
}


def published_rmse(model: str, task: str) -> float | None:
    """RMSE that the paper prints, or ``None``."""
    if model in TABLE_2:
        return TABLE_2[model][task][0]
    return TABLE_5[model][task] if model in TABLE_5 else None


def published_mae(model: str, task: str) -> float | None:
    """MAE that the paper prints, or ``None``."""
    return TABLE_2[model][task][1] if model in TABLE_2 else None
