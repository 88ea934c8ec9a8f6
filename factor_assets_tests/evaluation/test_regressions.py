"""Regressions by ticker against statsmodels."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import statsmodels.api as sm

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.regressions import Regressions, factor_details, regress, regress_newey_west
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.panel.panel import Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation import plain
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
NUMBERS = ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper")


def evidence(seed: int) -> tuple[Panel, pa.Table]:
    panel, factors = random_market(seed)
    return panel, evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES).timeseries


def only(panel: Panel, columns: list[int]) -> Panel:
    return Panel(
        dates=panel.dates,
        tickers=tuple(panel.tickers[c] for c in columns),
        fields={name: np.ascontiguousarray(values[:, columns]) for name, values in panel.fields.items()},
        in_universe=np.ascontiguousarray(panel.in_universe[:, columns]),
        first_row=panel.first_row,
    )


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_details_equal_ols(self, seed: int) -> None:
        panel, timeseries = evidence(seed)
        got = factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES).to_pandas()
        assert len(got) == 3 * len(panel.tickers)
        returns = pd.DataFrame(panel["returns"], index=panel.dates, columns=list(panel.tickers))
        series = timeseries.to_pandas()
        for name in ("smooth", "tied", "sparse"):
            rows = series[series["factor_name"] == name]
            factor_return = pd.Series(rows["factor_value"].to_numpy(float), index=panel.dates)
            expected = plain.details(factor_return, returns)
            ours = got[got["factor_name"] == name].set_index("ticker")
            assert list(ours.index) == list(expected.index)
            assert (ours["n_observations"] == expected["n_observations"]).all()
            for column in NUMBERS:
                np.testing.assert_allclose(
                    ours[column].to_numpy(float), expected[column].to_numpy(float), rtol=1e-10, atol=1e-10
                )
            present = rows["date"][rows["factor_value"].notna()]
            assert (ours["start_date"] == present.iloc[0]).all()
            assert (ours["end_date"] == present.iloc[-1]).all()
        assert (got["test_date"] == panel.dates[-1].item()).all()
        assert 0 < got["beta"].isna().sum() < len(got)

    def test_newey_west_columns_equal_hac(self) -> None:
        panel, timeseries = evidence(0)
        got = factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES).to_pandas()
        series = timeseries.to_pandas().set_index("factor_name")["factor_value"]
        tested = 0
        for row in got[got["beta"].notna()].itertuples():
            x, y = series[row.factor_name].to_numpy(float), panel["returns"][:, panel.tickers.index(row.ticker)]
            both = np.isfinite(x) & np.isfinite(y)
            n = both.sum()
            hac = {"maxlags": int(4 * (n / 100) ** (2 / 9)), "use_correction": True}
            fit = sm.OLS(y[both], sm.add_constant(x[both])).fit(cov_type="HAC", cov_kwds=hac, use_t=True)
            assert row.alpha_tstat == pytest.approx(fit.tvalues[0], rel=1e-10)
            assert row.newey_west_tstat == pytest.approx(fit.tvalues[1], rel=1e-10)
            assert row.newey_west_pvalue == pytest.approx(fit.pvalues[1], rel=1e-10)
            tested += 1
        assert tested > 40
        assert got["newey_west_tstat"].isna().equals(got["beta"].isna())

    def test_large_means_do_not_cancel(self) -> None:
        random = np.random.default_rng(0)
        x = 1e4 + random.normal(size=500)
        y = 1e4 + 0.3 * x[:, None] + random.normal(size=(500, 3))
        got = regress(y, x[None])
        for i in range(3):
            expected = plain.details(pd.Series(x - 1e4), pd.DataFrame({"y": y[:, i]})).loc["y"]
            for column in ("beta", "tstat", "rsquared"):
                assert getattr(got, column)[0, i] == pytest.approx(expected[column], rel=1e-10)


class TestProperties:
    def test_a_subset_of_tickers_has_the_same_bits(self) -> None:
        panel, timeseries = evidence(2)
        whole = factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES)
        for columns in ([0], [5, 17], list(range(0, 24, 3)), list(range(23))):
            part = factor_details(timeseries, only(panel, columns), settings=EvaluationSettings(), **NAMES)
            wanted = pa.array([panel.tickers[c] for c in columns])
            assert part.equals(whole.filter(pc.is_in(whole["ticker"], value_set=wanted)).combine_chunks())

    def test_the_order_and_chunks_of_rows_do_not_matter(self) -> None:
        panel, timeseries = evidence(2)
        whole = factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES)
        order = np.random.default_rng(0).permutation(timeseries.num_rows)
        shuffled = timeseries.take(pa.array(order))
        pieces = pa.concat_tables([shuffled.slice(0, 100), shuffled.slice(100)])
        assert factor_details(pieces, panel, settings=EvaluationSettings(), **NAMES).equals(whole)

    def test_dates_that_the_panel_does_not_have_take_no_part(self) -> None:
        panel, timeseries = evidence(2)
        part = panel.rows(0, 90)
        within = timeseries.filter(pa.array(timeseries["date"].to_numpy() < panel.dates[90]))
        one = factor_details(timeseries, part, settings=EvaluationSettings(), **NAMES)
        assert one.equals(factor_details(within, part, settings=EvaluationSettings(), **NAMES))
        assert one["test_date"][0].as_py() == panel.dates[89].item()

    def test_no_regression_is_null_and_keeps_its_count(self) -> None:
        random = np.random.default_rng(0)
        x, y = random.normal(size=(1, 40)), random.normal(size=(40, 4))
        y[5:, 1] = np.nan
        y[:, 2] = 0.01
        y[3, 3] = np.inf
        got = regress(y, x, min_observations=30)
        assert got.n_observations.tolist() == [[40, 5, 40, 39]]
        for column in NUMBERS:
            assert np.isfinite(getattr(got, column)).tolist() == [[True, False, False, True]], column
        assert np.isnan(regress(y, np.full((1, 40), 0.1)).beta).all()
        assert np.isnan(regress(y, np.full((1, 40), np.nan)).beta).all()
        assert np.isfinite(regress(y, x, min_observations=5).beta).tolist() == [[True, True, False, True]]

    def test_settings_and_names_reach_the_rows(self) -> None:
        panel, timeseries = evidence(0)
        few = factor_details(timeseries, panel, settings=EvaluationSettings(min_observations=100), **NAMES)
        many = factor_details(timeseries, panel, settings=EvaluationSettings(min_observations=3), **NAMES)
        assert few["beta"].null_count > many["beta"].null_count
        assert few["n_observations"].equals(many["n_observations"])
        assert set(few["universe"].to_pylist()) == {"test"}
        assert set(few["source"].to_pylist()) == {"random"}

    def test_ordinary_columns_are_those_of_regress_to_the_bit(self) -> None:
        panel, timeseries = evidence(3)
        got = factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES)
        returns = np.stack(list(factor_returns(timeseries, panel.dates).values()))
        fit, robust = regress(panel["returns"], returns), regress_newey_west(panel["returns"], returns)
        stored = {column: getattr(fit, column) for column in NUMBERS} | {
            "alpha_tstat": robust.alpha.tstat,
            "newey_west_tstat": robust.beta.tstat,
            "newey_west_pvalue": robust.beta.pvalue,
        }
        for column, values in stored.items():
            np.testing.assert_array_equal(got[column].to_numpy(), values.T.reshape(-1))

    def test_the_holdout_is_not_looked_at(self) -> None:
        panel, timeseries = evidence(2)
        first = panel.dates[90]
        held = EvaluationSettings(holdout_start=first.item())
        got = factor_details(timeseries, panel, settings=held, **NAMES)
        early = factor_details(timeseries, panel.rows(0, 90), settings=EvaluationSettings(), **NAMES)
        assert got.equals(early)
        assert set(got["test_date"].to_pylist()) == {panel.dates[89].item()}
        assert not got.equals(factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES))

    def test_a_perfect_fit_has_no_tstat(self) -> None:
        x = np.tile([1.0, 2.0, 3.0, 4.0], 10)
        got: Regressions = regress(2.0 * x[:, None], x[None])
        assert got.beta.item() == 2.0
        assert got.rsquared.item() == 1.0
        assert got.conf_int_lower.item() == got.conf_int_upper.item() == 2.0
        assert np.isnan(got.tstat.item())
        assert np.isnan(got.pvalue.item())

    def test_no_factor_or_no_ticker_gives_no_row(self) -> None:
        panel, timeseries = evidence(0)
        declared = table("factor_details").schema
        none = factor_details(timeseries.slice(0, 0), panel, settings=EvaluationSettings(), **NAMES)
        assert none.num_rows == 0
        assert none.schema.equals(declared)
        none = factor_details(timeseries, only(panel, []), settings=EvaluationSettings(), **NAMES)
        assert none.num_rows == 0

    def test_rows_are_sorted_by_key_and_typed_as_declared(self) -> None:
        panel, timeseries = evidence(0)
        got = factor_details(timeseries, panel, settings=EvaluationSettings(), **NAMES)
        declared = table("factor_details")
        assert got.schema.equals(declared.schema)
        assert got.sort_by([(key, "ascending") for key in declared.key]).equals(got)


class TestErrors:
    def test_messages(self) -> None:
        panel, timeseries = evidence(0)
        with pytest.raises(MisalignedError, match=r"factor returns of shape \(n_factors, 5\).*got \(1, 4\)"):
            regress(np.ones((5, 2)), np.ones((1, 4)))
        with pytest.raises(MisalignedError, match="wants a panel with at least one session, got none"):
            factor_details(timeseries, panel.rows(0, 0), settings=EvaluationSettings(), **NAMES)
        held = EvaluationSettings(holdout_start=panel.dates[0].item())
        with pytest.raises(EvaluationError, match=r"factor_details wants sessions before the holdout.*2020-01-01"):
            factor_details(timeseries, panel, settings=held, **NAMES)
