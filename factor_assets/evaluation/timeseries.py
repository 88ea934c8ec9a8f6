"""The evidence of factors by session: the tables `factor_timeseries` and `factor_quantiles`.

A row of date d uses nothing later than d, and the history before the wanted rows is bounded (`history_sessions`), so
that any cut of the dates gives the same bits. What does not belong here: the definitions (`portfolios.py`,
`information.py`), evidence over all sessions (`regressions.py`, `summary.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates
from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.information import quantile_returns, rank_ic
from factor_assets.evaluation.portfolios import Portfolios, reason_texts, sort_portfolios
from factor_assets.evaluation.ranking import Counts, rank
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import Table, table

_Kind = TypeVar("_Kind", np.float64, np.int64, np.int8)


class FactorEvidence(NamedTuple):
    """Rows of two tables, sorted by their keys."""

    timeseries: pa.Table
    quantiles: pa.Table


class _Evidence(NamedTuple):
    portfolios: Portfolios
    n_ranked: Array  # (n_dates,), NaN in the first row: nothing is known before it
    coverage: Array  # (n_dates,)
    rank_ic: Array  # (n_dates,)
    quantile_return: Array  # (n_dates, n_quantiles)
    n_tickers: Counts  # (n_dates, n_quantiles)


def history_sessions(settings: EvaluationSettings) -> int:
    """Count the sessions before the first wanted row that an evaluation reads: factor, prices and membership.

    Two for the portfolios of the session and of the one before it (turnover); execution lag and horizon for the
    forward return.
    """
    return max(2, settings.execution_lag + settings.horizon)


def past_warm_up(
    timeseries: pa.Table, *, sessions: Dates, lookbacks: Mapping[tuple[str, str], int]
) -> npt.NDArray[np.bool_]:
    """Tell which rows of `factor_timeseries` can be expected to have a return.

    Parameters
    ----------
    sessions
        datetime64[D] of shape (n_sessions,): every session of the data, from the first on.
    lookbacks
        (family, name) -> sessions that the factor's first value needs before it.

    Returns
    -------
    bool of shape (n_rows,): false while the factor of the previous session could not have a value yet.
    """
    position = np.searchsorted(sessions, timeseries["date"].to_numpy().astype("datetime64[D]"))
    labels = zip(timeseries["factor_type"].to_pylist(), timeseries["factor_name"].to_pylist(), strict=True)
    return np.asarray(position > np.array([lookbacks[label] for label in labels], dtype=np.int64))


def evaluate_factors(
    factors: Iterable[tuple[str, str, Array]],
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    start_row: int = 0,
) -> FactorEvidence:
    """Evaluate factors session by session.

    1. Sort the names of each session once a factor: members of the universe with a finite value.
    2. Portfolios of date d are made of the ranks of d-1 (`sort_portfolios`).
    3. Rank IC and quantile returns of date d pair the ranks of d - lag - h with the return from d-h to d, where lag is
       `settings.execution_lag` and h `settings.horizon`.
    4. Keep the rows from `start_row` on.

    Parameters
    ----------
    factors
        (family, name, values); values float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite
        are missing.
    panel
        Fields `returns` and `close`, and `market_cap` when weights are by capitalisation.
    start_row
        First row wanted. The rows before it are history; give `history_sessions(settings)` of them, or all there are,
        and the result has the same bits as evaluating everything at once.

    Returns
    -------
    Rows of `factor_timeseries` (one a session and factor) and `factor_quantiles` (one a session, factor and
    quantile). A session that cannot be computed has null returns and a reason, never 0.

    Raises
    ------
    MisalignedError
        If a factor's shape is not the panel's, or `start_row` is outside the panel.
    EvaluationError
        If a factor is given twice.
    """
    if not 0 <= start_row <= len(panel.dates):
        raise MisalignedError(
            f"start_row wants a row of the panel's {len(panel.dates)} (or their number), got {start_row}."
        )
    first = max(0, start_row - history_sessions(settings))
    read = panel.rows(first, len(panel.dates))
    kept = slice(start_row - first, None)
    returns = read["returns"]
    forward = rank(completed_return(read["close"], horizon=settings.horizon))
    n_members = np.count_nonzero(read.in_universe, axis=1).astype(np.int64)
    delay = settings.execution_lag + settings.horizon
    evidence: dict[tuple[str, str], _Evidence] = {}
    for family, name, values in factors:
        if values.shape != panel.shape:
            raise MisalignedError(
                f"Factor {name!r} has shape {values.shape}, the panel has {panel.shape[0]} dates x"
                f" {panel.shape[1]} tickers."
            )
        if (family, name) in evidence:
            raise EvaluationError(f"Factor {name!r} of family {family!r} is given twice; give each factor once.")
        ranking = rank(values[first:], among=read.in_universe)
        quantile_return, n_tickers = quantile_returns(ranking, forward, delay=delay, n_quantiles=settings.n_quantiles)
        evidence[family, name] = _Evidence(
            portfolios=sort_portfolios(
                ranking,
                returns,
                n_groups=settings.n_groups,
                weighting=settings.weighting,
                market_cap=read["market_cap"] if settings.weighting == "cap" else None,
                n_members=n_members,
            ),
            n_ranked=_previous(ranking.n_ranked.astype(np.float64)),
            coverage=_previous(_ratio(ranking.n_ranked, n_members)),
            rank_ic=rank_ic(ranking, forward, delay=delay),
            quantile_return=quantile_return,
            n_tickers=n_tickers,
        )
    if not evidence:
        return FactorEvidence(*(table(name).schema.empty_table() for name in ("factor_timeseries", "factor_quantiles")))
    labels = sorted(evidence)
    parts = [evidence[label] for label in labels]
    names = {"universe": universe, "source": source}
    dates = read.dates[kept]
    return FactorEvidence(
        timeseries=_timeseries_table(labels, parts, dates=dates, kept=kept, n_groups=settings.n_groups, names=names),
        quantiles=_quantiles_table(labels, parts, dates=dates, kept=kept, n=settings.n_quantiles, names=names),
    )


_BETWEEN = "\x1f"  # in no name


def rows_by_factor(rows: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield (family, name, rows) of each factor in a table, in the order of their names.

    Parameters
    ----------
    rows
        Any table with the columns `factor_type` and `factor_name`. The order of a factor's rows is kept.
    """
    if not rows.num_rows:
        return
    joined = pc.binary_join_element_wise(rows["factor_type"], rows["factor_name"], _BETWEEN)
    encoded = joined.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    ordered = rows if (codes[1:] >= codes[:-1]).all() else rows.take(order)
    names = encoded.dictionary.to_pylist()
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1)).tolist()
    for label, i in sorted((tuple(name.split(_BETWEEN)), i) for i, name in enumerate(names)):
        yield *label, ordered.slice(bounds[i], bounds[i + 1] - bounds[i])


