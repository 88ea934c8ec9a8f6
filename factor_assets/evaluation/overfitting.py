"""Probability of backtest overfitting: does the strategy that was best on half of the dates disappoint on the rest.

What does not belong here: the Sharpe ratio's own precision (`sharpe.py`), tests of the best against a benchmark
(`superior_ability.py`).
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal, get_args

import numba as nb
import numpy as np

from factor_assets.errors import EvaluationError, did_you_mean
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

Statistic = Literal["sharpe_ratio", "mean"]

MAX_BLOCKS = 20

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Overfitting:
    """What choosing the best strategy on half of the dates is worth on the other half.

    Parameters
    ----------
    probability
        PBO: share of the splits on which the best of one half is at or below the median of the other.
    logits
        float64 of shape (n_splits,): log-odds of the chosen strategy's relative rank out of sample.
    chosen
        int64 of shape (n_splits,): column of the strategy that was best in sample.
    in_sample, out_of_sample
        float64 of shape (n_splits,): the chosen strategy's statistic on both halves, per session.
    degradation_slope, degradation_intercept
        Least squares of `out_of_sample` on `in_sample`: a slope of 0 or below says that a better backtest promises
        nothing. NaN where `in_sample` does not vary.
    probability_of_loss
        Share of the splits on which the chosen strategy's statistic is below 0 out of sample.
    n_left_out
        Oldest dates left out, so that all blocks are equally long.
    """

    probability: float
    logits: Array
    chosen: Counts
    in_sample: Array
    out_of_sample: Array
    degradation_slope: float
    degradation_intercept: float
    probability_of_loss: float
    n_left_out: int


def probability_of_overfitting(
    returns: Array, *, n_blocks: int = 16, statistic: Statistic = "sharpe_ratio"
) -> Overfitting:
    r"""Estimate the probability of backtest overfitting by combinatorially symmetric cross-validation.

    1. The dates are cut into S blocks of equal length, in order.
    2. Each of the :math:`\binom{S}{S/2}` choices of half of the blocks is in sample once; the rest is out of sample.
    3. The strategy that is best in sample gets its rank r among all N out of sample, and the relative rank
       :math:`\omega = r / (N + 1)`.
    4. Its logit is :math:`\lambda = \ln(\omega / (1 - \omega))`; the probability is the share of
       :math:`\lambda \le 0`.

    Parameters
    ----------
    returns
        float64 of shape (n_dates, n_strategies): returns per session of every strategy that was tried, also of the
        bad ones. No NaN: all are judged on the same dates.
    n_blocks
        S, even, from 4 to 20.
    statistic
        What best means: the Sharpe ratio (n - 1 degrees of freedom), or the mean.

    Returns
    -------
    Splits are in lexicographic order of the in-sample blocks. Equal statistics out of sample share the average rank;
    among equals in sample the first column is chosen.

    Raises
    ------
    EvaluationError
        If the shape, the blocks or the statistic are not as above, a return is NaN or infinite, or a strategy earns
        one and the same return on half of the blocks (it has no Sharpe ratio there).

    Notes
    -----
    A median rank counts as overfitting, as in the paper's integral up to 0: with an odd number of strategies without
    merit the expected probability is (N + 1) / 2N.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2017), The Probability of Backtest Overfitting, Journal of Computational
    Finance 20(4).
    """
    values = _checked(returns, n_blocks=n_blocks, statistic=statistic)
    n_left_out = len(values) % n_blocks
    blocks = values[n_left_out:].reshape(n_blocks, -1, values.shape[1])  # (n_blocks, n_dates_in_block, n_strategies)
    by_sharpe = statistic == "sharpe_ratio"
    if by_sharpe:
        _require_variation(blocks)
    means = blocks.mean(axis=1)
    squares = ((blocks - means[:, None, :]) ** 2).sum(axis=1)
    chosen, in_sample, out_of_sample, ranks = _cross_validate(
        means, squares, _first_halves(n_blocks), blocks.shape[1], by_sharpe
    )
    relative = ranks / (values.shape[1] + 1.0)
    logits = np.log(relative / (1.0 - relative))
    slope, intercept = _line(in_sample, out_of_sample)
    return Overfitting(
        probability=float(np.mean(relative <= 0.5)),
        logits=logits,
        chosen=chosen,
        in_sample=in_sample,
        out_of_sample=out_of_sample,
        degradation_slope=slope,
        degradation_intercept=intercept,
        probability_of_loss=float(np.mean(out_of_sample < 0.0)),
        n_left_out=n_left_out,
    )


def _checked(returns: Array, *, n_blocks: int, statistic: str) -> Array:
    if statistic not in get_args(Statistic):
        raise EvaluationError(f"Unknown statistic {statistic!r}: {did_you_mean(str(statistic), get_args(Statistic))}")
    if n_blocks % 2 or not 4 <= n_blocks <= MAX_BLOCKS:
        raise EvaluationError(
            f"Cross-validation wants an even number of blocks from 4 to {MAX_BLOCKS}, got {n_blocks}."
        )
    values = np.ascontiguousarray(returns, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise EvaluationError(
            "Overfitting wants returns of shape (n_dates, n_strategies) of at least 2 strategies, all that were tried;"
            f" got {values.shape}."
        )
    if len(values) < 2 * n_blocks:
        raise EvaluationError(f"{n_blocks} blocks want at least {2 * n_blocks} dates, got {len(values)}.")
    is_bad = ~np.isfinite(values)
    if is_bad.any():
        raise EvaluationError(
            f"Overfitting wants finite returns of all strategies on the same dates; got {int(is_bad.sum())} that are"
            f" NaN or infinite, on {int(is_bad.any(axis=1).sum())} dates of {int(is_bad.any(axis=0).sum())} strategies."
            " Keep the dates that all have, or leave the short strategies out."
        )
    return values


def _require_variation(blocks: Array) -> None:
    """Refuse a strategy with one value on half of the blocks: rounding would make up its Sharpe ratio."""
    first = blocks[:, 0, :]
    is_constant = (blocks == first[:, None, :]).all(axis=1)  # (n_blocks, n_strategies)
    same = (first[:, None, :] == first[None, :, :]) & is_constant[:, None, :] & is_constant[None, :, :]
    n_same = same.sum(axis=1).max(axis=0)
    bad = np.flatnonzero(n_same >= len(blocks) // 2)
    if len(bad):
        raise EvaluationError(
            f"A Sharpe ratio wants returns that vary; {len(bad)} strategies (first: column {bad[0]}) earn one and the"
            f" same return on at least {len(blocks) // 2} of {len(blocks)} blocks. Leave them out, or use the mean."
        )


def _first_halves(n_blocks: int) -> Counts:
    """Return the splits whose in-sample half holds block 0, as (n_splits / 2, n_blocks): in-sample blocks first.

    The other half of the splits are the same ones with the roles exchanged, in the opposite order.
    """
    rest = range(1, n_blocks)
    splits = np.empty((comb(n_blocks, n_blocks // 2) // 2, n_blocks), dtype=np.int64)
    for row, others in enumerate(combinations(rest, n_blocks // 2 - 1)):
        splits[row] = (0, *others, *(block for block in rest if block not in others))
    return splits


def _line(x: Array, y: Array) -> tuple[float, float]:
    if x.min() == x.max():
        return np.nan, np.nan
    dx = x - x.mean()
    slope = float(dx @ (y - y.mean()) / (dx @ dx))
    return slope, float(y.mean() - slope * x.mean())


@nb.njit(cache=True, error_model="numpy")
def _measure(means, squares, blocks, n_in_block, by_sharpe, result):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Write the statistic of every strategy over the union of some blocks into `result` (n_strategies,)."""
    n_blocks, n_strategies = len(blocks), means.shape[1]
    result[:] = 0.0
    for b in blocks:
        for j in range(n_strategies):
            result[j] += means[b, j]
    for j in range(n_strategies):
        result[j] /= n_blocks
    if not by_sharpe:
        return
    total = np.zeros(n_strategies)  # squares around the mean of the union, a sum of positive numbers: nothing cancels
    for b in blocks:
        for j in range(n_strategies):
            between = means[b, j] - result[j]
            total[j] += squares[b, j] + n_in_block * between * between
    freedom = n_blocks * n_in_block - 1.0
    for j in range(n_strategies):
        result[j] /= np.sqrt(total[j] / freedom)


