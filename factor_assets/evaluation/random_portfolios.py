"""Portfolios of names drawn at random, as many long and short as the factor held: what luck alone would have earned.

What does not belong here: the factor's own portfolios (`portfolios.py`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numba as nb
import numpy as np
import numpy.typing as npt

from factor_assets.errors import EvaluationError, MisalignedError, did_you_mean
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

Alternative = Literal["two_sided", "greater", "less"]

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_32 = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomBenchmark:
    """A factor's return beside those of random portfolios of the same sizes.

    Parameters
    ----------
    mean_return, cumulative_return
        Of the factor: fraction per session, and compounded over all sessions.
    pvalue_mean, pvalue_cumulative
        Share of random portfolios, the factor itself among them, that did at least as well.
    simulated_mean_returns, simulated_cumulative_returns
        float64 of shape (n_simulations,): the same numbers of each random portfolio.
    n_sessions
        Sessions that were compared.
    """

    mean_return: float
    cumulative_return: float
    pvalue_mean: float
    pvalue_cumulative: float
    simulated_mean_returns: Array
    simulated_cumulative_returns: Array
    n_sessions: int


def random_portfolios(
    returns: Array,
    in_universe: npt.NDArray[np.bool_],
    *,
    n_long: Counts,
    n_short: Counts,
    market_cap: Array | None = None,
    is_rebalance: npt.NDArray[np.bool_] | None = None,
    n_simulations: int = 1000,
    seed: int = 0,
) -> Array:
    """Simulate the return of portfolios that go long and short as many names as the factor did, drawn at random.

    For every simulation and every session t but the first:

    1. On a session of rebalancing, and after one without a portfolio, `n_long[t]` names and `n_short[t]` other names
       are drawn without replacement among those in the universe on t-1 that have a return on t (and, with
       `market_cap`, a capitalisation on t-1). Otherwise the names stay.
    2. Weights within each side are equal, or proportional to the capitalisation before the draw. They return to these
       targets every session; a name that lost its return leaves its weight to the others.
    3. The return is the weighted mean of the long names minus that of the short ones; a side without names earns 0.

    Parameters
    ----------
    returns
        float64 of shape (n_dates, n_tickers): total return on the session (fraction). NaN and infinite are missing.
    in_universe
        bool of the same shape: names that the factor could have chosen, known on that date; leave out those without a
        factor value, so that luck picks from the same names.
    n_long, n_short
        int64 of shape (n_dates,): names held on session t that have a return on it, as `Portfolios.n_high` and `n_low`
        count them. Negative, or both 0, on a session without a portfolio. Between draws only the sign is read.
    market_cap
        float64 of shape (n_dates, n_tickers). NaN, infinite and non-positive are missing. By default weights are equal.
    is_rebalance
        bool of shape (n_dates,): sessions with a new draw; by default all.
    n_simulations
        Random portfolios.
    seed
        The same seed gives the same bits, on every machine.

    Returns
    -------
    float64 of shape (n_simulations, n_dates), fraction per session. NaN on the first session, where there is no
    portfolio, and where a side that has names has no return of any. Each session of each simulation draws from its own
    stream: later dates and further simulations change no number that was there before.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If a session asks for more names than there are, or there is no simulation.

    References
    ----------
    Burns (2006), Random Portfolios for Evaluating Trading Strategies, working paper, Burns Statistics. The generator is
    SplitMix64: Steele, Lea and Flood (2014), Fast Splittable Pseudorandom Number Generators, OOPSLA.
    """
    if n_simulations < 1:
        raise EvaluationError(f"Random portfolios want at least 1 simulation, got {n_simulations}.")
    shape = np.shape(returns)
    if len(shape) != 2:
        raise MisalignedError(f"Random portfolios want returns of shape (n_dates, n_tickers), got {shape}.")
    if is_rebalance is None:
        is_rebalance = np.ones(shape[0], dtype=np.bool_)
    size = np.ones(shape) if market_cap is None else np.asarray(market_cap, dtype=np.float64)
    for name, array, wanted in (
        ("in_universe", in_universe, shape),
        ("n_long", n_long, shape[:1]),
        ("n_short", n_short, shape[:1]),
        ("market_cap", size, shape),
        ("is_rebalance", is_rebalance, shape[:1]),
    ):
        if np.shape(array) != wanted:
            raise MisalignedError(f"Random portfolios want {name} of shape {wanted}, got {np.shape(array)}.")
    size = np.where(np.isfinite(size) & (size > 0.0), size, 0.0)
    simulated, failed = _simulate(
        np.ascontiguousarray(returns, dtype=np.float64),
        np.ascontiguousarray(in_universe, dtype=np.bool_),
        np.ascontiguousarray(size),
        np.ascontiguousarray(n_long, dtype=np.int64),
        np.ascontiguousarray(n_short, dtype=np.int64),
        np.ascontiguousarray(is_rebalance, dtype=np.bool_),
        n_simulations,
        np.uint64(seed % 2**64),
    )
    if failed >= 0:
        raise EvaluationError(
            f"Row {failed} asks for {n_long[failed]} long and {n_short[failed]} short names; fewer were in the universe"
            " on the row before with a return on it. Pass the universe and returns that the portfolios were made from."
        )
    result: Array = np.ascontiguousarray(simulated.T)
    return result


def compare_with_random(
    factor_return: Array, simulated: Array, *, alternative: Alternative = "two_sided"
) -> RandomBenchmark:
    r"""Place a factor's return among those of random portfolios.

    .. math:: p = \frac{1 + \#\{x_s \ge x\}}{1 + n}

    for "greater", with :math:`\le` for "less"; "two_sided" is twice the smaller of both, at most 1.

    Parameters
    ----------
    factor_return
        float64 of shape (n_dates,), fraction per session. NaN sessions are left out, in the random portfolios too.
    simulated
        float64 of shape (n_simulations, n_dates), from `random_portfolios`. A NaN session is left out of that
        simulation's mean and compounding.
    alternative
        What is surprising: a return that is too high, too low, or either.

    Returns
    -------
    The numbers compared are the mean, and the compounded return with a portfolio that loses everything staying at -1.

    Raises
    ------
    MisalignedError
        If the dates differ.
    EvaluationError
        If the alternative is unknown, a return is infinite, there is no session to compare, or a session with a factor
        return has no random portfolio.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 4.2, for counting the factor itself.
    """
    if alternative not in get_args(Alternative):
        raise EvaluationError(
            f"Unknown alternative {alternative!r}: {did_you_mean(str(alternative), get_args(Alternative))}"
        )
    if np.ndim(simulated) != 2 or np.shape(factor_return) != np.shape(simulated)[1:]:
        raise MisalignedError(
            "A comparison wants a factor return of shape (n_dates,) and simulated ones of shape (n_simulations,"
            f" n_dates); got {np.shape(factor_return)} and {np.shape(simulated)}."
        )
    is_compared = ~np.isnan(factor_return)
    observed, random = factor_return[is_compared], simulated[:, is_compared]
    if np.isinf(observed).any():
        raise EvaluationError(f"A comparison wants finite returns; {int(np.isinf(observed).sum())} are infinite.")
    n_empty = int(np.isnan(random).all(axis=0).sum())
    if random.size == 0 or n_empty or np.isnan(random).all(axis=1).any():
        raise EvaluationError(
            f"A comparison wants random portfolios on all sessions with a factor return; {n_empty} of {len(observed)}"
            f" have none, of {len(simulated)} simulations. Simulate with the sizes of this factor's portfolios."
        )
    numbers = np.vstack([observed, random])  # the factor first, by the same arithmetic
    is_missing = np.isnan(numbers)
    filled = np.where(is_missing, 0.0, numbers)
    means = filled.sum(axis=1) / np.maximum((~is_missing).sum(axis=1), 1)
    compounded = np.prod(np.maximum(1.0 + filled, 0.0), axis=1) - 1.0
    return RandomBenchmark(
        mean_return=float(means[0]),
        cumulative_return=float(compounded[0]),
        pvalue_mean=_pvalue(means, alternative),
        pvalue_cumulative=_pvalue(compounded, alternative),
        simulated_mean_returns=means[1:],
        simulated_cumulative_returns=compounded[1:],
        n_sessions=len(observed),
    )


def _pvalue(numbers: Array, alternative: Alternative) -> float:
    """P-value of the first number among all of them."""
    greater, less = float(np.mean(numbers >= numbers[0])), float(np.mean(numbers <= numbers[0]))
    return {"greater": greater, "less": less, "two_sided": min(1.0, 2.0 * min(greater, less))}[alternative]


@nb.njit(nb.uint64(nb.uint64), cache=True, error_model="numpy")
def _mix(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@nb.njit(cache=True, error_model="numpy")
def _draw(names, n_names, n_drawn, state):  # type: ignore[no-untyped-def]
    """Shuffle `n_drawn` of the first `n_names` to the front (Fisher-Yates; bounded numbers as in Lemire 2019)."""
    for i in range(n_drawn):
        n_left = np.uint64(n_names - i)
        state += _GOLDEN_GAMMA
        product = (_mix(state) >> np.uint64(32)) * n_left
        if (product & _LOW_32) < n_left:  # rare: draw again where some names would be likelier than others
            n_surplus = (_LOW_32 + np.uint64(1)) % n_left
            while (product & _LOW_32) < n_surplus:
                state += _GOLDEN_GAMMA
                product = (_mix(state) >> np.uint64(32)) * n_left
        j = i + np.int64(product >> np.uint64(32))
        names[i], names[j] = names[j], names[i]


@nb.njit(cache=True, error_model="numpy")
def _side(names, weights, returns):  # type: ignore[no-untyped-def]
    """Weighted mean return of the names that have one; a side without names earns 0."""
    if len(names) == 0:
        return 0.0
    invested, earned = 0.0, 0.0
    for j in names:
        if np.isfinite(returns[j]):
            invested += weights[j]
            earned += weights[j] * returns[j]
    return earned / invested if invested > 0.0 else np.nan


@nb.njit(
    (_READ, nb.boolean[:, ::1], nb.float64[:, ::1], nb.int64[::1], nb.int64[::1], nb.boolean[::1], nb.int64, nb.uint64),
    cache=True,
    error_model="numpy",
    nogil=True,
)
def _simulate(returns, in_universe, size, n_long, n_short, is_rebalance, n_simulations, seed):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Return (n_dates, n_simulations) and -1, or the first row that asks for too many names."""
    n_dates, n_tickers = returns.shape
    result = np.full((n_dates, n_simulations), np.nan)
    candidates = np.empty(n_tickers, np.int32)
    held = np.empty((n_simulations, n_tickers), np.int32)  # long names first, then short
    held_long, held_short, drawn_on = 0, 0, -1
    for t in range(1, n_dates):
        if n_long[t] < 0 or n_short[t] < 0 or n_long[t] + n_short[t] == 0:
            drawn_on = -1
            continue
        if is_rebalance[t] or drawn_on < 0:
            held_long, held_short, drawn_on = n_long[t], n_short[t], t
            n_candidates = 0
            for j in range(n_tickers):
                if in_universe[t - 1, j] and size[t - 1, j] > 0.0 and np.isfinite(returns[t, j]):
                    candidates[n_candidates] = j
                    n_candidates += 1
            if held_long + held_short > n_candidates:
                return result, t
            stream = _mix(seed + np.uint64(t) * _GOLDEN_GAMMA)
            for s in range(n_simulations):
                held[s, :n_candidates] = candidates[:n_candidates]
                state = _mix(stream ^ _mix(np.uint64(s) + _GOLDEN_GAMMA))
                _draw(held[s], n_candidates, held_long + held_short, state)
        weights = size[drawn_on - 1]
        for s in range(n_simulations):
            high = _side(held[s, :held_long], weights, returns[t])
            low = _side(held[s, held_long : held_long + held_short], weights, returns[t])
            result[t, s] = high - low
    return result, -1