def _previous(values: Array) -> Array:
    """Move each row to the session after it."""
    moved = np.full_like(values, np.nan)
    moved[1:] = values[:-1]
    return moved


def _ratio(part: Counts, whole: Counts) -> Array:
    ratio: Array = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return ratio


def _timeseries_table(
    labels: Sequence[tuple[str, str]],
    parts: Sequence[_Evidence],
    *,
    dates: npt.NDArray[np.datetime64],
    kept: slice,
    n_groups: int,
    names: dict[str, str],
) -> pa.Table:
    def numbers(values: Iterable[Array]) -> pa.Array:
        return pa.array(_by_date([v[kept] for v in values]), pa.float64(), from_pandas=True)

    def counts(values: Iterable[Counts]) -> pa.Array:
        flat = _by_date([v[kept] for v in values])
        return pa.array(flat, pa.int64(), mask=flat < 0)

    portfolios = [part.portfolios for part in parts]
    reasons = pa.array(reason_texts(n_groups), pa.string())
    codes = pa.array(_by_date([p.reason[kept] for p in portfolios]).astype(np.int64), pa.int64())
    return _assemble(
        table("factor_timeseries"),
        names,
        **_label_columns(labels, dates, repeat=1),
        factor_value=numbers(p.factor for p in portfolios),
        high_portfolio_return=numbers(p.high for p in portfolios),
        low_portfolio_return=numbers(p.low for p in portfolios),
        n_ranked=numbers(part.n_ranked for part in parts).cast(pa.int64()),
        n_high=counts(p.n_high for p in portfolios),
        n_low=counts(p.n_low for p in portfolios),
        n_missing_returns=counts(p.n_missing_returns for p in portfolios),
        n_missing_market_caps=counts(p.n_missing_market_caps for p in portfolios),
        reason=reasons.take(codes),
        rank_ic=numbers(part.rank_ic for part in parts),
        coverage=numbers(part.coverage for part in parts),
        turnover=numbers(p.turnover for p in portfolios),
    )


def _quantiles_table(
    labels: Sequence[tuple[str, str]],
    parts: Sequence[_Evidence],
    *,
    dates: npt.NDArray[np.datetime64],
    kept: slice,
    n: int,
    names: dict[str, str],
) -> pa.Table:
    n_tickers = _by_date([part.n_tickers[kept] for part in parts])
    return _assemble(
        table("factor_quantiles"),
        names,
        **_label_columns(labels, dates, repeat=n),
        quantile=pa.array(np.tile(np.arange(1, n + 1), len(dates) * len(labels)), pa.int64()),
        quantile_return=pa.array(
            _by_date([part.quantile_return[kept] for part in parts]), pa.float64(), from_pandas=True
        ),
        n_tickers=pa.array(n_tickers, pa.int64(), mask=n_tickers < 0),
    )


def _by_date(arrays: Sequence[npt.NDArray[_Kind]]) -> npt.NDArray[_Kind]:
    """Interleave one array a factor, first axis the date, to the order of the keys: date first."""
    return np.stack(arrays, axis=1).reshape(-1)


def _label_columns(
    labels: Sequence[tuple[str, str]], dates: npt.NDArray[np.datetime64], *, repeat: int
) -> dict[str, pa.Array]:
    which = pa.array(np.tile(np.repeat(np.arange(len(labels)), repeat), len(dates)), pa.int64())
    return {
        "factor_type": pa.array([family for family, _ in labels], pa.string()).take(which),
        "factor_name": pa.array([name for _, name in labels], pa.string()).take(which),
        "date": pa.array(np.repeat(dates, len(labels) * repeat), pa.date32()),
    }


def _assemble(declared: Table, names: dict[str, str], /, **columns: pa.Array) -> pa.Table:
    n_rows = len(next(iter(columns.values())))
    given = columns | {name: pa.repeat(pa.scalar(value, pa.string()), n_rows) for name, value in names.items()}
    return pa.table([given[name] for name in declared.column_names], schema=declared.schema)
