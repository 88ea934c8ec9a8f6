r"""MKT, SMB, HML, RMW and CMA from the platform's own prices and fundamentals: the table `style_returns`.

1. Formation is at the close of June's last session. Members of the universe with a market capitalisation are small or
   big by its median; those that also have the characteristic are low, middle or high by its 30th and 70th percentile.
2. The characteristics are book to market (equity known then over the capitalisation of the December before), operating
   profitability and growth of assets, as known at formation.
3. Each of the six portfolios of a characteristic is weighted by the capitalisation of the session before, from the
   first session of July until June's last a year later. A name without a return leaves its weight to the others.
4. With S and B small and big, L and H low and high:

.. math::

    HML = \tfrac{SH + BH}{2} - \tfrac{SL + BL}{2}, \quad RMW \text{ alike}, \quad
    CMA = \tfrac{SL + BL}{2} - \tfrac{SH + BH}{2}, \quad SMB = \tfrac13 \sum \big( \bar{S} - \bar{B} \big)

Departures from the publication: breakpoints are of the universe's members, not of the NYSE; MKT is the return of the
members, not in excess of a riskless rate; equity is the last known, not that of the last calendar year.

What does not belong here: regressions on these returns (`spanning.py`).

References
----------
Fama and French (2015), A five-factor asset pricing model, Journal of Financial Economics 116(1), 1-22, doi
10.1016/j.jfineco.2014.10.010. Fama and French (1993), Journal of Financial Economics 33(1), 3-56.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.expressions import Expression, fields
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.investment import at_gr1
from factor_assets.factors.profitability import operating_profitability
from factor_assets.panel.panel import Array, Panel
from factor_assets.tables import table

HISTORY_SESSIONS = 400
"""Sessions before the first wanted that surely hold its formation and the December before that."""

_MIDDLE, _OUTER = 50.0, (30.0, 70.0)
_NAMES = {"be_me": "HML", "operating_profitability": "RMW", "at_gr1": "CMA"}
_SIDES = ("low", "middle", "high")

CHARACTERISTICS: Mapping[str, Expression] = {
    "operating_profitability": operating_profitability.expression,
    "at_gr1": at_gr1.expression,
}
"""Those that are factors as they stand; book to market is made at formation."""

FIELDS = ("book_equity", "market_cap", "returns", *sorted({f for e in CHARACTERISTICS.values() for f in fields(e)}))


def style_returns(panel: Panel, *, universe: str, source: str, start_row: int = 0) -> pa.Table:
    """Return the portfolios' returns by session.

    Parameters
    ----------
    panel
        Fields of `FIELDS`.
    start_row
        First row wanted. With `HISTORY_SESSIONS` rows before it, or all there are, a cut of the dates gives the same
        bits as the whole.

    Returns
    -------
    Rows of `style_returns`, sorted by its key: the five, and the portfolios that four of them are made of, such as
    "be_me small high". A return is null before the first formation, where a portfolio has no name with a return, and
    where the five lack one of theirs. `n_tickers` counts the names with a return; of a difference, null.
    """
    capitalisation = _positive(panel["market_cap"])
    weights = np.full(panel.shape, np.nan)
    weights[1:] = capitalisation[:-1]
    members = np.zeros(panel.shape, dtype=bool)
    members[1:] = panel.in_universe[:-1]
    returns: dict[str, Array] = {}
    counts: dict[str, npt.NDArray[np.int64]] = {}
    returns["MKT"], counts["MKT"] = _weighted(panel["returns"], np.where(members, weights, np.nan))
    for name, groups in _formed(panel, capitalisation).items():
        for code, portfolio in enumerate(_portfolios(name)):
            held = np.where(groups == code, weights, np.nan)
            returns[portfolio], counts[portfolio] = _weighted(panel["returns"], held)
    returns |= _differences(returns)
    return _rows(returns, counts, panel, universe=universe, source=source, start_row=start_row)


def _formed(panel: Panel, capitalisation: Array) -> dict[str, npt.NDArray[np.int8]]:
    """Number each name's portfolio on each session, size x 3 + side, -1 for none; by characteristic."""
    months = panel.dates.astype("datetime64[M]")
    ends = np.flatnonzero(months[1:] != months[:-1])  # last session of each month that is complete
    month = months[ends].astype(np.int64) % 12 + 1
    values = dict(evaluate(CHARACTERISTICS, panel))
    equity = _positive(panel["book_equity"])
    formed = {name: np.full(panel.shape, -1, dtype=np.int8) for name in _NAMES}
    for june in ends[month == 6]:
        december = ends[(month == 12) & (ends < june)]
        until = np.flatnonzero((months > months[june]) & (months <= months[june] + 12))
        big = _split(np.where(panel.in_universe[june], capitalisation[june], np.nan), (_MIDDLE,))
        at = {name: array[june] for name, array in values.items()}
        at["be_me"] = equity[june] / capitalisation[december[-1]] if len(december) else np.full(panel.shape[1], np.nan)
        for name, groups in formed.items():
            side = _split(np.where(big >= 0, at[name], np.nan), _OUTER)
            groups[until] = np.where((big >= 0) & (side >= 0), big * len(_SIDES) + side, -1)
    return formed


