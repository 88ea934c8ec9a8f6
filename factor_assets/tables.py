"""Every stored table once: its columns, its key, and along what a write may replace a part of it.

What does not belong here: what a column means (`columns.py`), how rows are laid out in files (`storage/`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from factor_assets.column import Column, library_column
from factor_assets.columns import COLUMNS
from factor_assets.document_columns import FUNDAMENTAL_COLUMNS, RATING_COLUMNS
from factor_assets.errors import UnknownTableError, did_you_mean


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


def _table(
    name: str,
    columns: str,
    *,
    key: tuple[str, ...],
    slices: Literal["date", "ticker", "whole"],
    meaning: str,
) -> Table:
    return Table(name=name, columns=tuple(COLUMNS[c] for c in columns.split()), key=key, slices=slices, meaning=meaning)


_ITEMS = " ".join(c.name for c in FUNDAMENTAL_COLUMNS)

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
            " conf_int_upper n_observations alpha_tstat newey_west_tstat newey_west_pvalue start_date end_date universe"
            " source",
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
        _table(
            "factor_information",
            "factor_name factor_type date horizon ic rank_ic n_pairs universe source",
            key=("date", "factor_type", "factor_name", "horizon"),
            slices="date",
            meaning="IC and rank IC of each factor at several horizons, on the session that completes the return.",
        ),
        _table(
            "factor_trading",
            "factor_name factor_type date rank_autocorrelation turnover capacity universe source",
            key=("date", "factor_type", "factor_name"),
            slices="date",
            meaning="What holding each factor's outer quantiles costs: turnover, stability of ranks, capacity.",
        ),
        _table(
            "factor_evidence",
            "factor_name factor_type horizon test_date start_date end_date has_holdout n_sessions mean_ic mean_rank_ic"
            " icir mean_rank_ic_tstat rank_ic_pvalue bonferroni_pvalue holm_pvalue fdr_pvalue fdr_any_pvalue n_trials"
            " hit_rate monotonicity_pvalue session_sharpe_ratio probabilistic_sharpe_ratio deflated_sharpe_ratio"
            " min_track_record mean_rank_autocorrelation mean_turnover mean_coverage median_capacity"
            " fama_macbeth_premium fama_macbeth_tstat random_portfolio_pvalue closest_factor closest_correlation"
            " neutralised_on marginal_rank_ic marginal_rank_ic_tstat reason universe source",
            key=("factor_type", "factor_name", "horizon"),
            slices="whole",
            meaning="One row a factor and horizon: is it real, is it luck, is it new, what does it cost.",
        ),
        _table(
            "factor_correlations",
            "factor_name factor_type other_name other_type return_correlation rank_correlation cluster place universe"
            " source",
            key=("factor_type", "factor_name", "other_type", "other_name"),
            slices="whole",
            meaning="How alike every two factors are; cluster and place are of the first.",
        ),
        _table(
            "factor_variants",
            "factor_name factor_type date variant variant_return variant_turnover reason universe source",
            key=("date", "factor_type", "factor_name", "variant"),
            slices="date",
            meaning="What each factor earns when its names are weighed, sorted or held in another way.",
        ),
        _table(
            "variant_evidence",
            "factor_name factor_type variant start_date end_date n_sessions mean_variant_return variant_return_tstat"
            " variant_volatility variant_sharpe_ratio variant_max_drawdown mean_variant_turnover reason universe"
            " source",
            key=("factor_type", "factor_name", "variant"),
            slices="whole",
            meaning="One row a factor and variant: does it survive other weights, neutral sorts and slower trading.",
        ),
        _table(
            "factor_rolling_betas",
            "factor_name factor_type date ticker rolling_beta rolling_beta_tstat rolling_rsquared n_observations"
            " universe source",
            key=("ticker", "factor_type", "factor_name", "date"),
            slices="ticker",
            meaning="Beta of each ticker on each factor return over the sessions before, at the end of each month.",
        ),
        _table(
            "factor_spanning",
            "factor_name factor_type benchmark coefficient loading loading_tstat loading_pvalue spanning_rsquared"
            " n_sessions start_date end_date reason universe source",
            key=("factor_type", "factor_name", "benchmark", "coefficient"),
            slices="whole",
            meaning="Each factor's return on the market, on chosen factors and on the user's known factors: is alpha"
            " left.",
        ),
        _table(
            "factor_event_curves",
            "factor_name factor_type offset top_curve bottom_curve n_sorts universe source",
            key=("factor_type", "factor_name", "offset"),
            slices="whole",
            meaning="What the names of the outer quantiles did in the sessions before and after the sort.",
        ),
        _table(
            "factor_selection",
            "scope n_factors n_sessions start_date end_date best_factor best_sharpe_ratio overfitting_probability"
            " degradation_slope loss_probability superior_ability_pvalue superior_ability_pvalue_lower"
            " superior_ability_pvalue_upper grs_statistic grs_pvalue n_trials reason universe source",
            key=("scope",),
            slices="whole",
            meaning="What choosing the best of the factors is worth: overfitting, superior ability, and whether"
            " any alpha is left on the market.",
        ),
        _table(
            "promoted_factors",
            "factor_name factor_type promoted reasons test_date mean_rank_ic holm_pvalue deflated_sharpe_ratio"
            " mean_turnover median_capacity mean_coverage closest_factor closest_correlation n_trials universe source",
            key=("factor_type", "factor_name"),
            slices="whole",
            meaning="Which factors passed every gate, and why the others did not.",
        ),
        _table(
            "trials",
            "trial_id tried_at tried_by factor_name factor_type formula code_version universe horizon start_date"
            " end_date has_holdout statistic source",
            key=("tried_at", "trial_id"),
            slices="whole",
            meaning="Every evaluation of a factor, variant or parameter: what the family size of a correction counts.",
        ),
        _table(
            "filings",
            "ticker cik accession form filed accepted_at report_date primary_document known_from source",
            key=("ticker", "accession"),
            slices="ticker",
            meaning="Filings of each company, as the SEC lists them.",
        ),
        _table(
            "facts",
            "ticker cik concept period_start period_end duration fact_value fact_unit fiscal_year fiscal_quarter form"
            " accession filed accepted_at known_from source",
            key=("ticker", "concept", "fact_unit", "period_end", "period_start", "filed", "accession"),
            slices="ticker",
            meaning="Every number that a filing told of a period, restatements included, and from when it was known.",
        ),
        _table(
            "fundamentals",
            f"date ticker fundamentals_period_end fundamentals_known_from shares_filed reporting_currency {_ITEMS}"
            " source",
            key=("date", "ticker"),
            slices="date",
            meaning="Balance sheets and the flows of four quarters, as they were known on the session.",
        ),
        _table(
            "style_returns",
            "date portfolio portfolio_return n_tickers universe source",
            key=("date", "portfolio"),
            slices="date",
            meaning="MKT, SMB, HML, RMW and CMA from the platform's own prices and fundamentals.",
        ),
        _table(
            "news",
            "date ticker document_id published_at published_on title url content provider source",
            key=("date", "ticker", "document_id"),
            slices="date",
            meaning="News of a company, on the session on which they are usable.",
        ),
        _table(
            "news_sentiments",
            "date ticker sentiment confidence justification n_articles error model prompt_version call_id source",
            key=("date", "ticker"),
            slices="date",
            meaning="What a language model or a lexicon reads from the news of a company and session.",
        ),
        _table(
            "reports",
            "ticker report_date document_key etag document_id n_pages n_words n_sections known_from error source",
            key=("ticker", "report_date", "document_key"),
            slices="ticker",
            meaning="Reports that were dropped as PDF, and what could be read of them.",
        ),
        _table(
            "report_ratings",
            "ticker report_date topic rating justification key_figures year_over_year confidence error model"
            " prompt_version call_id document_key document_id known_from source",
            key=("ticker", "report_date", "topic"),
            slices="ticker",
            meaning="Ratings of each report by topic.",
        ),
        _table(
            "filing_texts",
            "ticker accession form report_date filed known_from document_id n_words similarity_cosine"
            " similarity_jaccard tone negative_share previous_accession error source",
            key=("ticker", "accession"),
            slices="ticker",
            meaning="What the text of an annual or quarterly filing says without a model: length, change and tone.",
        ),
        _table(
            "document_scores",
            f"date ticker news_sentiment {' '.join(c.name for c in RATING_COLUMNS)} filing_similarity filing_length"
            " filing_tone source",
            key=("date", "ticker"),
            slices="date",
            meaning="Numbers from news, reports and filings as they were known on the session.",
        ),
        _table(
            "language_model_calls",
            "call_id called_at purpose document_id prompt_version model parameters input_tokens output_tokens cost"
            " latency error source",
            key=("called_at", "call_id"),
            slices="whole",
            meaning="Every call of a language model: what it cost, and where its answer is.",
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
    # a part is a folder of the lake: nothing that leads elsewhere
    is_plain = all(re.fullmatch(r"[\w-]+", part) for part in parts)
    if is_plain and name.startswith(FACTOR_PREFIX) and len(parts) == 3:
        return factor_table(parts[1], parts[2])
    if is_plain and name.startswith(LIBRARY_PREFIX) and len(parts) == 2:
        return library_table(parts[1])
    raise UnknownTableError(f"No table {name!r} is declared; {did_you_mean(name, TABLES)}")


def is_declared(name: str) -> bool:
    """Whether `table` knows the name: a folder or a record that somebody else left in a store is no table."""
    try:
        table(name)
    except UnknownTableError:
        return False
    return True
