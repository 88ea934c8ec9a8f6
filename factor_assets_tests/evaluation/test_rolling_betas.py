"""Rolling betas at the ends of months against statsmodels' RollingOLS."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import statsmodels.api as sm
from statsmodels.regression.rolling import RollingOLS

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.rolling_betas import RollingBetas, factor_rolling_betas, month_ends, window_observations
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.panel.panel import Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
WINDOW = EvaluationSettings(beta_window=40, min_observations=10)


def evidence(seed: int) -> tuple[Panel, pa.Table]:
    panel, factors = random_market(seed)  # 120 days from 2020-01-01 on: the last is 2020-04-29
    return panel, evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES).timeseries


def betas(
    timeseries: pa.Table,
    panel: Panel,
    *,
    settings: EvaluationSettings = WINDOW,
    next_session: date | None = date(2020, 5, 1),
) -> RollingBetas:
    return factor_rolling_betas(timeseries, panel, settings=settings, next_session=next_session, **NAMES)


class TestAgainstRollingOLS:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_every_number(self, seed: int) -> None:
        panel, timeseries = evidence(seed)
        got = betas(timeseries, panel)
        stored = got.rows.to_pandas().set_index(["factor_name", "ticker", "date"])
        ends = [day for day in panel.dates.tolist() if day in {date(2020, 1, 31), date(2020, 2, 29), date(2020, 3, 31)}]
        ends.append(date(2020, 4, 29))
        n_rows = n_cells = 0
        for (_, name), x in factor_returns(timeseries, panel.dates).items():
            for i, ticker in enumerate(panel.tickers):
                y = pd.Series(panel["returns"][:, i], index=panel.dates.tolist())
                n_both = (y.notna() & np.isfinite(x)).rolling(40, min_periods=1).sum()
                if n_both.max() < 20:  # RollingOLS fails without any observation
                    assert (name, ticker) not in stored.index.droplevel("date")
                    n_cells += len(ends)
                    continue
                fit = RollingOLS(y, sm.add_constant(x), window=40, min_nobs=20, expanding=True).fit()
                for day in ends:
                    expected = (fit.params.loc[day].iloc[1], fit.tvalues.loc[day].iloc[1], fit.rsquared[day])
                    n_cells += 1
                    if not np.isfinite(expected[0]):
                        assert (name, ticker, day) not in stored.index
                        continue
                    row = stored.loc[name, ticker, day]
                    n_rows += 1
                    np.testing.assert_allclose(
                        [row["rolling_beta"], row["rolling_beta_tstat"], row["rolling_rsquared"]],
                        np.array(expected, float),
                        rtol=1e-9,
                        atol=1e-12,  # R2 of nothing: 1e-8
                    )
                    assert row["n_observations"] == n_both[day]
        assert len(stored) == n_rows > 100
        assert n_rows + got.n_too_short + got.n_without == n_cells


class TestProperties:
    def test_sorted_by_key_typed_and_without_nulls(self) -> None:
        panel, timeseries = evidence(0)
        rows = betas(timeseries, panel).rows
        declared = table("factor_rolling_betas")
        assert rows.schema.equals(declared.schema)
        assert rows.sort_by([(key, "ascending") for key in declared.key]).equals(rows)
        assert all(rows[name].null_count == 0 for name in declared.column_names)
        assert set(rows["universe"].to_pylist()) | set(rows["source"].to_pylist()) == {"test", "random"}

    @pytest.mark.parametrize("n", [31, 45, 60, 75, 91, 110])
    def test_rows_never_change_as_sessions_are_added(self, n: int) -> None:
        panel, timeseries = evidence(1)
        whole = betas(timeseries, panel).rows
        last = panel.dates[n - 1]
        early = betas(timeseries, panel.rows(0, n), next_session=(last + 1).item()).rows
        assert early.equals(whole.filter(pc.field("date") <= pa.scalar(last.item())).combine_chunks())

    def test_the_current_month_has_no_row(self) -> None:
        panel, timeseries = evidence(0)
        for next_session in (None, date(2020, 4, 30)):
            dates = set(betas(timeseries, panel, next_session=next_session).rows["date"].to_pylist())
            assert max(dates) == date(2020, 3, 31)

    def test_a_month_has_no_row_before_the_factor_returns_reach_its_end(self) -> None:
        panel, timeseries = evidence(0)
        known = timeseries.filter(pc.field("date") < pa.scalar(date(2020, 3, 31)))
        assert pc.max(betas(known, panel).rows["date"]).as_py() == date(2020, 2, 29)

    def test_a_subset_of_tickers_has_the_same_bits(self) -> None:
        panel, timeseries = evidence(2)
        whole = betas(timeseries, panel)
        counts = np.zeros(2, int)
        for columns in ([0], [5, 17], [i for i in range(24) if i not in {0, 5, 17}]):
            part = Panel(
                dates=panel.dates,
                tickers=tuple(panel.tickers[c] for c in columns),
                fields={"returns": np.ascontiguousarray(panel["returns"][:, columns])},
                in_universe=np.ascontiguousarray(panel.in_universe[:, columns]),
                first_row=panel.first_row,
            )
            got = betas(timeseries, part)
            wanted = pa.array(part.tickers)
            assert got.rows.equals(whole.rows.filter(pc.is_in(whole.rows["ticker"], value_set=wanted)).combine_chunks())
            counts += (got.n_too_short, got.n_without)
        assert counts.tolist() == [whole.n_too_short, whole.n_without]

    def test_the_holdout_is_not_looked_at(self) -> None:
        panel, timeseries = evidence(1)
        held = WINDOW.model_copy(update={"holdout_start": date(2020, 3, 31)})
        rows = betas(timeseries, panel, settings=held).rows
        whole = betas(timeseries, panel).rows
        assert rows.equals(whole.filter(pc.field("date") < pa.scalar(date(2020, 3, 31))).combine_chunks())
        assert rows.num_rows < whole.num_rows

    def test_window_and_observations_change_the_numbers(self) -> None:
        panel, timeseries = evidence(0)
        usual = betas(timeseries, panel).rows
        longer = betas(timeseries, panel, settings=EvaluationSettings(beta_window=60, min_observations=10)).rows
        strict = betas(timeseries, panel, settings=EvaluationSettings(beta_window=40, min_observations=39)).rows
        assert not longer["rolling_beta"].equals(usual["rolling_beta"])
        assert pc.min(strict["n_observations"]).as_py() >= 39 > pc.min(usual["n_observations"]).as_py()
        assert [
            window_observations(EvaluationSettings(beta_window=window, min_observations=least))
            for window, least in ((252, 30), (40, 30), (20, 30))
        ] == [126, 30, 20]

    def test_a_constant_return_is_counted_and_has_no_row(self) -> None:
        panel, timeseries = evidence(0)
        returns = panel["returns"].copy()
        returns[:, 3] = 0.01
        still = Panel(
            dates=panel.dates, tickers=panel.tickers, fields={"returns": returns}, in_universe=panel.in_universe
        )
        got = betas(timeseries, still)
        assert panel.tickers[3] not in got.rows["ticker"].to_pylist()
        assert got.n_without > 0

    def test_no_factor_no_ticker_and_no_complete_month_give_no_row(self) -> None:
        panel, timeseries = evidence(0)
        nobody = Panel(
            dates=panel.dates, tickers=(), fields={"returns": np.empty((120, 0))}, in_universe=np.empty((120, 0), bool)
        )
        for got in (
            betas(timeseries.slice(0, 0), panel),
            betas(timeseries, nobody),
            betas(timeseries, panel.rows(0, 20), next_session=date(2020, 1, 21)),
        ):
            assert got.rows.schema.equals(table("factor_rolling_betas").schema)
            assert (got.rows.num_rows, got.n_too_short, got.n_without) == (0, 0, 0)

    def test_month_ends(self) -> None:
        sessions = np.array(["2020-01-30", "2020-01-31", "2020-02-27", "2020-04-01", "2020-04-30"], "datetime64[D]")
        assert month_ends(sessions, next_session=date(2020, 5, 4)).tolist() == [1, 2, 4]
        assert month_ends(sessions, next_session=None).tolist() == [1, 2]
        assert month_ends(sessions[:0], next_session=None).tolist() == []


class TestErrors:
    def test_messages(self) -> None:
        panel, timeseries = evidence(0)
        with pytest.raises(MisalignedError, match="factor_rolling_betas wants a panel with at least one session"):
            betas(timeseries, panel.rows(0, 0))
        held = EvaluationSettings(holdout_start=date(2019, 12, 31))
        with pytest.raises(
            EvaluationError, match=r"factor_rolling_betas wants sessions before the holdout.*2019-12-31"
        ):
            betas(timeseries, panel, settings=held)