def _split(values: Array, percentiles: tuple[float, ...]) -> npt.NDArray[np.int8]:
    """Number by how many breakpoints a value is above, shape (n_tickers,); -1 where it is missing."""
    known = np.isfinite(values)
    number = np.full(len(values), -1, dtype=np.int8)
    if known.any():
        breakpoints = np.percentile(values[known], percentiles)
        number[known] = (values[known, None] > breakpoints).sum(axis=1)
    return number


def _weighted(returns: Array, weights: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Mean of the returns by weight, shape (n_dates,), and how many names it is of; NaN of none."""
    held = np.isfinite(returns) & np.isfinite(weights)
    total, earned = _sum(np.where(held, weights, 0.0)), _sum(np.where(held, returns * weights, 0.0))
    return np.divide(earned, total, out=np.full(len(returns), np.nan), where=total > 0), held.sum(axis=1)


def _sum(values: Array) -> Array:
    """Sum each row one after the other: names that add nothing, wherever they stand, then change no bit."""
    return np.cumsum(values, axis=1)[:, -1] if values.shape[1] else np.zeros(len(values))


def _differences(returns: Mapping[str, Array]) -> dict[str, Array]:
    found, smb = {}, []
    for name, style in _NAMES.items():
        small, big = (
            [returns[portfolio] for portfolio in _portfolios(name)[i : i + len(_SIDES)]] for i in (0, len(_SIDES))
        )
        high_minus_low = (small[2] + big[2]) / 2 - (small[0] + big[0]) / 2
        found[style] = -high_minus_low if style == "CMA" else high_minus_low
        smb.append((small[0] + small[1] + small[2]) / 3 - (big[0] + big[1] + big[2]) / 3)
    found["SMB"] = (smb[0] + smb[1] + smb[2]) / 3
    return found


def _portfolios(name: str) -> list[str]:
    return [f"{name} {size} {side}" for size in ("small", "big") for side in _SIDES]


def _positive(values: Array) -> Array:
    positive: Array = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    return positive


def _rows(
    returns: Mapping[str, Array],
    counts: Mapping[str, npt.NDArray[np.int64]],
    panel: Panel,
    *,
    universe: str,
    source: str,
    start_row: int,
) -> pa.Table:
    names = sorted(returns)
    n_dates = len(panel.dates) - start_row
    none = np.zeros(n_dates, dtype=bool)
    declared = table("style_returns")
    columns = {
        "date": pa.array(np.repeat(panel.dates[start_row:], len(names)), pa.date32()),
        "portfolio": pa.array(names * n_dates, pa.string()),
        "portfolio_return": pa.array(
            np.stack([returns[name][start_row:] for name in names], axis=1).reshape(-1), from_pandas=True
        ),
        "n_tickers": pa.array(
            np.stack([counts[n][start_row:] if n in counts else none for n in names], axis=1).reshape(-1),
            pa.int64(),
            mask=np.tile([name not in counts for name in names], n_dates),
        ),
        "universe": pa.repeat(universe, n_dates * len(names)),
        "source": pa.repeat(source, n_dates * len(names)),
    }
    return pa.table([columns[c] for c in declared.column_names], schema=declared.schema)
