"""How good scores are, by the same definitions as `tidegate models import`: weighted, ties whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quality:
    """Figures of one model on one set of rows."""

    roc_auc: float
    tpr_at_0_1_percent: float
    tpr_at_1_percent: float

    def __str__(self) -> str:
        return (
            f"ROC-AUC {self.roc_auc:.4f}, TPR at 0.1 % FPR {self.tpr_at_0_1_percent:.1%}, "
            f"at 1 % {self.tpr_at_1_percent:.1%}"
        )


def _curve(
    y: NDArray[np.int64], score: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates, from the highest score down, one point a distinct score."""
    order = np.argsort(-score, kind="stable")
    y, score, weight = y[order], score[order], weight[order].astype(np.float64)
    ends = np.flatnonzero(np.append(np.diff(score) != 0, True))
    true, false = np.cumsum(weight * y)[ends], np.cumsum(weight * (1 - y))[ends]
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def roc_auc(y: NDArray[np.int64], score: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """The probability that abuse scores above what is none, ties by half."""
    fpr, tpr = _curve(y, score, weight)
    return float(np.trapezoid(tpr, fpr))


def tpr_at(
    rate: float, y: NDArray[np.int64], score: NDArray[np.float32], weight: NDArray[np.float32]
) -> float:
    """The largest true positive rate with at most this false positive rate."""
    fpr, tpr = _curve(y, score, weight)
    return float(tpr[fpr <= rate].max())


def measure(
    y: NDArray[np.int64], score: NDArray[np.float32], weight: NDArray[np.float32]
) -> Quality:
    """All figures at once."""
    return Quality(
        roc_auc(y, score, weight), tpr_at(0.001, y, score, weight), tpr_at(0.01, y, score, weight)
    )