@nb.njit(cache=True, error_model="numpy")
def _average_rank(values, column):  # type: ignore[no-untyped-def]
    n_below, n_equal = 0, 0
    for j in range(len(values)):
        n_below += values[j] < values[column]
        n_equal += values[j] == values[column]
    return n_below + 0.5 * (n_equal + 1.0)


@nb.njit((_READ, _READ, nb.int64[:, ::1], nb.int64, nb.boolean), cache=True, error_model="numpy", nogil=True)
def _cross_validate(means, squares, first_halves, n_in_block, by_sharpe):  # type: ignore[no-untyped-def]
    """Measure both halves of every split once, and use them in both roles."""
    n_halves, n_blocks = first_halves.shape
    half = n_blocks // 2
    chosen = np.empty(2 * n_halves, np.int64)
    in_sample, out_of_sample, ranks = np.empty(2 * n_halves), np.empty(2 * n_halves), np.empty(2 * n_halves)
    halves = np.empty((2, means.shape[1]))
    for row in range(n_halves):
        _measure(means, squares, first_halves[row, :half], n_in_block, by_sharpe, halves[0])
        _measure(means, squares, first_halves[row, half:], n_in_block, by_sharpe, halves[1])
        for side in range(2):
            split = row if side == 0 else 2 * n_halves - 1 - row
            best = np.argmax(halves[side])
            chosen[split] = best
            in_sample[split] = halves[side, best]
            out_of_sample[split] = halves[1 - side, best]
            ranks[split] = _average_rank(halves[1 - side], best)
    return chosen, in_sample, out_of_sample, ranks
