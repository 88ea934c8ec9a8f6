"""`Quantiles`: which quantile of the factor each name is in, by session, overall or within groups.

What does not belong here: how much of each name is held (`quantile_weights.py`), what that earns
(`quantile_portfolios.py`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numba as nb
import numpy as np
import numpy.typing as npt

from factor_assets.errors import EvaluationError, MisalignedError, did_you_mean
from factor_assets.evaluation.ranking import Counts, Ranking
from factor_assets.panel.panel import Array

Mask = npt.NDArray[np.bool_]
QuantileNumbers = npt.NDArray[np.int16]
Method = Literal["position", "breakpoint"]

FORMED, NO_VALUES, NO_GROUP, TOO_FEW, ONE_VALUE, TOO_FEW_AT_BREAKPOINTS = range(6)

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_READ_BOOL = nb.types.Array(nb.boolean, 2, "C", readonly=True)
_READ_INT = nb.types.Array(nb.int64, 2, "C", readonly=True)


def reason_texts(n_quantiles: int) -> tuple[str | None, ...]:
    """Say why a session has no quantiles; position is the code in `Quantiles.reason`."""
    return (
        None,
        "no factor value",
        "no ranked name has a group",
        f"fewer than {n_quantiles} names ranked",
        "all ranked names have the same factor value",
        f"fewer than {n_quantiles} ranked names, or one value, to make the breakpoints",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantiles:
    """Quantile of each name, by session.

    Parameters
    ----------
    number
        int16 of shape (n_dates, n_tickers): 1 for the lowest values up to n_quantiles; 0 where the name has none.
    n_names
        int64 of shape (n_dates, n_quantiles): names in each; 0 where no quantiles could be formed.
    n_left_out
        int64 of shape (n_dates,): ranked names without a quantile: they have no group, or their group cannot be
        divided.
    reason
        int8 of shape (n_dates,), see `reason_texts`; 0 where quantiles were formed, in one group at least.
    """

    number: QuantileNumbers
    n_names: Counts
    n_left_out: Counts
    reason: npt.NDArray[np.int8]

    @property
    def n_quantiles(self) -> int:
        """How many quantiles a session is divided into."""
        n_quantiles: int = self.n_names.shape[1]
        return n_quantiles


def assign_quantiles(
    ranking: Ranking,
    *,
    n_quantiles: int = 5,
    method: Method = "position",
    breakpoints_from: Mask | None = None,
    groups: Array | None = None,
) -> Quantiles:
    r"""Divide the names of each session into quantiles of their values.

    Within each group, or among all names where there are no groups:

    - ``position``: the name at position i (from 0) of n in the order (value, ticker) is in quantile
      :math:`\lfloor i q / n \rfloor + 1`, as in `quantile_returns`. Quantiles differ by one name at most; equal
      values may be divided.
    - ``breakpoint``: breakpoint k of :math:`k = 1 \ldots q - 1` is the value at position :math:`k (m - 1) / q` of
      the m names of `breakpoints_from`, linear between two names; a name is in the lowest quantile whose breakpoint
      its value does not exceed. Equal values are never divided, and a quantile may be empty.

    Names that all have one value are not divided: their order would be the alphabet's.

    Parameters
    ----------
    ranking
        Names of shape (n_dates, n_tickers), sorted by value (`rank`).
    method
        See above.
    breakpoints_from
        bool of shape (n_dates, n_tickers): the ranked names that make the breakpoints, such as those listed on the
        NYSE; by default all. Only with the method ``breakpoint``.
    groups
        float64 of shape (n_dates, n_tickers): equal codes are one group, such as a sector or a bucket of size. A name
        without a finite code gets no quantile. By default all names are one group.

    Returns
    -------
    Row t looks at row t alone. A group with fewer than `n_quantiles` names gets none; its names are counted in
    `Quantiles.n_left_out`.

    Raises
    ------
    EvaluationError
        If there are fewer than 2 quantiles or more than 32,767, the method is unknown, or `breakpoints_from` comes
        with the method ``position``.
    MisalignedError
        If the shapes differ.

    References
    ----------
    Fama and French (1993), Journal of Financial Economics 33(1), section 2.1.2, doi:10.1016/0304-405X(93)90023-5, for
    breakpoints of the names on the NYSE.
    """
    if not 2 <= n_quantiles <= np.iinfo(np.int16).max:
        raise EvaluationError(f"A sort wants 2 to {np.iinfo(np.int16).max} quantiles, got {n_quantiles}.")
    if method not in get_args(Method):
        raise EvaluationError(f"Unknown method {method!r} of a sort; {did_you_mean(method, get_args(Method))}")
    shape = ranking.values.shape
    if breakpoints_from is None:
        breakpoints_from = np.ones((1, shape[1]), dtype=np.bool_)
    elif method == "position":
        raise EvaluationError("breakpoints_from wants the method 'breakpoint', got 'position', which has none.")
    elif breakpoints_from.shape != shape:
        raise MisalignedError(
            f"A sort wants breakpoints_from of the ranking's shape {shape}, got {breakpoints_from.shape}."
        )
    number, n_names, n_left_out, reason = _assign(
        ranking.values,
        ranking.order,
        ranking.n_ranked,
        group_numbers(groups, shape=shape),
        np.ascontiguousarray(breakpoints_from, dtype=np.bool_),
        method == "breakpoint",
        n_quantiles,
    )
    return Quantiles(number=number, n_names=n_names, n_left_out=n_left_out, reason=reason)


def group_numbers(groups: Array | None, *, shape: tuple[int, ...]) -> Counts:
    """Number the groups from 0 in the order of their codes; -1 where a name has none.

    Parameters
    ----------
    groups
        float64 of shape (n_dates, n_tickers), or none.
    shape
        The shape that `groups` is to have.

    Returns
    -------
    int64 of that shape; of shape (0, n_tickers) without groups.

    Raises
    ------
    MisalignedError
        If it has another.
    """
    if groups is None:
        return np.empty((0, shape[1]), dtype=np.int64)
    if groups.shape != shape:
        raise MisalignedError(f"A sort wants groups of the ranking's shape {shape}, got {groups.shape}.")
    has_group = np.isfinite(groups)
    numbers = np.full(shape, -1, dtype=np.int64)
    codes, inverse = np.unique(groups[has_group], return_inverse=True)
    if len(codes):
        numbers[has_group] = inverse
    return numbers


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _breakpoints(values, names, allowed, n_quantiles, inside, breakpoints):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Write the n_quantiles - 1 breakpoints of the allowed names; return whether there are any."""
    m = 0
    for i in range(len(names)):
        if allowed[names[i]]:
            inside[m] = values[names[i]]
            m += 1
    if m < n_quantiles or inside[0] == inside[m - 1]:
        return False
    for k in range(1, n_quantiles):
        below, part = divmod(k * (m - 1), n_quantiles)  # integers: a breakpoint that is a name's value is exactly that
        low = inside[below]
        high = inside[min(below + 1, m - 1)]
        share = part / n_quantiles
        # not low + share * (high - low), which overflows
        breakpoints[k - 1] = low if part == 0 or low == high else low * (1.0 - share) + high * share
    return True


