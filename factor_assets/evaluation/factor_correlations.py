"""How alike every two factors are: correlation of their returns and of their ranks. The table `factor_correlations`.

What does not belong here: the grouping of similar factors (`clustering.py`), what a factor adds to others
(`marginal_ic.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.clustering import HEIGHT, cluster_factors
from factor_assets.evaluation.ranking import Ranking, rank
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.panel.panel import Array
from factor_assets.tables import table

Label = tuple[str, str]
"""(family, name) of a factor."""

MIN_SESSIONS = 30

_MOST_PAIR_SESSIONS = 100_000_000
_FEWEST_SAMPLED = 100
_BLOCK_VALUES = 12_000_000
_NOISE = 1e-12  # of a variance, relative to the squares that it is the difference of


@dataclass(frozen=True, kw_only=True, eq=False)
class FactorBlock:
    """Values of all factors on some sessions.

    Parameters
    ----------
    factors
        (family, name, values); values float64 of shape (n_dates, n_tickers). NaN and infinite are missing. One is in
        memory at a time.
    in_universe
        bool of shape (n_dates, n_tickers).
    """

    factors: Iterable[tuple[str, str, Array]]
    in_universe: npt.NDArray[np.bool_]


class Closest(NamedTuple):
    """The factor that is most like another.

    Parameters
    ----------
    family, name
        Of the other factor.
    correlation
        Rank correlation with it, signed.
    """

    family: str
    name: str
    correlation: float


def sampling_step(n_factors: int, n_sessions: int) -> int:
    """Return k: the rank correlation is a mean over every k-th session.

    1 up to 100 million pair-sessions (n_factors squared times n_sessions: 200 factors on 2,500 sessions); beyond, the
    smallest k that stays below, but never so large that fewer than 100 sessions are left. Ranks change slowly against
    a session, so that the sessions in between tell little.
    """
    wanted = -(-(n_factors**2) * n_sessions // _MOST_PAIR_SESSIONS)
    return max(1, min(wanted, n_sessions // _FEWEST_SAMPLED))


def block_sessions(n_factors: int, n_tickers: int) -> int:
    """Return how many sessions a block may hold so that the ranks of all its factors take about 100 MB."""
    return max(1, _BLOCK_VALUES // max(1, n_factors * n_tickers))


def centred_ranks(ranking: Ranking) -> Array:
    """Average ranks of each session less their mean.

    Returns
    -------
    float64 of shape (n_dates, n_tickers), multiples of 1/2 that sum to 0; ties take average ranks. NaN where the name
    is not ranked.
    """
    n_dates, n_tickers = ranking.values.shape
    ranks = np.full((n_dates, n_tickers), np.nan)
    if not n_tickers:
        return ranks
    ordered = np.take_along_axis(ranking.values, ranking.order, axis=1)
    place = np.arange(n_tickers, dtype=np.int32)
    begins = np.ones((n_dates, n_tickers), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])  # missing values come last, each on its own
    first = np.maximum.accumulate(np.where(begins, place, np.int32(0)), axis=1)
    ends = np.ones((n_dates, n_tickers), dtype=bool)
    ends[:, :-1] = begins[:, 1:]
    after = np.where(ends, place, np.int32(n_tickers))[:, ::-1]
    last = np.minimum.accumulate(after, axis=1)[:, ::-1]
    average = 0.5 * (first + last) - 0.5 * (ranking.n_ranked[:, None] - 1)
    average[place >= ranking.n_ranked[:, None]] = np.nan
    np.put_along_axis(ranks, ranking.order, average, axis=1)
    return ranks


def rank_correlations(
    blocks: Iterable[FactorBlock],
    *,
    labels: Sequence[Label],
    min_tickers: int = 10,
    min_sessions: int = MIN_SESSIONS,
) -> Array:
    r"""Mean over sessions of the correlation of the ranks of every two factors.

    1. Rank the members of the universe by each factor, on each session; ties take average ranks.
    2. Correlate the ranks of two factors over the names that both rank:

       .. math:: \rho = \frac{n \sum x y - \sum x \sum y}
                             {\sqrt{n \sum x^2 - (\sum x)^2} \sqrt{n \sum y^2 - (\sum y)^2}}

       The five sums of all pairs are products of two matrices with 0 in place of what is missing.
    3. Average over the sessions.

    Where both factors rank the same names this is Spearman's correlation. Where they do not, the ranks are still those
    among all names of each factor: they are not ranked again among the common ones, which would take a sort a pair.

    Parameters
    ----------
    blocks
        All sessions that count, cut in any way: the same sessions give the same bits.
    labels
        The factors, in the order of the result; each block has each of them once.
    min_tickers
        A session with fewer common names does not count for the pair.
    min_sessions
        A pair with fewer sessions that count gives NaN.

    Returns
    -------
    float64 of shape (n_factors, n_factors), symmetric. NaN where too little is known; sessions on which a factor is
    constant over the common names do not count. The diagonal is 1, or NaN where the factor itself has too few sessions.

    Raises
    ------
    EvaluationError
        If a label is given twice, or a block lacks a factor, repeats one or has one that no label names.
    MisalignedError
        If the shapes in a block differ.

    References
    ----------
    Spearman (1904), The proof and measurement of association between two things, American Journal of Psychology 15(1).
    """
    position = _positions(labels)
    total = np.zeros((len(labels), len(labels)))
    n_sessions = np.zeros(total.shape, np.int64)
    for block in blocks:
        for ranks in _ranks_by_session(block, position):
            known = np.flatnonzero(np.isfinite(ranks).sum(axis=1) >= min_tickers)
            correlation = _pairwise_correlation(ranks[known], min_pairs=max(min_tickers, 2), noise=0.0)
            here = np.ix_(known, known)
            counts = np.isfinite(correlation)
            total[here] += np.where(counts, correlation, 0.0)
            n_sessions[here] += counts
    mean = np.full(total.shape, np.nan)
    np.divide(total, n_sessions, out=mean, where=n_sessions >= max(min_sessions, 1))
    return mean


def return_correlations(timeseries: pa.Table, *, labels: Sequence[Label], min_sessions: int = MIN_SESSIONS) -> Array:
    """Pearson correlation of the returns of every two factors, over the sessions on which both have one.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`; a null return is missing. Other factors than those of the labels are left out.
    labels
        The factors, in the order of the result.
    min_sessions
        A pair with fewer common sessions gives NaN.

    Returns
    -------
    float64 of shape (n_factors, n_factors), symmetric. NaN where too little is known or a return does not vary over the
    common sessions.

    Raises
    ------
    EvaluationError
        If a label is given twice.
    """
    position = _positions(labels)
    dates = np.unique(timeseries["date"].to_numpy())
    returns = np.full((len(labels), len(dates)), np.nan)
    for family, name, rows in rows_by_factor(timeseries):
        if (family, name) in position:
            own = np.searchsorted(dates, rows["date"].to_numpy())
            returns[position[family, name], own] = rows["factor_value"].to_numpy()
    returns[~np.isfinite(returns)] = np.nan
    present = ~np.isnan(returns)
    centre = np.divide(
        np.where(present, returns, 0.0).sum(axis=1),
        present.sum(axis=1),
        out=np.zeros(len(labels)),
        where=present.any(1),
    )
    deviation = returns - centre[:, None]
    size = np.where(present, np.abs(deviation), 0.0).max(axis=1, initial=0.0)
    deviation /= np.where(size > 0.0, size, 1.0)[:, None]  # so that no square vanishes or overflows
    return _pairwise_correlation(deviation, min_pairs=max(min_sessions, 2), noise=_NOISE)


def factor_correlations(
    labels: Sequence[Label],
    *,
    return_correlation: Array,
    rank_correlation: Array,
    universe: str,
    source: str,
    height: float = HEIGHT,
) -> pa.Table:
    """Assemble the table: one row for every ordered pair of different factors.

    Parameters
    ----------
    labels
        The factors.
    return_correlation, rank_correlation
        float64 of shape (n_factors, n_factors), as `return_correlations` and `rank_correlations` give them. NaN becomes
        null.
    height
        As in `cluster_factors`, which groups by the rank correlation.

    Returns
    -------
    Rows of `factor_correlations`, sorted by its key; none for fewer than two factors.

    Raises
    ------
    EvaluationError
        If a label is given twice, or the height is not valid.
    MisalignedError
        If a shape is not (n_factors, n_factors).
    """
    _positions(labels)
    n = len(labels)
    for kind, given in (("return", return_correlation), ("rank", rank_correlation)):
        if given.shape != (n, n):
            raise MisalignedError(f"The {kind} correlation of {n} factors wants the shape {(n, n)}, got {given.shape}.")
    order = sorted(range(n), key=lambda i: labels[i])
    sorted_labels = [labels[i] for i in order]
    of_returns, of_ranks = (given[np.ix_(order, order)] for given in (return_correlation, rank_correlation))
    clusters = cluster_factors(of_ranks, height=height)
    first, second = np.nonzero(~np.eye(n, dtype=bool))
    families, names = (pa.array([label[i] for label in sorted_labels], pa.string()) for i in (0, 1))
    columns = {
        "factor_name": names.take(pa.array(first)),
        "factor_type": families.take(pa.array(first)),
        "other_name": names.take(pa.array(second)),
        "other_type": families.take(pa.array(second)),
        "return_correlation": pa.array(of_returns[first, second], pa.float64(), from_pandas=True),
        "rank_correlation": pa.array(of_ranks[first, second], pa.float64(), from_pandas=True),
        "cluster": pa.array(clusters.number[first], pa.int64()),
        "place": pa.array(clusters.place[first], pa.int64()),
        "universe": pa.repeat(pa.scalar(universe, pa.string()), len(first)),
        "source": pa.repeat(pa.scalar(source, pa.string()), len(first)),
    }
    declared = table("factor_correlations")
    return pa.table([columns[name] for name in declared.column_names], schema=declared.schema)


def closest_factors(correlations: pa.Table) -> Mapping[Label, Closest]:
    """Find for each factor the other one with the largest absolute rank correlation.

    Parameters
    ----------
    correlations
        Rows of `factor_correlations`.

    Returns
    -------
    (family, name) -> the closest; of equally close ones the first by family and name. A factor without any known rank
    correlation is left out.
    """
    known = correlations.filter(pc.is_valid(correlations["rank_correlation"]))
    ordered = known.append_column("closeness", pc.abs(known["rank_correlation"])).sort_by(
        [("closeness", "descending"), ("other_type", "ascending"), ("other_name", "ascending")]
    )
    found: dict[Label, Closest] = {}
    for row in ordered.select(
        ["factor_type", "factor_name", "other_type", "other_name", "rank_correlation"]
    ).to_pylist():
        label = (row["factor_type"], row["factor_name"])
        found.setdefault(label, Closest(row["other_type"], row["other_name"], row["rank_correlation"]))
    return found


def correlation_matrix(correlations: pa.Table) -> tuple[list[Label], Array]:
    """Return the rank correlations as a matrix in which similar factors are neighbours, for a heat map.

    Parameters
    ----------
    correlations
        Rows of `factor_correlations`.

    Returns
    -------
    labels
        The factors by `place`.
    matrix
        float64 of shape (n_factors, n_factors); the diagonal is 1, unknown is NaN.
    """
    keys = ["place", "factor_type", "factor_name"]
    factors = correlations.group_by(keys).aggregate([]).sort_by([(key, "ascending") for key in keys]).to_pylist()
    labels = [(row["factor_type"], row["factor_name"]) for row in factors]
    position = {label: i for i, label in enumerate(labels)}
    one, other = (
        [position[label] for label in zip(correlations[f].to_pylist(), correlations[n].to_pylist(), strict=True)]
        for f, n in (("factor_type", "factor_name"), ("other_type", "other_name"))
    )
    matrix = np.eye(len(labels))
    matrix[one, other] = correlations["rank_correlation"].to_numpy()
    return labels, matrix


def _positions(labels: Sequence[Label]) -> dict[Label, int]:
    position = {label: i for i, label in enumerate(labels)}
    if len(position) != len(labels):
        twice = sorted({"/".join(label) for label in labels if labels.count(label) > 1})
        raise EvaluationError(f"Correlations want each factor once; {', '.join(twice)} came more often.")
    return position


def _ranks_by_session(block: FactorBlock, position: Mapping[Label, int]) -> Iterator[Array]:
    """Yield the ranks of each session, of shape (n_factors, n_tickers)."""
    n_dates, n_tickers = block.in_universe.shape
    ranks = np.full((n_dates, len(position), n_tickers), np.nan)
    missing = dict(position)
    for family, name, values in block.factors:
        if (family, name) not in missing:
            raise EvaluationError(
                f"A block wants each factor of the labels once; {family}/{name} is"
                f" {'there again' if (family, name) in position else 'none of them'}."
            )
        ranks[:, missing.pop((family, name))] = centred_ranks(rank(values, among=block.in_universe))
    if missing:
        raise EvaluationError(
            f"A block wants every factor of the labels; {'/'.join(next(iter(missing)))} is not there."
        )
    yield from ranks


def _pairwise_correlation(rows: Array, *, min_pairs: int, noise: float) -> Array:
    """Correlate every two rows over the columns that both have.

    Parameters
    ----------
    rows
        float64 of shape (n_rows, n_columns).
    noise
        A variance below this share of the mean square counts as 0. With ranks the sums are exact, and so is 0.
    """
    present = np.isfinite(rows)
    x = np.where(present, rows, 0.0)
    xy = x @ x.T
    # Columns that all rows have add the same to each pair; few names are missing in some factors only.
    everywhere = present.all(axis=0)
    n = np.full(xy.shape, float(np.count_nonzero(everywhere)))
    full = x[:, everywhere]
    sum_x = np.repeat(full.sum(axis=1)[:, None], len(x), axis=1)
    sum_xx = np.repeat((full * full).sum(axis=1)[:, None], len(x), axis=1)
    somewhere = present.any(axis=0) & ~everywhere
    if somewhere.any():
        part, seen = x[:, somewhere], present[:, somewhere].astype(np.float64)
        n += seen @ seen.T
        sum_x += part @ seen.T
        sum_xx += (part * part) @ seen.T
    spread = n * sum_xx - sum_x * sum_x
    varies = (n >= min_pairs) & (spread > noise * n * sum_xx)
    size = np.sqrt(np.where(varies, spread, np.nan))
    correlation: Array = np.clip((n * xy - sum_x * sum_x.T) / (size * size.T), -1.0, 1.0)
    return correlation
