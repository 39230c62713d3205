"""Boosted regression trees as plain arrays: grown by scikit-learn, kept and evaluated without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """The nodes of all trees in one list, the roots first to last in ``roots`` ``[T]``.

    ``feature``, ``threshold``, ``left``, ``right``, ``missing_left``, ``leaf``, ``value`` ``[K]``: a step goes left where its
    regressor is at most the threshold, and where it is unknown and ``missing_left`` says so. ``baseline`` ``[1]`` is added
    to the sum of the leaves reached.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    missing_left: Tensor
    leaf: Tensor
    value: Tensor
    roots: Tensor
    baseline: Tensor

    @classmethod
    def of(cls, model: HistGradientBoostingRegressor) -> BoostedTrees:
        """The trees of a fitted regression without categorical regressors."""
        trees = [round_[0].nodes for round_ in model._predictors]
        sizes = np.array([len(nodes) for nodes in trees])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        nodes, offset = np.concatenate(trees), np.repeat(roots, sizes)
        return cls(
            feature=torch.from_numpy(nodes["feature_idx"].astype(np.int64)),
            threshold=torch.from_numpy(nodes["num_threshold"].astype(np.float64)),
            left=torch.from_numpy(nodes["left"].astype(np.int64) + offset),
            right=torch.from_numpy(nodes["right"].astype(np.int64) + offset),
            missing_left=torch.from_numpy(nodes["missing_go_to_left"].astype(np.uint8)),
            leaf=torch.from_numpy(nodes["is_leaf"].astype(np.uint8)),
            value=torch.from_numpy(nodes["value"].astype(np.float64)),
            roots=torch.from_numpy(roots.astype(np.int64)),
            baseline=torch.from_numpy(np.asarray(model._baseline_prediction, dtype=np.float64).reshape(1)),
        )

    def __call__(self, x: FloatArray) -> FloatArray:
        """Predictions ``[R]`` for regressors ``x`` ``[R, F]``, NaN where unknown."""
        feature, threshold, left, right = (
            part.numpy() for part in (self.feature, self.threshold, self.left, self.right)
        )
        leaf, missing_left = self.leaf.numpy().astype(bool), self.missing_left.numpy().astype(bool)
        at = np.broadcast_to(self.roots.numpy(), (len(x), len(self.roots))).copy()
        rows = np.arange(len(x))[:, None]
        while not leaf[at].all():
            value = x[rows, np.where(leaf[at], 0, feature[at])]
            go_left = np.where(np.isnan(value), missing_left[at], value <= threshold[at])
            at = np.where(leaf[at], at, np.where(go_left, left[at], right[at]))
        return np.asarray(self.baseline.numpy() + self.value.numpy()[at].sum(axis=1), dtype=np.float64)
