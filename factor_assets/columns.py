"""Every stored column once: its type, unit and meaning; and the tables that are made of them.

A quantity has the same column name in every table. What does not belong here: how rows are laid out in files
(`storage/`) and how they are computed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from factor_assets.errors import UnknownTableError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One stored quantity.

    Parameters
    ----------
    type
        Arrow type of the stored values.
    unit
        Unit in words; "" for names and counts of nothing.
    meaning
        One sentence.
    nullable
        Whether a missing value is allowed. A missing number is null, never 0.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    nullable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A stored table.

    Parameters
    ----------
    key
        Columns that identify a row; rows are stored sorted by them.
    slices
        The axes along which a write may replace a part: dates, one company, or only the whole table.
    open
        Whether rows may have further columns, one number each, that whoever makes the table documents. A store keeps
        those that were ever written; where a row was written without one, it is null.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    slices: Literal["date", "ticker", "whole"]
    meaning: str
    open: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The declared columns as an Arrow schema."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in stored order."""
        return tuple(c.name for c in self.columns)

    def holding(self, names: Iterable[str]) -> "Table":
        """Return an open table with a number column for each name that it lacks, before the last; others unchanged."""
        held = set(self.column_names)
        new = [name for name in names if name not in held]
        if not self.open or not new:
            return self
        numbers = (library_column(name, unit="unit of the factor", meaning=f"Factor {name}.") for name in new)
        return replace(self, columns=(*self.columns[:-1], *numbers, self.columns[-1]))


_DATE, _TEXT, _NUMBER, _COUNT = pa.date32(), pa.string(), pa.float64(), pa.int64()


def _column(name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = True) -> Column:
    return Column(name=name, type=kind, unit=unit, meaning=meaning, nullable=nullable)


