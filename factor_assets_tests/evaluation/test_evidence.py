"""The judgement of factors against statsmodels, scipy and pandas, computed from the same rows without our modules."""

from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.evidence import factor_evidence, rank_ic_tstats
from factor_assets.evaluation.evidence_by_date import evidence_by_date
from factor_assets.evaluation.marginal_evidence import MarginalEvidence
from factor_assets.evaluation.monotonicity import monotonicity
from factor_assets.evaluation.premia import Premium, fama_macbeth_premia
from factor_assets.evaluation.random_benchmark import RandomComparison
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
CHOICE = EvaluationSettings(horizons=(1, 5, 20))
HOLDOUT = date(2020, 6, 1)
CORRECTIONS = {
    "bonferroni_pvalue": "bonferroni",
    "holm_pvalue": "holm",
    "fdr_pvalue": "fdr_bh",
    "fdr_any_pvalue": "fdr_by",
}

Factors = list[tuple[str, str, Array]]


def market() -> tuple[Panel, Factors]:
    """Five factors: three of the random market, one that knows a little of the returns, one that is never there."""
    panel, factors = random_market(0, n_dates=260, n_tickers=24)
    random = np.random.default_rng(1)
    knows = random.normal(size=panel.shape)
    for ahead in (1, 2):
        knows[:-ahead] += 0.3 * np.nan_to_num(panel["returns"][ahead:] / 0.02)
    return panel, [*factors, ("other", "knows", knows), ("other", "void", np.full(panel.shape, np.nan))]


PANEL, FACTORS = market()


def tables(choice: EvaluationSettings = CHOICE) -> dict[str, pa.Table]:
    returns = evaluate_factors(FACTORS, PANEL, settings=choice, **NAMES)
    by_date = evidence_by_date(FACTORS, PANEL, settings=choice, **NAMES)
    return {
        "timeseries": returns.timeseries,
        "information": by_date.information,
        "trading": by_date.trading,
        "quantiles": returns.quantiles,
    }


TABLES = tables()


def judged(given: dict[str, pa.Table] = TABLES, *, choice: EvaluationSettings = CHOICE, **options: Any) -> pd.DataFrame:
    rows = factor_evidence(**given, settings=choice, **NAMES, **options)
    assert rows.schema == table("factor_evidence").schema
    return rows.to_pandas().set_index(["factor_name", "horizon"])


@cache
def plain() -> pd.DataFrame:
    return judged(TABLES)


def series(kind: str, column: str, name: str, horizon: int | None = None) -> pd.Series:
    frame = TABLES[kind].to_pandas()
    frame = frame[frame["factor_name"] == name]
    return (frame if horizon is None else frame[frame["horizon"] == horizon])[column].dropna()


NAMED = [name for _, name, _ in FACTORS if name not in {"void", "sparse"}]


