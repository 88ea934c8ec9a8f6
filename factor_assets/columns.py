"""Every stored column once: its type, unit and meaning.

A quantity has the same column name in every table. What does not belong here: the tables (`tables.py`) and how the
values are computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa


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
        # evidence
        _column("horizon", _COUNT, "sessions", "Sessions of the forward return.", nullable=False),
        _column("ic", _NUMBER, "correlation", "Pearson correlation of factor and forward return, dated like rank_ic."),
        _column("n_pairs", _COUNT, "tickers", "Names with a factor value and a forward return."),
        _column("rank_autocorrelation", _NUMBER, "correlation", "Of the ranks with those of the session before."),
        _column(
            "capacity",
            _NUMBER,
            "currency",
            "Capital of a long-short portfolio of the outer quantiles that one session trades at the participation"
            " rate of the settings.",
        ),
        _column("newey_west_tstat", _NUMBER, "ratio", "t-statistic of beta, Newey-West standard error."),
        _column("newey_west_pvalue", _NUMBER, "probability", "Two-sided p-value of beta with that error."),
        _column("alpha_tstat", _NUMBER, "ratio", "t-statistic of alpha, Newey-West standard error."),
        _column("mean_ic", _NUMBER, "correlation", "Mean of the IC."),
        _column("icir", _NUMBER, "ratio", "Mean of the rank IC over its standard deviation, per session."),
        _column("mean_rank_ic_tstat", _NUMBER, "ratio", "t-statistic of the mean rank IC, Newey-West standard error."),
        _column("rank_ic_pvalue", _NUMBER, "probability", "Two-sided p-value of the mean rank IC."),
        _column("bonferroni_pvalue", _NUMBER, "probability", "rank_ic_pvalue after Bonferroni, family size n_trials."),
        _column("holm_pvalue", _NUMBER, "probability", "rank_ic_pvalue after Holm (1979), family size n_trials."),
        _column("fdr_pvalue", _NUMBER, "probability", "After Benjamini and Hochberg (1995), family size n_trials."),
        _column(
            "fdr_any_pvalue", _NUMBER, "probability", "After Benjamini and Yekutieli (2001), family size n_trials."
        ),
        _column(
            "n_trials", _COUNT, "trials", "Different factors, variants and parameters tried so far, by the ledger."
        ),
        _column("hit_rate", _NUMBER, "fraction", "Share of sessions with a positive rank IC."),
        _column(
            "monotonicity_pvalue", _NUMBER, "probability", "Patton and Timmermann (2010), quantile returns in order."
        ),
        _column("session_sharpe_ratio", _NUMBER, "ratio", "Mean of the factor return over its standard deviation."),
        _column("probabilistic_sharpe_ratio", _NUMBER, "probability", "That the true Sharpe ratio is above 0."),
        _column(
            "deflated_sharpe_ratio",
            _NUMBER,
            "probability",
            "That the true Sharpe ratio is above the best of n_trials without any (Bailey and Lopez de Prado 2014).",
        ),
        _column("min_track_record", _NUMBER, "sessions", "Sessions that the Sharpe ratio needs to differ from 0."),
        _column("mean_rank_autocorrelation", _NUMBER, "correlation", "Mean of the rank autocorrelation."),
        _column("median_capacity", _NUMBER, "currency", "Median of the capacity."),
        _column("fama_macbeth_premium", _NUMBER, "fraction per session", "Return of one standard deviation of factor."),
        _column("fama_macbeth_tstat", _NUMBER, "ratio", "t-statistic of that premium, Newey-West standard error."),
        _column("closest_factor", _TEXT, "", "Other factor with the largest absolute rank correlation."),
        _column("closest_correlation", _NUMBER, "correlation", "Rank correlation with it, mean over sessions."),
        _column("other_name", _TEXT, "", "Name of the other factor.", nullable=False),
        _column("other_type", _TEXT, "", "Family of the other factor.", nullable=False),
        _column("return_correlation", _NUMBER, "correlation", "Of the two factors' returns."),
        _column("rank_correlation", _NUMBER, "correlation", "Of the two factors' ranks, mean over sessions."),
        _column("cluster", _COUNT, "", "Number of the group of similar factors."),
        _column("place", _COUNT, "", "Place in an order in which similar factors are neighbours."),
        _column("promoted", pa.bool_(), "", "Whether the factor passed every gate.", nullable=False),
        _column("reasons", _TEXT, "", "Which gates refused it, with their numbers; empty where promoted."),
        _column("has_holdout", pa.bool_(), "", "Whether sessions of the holdout were looked at.", nullable=False),
        _column("trial_id", _TEXT, "", "Hash of expression, universe, dates and settings.", nullable=False),
        _column("tried_at", pa.timestamp("us", tz="UTC"), "UTC", "When the factor was evaluated.", nullable=False),
        _column("tried_by", _TEXT, "", "What evaluated it: an asset's run, the command line or a notebook."),
        _column("formula", _TEXT, "", "The expression."),
        _column("code_version", _TEXT, "", "Of the expression."),
        _column("statistic", _NUMBER, "ratio", "t-statistic of the mean rank IC that was seen; null where none was."),
    )
}


def library_column(name: str, *, unit: str, meaning: str) -> Column:
    """Declare the column of one factor of a library."""
    return Column(name=name, type=_NUMBER, unit=unit, meaning=meaning)
