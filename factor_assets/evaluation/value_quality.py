"""Quality checks of factor values: how many names have one, how large they are, how stable their order is.

1. `value_statistics` reduces the values of each session to a few numbers.
2. `judge` compares each session with limits, and with the sessions before it, and says in a sentence what it found.

A session's judgement depends on it and on `HISTORY_SESSIONS` before it alone, so that any cut of the dates finds the
same sessions. What does not belong here: quality of prices (`panel/quality.py`), returns (`information.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from factor_assets.calendar import Dates
from factor_assets.errors import MisalignedError
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.ranking import Counts, Ranking, rank
from factor_assets.panel.panel import Array

Flags = npt.NDArray[np.bool_]

HISTORY_SESSIONS, MIN_HISTORY = 60, 20
"""Sessions before a session that it is compared with, about a quarter; with fewer than 20 there is no comparison."""

MIN_COVERAGE, COVERAGE_DROP = 0.5, 0.2
"""Coverage below a half, or 20 points below its mean before, is rather a fault of the data than of the market."""

MIN_NAMES = 10
"""With fewer names neither portfolios nor a rank correlation mean anything; as many as the rank IC asks for."""

HUGE = 1e12
"""Beyond this a number without scale comes from a division by almost nothing."""

ROBUST_DEVIATIONS, MAX_ABSURD_SHARE = 50.0, 0.01
"""The values of honest fat-tailed factors stay within 50 robust deviations of the median, but for one in a hundred."""

RANK_DROP, RANK_ERRORS = 0.2, 3.0
"""Fall of the rank correlation with the session before that is no chance: this, and of few names three standard errors,
below the lowest of the history, which chance has pulled down already."""

_IQR_OF_NORMAL = 1.349

CHECKS: Mapping[str, str] = {
    "coverage": (
        f"At least {MIN_COVERAGE:.0%} of the universe has a value on each session past the lookback, and not"
        f" {COVERAGE_DROP:.0%} of it fewer than on the mean of the {HISTORY_SESSIONS} sessions before."
    ),
    "sane_values": (
        f"No value is infinite, and at most {MAX_ABSURD_SHARE:.0%} lie beyond {HUGE:.0e} (where the value has no scale)"
        f" or {ROBUST_DEVIATIONS:.0f} robust deviations from their session's median."
    ),
    "cross_section": f"At least {MIN_NAMES} names have a value on each session past the lookback.",
    "rank_stability": (
        "The ranks of each session correlate with those of the session before: not constant, and not far below the"
        f" lowest correlation of the {HISTORY_SESSIONS} sessions before: {RANK_DROP}, or"
        f" {RANK_ERRORS:.0f} standard errors."
    ),
}
"""Check -> what passes, in the order of the judgements."""


@dataclass(frozen=True, kw_only=True)
class ValueStatistics:
    """What the checks need of each session; every array of shape (n_dates,).

    Parameters
    ----------
    n_members, n_values
        Members of the universe, and those of them with a finite value.
    n_infinite, n_absurd
        Infinite values; values of members that no honest factor has.
    rank_correlation
        Spearman correlation of the ranks with those of the session before; NaN on the first session, and where there
        are fewer than `MIN_NAMES` pairs or one side is constant.
    """

    n_members: Counts
    n_values: Counts
    n_infinite: Counts
    n_absurd: Counts
    rank_correlation: Array

    def rows(self, start: int) -> "ValueStatistics":
        """Return the sessions from `start` on."""
        return ValueStatistics(**{name: values[start:] for name, values in vars(self).items()})

    @classmethod
    def joined(cls, parts: Sequence["ValueStatistics"]) -> "ValueStatistics":
        """Return parts that follow each other as one."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


class Judgement(NamedTuple):
    """What one check found.

    Parameters
    ----------
    is_error
        Whether a failure is certainly a fault, and no property of the market.
    excess
        How far the worst session is beyond its limit; 0 where the check passed.
    text
        One sentence.
    numbers
        Name -> what was found.
    """

    check: str
    passed: bool
    is_error: bool
    excess: float
    text: str
    numbers: Mapping[str, Any]


def value_statistics(values: Array, in_universe: Flags, *, has_scale: bool = False) -> ValueStatistics:
    """Reduce values to what the checks need of each session.

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_tickers). NaN is missing.
    in_universe
        bool of the same shape.
    has_scale
        Whether the value counts money or shares, so that a large one may be right.
    """
    ranking = rank(values, among=in_universe)
    return ValueStatistics(
        n_members=np.count_nonzero(in_universe, axis=1).astype(np.int64),
        n_values=ranking.n_ranked,
        n_infinite=np.count_nonzero(np.isinf(values), axis=1).astype(np.int64),
        n_absurd=_n_absurd(ranking, has_scale=has_scale),
        rank_correlation=rank_ic(ranking, ranking, delay=1, min_tickers=MIN_NAMES),
    )