class TestAgainstStatsmodelsAndScipy:
    @pytest.mark.parametrize("horizon", CHOICE.horizons)
    @pytest.mark.parametrize("name", NAMED)
    def test_information(self, name: str, horizon: int) -> None:
        row = plain().loc[name, horizon]
        rank_ic = series("information", "rank_ic", name, horizon).to_numpy()
        lags = max(int(4 * (len(rank_ic) / 100) ** (2 / 9)), horizon - 1)
        fit = sm.OLS(rank_ic, np.ones(len(rank_ic))).fit()
        robust = fit.get_robustcov_results("HAC", maxlags=lags, use_correction=True, use_t=True)
        assert row["mean_rank_ic"] == pytest.approx(robust.params[0], abs=1e-12)
        assert row["mean_rank_ic_tstat"] == pytest.approx(robust.tvalues[0], rel=1e-10)
        assert row["rank_ic_pvalue"] == pytest.approx(robust.pvalues[0], rel=1e-9)
        assert row["icir"] == pytest.approx(rank_ic.mean() / rank_ic.std(ddof=1), rel=1e-12)
        assert row["mean_ic"] == pytest.approx(series("information", "ic", name, horizon).mean(), abs=1e-12)
        assert row["hit_rate"] == pytest.approx((rank_ic > 0).sum() / (rank_ic != 0).sum(), abs=1e-12)

    @pytest.mark.parametrize("n_trials", [None, 2, 100])
    def test_corrections(self, n_trials: int | None) -> None:
        rows = judged(n_trials=n_trials)
        size = max(n_trials or 0, 5)
        assert (rows["n_trials"] == size).all()
        for horizon in CHOICE.horizons:
            family = rows.xs(horizon, level="horizon").dropna(subset=["rank_ic_pvalue"])
            assert len(family) >= 3
            # what is not among the p-values takes part as p = 1
            pvalues = np.append(family["rank_ic_pvalue"], np.ones(size - len(family)))
            for column, method in CORRECTIONS.items():
                expected = multipletests(pvalues, method=method)[1][: len(family)]
                np.testing.assert_allclose(family[column], expected, rtol=1e-10, err_msg=column)

    @pytest.mark.parametrize("n_trials", [5, 100])
    def test_sharpe_ratios(self, n_trials: int) -> None:
        rows = judged(n_trials=n_trials)
        ratios = {
            name: (r := series("timeseries", "factor_value", name)).mean() / r.std(ddof=1)
            for name in [*NAMED, "sparse"]
            if len(series("timeseries", "factor_value", name)) > 1
        }
        deviation = np.std(list(ratios.values()), ddof=1)
        gamma = np.euler_gamma
        best = deviation * (
            (1 - gamma) * stats.norm.ppf(1 - 1 / n_trials) + gamma * stats.norm.ppf(1 - 1 / (n_trials * np.e))
        )
        for name in NAMED:
            returns = series("timeseries", "factor_value", name).to_numpy()
            n, s = len(returns), ratios[name]
            error = np.sqrt(1 - stats.skew(returns) * s + stats.kurtosis(returns, fisher=False) * s**2 / 4 - s**2 / 4)
            for horizon in CHOICE.horizons:
                row = rows.loc[name, horizon]
                assert row["session_sharpe_ratio"] == pytest.approx(s, rel=1e-12)
                assert row["probabilistic_sharpe_ratio"] == pytest.approx(
                    stats.norm.cdf(s * np.sqrt(n - 1) / error), rel=1e-9
                )
                assert row["deflated_sharpe_ratio"] == pytest.approx(
                    stats.norm.cdf((s - best) * np.sqrt(n - 1) / error), rel=1e-8, abs=1e-12
                )
                if s > 0:
                    assert row["min_track_record"] == pytest.approx(1 + (error * stats.norm.ppf(0.95) / s) ** 2)
                else:
                    assert np.isnan(row["min_track_record"])
                    assert "no track record is long enough" in row["reason"]

    @pytest.mark.parametrize("name", NAMED)
    def test_dates_and_trading(self, name: str) -> None:
        row = plain().loc[name, 5]
        returns = TABLES["timeseries"].to_pandas().query("factor_name == @name").dropna(subset=["factor_value"])
        assert (row["start_date"], row["end_date"]) == (returns["date"].min(), returns["date"].max())
        assert row["n_sessions"] == len(returns)
        assert row["test_date"] == PANEL.dates[-1].item()
        assert row["mean_coverage"] == pytest.approx(series("timeseries", "coverage", name).mean(), abs=1e-12)
        for column, ours in (
            ("rank_autocorrelation", "mean_rank_autocorrelation"),
            ("turnover", "mean_turnover"),
        ):
            assert row[ours] == pytest.approx(series("trading", column, name).mean(), abs=1e-12)
        assert row["median_capacity"] == pytest.approx(series("trading", "capacity", name).median(), rel=1e-12)

    def test_fama_macbeth(self) -> None:
        premia = fama_macbeth_premia(FACTORS, PANEL, settings=CHOICE)
        values, close = {name: v for _, name, v in FACTORS}["knows"], PANEL["close"]
        for horizon in CHOICE.horizons:
            slopes = []
            for d in range(horizon + 1, len(PANEL.dates)):
                x, y = values[d - horizon - 1], (close[d] / close[d - horizon] - 1.0) / horizon
                members = PANEL.in_universe[d - horizon - 1]
                x = (x - x[members].mean()) / x[members].std(ddof=1)
                both = members & np.isfinite(y)
                if both.sum() >= 10:
                    slopes.append(np.polyfit(x[both], y[both], 1)[0])
            lags = max(int(4 * (len(slopes) / 100) ** (2 / 9)), horizon - 1)
            robust = (
                sm.OLS(slopes, np.ones(len(slopes)))
                .fit()
                .get_robustcov_results("HAC", maxlags=lags, use_correction=True, use_t=True)
            )
            found = premia["other", "knows", horizon]
            assert found.premium == pytest.approx(robust.params[0], rel=1e-9)
            assert found.tstat == pytest.approx(robust.tvalues[0], rel=1e-8)

    def test_monotonicity_is_that_of_the_quantile_returns(self) -> None:
        rows = plain()
        wide = (
            TABLES["quantiles"]
            .to_pandas()
            .query("factor_name == 'knows'")
            .pivot_table(index="date", columns="quantile", values="quantile_return", dropna=False)
        )
        assert rows.loc[("knows", 1), "monotonicity_pvalue"] == monotonicity(wide.to_numpy()).pvalue < 0.2
        assert rows["monotonicity_pvalue"].drop(index=[1], level="horizon").isna().all()


