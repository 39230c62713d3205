"""LASSO regressions of many targets on the same regressors, with the penalty of each chosen by an information criterion.

Built on scikit-learn's LARS path from the Gram matrix, which all targets share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import lars_path_gram

FloatArray = NDArray[np.float64]

_FIRST_STEPS, _MORE_STEPS, _MAX_STEPS = 40, 160, 2500


class Penalty(StrEnum):
    """How the LASSO penalty is chosen by Akaike's criterion along the LARS path.

    ``PUBLISHED`` repeats what produced the published LEAR forecasts of Lago et al. 2021: the path is run on columns of
    unit norm, the noise variance is the variance of the target, and the penalty found is then applied to the columns as
    they are (the default of scikit-learn at that time). ``AIC`` runs the path on the columns as they are, with the noise
    variance of the full least-squares fit (Zou, Hastie and Tibshirani, Ann. Statist. 35 (2007) 2173-2192).
    """

    PUBLISHED = "published"
    AIC = "aic"


@dataclass(frozen=True, eq=False)
class LassoFit:
    """``coefficients`` ``[p, S]``, ``intercepts`` ``[S]``, ``penalties`` ``[S]``, out-of-fold ``residuals`` ``[n, S]``."""

    coefficients: FloatArray
    intercepts: FloatArray
    penalties: FloatArray
    residuals: FloatArray


def fit_lasso(design: FloatArray, targets: FloatArray, penalty: Penalty, folds: int = 5) -> LassoFit:
    """Fit ``S`` LASSO regressions of ``targets`` ``[n, S]`` on ``design`` ``[n, p]``, rows in time order.

    The objective is ``|y - Xb|^2 / (2 n) + penalty * |b|_1`` with a free intercept. Residuals are those of contiguous
    blocks left out one by one. With many rows the refits hold the selected regressors and their signs, which makes each
    one linear system; with fewer than two rows per regressor that is ill-conditioned, and every refit is a LASSO.
    """
    rows = len(design)
    x_mean, y_mean = design.mean(axis=0), targets.mean(axis=0)
    x, y = design - x_mean, targets - y_mean
    gram, cross = x.T @ x, x.T @ y  # [p, p], [p, S]
    norms = np.sqrt(np.diag(gram))
    norms[norms < 1e-12 * max(1.0, norms.max())] = 1.0
    squares = np.square(y).sum(axis=0)
    floor = _least_squares_residual(gram, cross, squares)  # [S]
    freedom = rows - 1 - min(int(np.linalg.matrix_rank(gram, hermitian=True)), rows - 1)
    unit_gram = gram / np.outer(norms, norms)
    coefficients, penalties = np.zeros_like(cross), np.zeros(targets.shape[1])
    for step in range(targets.shape[1]):
        if squares[step] == 0.0:
            continue
        if penalty is Penalty.PUBLISHED:
            noise = squares[step] / rows
            penalties[step] = _penalty_of_least_aic(
                unit_gram, cross[:, step] / norms, squares[step], floor[step], noise, rows
            )
        else:
            noise = floor[step] / freedom if freedom > 0 and floor[step] > 0 else squares[step] / rows
            penalties[step] = _penalty_of_least_aic(gram, cross[:, step], squares[step], floor[step], noise, rows)
        _, _, path = lars_path_gram(
            cross[:, step], gram, n_samples=rows, method="lasso", max_iter=_MAX_STEPS, alpha_min=penalties[step]
        )
        coefficients[:, step] = path[:, -1]
    leave_out = _held_selection_residuals if rows >= 2 * design.shape[1] else _refitted_residuals
    residuals = leave_out(x, y, gram, cross, coefficients, penalties, folds)
    return LassoFit(coefficients, y_mean - x_mean @ coefficients, penalties, residuals)


def _least_squares_residual(gram: FloatArray, cross: FloatArray, squares: FloatArray) -> FloatArray:
    solution = np.linalg.lstsq(gram, cross, rcond=1e-10)[0]
    return np.asarray(np.clip(squares - (cross * solution).sum(axis=0), 0.0, None), dtype=np.float64)


def _penalty_of_least_aic(
    gram: FloatArray, cross: FloatArray, square: float, floor: float, noise: float, rows: int
) -> float:
    """Penalty at the LARS breakpoint with the least ``RSS / noise + 2 df``.

    The path stops early once even the least-squares residual could not bring the criterion below its least value.
    """
    for limit in (_FIRST_STEPS, _MORE_STEPS, _MAX_STEPS):
        alphas, _, path = lars_path_gram(cross, gram, n_samples=rows, method="lasso", max_iter=limit)
        rss = square - 2.0 * cross @ path + np.einsum("pk,pk->k", path, gram @ path)
        freedom = (path != 0.0).sum(axis=0)
        criterion = rss / noise + 2.0 * freedom
        best = int(criterion.argmin())
        if len(alphas) <= limit or floor / noise + 2.0 * freedom[-1] > criterion[best]:
            break
    return float(alphas[best])


def _held_selection_residuals(
    x: FloatArray,
    y: FloatArray,
    gram: FloatArray,
    cross: FloatArray,
    coefficients: FloatArray,
    penalties: FloatArray,
    folds: int,
) -> FloatArray:
    residuals = np.empty_like(y)
    rows = len(x)
    for block in np.array_split(np.arange(rows), min(folds, rows)):
        left, held = x[block], y[block]
        kept_gram, kept_cross = gram - left.T @ left, cross - left.T @ held
        for step in range(y.shape[1]):
            active = np.flatnonzero(coefficients[:, step])
            if not len(active):
                residuals[block, step] = held[:, step]
                continue
            pull = (rows - len(block)) * penalties[step] * np.sign(coefficients[active, step])
            system = kept_gram[np.ix_(active, active)]
            ridge = 1e-8 * np.trace(system) / len(active) + 1e-12
            beta = np.linalg.solve(system + ridge * np.eye(len(active)), kept_cross[active, step] - pull)
            residuals[block, step] = held[:, step] - left[:, active] @ beta
    return residuals


def _refitted_residuals(
    x: FloatArray,
    y: FloatArray,
    gram: FloatArray,
    cross: FloatArray,
    coefficients: FloatArray,
    penalties: FloatArray,
    folds: int,
) -> FloatArray:
    residuals = np.empty_like(y)
    rows = len(x)
    for block in np.array_split(np.arange(rows), min(folds, rows)):
        left, held = x[block], y[block]
        kept_gram, kept_cross = gram - left.T @ left, cross - left.T @ held
        for step in range(y.shape[1]):
            path = lars_path_gram(
                kept_cross[:, step],
                kept_gram,
                n_samples=rows - len(block),
                method="lasso",
                max_iter=_MAX_STEPS,
                alpha_min=penalties[step],
            )[2]
            residuals[block, step] = held[:, step] - left @ path[:, -1]
    return residuals