def judge(statistics: ValueStatistics, dates: Dates, *, start: int, warm: int) -> list[Judgement]:
    """Run every check, in the order of `CHECKS`.

    Parameters
    ----------
    dates
        datetime64[D] of shape (n_dates,).
    start
        First session to judge; those before it are history, as many as there are and at most `HISTORY_SESSIONS` + 1.
    warm
        Sessions at the start whose lookback reaches before the data; nothing can be expected there.

    Raises
    ------
    MisalignedError
        If statistics and dates differ in length.
    """
    if len(dates) != len(statistics.n_values):
        raise MisalignedError(f"Statistics of {len(statistics.n_values)} sessions are not of {len(dates)} dates.")
    position = np.arange(len(dates))
    sessions = _Sessions(dates=dates, judged=position >= start, expected=position >= warm)
    return [
        _coverage(statistics, sessions),
        _sane_values(statistics, sessions),
        _cross_section(statistics, sessions),
        _rank_stability(statistics, sessions),
    ]


class _Sessions(NamedTuple):
    dates: Dates
    judged: Flags
    expected: Flags

    def told(self, row: int | np.intp) -> str:
        return str(self.dates[row])


def _coverage(statistics: ValueStatistics, sessions: _Sessions) -> Judgement:
    wanted = sessions.expected & (statistics.n_members > 0)
    coverage = np.full(len(wanted), np.nan)
    np.divide(statistics.n_values, statistics.n_members, out=coverage, where=wanted)
    before = _history(coverage)
    n_before = np.count_nonzero(~np.isnan(before), axis=1)
    usual = np.full(len(wanted), np.nan)
    np.divide(np.nansum(before, axis=1), n_before, out=usual, where=n_before >= MIN_HISTORY)
    least = np.fmax(MIN_COVERAGE, usual - COVERAGE_DROP)
    rows = np.flatnonzero(wanted & sessions.judged)
    if not len(rows):
        return _nothing("coverage")
    excess = (least - coverage)[rows]
    worst = rows[np.argmax(excess)]
    n_failed = int(np.count_nonzero(excess > 0))
    told = f"{coverage[worst]:.1%} of {statistics.n_members[worst]} members have a value on {sessions.told(worst)}"
    if not np.isnan(usual[worst]):
        told += f", {usual[worst]:.1%} in the mean of the {n_before[worst]} sessions before"
    return Judgement(
        check="coverage",
        passed=n_failed == 0,
        is_error=False,
        excess=max(0.0, float(excess.max())),
        text=f"{n_failed} of {len(rows)} sessions fall short: {told}"
        if n_failed
        else f"{told}; no session falls short",
        numbers={
            "n_sessions": len(rows),
            "n_failed": n_failed,
            "lowest_coverage": float(coverage[rows].min()),
            "mean_coverage": float(coverage[rows].mean()),
            "worst_session": sessions.told(worst),
            "coverage_on_worst": float(coverage[worst]),
            **({} if np.isnan(usual[worst]) else {"mean_before_worst": float(usual[worst])}),
        },
    )


def _sane_values(statistics: ValueStatistics, sessions: _Sessions) -> Judgement:
    rows = np.flatnonzero(sessions.judged)
    n_infinite = int(statistics.n_infinite[rows].sum())
    n_values, n_absurd = int(statistics.n_values[rows].sum()), int(statistics.n_absurd[rows].sum())
    share = n_absurd / n_values if n_values else 0.0
    text = f"none of {n_values} values is infinite, and {share:.2%} are absurd"
    if n_infinite:
        first = rows[np.argmax(statistics.n_infinite[rows] > 0)]
        text = f"{n_infinite} values are infinite, the first on {sessions.told(first)}"
    elif share > MAX_ABSURD_SHARE:
        worst = rows[np.argmax(statistics.n_absurd[rows])]
        text = f"{share:.1%} of {n_values} values are absurd, most of them on {sessions.told(worst)}"
    return Judgement(
        check="sane_values",
        passed=not n_infinite and share <= MAX_ABSURD_SHARE,
        is_error=n_infinite > 0,
        excess=n_infinite + max(0.0, share - MAX_ABSURD_SHARE),
        text=text,
        numbers={"n_values": n_values, "n_infinite": n_infinite, "n_absurd": n_absurd, "share_absurd": share},
    )