class TestProperties:
    def test_what_is_planted_is_found(self) -> None:
        rows = plain()
        assert rows.loc[("knows", 1), "holm_pvalue"] < 0.001
        assert (rows.xs(1, level="horizon")["holm_pvalue"].drop("knows").dropna() > 0.01).all()

    def test_the_ledger_records_what_the_table_says(self) -> None:
        found = rank_ic_tstats(TABLES["information"], settings=CHOICE)
        rows = plain().xs(1, level="horizon")
        assert len(found) == 5
        for (_, name), tstat in found.items():
            np.testing.assert_equal(tstat, rows.loc[name, "mean_rank_ic_tstat"])

    def test_more_trials_make_it_harder(self) -> None:
        few, many = judged(n_trials=5), judged(n_trials=1000)
        for column in CORRECTIONS:
            known = few[column].notna()
            assert (many[column][known] >= few[column][known]).all()
            assert (many[column][known] > few[column][known]).any()
        known = few["deflated_sharpe_ratio"] > 1e-9
        assert known.sum() >= 3
        assert (many["deflated_sharpe_ratio"][known] < few["deflated_sharpe_ratio"][known]).all()

    def test_the_holdout_is_left_out_unless_it_is_asked_for(self) -> None:
        choice = CHOICE.model_copy(update={"holdout_start": HOLDOUT})
        before = {
            kind: rows.filter(pa.array([day < HOLDOUT for day in rows["date"].to_pylist()]))
            for kind, rows in TABLES.items()
        }
        left_out = judged(choice=choice)
        pd.testing.assert_frame_equal(left_out, judged(before), check_exact=True)
        assert not left_out["has_holdout"].any()
        assert (left_out["test_date"] < HOLDOUT).all()
        included = judged(choice=choice, include_holdout=True)
        assert included["has_holdout"].all()
        pd.testing.assert_frame_equal(
            included.drop(columns="has_holdout"), plain().drop(columns="has_holdout"), check_exact=True
        )
        tstats = rank_ic_tstats(TABLES["information"], settings=choice)
        assert tstats["other", "knows"] == left_out.loc[("knows", 1), "mean_rank_ic_tstat"]

    def test_random_portfolios_are_the_same_at_every_horizon_and_missing_ones_have_their_reason(self) -> None:
        random = {("other", "knows"): RandomComparison(0.01), ("other", "void"): RandomComparison(np.nan, "why")}
        rows = judged(random=random)
        assert set(rows.loc["knows", "random_portfolio_pvalue"]) == {0.01}
        assert rows["random_portfolio_pvalue"].notna().sum() == len(CHOICE.horizons)
        assert rows.loc[("void", 1), "reason"].endswith("no random portfolio to compare with: why")
        assert "no random portfolio to compare with: none was drawn" in rows.loc[("smooth", 1), "reason"]
        assert plain()["random_portfolio_pvalue"].isna().all()
        assert not plain()["reason"].astype(str).str.contains("random portfolio").any()

    def test_the_marginal_rank_ic_is_of_the_horizon_and_a_missing_one_has_its_reason(self) -> None:
        marginal = {
            ("other", "knows", 1): MarginalEvidence("style/smooth", 0.02, 2.5),
            ("other", "knows", 5): MarginalEvidence("style/smooth", np.nan, np.nan, "too few"),
            ("other", "knows", 20): MarginalEvidence("", np.nan, np.nan, "no other"),
        }
        rows = judged(marginal=marginal).loc["knows"]
        assert rows.loc[1, ["neutralised_on", "marginal_rank_ic", "marginal_rank_ic_tstat"]].tolist() == [
            "style/smooth",
            0.02,
            2.5,
        ]
        assert rows["neutralised_on"].fillna("none").tolist()[1:] == ["style/smooth", "none"]
        assert rows["marginal_rank_ic"].notna().tolist() == [True, False, False]
        assert "no marginal rank IC: too few" in rows.loc[5, "reason"]
        assert "no marginal rank IC: no other" in rows.loc[20, "reason"]
        assert plain()["neutralised_on"].isna().all()

    def test_the_premia_end_before_the_holdout(self) -> None:
        choice = CHOICE.model_copy(update={"holdout_start": HOLDOUT})
        n = int(np.searchsorted(PANEL.dates, np.datetime64(HOLDOUT)))
        shorter = [(family, name, values[:n]) for family, name, values in FACTORS]
        expected = fama_macbeth_premia(shorter, PANEL.rows(0, n), settings=CHOICE)
        found = fama_macbeth_premia(FACTORS, PANEL, settings=choice)
        np.testing.assert_array_equal(list(found.values()), list(expected.values()))
        included = fama_macbeth_premia(FACTORS, PANEL, settings=choice, include_holdout=True)
        assert included["other", "knows", 1] != found["other", "knows", 1]

    def test_nulls_have_reasons(self) -> None:
        rows = judged(premia={("other", "knows", h): Premium(0.1, 2.0) for h in CHOICE.horizons})
        void = rows.loc["void"]
        assert np.isnan(void.loc[1, "mean_rank_ic_tstat"])
        for text in (
            "no session has a rank IC",
            "A monotonic relation wants at least 10 sessions",
            "no session has a Fama-MacBeth premium",
            "no session has a turnover",
            "no session has a capacity",
            "the factor return has no Sharpe ratio",
        ):
            assert text in void.loc[1, "reason"]
        assert (void["n_sessions"] == 0).all()
        assert void[["holm_pvalue", "hit_rate", "deflated_sharpe_ratio", "start_date"]].isna().all(axis=None)
        assert rows.loc[("knows", 1), "fama_macbeth_tstat"] == 2.0
        assert pd.isna(rows.loc[("knows", 1), "reason"])

    def test_a_horizon_without_information_says_so(self) -> None:
        rows = judged(choice=CHOICE.model_copy(update={"horizons": (1, 3)}))
        assert rows.loc[("knows", 3), "reason"] == "no session has a rank IC"
        assert rows.loc[("knows", 1), "mean_rank_ic"] == plain().loc[("knows", 1), "mean_rank_ic"]

    def test_too_few_sessions_for_the_lags(self) -> None:
        first = {
            kind: rows.filter(pa.array([day < date(2020, 1, 31) for day in rows["date"].to_pylist()]))
            for kind, rows in TABLES.items()
        }
        row = judged(first).loc["knows", 20]
        assert np.isfinite(row["mean_rank_ic"])
        assert np.isnan(row["mean_rank_ic_tstat"])
        assert "9 sessions have a rank IC, with 19 lags" in row["reason"]

    def test_a_single_factor_has_no_variance_of_trials(self) -> None:
        one = {kind: rows.filter(pa.compute.field("factor_name") == "knows") for kind, rows in TABLES.items()}
        alone = judged(one)
        assert (alone["deflated_sharpe_ratio"] == alone["probabilistic_sharpe_ratio"]).all()
        tried = judged(one, n_trials=10)
        assert tried["deflated_sharpe_ratio"].isna().all()
        assert tried["reason"].str.contains("no variance to deflate it by").all()

    def test_the_closest_factor(self) -> None:
        pairs = [("smooth", "tied", -0.6), ("smooth", "knows", 0.5), ("knows", "smooth", 0.5), ("tied", "smooth", None)]
        family = {name: family for family, name, _ in FACTORS}
        correlations = pa.Table.from_pylist(
            [
                {
                    "factor_type": family[name],
                    "factor_name": name,
                    "other_type": family[other],
                    "other_name": other,
                    "rank_correlation": size,
                    **NAMES,
                }
                for name, other, size in pairs
            ],
            schema=table("factor_correlations").schema,
        )
        rows = judged(correlations=correlations).xs(1, level="horizon")
        assert rows.loc["smooth", ["closest_factor", "closest_correlation"]].tolist() == ["style/tied", -0.6]
        assert rows.loc["knows", "closest_factor"] == "style/smooth"
        assert rows.loc[["tied", "void"], "closest_factor"].isna().all()

    def test_no_factors(self) -> None:
        nothing = {kind: rows.slice(0, 0) for kind, rows in TABLES.items()}
        assert factor_evidence(**nothing, settings=CHOICE, **NAMES).num_rows == 0


