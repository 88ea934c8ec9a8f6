"""The synthetic market: what is planted is there, nothing else is, and a longer market begins with the shorter one."""

import time
from dataclasses import fields
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from factor_assets.calendar import sessions as exchange_sessions
from factor_assets.errors import CalendarError, SourceError
from factor_assets.settings import Settings
from factor_assets.sources.price_source import OUTSIDE_RANGE, Delivery
from factor_assets.sources.sample import LABEL, SECTORS, SampleMarket, SampleSource, simulate_market
from factor_assets.tables import TABLES

SPREAD = 0.0008
Array = npt.NDArray[np.float64]


def market(seed: int = 7, n_dates: int = 2012, n_tickers: int = 60, spread: float = SPREAD) -> SampleMarket:
    return simulate_market(n_dates, seed=seed, n_tickers=n_tickers, planted_spread=spread)


def total_returns(m: SampleMarket) -> Array:
    """From what is delivered only: close, dividend and split; NaN where there is no row on both sessions."""
    close = np.where(m.listed, m.close, np.nan)
    value = close[1:] * np.nan_to_num(m.split[1:], nan=1.0) + np.nan_to_num(m.dividend[1:])
    return np.vstack([np.full(close.shape[1], np.nan), value / close[:-1] - 1.0])


def high_minus_low(m: SampleMarket, price: Array, returns: Array) -> Array:
    """Return of the top less the bottom third of the location of `price` on the session before, as rows deliver it."""
    location = np.where(m.listed, (price - m.low) / (m.high - m.low), np.inf)[:-1]
    rank = location.argsort(axis=1, kind="stable").argsort(axis=1)
    n = m.listed[:-1].sum(axis=1, keepdims=True)
    k = np.maximum(1, n // 3)
    high = np.where((rank >= n - k) & (rank < n), returns[1:], np.nan)
    return np.asarray(np.nanmean(high, axis=1) - np.nanmean(np.where(rank < k, returns[1:], np.nan), axis=1))


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def deliver(
    source: SampleSource, *tickers: str, start: date = date(2017, 1, 3), end: date | None = None
) -> list[Delivery]:
    def never(ticker: str) -> Any:
        raise AssertionError(ticker)

    return list(source.fetch(tickers, start=start, end=end, stored=never))


class TestAgainstThePlantedPremium:
    def test_the_premium_follows_the_delivered_location_exactly(self) -> None:
        m = market(3)
        location = (m.close - m.low) / (m.high - m.low)
        assert (m.premium[0] == 0).all()
        for t in range(1, len(m.premium)):
            names = np.flatnonzero(m.listed[t - 1])
            order = names[np.argsort(location[t - 1, names], kind="stable")]
            k = max(1, len(names) // 3)
            assert (m.premium[t, order[-k:]] == SPREAD / 2).all()
            assert (m.premium[t, order[:k]] == -SPREAD / 2).all()
            assert (m.premium[t, order[k:-k]] == 0).all()

    def test_the_premium_is_all_that_the_spread_changes(self) -> None:
        with_spread, without = market(5), market(5, spread=0.0)
        both = with_spread.listed[1:] & with_spread.listed[:-1]
        difference = (total_returns(with_spread) - total_returns(without))[1:][both]
        assert np.abs(difference - with_spread.premium[1:][both]).max() < 5e-5  # prices have four decimals


class TestProperties:
    def test_a_longer_market_begins_with_the_shorter(self) -> None:
        short, long = market(n_dates=700), market(n_dates=1300)
        for field in fields(SampleMarket):
            if field.name in ("tickers", "sectors"):
                assert getattr(short, field.name) == getattr(long, field.name)
                continue
            before, after = getattr(short, field.name), getattr(long, field.name)[:700]
            np.testing.assert_array_equal(before[short.listed], after[short.listed])

    @pytest.mark.parametrize("changed", [{"seed": 8}, {"n_tickers": 61}, {"spread": 0.0009}])
    def test_every_parameter_counts(self, changed: dict[str, Any]) -> None:
        assert not np.array_equal(market(n_dates=300).close[:, :60], market(n_dates=300, **changed).close[:, :60])

    def test_the_bits_are_these_on_every_machine(self) -> None:
        m = market(7, n_dates=400)
        in_ticks = np.rint(np.array([m.open, m.high, m.low, m.close]) * 1e4)[:, m.listed].astype(np.int64)
        assert in_ticks.sum(axis=1).tolist() == [25952664309, 26385286753, 25588908523, 25975119839]
        assert m.close[399, :3].tolist() == [177.9941, 117.9628, 97.5798]
        assert m.volume[399, :3].tolist() == [5270170.0, 3159854.0, 3199777.0]

    @pytest.mark.parametrize("n_tickers", [10, 60, 500])
    def test_prices_are_possible(self, n_tickers: int) -> None:
        m = market(1, n_tickers=n_tickers)
        there = m.listed
        assert (m.low > 0)[there].all()
        for price in (m.open, m.close):
            assert ((m.low <= price) & (price <= m.high))[there].all()
            np.testing.assert_array_equal(np.round(price, 4), price)
        assert (m.volume > 0)[there].all()
        np.testing.assert_array_equal(np.rint(m.volume), m.volume)

    def test_the_market_is_plausible(self) -> None:
        m = market()
        first, last = m.listed.argmax(axis=0), 2011 - m.listed[::-1].argmax(axis=0)
        assert (first > 0).sum() == 6
        assert (last < 2011).sum() == 5
        assert set(m.sectors) == set(SECTORS)
        assert set(m.split[np.isfinite(m.split)].tolist()) == {2.0, 3.0, 0.1}
        payers = np.isfinite(m.dividend).any(axis=0)
        assert payers.sum() == 36
        returns = total_returns(m)
        index = np.nanmean(returns[1:], axis=1)
        assert 0.10 < index.std() * 252**0.5 < 0.30
        assert stats.kurtosis(index) > 1.0
        moves = np.abs(index - index.mean())
        assert np.corrcoef(moves[1:], moves[:-1])[0, 1] > 0.03
        betas = [
            np.polyfit(index[ok], returns[1:, i][ok], 1)[0]
            for i in range(60)
            if (ok := np.isfinite(returns[1:, i])).any()
        ]
        assert 0.3 < min(betas) < 0.8
        assert 1.2 < max(betas) < 1.9
        busy, big = m.volume[1:][m.listed[1:]], np.abs(returns[1:][m.listed[1:]])
        assert stats.spearmanr(busy[np.isfinite(big)], big[np.isfinite(big)]).statistic > 0.1

    def test_splits_leave_the_value_and_change_the_shares(self) -> None:
        m = market()
        for t, i in zip(*np.nonzero(np.isfinite(m.split)), strict=True):
            assert abs(total_returns(m)[t, i]) < 0.3
            assert m.shares_outstanding[t, i] == pytest.approx(m.shares_outstanding[t - 1, i] * m.split[t, i])

    def test_it_is_fast(self) -> None:
        seconds = []
        for seed in range(5):
            begin = time.perf_counter()
            market(seed)
            seconds.append(time.perf_counter() - begin)
        assert min(seconds) < 0.06

    def test_rows_are_the_arrays(self) -> None:
        source = SampleSource(settings(data={"start": "2017-01-03", "end": "2018-12-31"}))
        dates = exchange_sessions("XNYS", date(2017, 1, 3), date(2018, 12, 31))
        m = market(n_dates=len(dates))
        ticker = m.tickers[4]
        (delivery,) = deliver(source, ticker)
        rows = delivery.rows
        assert rows is not None
        there = m.listed[:, 4]
        assert rows.schema == TABLES["price_history"].schema
        assert rows["date"].to_pylist() == dates[there].tolist()
        for name in ("open", "high", "low", "close", "volume", "dividend", "split", "shares_outstanding"):
            np.testing.assert_array_equal(rows[name].to_numpy(), getattr(m, name)[there, 4])
        assert set(rows["sector"].to_pylist()) == {m.sectors[4]}
        assert set(rows["source"].to_pylist()) == {LABEL}
        assert rows["fetched_at"][0].as_py().isoformat() == f"{rows['date'][0].as_py()}T22:00:00+00:00"
        assert rows["adjusted_close"].null_count == rows["issue"].null_count == rows.num_rows

    def test_rows_outside_the_range_are_counted(self) -> None:
        source = SampleSource(settings(data={"end": "2018-12-31"}))
        ticker = next(t for t, first in zip(source.tickers(), market(n_dates=500).listed[0], strict=True) if first)
        (delivery,) = deliver(source, ticker, start=date(2017, 2, 1), end=date(2018, 11, 30))
        assert delivery.rows is not None
        assert delivery.dropped == {OUTSIDE_RANGE: 502 - delivery.rows.num_rows}
        assert delivery.rows["date"][0].as_py() == date(2017, 2, 1)

    def test_version_names_what_the_market_depends_on(self) -> None:
        versions = {
            SampleSource(settings(**sections)).version()
            for sections in (
                {},
                {"sample": {"seed": 8}},
                {"sample": {"planted_spread": 0.0}},
                {"data": {"start": "2018-01-02"}},
            )
        }
        assert len(versions) == 4
        assert SampleSource(settings()).version() in versions


class TestErrors:
    def test_unknown_ticker_fails_alone(self) -> None:
        bad, good = deliver(SampleSource(settings(data={"end": "2017-12-29"})), "SYN0O1", "SYN001")
        assert (bad.outcome, bad.rows) == ("failed", None)
        assert bad.reason.startswith("the sample market has no 'SYN0O1'; did you mean 'SYN0")
        assert good.outcome == "loaded"

    def test_no_session_in_the_range(self) -> None:
        (delivery,) = deliver(SampleSource(settings(data={"end": "2017-12-29"})), "SYN001", start=date(2019, 1, 1))
        assert delivery.reason == "no session of its listing is in the date range"

    def test_an_open_end(self) -> None:
        with pytest.raises(SourceError, match=r"The sample market wants an end; set data.end."):
            SampleSource(settings(data={"source": "yahoo"}))

    def test_a_range_without_sessions(self) -> None:
        weekend = settings(data={"start": "2017-01-07", "end": "2017-01-08"})
        with pytest.raises(CalendarError, match=r"XNYS has no session from 2017-01-07 to 2017-01-08"):
            SampleSource(weekend).tickers()