def _cross_section(statistics: ValueStatistics, sessions: _Sessions) -> Judgement:
    rows = np.flatnonzero(sessions.judged & sessions.expected)
    if not len(rows):
        return _nothing("cross_section")
    n_values = statistics.n_values[rows]
    worst = rows[np.argmin(n_values)]
    n_failed, fewest = int(np.count_nonzero(n_values < MIN_NAMES)), int(n_values.min())
    text = f"{fewest} names have a value on {sessions.told(worst)}, the fewest of {len(rows)} sessions"
    if n_failed:
        text = (
            f"{n_failed} of {len(rows)} sessions have fewer than {MIN_NAMES} names: {fewest} on {sessions.told(worst)}"
        )
    return Judgement(
        check="cross_section",
        passed=n_failed == 0,
        is_error=False,
        excess=float(max(0, MIN_NAMES - fewest)),
        text=text,
        numbers={
            "n_sessions": len(rows),
            "n_failed": n_failed,
            "fewest_names": fewest,
            "median_names": float(np.median(n_values)),
            "worst_session": sessions.told(worst),
        },
    )


def _rank_stability(statistics: ValueStatistics, sessions: _Sessions) -> Judgement:
    enough = statistics.n_values >= MIN_NAMES
    both = np.zeros(len(enough), dtype=bool)
    both[1:] = (sessions.expected & enough)[1:] & (sessions.expected & enough)[:-1]
    rows = np.flatnonzero(both & sessions.judged)
    if not len(rows):
        return _nothing("rank_stability")
    correlation = np.where(both, statistics.rank_correlation, np.nan)
    before = _history(correlation)
    known = np.count_nonzero(~np.isnan(before), axis=1) >= MIN_HISTORY
    lowest = np.where(known, np.fmin.reduce(before, axis=1), np.nan)
    chance = RANK_ERRORS / np.sqrt(np.maximum(statistics.n_values - 1, 1))
    fall = (lowest - np.maximum(RANK_DROP, chance) - correlation)[rows]
    undefined = np.isnan(correlation[rows])
    failed = undefined | (fall > 0)
    n_failed = int(np.count_nonzero(failed))
    median = float(np.median(correlation[rows][~undefined])) if not undefined.all() else None
    told = "no rank correlation" if median is None else f"the median rank correlation is {median:.3f}"
    text = f"{told} with the session before, of {len(rows)} sessions"
    if undefined.any():
        worst = rows[np.argmax(undefined)]
        text = (
            f"{n_failed} of {len(rows)} sessions fail: all names have one value on {sessions.told(worst)} or before it"
        )
    elif n_failed:
        worst = rows[np.nanargmax(fall)]
        text = (
            f"{n_failed} of {len(rows)} sessions fail: on {sessions.told(worst)} the ranks correlate"
            f" {correlation[worst]:.3f} with the session before, at least {lowest[worst]:.3f} until then"
        )
    return Judgement(
        check="rank_stability",
        passed=n_failed == 0,
        is_error=False,
        excess=float(undefined.sum() + np.nansum(np.fmax(fall, 0.0))),
        text=text,
        numbers={
            "n_sessions": len(rows),
            "n_failed": n_failed,
            "n_undefined": int(undefined.sum()),
            **({} if median is None else {"median_correlation": median}),
            **({} if median is None else {"lowest_correlation": float(np.nanmin(correlation[rows]))}),
        },
    )


def _nothing(check: str) -> Judgement:
    text = "no session past the lookback has anything to judge"
    return Judgement(check=check, passed=True, is_error=False, excess=0.0, text=text, numbers={"n_sessions": 0})


def _history(values: Array) -> Array:
    """Return the values of the `HISTORY_SESSIONS` rows before each row; NaN where there are none.

    Shape (n_dates, HISTORY_SESSIONS).
    """
    padded = np.concatenate([np.full(HISTORY_SESSIONS, np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, HISTORY_SESSIONS)[: len(values)]


def _n_absurd(ranking: Ranking, *, has_scale: bool) -> Counts:
    """Count the values far from the session's median; its spread is the quartiles', which no outlier moves."""
    if not ranking.values.shape[1]:
        return np.zeros(len(ranking.values), dtype=np.int64)
    rows, n = np.arange(len(ranking.values)), ranking.n_ranked
    first, middle, third = (ranking.values[rows, ranking.order[rows, n * q // 4]] for q in (1, 2, 3))
    deviation = (third - first) / _IQR_OF_NORMAL
    # A spread of 0, most names sharing one value, measures nothing.
    reach = np.where((deviation > 0) & (n >= MIN_NAMES), ROBUST_DEVIATIONS * deviation, np.inf)
    limits = np.stack([middle - reach, middle + reach])
    if not has_scale:
        limits = np.clip(limits, -HUGE, HUGE)
    outside = (ranking.values < limits[0][:, None]) | (ranking.values > limits[1][:, None])
    n_outside: Counts = np.count_nonzero(outside, axis=1).astype(np.int64)
    return n_outside