class TestErrors:
    @pytest.mark.parametrize("kind", list(TABLES))
    def test_another_source(self, kind: str) -> None:
        with pytest.raises(EvaluationError, match="wants rows of it alone"):
            factor_evidence(**TABLES, settings=CHOICE, universe="test", source="other")
        strange = TABLES[kind].slice(0, 1).to_pylist()[0] | {"universe": "elsewhere"}
        rows = pa.concat_tables([TABLES[kind], pa.Table.from_pylist([strange], TABLES[kind].schema)])
        with pytest.raises(EvaluationError, match=f"factor_{kind} also has"):
            judged(TABLES | {kind: rows})

    def test_a_holdout_that_leaves_nothing(self) -> None:
        choice = CHOICE.model_copy(update={"holdout_start": PANEL.dates[0].item()})
        with pytest.raises(EvaluationError, match=r"there is none\. Set evaluation\.holdout_start later"):
            judged(choice=choice)

    @pytest.mark.parametrize("n_quantiles", [3, 10])
    def test_another_number_of_quantiles(self, n_quantiles: int) -> None:
        with pytest.raises(EvaluationError, match=f"wants the quantiles 1 to {n_quantiles} on every session"):
            judged(choice=CHOICE.model_copy(update={"n_quantiles": n_quantiles}))

    def test_premia_of_another_shape(self) -> None:
        with pytest.raises(MisalignedError, match="has shape"):
            fama_macbeth_premia([("a", "b", FACTORS[0][2][1:])], PANEL, settings=CHOICE)
