"""Every stored column once: its type, unit and meaning.

A quantity has the same column name in every table. What does not belong here: the tables (`tables.py`), how the values
are computed, the columns of filings, news and reports (`document_columns.py`, which are part of `COLUMNS`).
"""

from collections.abc import Mapping

from factor_assets.column import COUNT, DATE, FLAG, NUMBER, TEXT, TIME, Column, column
from factor_assets.document_columns import DOCUMENT_COLUMNS

COLUMNS: Mapping[str, Column] = {
    c.name: c
    for c in (
        # identity
        column("date", DATE, "exchange session", "Session the row is about.", nullable=False),
        column("ticker", TEXT, "", "Security, as the source spells it.", nullable=False),
        column("source", TEXT, "", "Where the prices came from; synthetic data says so here.", nullable=False),
        column("universe", TEXT, "", "Name of the universe the row was computed on.", nullable=False),
        column("factor_name", TEXT, "", "Name of the factor.", nullable=False),
        column("factor_type", TEXT, "", "Family of the factor.", nullable=False),
        # prices
        column("open", NUMBER, "currency per share, as traded", "First price of the session."),
        column("high", NUMBER, "currency per share, as traded", "Highest price of the session."),
        column("low", NUMBER, "currency per share, as traded", "Lowest price of the session."),
        column("close", NUMBER, "currency per share, as traded", "Last price of the session."),
        column("volume", NUMBER, "shares, as traded", "Shares traded in the session."),
        column(
            "adjusted_close",
            NUMBER,
            "currency per share, vendor's vintage",
            "Adjusted close as the vendor delivered it; used for checks, or for returns where a source has no events.",
        ),
        column("dividend", NUMBER, "currency per share", "Cash dividend with this ex-date; null where there is none."),
        column("split", NUMBER, "new shares per old share", "Split with this ex-date; null where there is none."),
        column(
            "implied_adjustment",
            NUMBER,
            "ratio",
            "Gross return of holding beyond the price change, implied by the vendor's adjusted close where the"
            " source has no events; null elsewhere.",
        ),
        column(
            "total_return_factor",
            NUMBER,
            "ratio",
            "Shares held today for one bought at the ticker's first row, dividends reinvested at the close.",
        ),
        column(
            "split_factor", NUMBER, "ratio", "Shares held today for one bought at the ticker's first row, splits only."
        ),
        column("shares_outstanding", NUMBER, "shares", "Shares outstanding as known that day; null where unknown."),
        column("sector", TEXT, "", "Sector of the company; null where unknown."),
        column("issue", TEXT, "", "Why values of the delivered row could not be read; null where all could."),
        column("fetched_at", TIME, "UTC", "When the row was delivered."),
        column(
            "membership",
            TEXT,
            "",
            "'dated': members as of the date; 'today_only': today's list applied to the past, which only holds"
            " survivors; 'as_delivered': whatever the price source holds, which may be survivors only.",
            nullable=False,
        ),
        # factors
        column(
            "value",
            NUMBER,
            "unit of the factor",
            "Factor at the close of the session; null where it cannot be computed.",
        ),
        column(
            "factor_value", NUMBER, "fraction per session", "Return of the factor: high portfolio minus low portfolio."
        ),
        column("high_portfolio_return", NUMBER, "fraction per session", "Return of the names with the highest values."),
        column("low_portfolio_return", NUMBER, "fraction per session", "Return of the names with the lowest values."),
        column("n_ranked", COUNT, "tickers", "Universe members with a factor value when the portfolios were formed."),
        column("n_high", COUNT, "tickers", "Names of the high portfolio that have a return."),
        column("n_low", COUNT, "tickers", "Names of the low portfolio that have a return."),
        column(
            "n_missing_returns",
            COUNT,
            "tickers",
            "Portfolio names without a return on the date; their weight goes to the others.",
        ),
        column(
            "n_missing_market_caps",
            COUNT,
            "tickers",
            "Portfolio names that cap weighting left out because their market capitalisation is unknown.",
        ),
        column("reason", TEXT, "", "Why the row's returns are null; null where they are not."),
        column(
            "rank_ic",
            NUMBER,
            "correlation",
            "Spearman correlation of factor and forward return, on the session on which that return is complete.",
        ),
        column(
            "coverage",
            NUMBER,
            "fraction",
            "Universe members with a factor value, of all members, when the portfolios were formed.",
        ),
        column(
            "turnover",
            NUMBER,
            "fraction per session",
            "Mean over both portfolios of half the sum of absolute changes of the target weights since the session"
            " before.",
        ),
        column("quantile", COUNT, "", "Quantile of the factor, 1 the lowest.", nullable=False),
        column(
            "quantile_return",
            NUMBER,
            "fraction per session",
            "Equal-weighted forward return of the quantile, on the session on which it is complete.",
        ),
        column("n_tickers", COUNT, "tickers", "Names in the quantile with a return."),
        # regressions and summary
        column("test_date", DATE, "exchange session", "Last session of the data that the test used.", nullable=False),
        column("start_date", DATE, "exchange session", "First session with a factor return."),
        column("end_date", DATE, "exchange session", "Last session with a factor return."),
        column(
            "alpha",
            NUMBER,
            "fraction per session",
            "Intercept of the regression of the ticker's return on the factor return.",
        ),
        column("beta", NUMBER, "ratio", "Slope of the regression of the ticker's return on the factor return."),
        column("tstat", NUMBER, "ratio", "t-statistic of beta, ordinary standard error."),
        column("pvalue", NUMBER, "probability", "Two-sided p-value of beta."),
        column("rsquared", NUMBER, "fraction", "Share of the variance explained."),
        column("conf_int_lower", NUMBER, "ratio", "Lower end of the 95% interval of beta."),
        column("conf_int_upper", NUMBER, "ratio", "Upper end of the 95% interval of beta."),
        column("n_observations", COUNT, "sessions", "Sessions with both returns."),
        column("avg_beta", NUMBER, "ratio", "Mean of beta over tickers, signed."),
        column("avg_tstat", NUMBER, "ratio", "Mean of the t-statistic over tickers, signed."),
        column("avg_rsquared", NUMBER, "fraction", "Mean of R2 over tickers."),
        column("significant_stocks", COUNT, "tickers", "Tickers with |t| above 1.96."),
        column("total_stocks", COUNT, "tickers", "Tickers with a regression."),
        column("annualized_return", NUMBER, "fraction per year", "Compound return of the factor, 252 sessions a year."),
        column(
            "annualized_volatility",
            NUMBER,
            "fraction per year",
            "Standard deviation of the factor return, 252 sessions a year.",
        ),
        column(
            "sharpe_ratio", NUMBER, "ratio", "Annualized return less the risk-free rate, over annualized volatility."
        ),
        column(
            "max_drawdown", NUMBER, "fraction", "Deepest fall of the compound factor return below its running maximum."
        ),
        column("mean_factor_return", NUMBER, "fraction per session", "Mean of the factor return."),
        column("factor_return_tstat", NUMBER, "ratio", "t-statistic of the mean factor return."),
        column("mean_rank_ic", NUMBER, "correlation", "Mean of the rank IC."),
        column("rank_ic_tstat", NUMBER, "ratio", "t-statistic of the mean rank IC."),
        column("mean_coverage", NUMBER, "fraction", "Mean of the coverage."),
        column("mean_turnover", NUMBER, "fraction per session", "Mean of the turnover."),
        column("n_sessions", COUNT, "sessions", "Sessions with a factor return."),
        column("n_null_sessions", COUNT, "sessions", "Sessions without one; reasons are in factor_timeseries."),
        column("description", TEXT, "", "The factor's formula and source in the literature."),
        # evidence
        column("horizon", COUNT, "sessions", "Sessions of the forward return.", nullable=False),
        column("ic", NUMBER, "correlation", "Pearson correlation of factor and forward return, dated like rank_ic."),
        column("n_pairs", COUNT, "tickers", "Names with a factor value and a forward return."),
        column("rank_autocorrelation", NUMBER, "correlation", "Of the ranks with those of the session before."),
        column(
            "capacity",
            NUMBER,
            "currency",
            "Capital of a long-short portfolio of the outer quantiles that one session trades at the participation"
            " rate of the settings.",
        ),
        column("newey_west_tstat", NUMBER, "ratio", "t-statistic of beta, Newey-West standard error."),
        column("newey_west_pvalue", NUMBER, "probability", "Two-sided p-value of beta with that error."),
        column("alpha_tstat", NUMBER, "ratio", "t-statistic of alpha, Newey-West standard error."),
        column("mean_ic", NUMBER, "correlation", "Mean of the IC."),
        column("icir", NUMBER, "ratio", "Mean of the rank IC over its standard deviation, per session."),
        column("mean_rank_ic_tstat", NUMBER, "ratio", "t-statistic of the mean rank IC, Newey-West standard error."),
        column("rank_ic_pvalue", NUMBER, "probability", "Two-sided p-value of the mean rank IC."),
        column("bonferroni_pvalue", NUMBER, "probability", "rank_ic_pvalue after Bonferroni, family size n_trials."),
        column("holm_pvalue", NUMBER, "probability", "rank_ic_pvalue after Holm (1979), family size n_trials."),
        column("fdr_pvalue", NUMBER, "probability", "After Benjamini and Hochberg (1995), family size n_trials."),
        column("fdr_any_pvalue", NUMBER, "probability", "After Benjamini and Yekutieli (2001), family size n_trials."),
        column("n_trials", COUNT, "trials", "Different factors, variants and parameters tried so far, by the ledger."),
        column("hit_rate", NUMBER, "fraction", "Share of sessions with a positive rank IC."),
        column(
            "monotonicity_pvalue", NUMBER, "probability", "Patton and Timmermann (2010), quantile returns in order."
        ),
        column("session_sharpe_ratio", NUMBER, "ratio", "Mean of the factor return over its standard deviation."),
        column("probabilistic_sharpe_ratio", NUMBER, "probability", "That the true Sharpe ratio is above 0."),
        column(
            "deflated_sharpe_ratio",
            NUMBER,
            "probability",
            "That the true Sharpe ratio is above the best of n_trials without any (Bailey and Lopez de Prado 2014).",
        ),
        column("min_track_record", NUMBER, "sessions", "Sessions that the Sharpe ratio needs to differ from 0."),
        column("mean_rank_autocorrelation", NUMBER, "correlation", "Mean of the rank autocorrelation."),
        column("median_capacity", NUMBER, "currency", "Median of the capacity."),
        column("fama_macbeth_premium", NUMBER, "fraction per session", "Return of one standard deviation of factor."),
        column("fama_macbeth_tstat", NUMBER, "ratio", "t-statistic of that premium, Newey-West standard error."),
        column("closest_factor", TEXT, "", "Other factor with the largest absolute rank correlation."),
        column("closest_correlation", NUMBER, "correlation", "Rank correlation with it, mean over sessions."),
        column("other_name", TEXT, "", "Name of the other factor.", nullable=False),
        column("other_type", TEXT, "", "Family of the other factor.", nullable=False),
        column("return_correlation", NUMBER, "correlation", "Of the two factors' returns."),
        column("rank_correlation", NUMBER, "correlation", "Of the two factors' ranks, mean over sessions."),
        column("cluster", COUNT, "", "Number of the group of similar factors."),
        column("place", COUNT, "", "Place in an order in which similar factors are neighbours."),
        column("promoted", FLAG, "", "Whether the factor passed every gate.", nullable=False),
        column("reasons", TEXT, "", "Which gates refused it, with their numbers; empty where promoted."),
        column("has_holdout", FLAG, "", "Whether sessions of the holdout were looked at.", nullable=False),
        column("trial_id", TEXT, "", "Hash of expression, universe, dates and settings.", nullable=False),
        column("tried_at", TIME, "UTC", "When the factor was evaluated.", nullable=False),
        column("tried_by", TEXT, "", "What evaluated it: an asset's run, the command line or a notebook."),
        column(
            "random_portfolio_pvalue",
            NUMBER,
            "probability",
            "Two-sided, of the mean factor return among random portfolios of the same sizes and names.",
        ),
        column("neutralised_on", TEXT, "", "Factors taken out for marginal_rank_ic, as family/name, by comma."),
        column(
            "marginal_rank_ic", NUMBER, "correlation", "Mean rank IC of what other factors do not say of the ranks."
        ),
        column("marginal_rank_ic_tstat", NUMBER, "ratio", "t-statistic of that mean, Newey-West standard error."),
        # variants of the portfolios
        column("variant", TEXT, "", "How the names were weighed, sorted or held: see `variants.py`.", nullable=False),
        column("variant_return", NUMBER, "fraction per session", "Return of the variant, on the session it is earned."),
        column(
            "variant_turnover",
            NUMBER,
            "fraction per session",
            "Of the variant's target weights, mean over its two sides, on the session of the sort.",
        ),
        column("mean_variant_return", NUMBER, "fraction per session", "Mean of the variant's return."),
        column("variant_return_tstat", NUMBER, "ratio", "t-statistic of that mean, Newey-West standard error."),
        column("variant_volatility", NUMBER, "fraction per session", "Standard deviation of the variant's return."),
        column("variant_sharpe_ratio", NUMBER, "ratio per session", "Mean of the variant's return over it."),
        column(
            "variant_max_drawdown",
            NUMBER,
            "fraction",
            "Deepest fall of the compound return of the variant, 0 or less.",
        ),
        column("mean_variant_turnover", NUMBER, "fraction per session", "Mean of the variant's turnover."),
        # spanning regressions and rolling betas
        column("benchmark", TEXT, "", "Returns that the factor return is regressed on together.", nullable=False),
        column("coefficient", TEXT, "", "alpha, or the benchmark's return.", nullable=False),
        column("loading", NUMBER, "fraction per session for alpha, else ratio", "Estimate of the coefficient."),
        column("loading_tstat", NUMBER, "ratio", "t-statistic of the coefficient, Newey-West standard error."),
        column("loading_pvalue", NUMBER, "probability", "Two-sided p-value of the coefficient with that error."),
        column("spanning_rsquared", NUMBER, "fraction", "Share of the factor return's variance that is spanned."),
        column("rolling_beta", NUMBER, "ratio", "Beta of the ticker on the factor return over the window that ends."),
        column("rolling_beta_tstat", NUMBER, "ratio", "t-statistic of that beta, ordinary standard error."),
        column("rolling_rsquared", NUMBER, "fraction", "R2 of that regression."),
        # event curves
        column("offset", COUNT, "sessions", "Sessions from the sort; below 0 before it.", nullable=False),
        column(
            "top_curve",
            NUMBER,
            "fraction",
            "Mean price of the highest quantile over that at the sort, less 1, less that of all names sorted.",
        ),
        column("bottom_curve", NUMBER, "fraction", "The same of the lowest quantile."),
        column("n_sorts", COUNT, "sessions", "Sorts with a value at the offset, of the highest quantile."),
        # choosing among factors
        column("scope", TEXT, "", "Factors that were chosen among: all, or one family.", nullable=False),
        column("n_factors", COUNT, "factors", "Factors of the scope with a return on enough sessions."),
        column("best_factor", TEXT, "", "Factor of the highest Sharpe ratio, as family/name, in its published sign."),
        column("best_sharpe_ratio", NUMBER, "ratio per session", "Its Sharpe ratio."),
        column(
            "overfitting_probability",
            NUMBER,
            "probability",
            "Bailey et al. (2017): the best of one half of the sessions is below the median on the other.",
        ),
        column("degradation_slope", NUMBER, "ratio", "Slope of the Sharpe ratio out of sample on that in sample."),
        column("loss_probability", NUMBER, "probability", "That the best of one half loses on the other."),
        column("superior_ability_pvalue", NUMBER, "probability", "Hansen (2005), consistent: that the best is luck."),
        column("superior_ability_pvalue_lower", NUMBER, "probability", "Hansen (2005), liberal."),
        column("superior_ability_pvalue_upper", NUMBER, "probability", "Hansen (2005), conservative."),
        column("grs_statistic", NUMBER, "F ratio", "Gibbons, Ross and Shanken (1989): all alphas on the market are 0."),
        column("grs_pvalue", NUMBER, "probability", "Of that statistic."),
        column("formula", TEXT, "", "The expression."),
        column("code_version", TEXT, "", "Of the expression."),
        column("statistic", NUMBER, "ratio", "t-statistic of the mean rank IC that was seen; null where none was."),
        *DOCUMENT_COLUMNS,
    )
}