COLUMNS: Mapping[str, Column] = {
    c.name: c
    for c in (
        # identity
        _column("date", _DATE, "exchange session", "Session the row is about.", nullable=False),
        _column("ticker", _TEXT, "", "Security, as the source spells it.", nullable=False),
        _column("source", _TEXT, "", "Where the prices came from; synthetic data says so here.", nullable=False),
        _column("universe", _TEXT, "", "Name of the universe the row was computed on.", nullable=False),
        _column("factor_name", _TEXT, "", "Name of the factor.", nullable=False),
        _column("factor_type", _TEXT, "", "Family of the factor.", nullable=False),
        # prices
        _column("open", _NUMBER, "currency per share, as traded", "First price of the session."),
        _column("high", _NUMBER, "currency per share, as traded", "Highest price of the session."),
        _column("low", _NUMBER, "currency per share, as traded", "Lowest price of the session."),
        _column("close", _NUMBER, "currency per share, as traded", "Last price of the session."),
        _column("volume", _NUMBER, "shares, as traded", "Shares traded in the session."),
        _column(
            "adjusted_close",
            _NUMBER,
            "currency per share, vendor's vintage",
            "Adjusted close as the vendor delivered it; used for checks, or for returns where a source has no events.",
        ),
        _column(
            "dividend", _NUMBER, "currency per share", "Cash dividend with this ex-date; null where there is none."
        ),
        _column("split", _NUMBER, "new shares per old share", "Split with this ex-date; null where there is none."),
        _column(
            "implied_adjustment",
            _NUMBER,
            "ratio",
            "Gross return of holding beyond the price change, implied by the vendor's adjusted close where the"
            " source has no events; null elsewhere.",
        ),
        _column(
            "total_return_factor",
            _NUMBER,
            "ratio",
            "Shares held today for one bought at the ticker's first row, dividends reinvested at the close.",
        ),
        _column(
            "split_factor", _NUMBER, "ratio", "Shares held today for one bought at the ticker's first row, splits only."
        ),
        _column("shares_outstanding", _NUMBER, "shares", "Shares outstanding as known that day; null where unknown."),
        _column("sector", _TEXT, "", "Sector of the company; null where unknown."),
        _column("issue", _TEXT, "", "Why values of the delivered row could not be read; null where all could."),
        _column("fetched_at", pa.timestamp("us", tz="UTC"), "UTC", "When the row was delivered."),
        _column(
            "membership",
            _TEXT,
            "",
            "'dated': members as of the date; 'today_only': today's list applied to the past, which only holds"
            " survivors; 'as_delivered': whatever the price source holds, which may be survivors only.",
            nullable=False,
        ),
        # factors
        _column(
            "value",
            _NUMBER,
            "unit of the factor",
            "Factor at the close of the session; null where it cannot be computed.",
        ),
        _column(
            "factor_value", _NUMBER, "fraction per session", "Return of the factor: high portfolio minus low portfolio."
        ),
        _column(
            "high_portfolio_return", _NUMBER, "fraction per session", "Return of the names with the highest values."
        ),
        _column("low_portfolio_return", _NUMBER, "fraction per session", "Return of the names with the lowest values."),
        _column("n_ranked", _COUNT, "tickers", "Universe members with a factor value when the portfolios were formed."),
        _column("n_high", _COUNT, "tickers", "Names of the high portfolio that have a return."),
        _column("n_low", _COUNT, "tickers", "Names of the low portfolio that have a return."),
        _column(
            "n_missing_returns",
            _COUNT,
            "tickers",
            "Portfolio names without a return on the date; their weight goes to the others.",
        ),
        _column(
            "n_missing_market_caps",
            _COUNT,
            "tickers",
            "Portfolio names that cap weighting left out because their market capitalisation is unknown.",
        ),
        _column("reason", _TEXT, "", "Why the row's returns are null; null where they are not."),
        _column(
            "rank_ic",
            _NUMBER,
            "correlation",
            "Spearman correlation of factor and forward return, on the session on which that return is complete.",
        ),
        _column(
            "coverage",
            _NUMBER,
            "fraction",
            "Universe members with a factor value, of all members, when the portfolios were formed.",
        ),
        _column(
            "turnover",
            _NUMBER,
            "fraction per session",
            "Mean over both portfolios of half the sum of absolute changes of the target weights since the session"
            " before.",
        ),
        _column("quantile", _COUNT, "", "Quantile of the factor, 1 the lowest.", nullable=False),
        _column(
            "quantile_return",
            _NUMBER,
            "fraction per session",
            "Equal-weighted forward return of the quantile, on the session on which it is complete.",
        ),
        _column("n_tickers", _COUNT, "tickers", "Names in the quantile with a return."),
        # regressions and summary
        _column("test_date", _DATE, "exchange session", "Last session of the data that the test used.", nullable=False),
        _column("start_date", _DATE, "exchange session", "First session with a factor return."),
        _column("end_date", _DATE, "exchange session", "Last session with a factor return."),
        _column(
            "alpha",
            _NUMBER,
            "fraction per session",
            "Intercept of the regression of the ticker's return on the factor return.",
        ),
        _column("beta", _NUMBER, "ratio", "Slope of the regression of the ticker's return on the factor return."),
        _column("tstat", _NUMBER, "ratio", "t-statistic of beta, ordinary standard error."),
        _column("pvalue", _NUMBER, "probability", "Two-sided p-value of beta."),
        _column("rsquared", _NUMBER, "fraction", "Share of the variance explained."),
        _column("conf_int_lower", _NUMBER, "ratio", "Lower end of the 95% interval of beta."),
        _column("conf_int_upper", _NUMBER, "ratio", "Upper end of the 95% interval of beta."),
        _column("n_observations", _COUNT, "sessions", "Sessions with both returns."),
        _column("avg_beta", _NUMBER, "ratio", "Mean of beta over tickers, signed."),
        _column("avg_tstat", _NUMBER, "ratio", "Mean of the t-statistic over tickers, signed."),
        _column("avg_rsquared", _NUMBER, "fraction", "Mean of R2 over tickers."),
        _column("significant_stocks", _COUNT, "tickers", "Tickers with |t| above 1.96."),
        _column("total_stocks", _COUNT, "tickers", "Tickers with a regression."),
        _column(
            "annualized_return", _NUMBER, "fraction per year", "Compound return of the factor, 252 sessions a year."
        ),
        _column(
            "annualized_volatility",
            _NUMBER,
            "fraction per year",
            "Standard deviation of the factor return, 252 sessions a year.",
        ),
        _column(
            "sharpe_ratio", _NUMBER, "ratio", "Annualized return less the risk-free rate, over annualized volatility."
        ),
        _column(
            "max_drawdown", _NUMBER, "fraction", "Deepest fall of the compound factor return below its running maximum."
        ),
        _column("mean_factor_return", _NUMBER, "fraction per session", "Mean of the factor return."),
        _column("factor_return_tstat", _NUMBER, "ratio", "t-statistic of the mean factor return."),
        _column("mean_rank_ic", _NUMBER, "correlation", "Mean of the rank IC."),
        _column("rank_ic_tstat", _NUMBER, "ratio", "t-statistic of the mean rank IC."),
        _column("mean_coverage", _NUMBER, "fraction", "Mean of the coverage."),
        _column("mean_turnover", _NUMBER, "fraction per session", "Mean of the turnover."),
        _column("n_sessions", _COUNT, "sessions", "Sessions with a factor return."),
        _column("n_null_sessions", _COUNT, "sessions", "Sessions without one; reasons are in factor_timeseries."),
        _column("description", _TEXT, "", "The factor's formula and source in the literature."),
    )
}


