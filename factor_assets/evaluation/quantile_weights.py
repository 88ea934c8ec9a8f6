"""How much of each name a quantile holds: equal, by value, by value with a cap, and the same in every group.

What does not belong here: which quantile a name is in (`quantiles.py`), what the portfolios earn
(`quantile_portfolios.py`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numba as nb
import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError, did_you_mean
from factor_assets.evaluation.quantiles import Quantiles, group_numbers
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

Scheme = Literal["equal", "value", "capped_value"]
GroupShare = Literal["equal", "proportional"]

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_READ_INT = nb.types.Array(nb.int64, 2, "C", readonly=True)
_READ_INT16 = nb.types.Array(nb.int16, 2, "C", readonly=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantileWeights:
    """Weights of the names within their quantile, and of the quantiles within all names.

    Parameters
    ----------
    weight
        float64 of shape (n_dates, n_tickers): share of the name in its quantile; the shares of a quantile add up to
        1. It is 0 where the name has no quantile, no market capitalisation, or a group that is left out.
    quantile_share
        float64 of shape (n_dates, n_quantiles): share of the quantile's names in the size of all names that have a
        weight: their number for equal weights, their market capitalisation otherwise. `weight` times the share of its
        quantile is the weight of a name in the universe. NaN where no name has a weight.
    n_names
        int64 of shape (n_dates, n_quantiles): names with a weight.
    n_left_out
        int64 of shape (n_dates,): names with a quantile and no weight.
    """

    weight: Array
    quantile_share: Array
    n_names: Counts
    n_left_out: Counts


def quantile_weights(
    quantiles: Quantiles,
    *,
    scheme: Scheme = "equal",
    market_cap: Array | None = None,
    max_weight: float | None = None,
    groups: Array | None = None,
    group_share: GroupShare = "proportional",
) -> QuantileWeights:
    r"""Weigh the names of each quantile.

    1. The size of a name is 1 (``equal``), or its market capitalisation (``value``, ``capped_value``).
    2. Its weight is its size over that of the quantile.
    3. ``capped_value``: names above `max_weight` c get c, and the others share the rest in proportion to their size;
       repeat until no name is above c. Of n names, the largest weight cannot be below 1/n: where c is, all n get 1/n.
    4. With groups, steps 2 and 3 are done in each cell, the names of one quantile and one group, and a cell gets its
       group's share of the quantile, which is the same in every quantile: a difference of two quantiles then has no
       net weight in any group. Shares are equal, or proportional to the size of the group's names. A group without a
       name in every quantile has no weight on that session.

    A sort within sectors (`assign_quantiles` with the same groups) and ``proportional`` shares make portfolios that
    are neutral to sectors; within buckets of size and ``equal`` shares, neutral to size, as the mean of a small and a
    big portfolio.

    Parameters
    ----------
    quantiles
        Of shape (n_dates, n_tickers).
    market_cap
        float64 of shape (n_dates, n_tickers), wanted unless the scheme is ``equal``; on the session of the sort, so
        that nothing later is used. NaN, infinite and non-positive are missing: such a name has no weight. For weights
        by a winsorised capitalisation (Jensen, Kelly and Pedersen 2023), pass that.
    max_weight
        Cap on the share of a name in its quantile, or in its cell; in (0, 1]. Only with ``capped_value``.
    groups
        float64 of shape (n_dates, n_tickers): equal codes are one group; a name without a finite code has no weight.
    group_share
        See step 4; without groups it does nothing.

    Raises
    ------
    EvaluationError
        If the scheme or the share is unknown, market capitalisation or cap are missing, or a cap is given that the
        scheme does not use or that is not in (0, 1].
    MisalignedError
        If the shapes differ.

    References
    ----------
    Fama and French (1993), Journal of Financial Economics 33(1), section 2.1.2, doi:10.1016/0304-405X(93)90023-5, for
    the mean over size groups. Jensen, Kelly and Pedersen (2023), Journal of Finance 78(5), for capped value weights.
    """
    for name, given, choices in (
        ("scheme", scheme, get_args(Scheme)),
        ("group_share", group_share, get_args(GroupShare)),
    ):
        if given not in choices:
            raise EvaluationError(f"Unknown {name} {given!r} of weights; {did_you_mean(given, choices)}")
    if (max_weight is not None) != (scheme == "capped_value"):
        raise EvaluationError(
            f"max_weight wants the scheme 'capped_value' and no other; got {max_weight} and {scheme!r}."
        )
    if max_weight is not None and not 0.0 < max_weight <= 1.0:
        raise EvaluationError(f"max_weight wants a share in (0, 1], got {max_weight}.")
    shape = quantiles.number.shape
    numbers = group_numbers(groups, shape=shape)
    if scheme == "equal" and groups is None:
        weight, share = _weigh_equally(quantiles.number, quantiles.n_names)
        n_left_out = np.zeros(len(weight), dtype=np.int64)
        return QuantileWeights(
            weight=weight, quantile_share=share, n_names=quantiles.n_names.copy(), n_left_out=n_left_out
        )
    if scheme == "equal":
        size = np.ones(shape)
    elif market_cap is None:
        raise EvaluationError(f"Weights by {scheme!r} want market_cap, got none; pass it, or choose 'equal'.")
    elif market_cap.shape != shape:
        raise MisalignedError(f"Weights want market_cap of the sort's shape {shape}, got {market_cap.shape}.")
    else:
        size = np.where(np.isfinite(market_cap) & (market_cap > 0.0), market_cap, 0.0)
    weight, share, n_names = _weigh(
        quantiles.number,
        np.ascontiguousarray(size, dtype=np.float64),
        numbers,
        group_share == "equal",
        1.0 if max_weight is None else max_weight,
        quantiles.n_quantiles,
    )
    n_left_out = quantiles.n_names.sum(axis=1) - n_names.sum(axis=1)
    return QuantileWeights(weight=weight, quantile_share=share, n_names=n_names, n_left_out=n_left_out)


@nb.njit((_READ_INT16, _READ_INT), cache=True, nogil=True, error_model="numpy")
def _weigh_equally(number, n_names):  # type: ignore[no-untyped-def]
    """Weigh names without groups as `_weigh` does with sizes of 1, and faster."""
    n_dates, n_tickers = number.shape
    n_quantiles = n_names.shape[1]
    weight = np.empty((n_dates, n_tickers))
    quantile_share = np.full((n_dates, n_quantiles), np.nan)
    of_quantile = np.zeros(n_quantiles + 1)
    for t in range(n_dates):
        n = 0
        for q in range(n_quantiles):
            of_quantile[q + 1] = 1.0 / n_names[t, q] if n_names[t, q] > 0 else 0.0
            n += n_names[t, q]
        for j in range(n_tickers):
            weight[t, j] = of_quantile[number[t, j]]
        if n > 0:
            for q in range(n_quantiles):
                quantile_share[t, q] = n_names[t, q] / n
    return weight, quantile_share


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _cap(cell, weight, n, cap, which, capped):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0917 (Numba has no keyword-only arguments)
    """Cap the n weights of one cell, which add up to 1, and give the excess to the others in proportion."""
    if cap * n <= 1.0:
        for j in range(len(cell)):
            if cell[j] == which and weight[j] > 0.0:
                weight[j] = 1.0 / n
        return
    capped[:] = False
    n_capped = 0
    while True:
        free = 0.0
        for j in range(len(cell)):
            if cell[j] == which and not capped[j]:
                free += weight[j]
        scale = max(0.0, 1.0 - n_capped * cap) / free
        more = 0
        for j in range(len(cell)):
            if cell[j] == which and not capped[j] and weight[j] * scale > cap:
                capped[j] = True
                more += 1
        if more == 0:
            break
        n_capped += more
    for j in range(len(cell)):
        if cell[j] == which:
            weight[j] = cap if capped[j] else weight[j] * scale


@nb.njit(
    (_READ_INT16, _READ, _READ_INT, nb.boolean, nb.float64, nb.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _weigh(number, size, groups, equal_shares, cap, n_quantiles):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0917 (one pass a session; Numba has no keyword-only arguments)
    """Weigh each cell (group x quantile), then give each cell the share of its group."""
    n_dates, n_tickers = number.shape
    weight = np.zeros((n_dates, n_tickers))
    quantile_share = np.full((n_dates, n_quantiles), np.nan)
    n_names = np.zeros((n_dates, n_quantiles), np.int64)
    by_group = len(groups) > 0
    n_groups = 1
    for t in range(len(groups)):
        for j in range(n_tickers):
            n_groups = max(n_groups, groups[t, j] + 1)
    cell = np.empty(n_tickers, np.int64)
    total = np.empty(n_groups * n_quantiles)
    n = np.empty(n_groups * n_quantiles, np.int64)
    share = np.empty(n_groups)
    capped = np.empty(n_tickers, np.bool_)
    for t in range(n_dates):
        total[:] = 0.0
        n[:] = 0
        for j in range(n_tickers):
            cell[j] = -1
            g = groups[t, j] if by_group else 0
            if number[t, j] > 0 and g >= 0 and size[t, j] > 0.0:
                cell[j] = g * n_quantiles + number[t, j] - 1
                total[cell[j]] += size[t, j]
                n[cell[j]] += 1
        share[:] = 1.0
        if by_group:
            of_all = 0.0
            for g in range(n_groups):
                share[g] = 0.0
                for q in range(n_quantiles):
                    share[g] += total[g * n_quantiles + q]
                for q in range(n_quantiles):
                    if n[g * n_quantiles + q] == 0:
                        share[g] = 0.0
                if equal_shares and share[g] > 0.0:
                    share[g] = 1.0
                of_all += share[g]
            if of_all > 0.0:
                share /= of_all
        for j in range(n_tickers):
            if cell[j] >= 0 and share[cell[j] // n_quantiles] > 0.0:
                weight[t, j] = size[t, j] / total[cell[j]]
        if cap < 1.0:
            for c in range(len(n)):
                if n[c] > 0 and share[c // n_quantiles] > 0.0:
                    _cap(cell, weight[t], n[c], cap, c, capped)
        held = 0.0
        for g in range(n_groups):
            if share[g] > 0.0:
                for q in range(n_quantiles):
                    held += total[g * n_quantiles + q]
                    n_names[t, q] += n[g * n_quantiles + q]
        if held > 0.0:
            quantile_share[t] = 0.0
            for g in range(n_groups):
                if share[g] > 0.0:
                    for q in range(n_quantiles):
                        quantile_share[t, q] += total[g * n_quantiles + q] / held
        if by_group:
            for j in range(n_tickers):
                if weight[t, j] > 0.0:
                    weight[t, j] *= share[cell[j] // n_quantiles]
    return weight, quantile_share, n_names
