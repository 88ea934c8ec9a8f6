"""P-values corrected for the number of trials: Bonferroni, Holm, Benjamini-Hochberg and Benjamini-Yekutieli.

What does not belong here: how many trials there were (the trials ledger says), or the p-values themselves.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from factor_assets.errors import EvaluationError, did_you_mean
from factor_assets.panel.panel import Array

Correction = Literal["bonferroni", "holm", "benjamini_hochberg", "benjamini_yekutieli"]

CORRECTIONS: tuple[Correction, ...] = get_args(Correction)


def adjusted_pvalues(pvalues: Array, *, method: Correction, family_size: int | None = None) -> Array:
    r"""Correct p-values for the number of trials they were chosen from.

    With :math:`p_{(1)} \le \dots \le p_{(n)}` the known p-values, m the size of the family, and every number capped
    at 1:

    .. math::
        \text{Bonferroni:} \quad & m \, p_{(i)} \\
        \text{Holm:} \quad & \max_{j \le i} \, (m - j + 1) \, p_{(j)} \\
        \text{Benjamini-Hochberg:} \quad & \min_{j \ge i} \, \frac{m}{j} \, p_{(j)} \\
        \text{Benjamini-Yekutieli:} \quad & \min_{j \ge i} \, \frac{m}{j} \, p_{(j)} \, \sum_{k=1}^{m} \frac{1}{k}

    Parameters
    ----------
    pvalues
        float64 of shape (n_trials,), in [0, 1]. NaN is a trial that could not be tested.
    method
        Bonferroni and Holm hold the probability of one false find, whatever the dependence. Benjamini-Hochberg holds
        the expected share of false finds if the tests are independent or positively dependent, Benjamini-Yekutieli
        whatever the dependence.
    family_size
        m: trials that were made, as counted by the trials ledger; at least the number of known p-values. A trial
        whose p-value is not among `pvalues` takes part as p = 1: it comes last in the order, is never a find, and
        makes every other find harder, by every method. By default m is the number of known p-values.

    Returns
    -------
    float64 of shape (n_trials,), in [0, 1], in the order given, at least as large as the p-values. NaN stays NaN. It
    does not count in the default m (what cannot be tested cannot be a find); it does where the ledger counted it in
    `family_size`, as p = 1.

    Raises
    ------
    EvaluationError
        If the method is unknown, a p-value is outside [0, 1], the array has another shape, or the family is smaller
        than the number of known p-values.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6(2). Benjamini and Hochberg (1995), Journal of the Royal
    Statistical Society B 57(1). Benjamini and Yekutieli (2001), Annals of Statistics 29(4), theorem 1.3. Adjusted
    p-values as in Wright (1992), Biometrics 48(4).
    """
    if method not in CORRECTIONS:
        raise EvaluationError(f"Unknown correction {method!r}: {did_you_mean(str(method), CORRECTIONS)}")
    given = np.asarray(pvalues, dtype=np.float64)
    if given.ndim != 1:
        raise EvaluationError(f"A family of p-values wants the shape (n_trials,), got {given.shape}.")
    is_known = ~np.isnan(given)
    known = given[is_known]
    n_outside = int(np.sum((known < 0.0) | (known > 1.0)))
    if n_outside:
        raise EvaluationError(f"P-values want to be in [0, 1]; {n_outside} of {len(given)} are not. Pass p, not t.")
    m = len(known) if family_size is None else family_size
    if m < len(known):
        raise EvaluationError(
            f"A family wants at least as many trials as there are p-values: got family_size {m} for {len(known)}."
            " Take the number of trials from the ledger."
        )
    order = np.argsort(known, kind="stable")
    adjusted = np.full(given.shape, np.nan)
    corrected = np.empty(len(known))
    corrected[order] = np.minimum(_ADJUST[method](known[order], m), 1.0)
    adjusted[is_known] = corrected
    return adjusted


def _bonferroni(p: Array, m: int) -> Array:
    return m * p


def _holm(p: Array, m: int) -> Array:
    return np.maximum.accumulate((m - np.arange(len(p))) * p)


def _benjamini_hochberg(p: Array, m: int) -> Array:
    step_up: Array = np.minimum.accumulate((m / np.arange(1, len(p) + 1) * p)[::-1])[::-1]
    return step_up


def _benjamini_yekutieli(p: Array, m: int) -> Array:
    return _benjamini_hochberg(p, m) * float(np.sum(1.0 / np.arange(1, m + 1)))


_ADJUST: dict[Correction, Callable[[Array, int], Array]] = {
    "bonferroni": _bonferroni,
    "holm": _holm,
    "benjamini_hochberg": _benjamini_hochberg,
    "benjamini_yekutieli": _benjamini_yekutieli,
}
