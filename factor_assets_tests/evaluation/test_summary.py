"""Performance, significance and the summary against plain pandas."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.performance import performance
from factor_assets.evaluation.regressions import factor_details
from factor_assets.evaluation.significance import mean_tstat
from factor_assets.evaluation.summary import factor_summary
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation import plain
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
FORMULAS = {("style", "smooth"): "smooth", ("style", "tied"): "InterestCoverage's own"}


def summarize(
    timeseries: pa.Table, details: pa.Table, *, choice: EvaluationSettings, universe: str = "test"
) -> pa.Table:
    return factor_summary(
        timeseries,
        details,
        descriptions=FORMULAS,
        settings=choice,
        universe=universe,
        membership="dated",
        source="random",
    )


def evidence(seed: int, *, choice: EvaluationSettings) -> tuple[pa.Table, pa.Table]:
    panel, factors = random_market(seed)
    timeseries = evaluate_factors(factors, panel, settings=choice, **NAMES).timeseries
    return timeseries, factor_details(timeseries, panel, settings=choice, **NAMES)


class TestAgainstPlainPandas:
    @pytest.mark.parametrize("choice", [EvaluationSettings(), EvaluationSettings(risk_free_rate=0.05)])
    def test_whole_chain_equals_the_definition(self, choice: EvaluationSettings) -> None:
        panel, factors = random_market(0)
        timeseries, details = evidence(0, choice=choice)
        got = summarize(timeseries, details, choice=choice).to_pandas().set_index("factor_name")

        def frame(values: np.ndarray) -> pd.DataFrame:
            return pd.DataFrame(values, index=panel.dates, columns=list(panel.tickers))

        for family, name, values in factors:
            series = plain.timeseries(
                frame(values), frame(panel["returns"]), frame(panel["close"]), frame(panel.in_universe)
            )
            tests = plain.details(series["factor"], frame(panel["returns"]))
            expected = plain.summary(series, tests, risk_free_rate=choice.risk_free_rate)
            row = got.loc[name]
            assert row["factor_type"] == family
            assert row["test_date"] == panel.dates[-1].item()
            for column, value in expected.items():
                if column in {"start_date", "end_date"}:
                    assert row[column] == value.date(), column
                elif pd.isna(value):
                    assert pd.isna(row[column]), column
                else:
                    assert row[column] == pytest.approx(value, rel=1e-10, abs=1e-10), column
        assert got.loc["tied", "description"] == "InterestCoverage's own"
        assert pd.isna(got.loc["sparse", "description"])

    def test_performance_by_hand(self) -> None:
        got = performance(np.array([0.1, -0.5, np.nan, 0.2]))
        assert got.n_sessions == 3
        assert got.annualized_return == pytest.approx((1.1 * 0.5 * 1.2) ** (252 / 3) - 1)
        assert got.annualized_volatility == pytest.approx(np.std([0.1, -0.5, 0.2], ddof=1) * np.sqrt(252))
        assert got.max_drawdown == pytest.approx(-0.5)


class TestProperties:
    def test_nothing_is_made_up_from_too_little(self) -> None:
        none = performance(np.full(5, np.nan))
        assert none.n_sessions == 0
        assert np.isnan(
            [none.annualized_return, none.annualized_volatility, none.sharpe_ratio, none.max_drawdown]
        ).all()
        one = performance(np.array([0.001]))
        assert np.isnan([one.annualized_volatility, one.sharpe_ratio]).all()
        flat = performance(np.full(50, 0.1))
        assert flat.annualized_volatility == 0.0
        assert np.isnan(flat.sharpe_ratio)
        assert np.isnan(mean_tstat(np.full(3, np.nan))).all()
        assert mean_tstat(np.full(3, 0.1))[0] == pytest.approx(0.1)
        assert np.isnan(mean_tstat(np.full(3, 0.1))[1])

    def test_a_return_beyond_numbers_is_missing(self) -> None:
        got = performance(np.array([30.0, 0.1]))
        assert got.annualized_return > 1e180
        assert np.isnan(performance(np.array([30.0])).annualized_return)

    def test_ruin(self) -> None:
        ruined = performance(np.array([0.1, -1.0, 0.3]))
        assert ruined.annualized_return == -1.0
        assert ruined.max_drawdown == -1.0
        assert performance(np.array([-1.5, 0.1])).max_drawdown == -1.0

    def test_a_first_loss_is_no_drawdown(self) -> None:
        assert performance(np.array([-0.2, 0.1, 0.1])).max_drawdown == 0.0

    def test_older_tests_take_no_part(self) -> None:
        choice = EvaluationSettings()
        timeseries, details = evidence(0, choice=choice)
        older = details.to_pandas()
        older["test_date"] -= pd.Timedelta(days=1)
        older["beta"] += 100.0
        older["ticker"] = older["ticker"] + "-old"
        mixed = pa.concat_tables([details, pa.Table.from_pandas(older, schema=details.schema, preserve_index=False)])
        assert summarize(timeseries, mixed, choice=choice).equals(summarize(timeseries, details, choice=choice))

    def test_the_holdout_is_not_looked_at(self) -> None:
        choice = EvaluationSettings()
        timeseries, _ = evidence(0, choice=choice)
        panel, _ = random_market(0)
        held = EvaluationSettings(holdout_start=panel.dates[100].item())
        details = factor_details(timeseries, panel, settings=held, **NAMES)
        early = timeseries.filter(pc.field("date") < pa.scalar(panel.dates[100].item()))
        got = summarize(timeseries, details, choice=held)
        assert got.equals(summarize(early, details, choice=choice))
        assert set(got["test_date"].to_pylist()) == {panel.dates[99].item()}
        looked = factor_details(timeseries, panel, settings=choice, **NAMES)
        assert summarize(timeseries, pa.concat_tables([details, looked]), choice=held).equals(got)

    def test_the_order_of_rows_does_not_matter(self) -> None:
        choice = EvaluationSettings()
        timeseries, details = evidence(0, choice=choice)
        random = np.random.default_rng(0)
        got = summarize(
            timeseries.take(random.permutation(timeseries.num_rows)),
            details.take(random.permutation(details.num_rows)),
            choice=choice,
        )
        assert got.equals(summarize(timeseries, details, choice=choice))
        assert got.schema.equals(table("factor_summary").schema)
        assert got["factor_name"].to_pylist() == ["sparse", "smooth", "tied"]

    def test_a_factor_without_any_return_has_a_row_of_nulls(self) -> None:
        choice = EvaluationSettings()
        panel, factors = random_market(0, n_dates=40)
        nothing = [("a", "nothing", np.full(panel.shape, np.nan)), factors[0]]
        timeseries = evaluate_factors(nothing, panel, settings=choice, **NAMES).timeseries
        details = factor_details(timeseries, panel, settings=choice, **NAMES)
        row = summarize(timeseries, details, choice=choice).to_pylist()[0]
        assert row["factor_name"] == "nothing"
        assert row["n_sessions"] == 0
        assert row["n_null_sessions"] == 40
        assert row["total_stocks"] == row["significant_stocks"] == 0
        assert row["mean_coverage"] == 0.0
        for column in ("start_date", "avg_beta", "annualized_return", "sharpe_ratio", "max_drawdown", "mean_rank_ic"):
            assert row[column] is None, column

    def test_without_regressions_yet(self) -> None:
        choice = EvaluationSettings()
        timeseries, details = evidence(0, choice=choice)
        row = summarize(timeseries, details.slice(0, 0), choice=choice).to_pylist()[0]
        assert row["total_stocks"] == 0
        assert row["avg_beta"] is None
        assert row["test_date"] == max(timeseries["date"].to_pylist())


class TestErrors:
    def test_another_universe_is_refused(self) -> None:
        choice = EvaluationSettings()
        timeseries, details = evidence(0, choice=choice)
        with pytest.raises(
            EvaluationError,
            match=r"What is of universe 'sp100' wants rows of it alone, but factor_timeseries also has \['test'\];"
            " materialise factor_timeseries again",
        ):
            summarize(timeseries, details, choice=choice, universe="sp100")

    def test_nothing_before_the_holdout(self) -> None:
        timeseries, details = evidence(0, choice=EvaluationSettings())
        panel, _ = random_market(0)
        held = EvaluationSettings(holdout_start=panel.dates[0].item())
        with pytest.raises(
            EvaluationError, match=r"factor_summary of 3 of 3 factors wants sessions before the holdout"
        ):
            summarize(timeseries, details, choice=held)
        held = EvaluationSettings(holdout_start=panel.dates[100].item())
        with pytest.raises(
            EvaluationError, match=r"all of factor_details have looked at it; materialise factor_details"
        ):
            summarize(timeseries, details, choice=held)
