"""The equal-weighted return of the universe against pandas, and of real prices against Kenneth French's market."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from factor_assets.evaluation.market_return import market_return
from factor_assets.panel.panel import Panel
from factor_assets_tests.evaluation.markets import random_market


def replaced(panel: Panel, **arrays: np.ndarray) -> Panel:
    fields = {**panel.fields, **{name: values for name, values in arrays.items() if name != "in_universe"}}
    return Panel(
        dates=panel.dates,
        tickers=panel.tickers,
        fields=fields,
        in_universe=arrays.get("in_universe", panel.in_universe),
        first_row=panel.first_row,
    )


class TestAgainstPandas:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_every_session(self, seed: int) -> None:
        panel, _ = random_market(seed)
        members = pd.DataFrame(panel.in_universe).shift(1, fill_value=False)
        expected = pd.DataFrame(panel["returns"]).where(members).mean(axis=1)
        np.testing.assert_allclose(market_return(panel), expected, rtol=1e-12)


class TestAgainstRealMarket:
    def test_large_names_move_with_the_published_market(self, shared_data: Path) -> None:
        rows = pq.read_table(
            shared_data / "prices" / "us_large_daily_2010_2021.parquet", columns=["date", "ticker", "close"]
        ).to_pandas()
        close = rows.pivot_table(index="date", columns="ticker", values="close")
        returns = close.pct_change(fill_method=None)
        panel = Panel(
            dates=close.index.to_numpy().astype("datetime64[D]"),
            tickers=tuple(close.columns),
            fields={"returns": returns.to_numpy().copy()},
            in_universe=close.notna().to_numpy(),
        )
        french = pq.read_table(shared_data / "factors" / "ff3_daily.parquet").to_pandas().set_index("date")
        both = pd.DataFrame({"ours": market_return(panel)}, index=close.index).join(french["mkt_rf"], how="inner")
        assert len(both) > 2000
        assert both.corr().iloc[0, 1] > 0.95


class TestProperties:
    def test_who_joins_on_a_session_counts_from_the_next(self) -> None:
        panel, _ = random_market(0)
        members = np.zeros(panel.shape, dtype=bool)
        members[50:, 3] = True
        returns = np.full(panel.shape, 0.01)
        got = market_return(replaced(panel, in_universe=members, returns=returns))
        assert np.isnan(got[:51]).all()
        assert (got[51:] == 0.01).all()

    def test_what_is_missing_or_infinite_is_left_out(self) -> None:
        panel, _ = random_market(0)
        returns = np.full(panel.shape, 0.02)
        returns[5, 0], returns[5, 1], returns[6] = np.nan, np.inf, np.nan
        got = market_return(replaced(panel, returns=returns, in_universe=np.ones(panel.shape, dtype=bool)))
        assert got[5] == pytest.approx(0.02, rel=1e-15)
        assert np.isnan(got[[0, 6]]).all()

    def test_the_future_changes_no_bit(self) -> None:
        panel, _ = random_market(1)
        np.testing.assert_array_equal(market_return(panel.rows(0, 60)), market_return(panel)[:60])