def _table(
    name: str,
    columns: str,
    *,
    key: tuple[str, ...],
    slices: Literal["date", "ticker", "whole"],
    meaning: str,
) -> Table:
    return Table(name=name, columns=tuple(COLUMNS[c] for c in columns.split()), key=key, slices=slices, meaning=meaning)


TABLES: Mapping[str, Table] = {
    t.name: t
    for t in (
        _table(
            "price_history",
            "ticker date open high low close volume dividend split adjusted_close shares_outstanding sector issue"
            " fetched_at source",
            key=("ticker", "date", "fetched_at"),
            slices="ticker",
            meaning="Vendor price rows as delivered, one company at a time. Nothing is cleaned here: duplicates,"
            " holidays and impossible prices stay for the checks to find.",
        ),
        _table(
            "universe",
            "date ticker sector universe membership source",
            key=("date", "ticker"),
            slices="date",
            meaning="Members of the universe on each session.",
        ),
        _table(
            "prices",
            "date ticker open high low close volume total_return_factor split_factor shares_outstanding source",
            key=("date", "ticker"),
            slices="date",
            meaning="Clean daily prices as traded, with forward adjustment factors that later events never change.",
        ),
        _table(
            "corporate_actions",
            "date ticker dividend split implied_adjustment source",
            key=("date", "ticker"),
            slices="date",
            meaning="Dividends and splits as events on their ex-date.",
        ),
        _table(
            "factor_timeseries",
            "factor_name factor_type date factor_value high_portfolio_return low_portfolio_return n_ranked n_high"
            " n_low n_missing_returns n_missing_market_caps reason rank_ic coverage turnover universe source",
            key=("date", "factor_type", "factor_name"),
            slices="date",
            meaning="Return of each factor by session: portfolios sorted on the previous session's values.",
        ),
        _table(
            "factor_quantiles",
            "factor_name factor_type date quantile quantile_return n_tickers universe source",
            key=("date", "factor_type", "factor_name", "quantile"),
            slices="date",
            meaning="Forward returns of the quantiles of each factor, on the session on which they are complete.",
        ),
        _table(
            "factor_details",
            "factor_name factor_type test_date ticker alpha beta tstat pvalue rsquared conf_int_lower"
            " conf_int_upper n_observations start_date end_date universe source",
            key=("ticker", "factor_type", "factor_name"),
            slices="ticker",
            meaning="Regression of each ticker's return on each factor's return over all sessions.",
        ),
        _table(
            "factor_summary",
            "factor_name factor_type test_date start_date end_date avg_beta avg_tstat avg_rsquared"
            " significant_stocks total_stocks annualized_return annualized_volatility sharpe_ratio max_drawdown"
            " description mean_factor_return factor_return_tstat mean_rank_ic rank_ic_tstat mean_coverage"
            " mean_turnover n_sessions n_null_sessions universe membership source",
            key=("factor_type", "factor_name"),
            slices="whole",
            meaning="One row a factor: does it explain returns, and what did it earn.",
        ),
    )
}

FACTOR_PREFIX, LIBRARY_PREFIX = "factors/", "libraries/"


def factor_table(family: str, name: str) -> Table:
    """Declare the table of one factor: `factors/<family>/<name>` with date, ticker and value."""
    return _table(
        f"{FACTOR_PREFIX}{family}/{name}",
        "date ticker value source",
        key=("date", "ticker"),
        slices="date",
        meaning=f"Factor {name} of family {family}.",
    )


def library_column(name: str, *, unit: str, meaning: str) -> Column:
    """Declare the column of one factor of a library."""
    return Column(name=name, type=_NUMBER, unit=unit, meaning=meaning)


def library_table(name: str, columns: Iterable[Column] = ()) -> Table:
    """Declare the table of a library: `libraries/<name>` with date, ticker and a number column a factor."""
    date, ticker, source = (COLUMNS[c] for c in ("date", "ticker", "source"))
    return Table(
        name=f"{LIBRARY_PREFIX}{name}",
        columns=(date, ticker, *columns, source),
        key=("date", "ticker"),
        slices="date",
        meaning=f"Factors of library {name} at the close of the session; null where they cannot be computed.",
        open=True,
    )


def table(name: str) -> Table:
    """Return the declaration of a table.

    Raises
    ------
    UnknownTableError
        If no table of that name is declared.
    """
    if name in TABLES:
        return TABLES[name]
    parts = name.split("/")
    if name.startswith(FACTOR_PREFIX) and len(parts) == 3 and all(parts):
        return factor_table(parts[1], parts[2])
    if name.startswith(LIBRARY_PREFIX) and len(parts) == 2 and all(parts):
        return library_table(parts[1])
    raise UnknownTableError(f"No table {name!r} is declared; {did_you_mean(name, TABLES)}")