@nb.njit(
    (_READ, _READ_INT, nb.int64[::1], _READ_INT, _READ_BOOL, nb.boolean, nb.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _assign(values, order, n_ranked, groups, allowed, by_breakpoint, n_quantiles):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915, PLR0917 (one pass a session; Numba has no keyword-only arguments)
    """Gather the sorted names of each group, then divide each group."""
    n_dates, n_tickers = values.shape
    number = np.zeros((n_dates, n_tickers), np.int16)
    n_names = np.zeros((n_dates, n_quantiles), np.int64)
    n_left_out = np.zeros(n_dates, np.int64)
    reason = np.zeros(n_dates, np.int8)
    is_one_group = len(groups) == 0
    n_groups = 1
    for t in range(len(groups)):
        for j in range(n_tickers):
            n_groups = max(n_groups, groups[t, j] + 1)
    first = np.empty(n_groups + 1, np.int64)
    names = np.empty(n_tickers, np.int64)
    inside = np.empty(n_tickers)
    breakpoints = np.empty(n_quantiles - 1)
    for t in range(n_dates):
        first[:] = 0
        n_grouped = n_ranked[t]
        if is_one_group:
            names[:n_grouped] = order[t, :n_grouped]
            first[0] = n_grouped
        else:
            n_grouped = 0
            for i in range(n_ranked[t]):
                g = groups[t, order[t, i]]
                if g >= 0:
                    first[g + 1] += 1
                    n_grouped += 1
            for g in range(n_groups):
                first[g + 1] += first[g]
            for i in range(n_ranked[t]):
                g = groups[t, order[t, i]]
                if g >= 0:
                    names[first[g]] = order[t, i]
                    first[g] += 1  # ends at the next group's start
        why = NO_VALUES if n_ranked[t] == 0 else (NO_GROUP if n_grouped == 0 else TOO_FEW)
        n_assigned = 0
        start = 0
        for g in range(n_groups):
            group = names[start : first[g]]
            start = first[g]
            m = len(group)
            if m < n_quantiles:
                continue
            if values[t, group[0]] == values[t, group[m - 1]]:
                why = max(why, ONE_VALUE)
                continue
            if not by_breakpoint:
                for q in range(n_quantiles):  # floor(i * n_quantiles / m) == q
                    for i in range(-(-q * m // n_quantiles), -(-(q + 1) * m // n_quantiles)):
                        number[t, group[i]] = q + 1
                        n_names[t, q] += 1
            elif _breakpoints(values[t], group, allowed[t % len(allowed)], n_quantiles, inside, breakpoints):
                q = 0
                for i in range(m):
                    while q < n_quantiles - 1 and values[t, group[i]] > breakpoints[q]:
                        q += 1
                    number[t, group[i]] = q + 1
                    n_names[t, q] += 1
            else:
                why = max(why, TOO_FEW_AT_BREAKPOINTS)
                continue
            n_assigned += m
        n_left_out[t] = n_ranked[t] - n_assigned
        reason[t] = FORMED if n_assigned > 0 else why
    return number, n_names, n_left_out, reason
