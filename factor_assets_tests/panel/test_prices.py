"""Clean prices against a naive loop, the vendor's adjusted close, and the promise that later rows change nothing."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.calendar import sessions
from factor_assets.panel.prices import clean_prices
from factor_assets.storage.rows import checksum, conform
from factor_assets.storage.slice import Slice
from factor_assets.tables import TABLES
from factor_assets_tests.panel.price_rows import DAYS, FETCHED, SESSIONS, history, real_history, series


def column(table: pa.Table, name: str, ticker: str | None = None) -> list:
    rows = table if ticker is None else table.filter(pc.equal(table["ticker"], ticker))
    return rows[name].to_pylist()


def naive_factors(rows: list[dict]) -> tuple[list[float], list[float]]:
    """Hold one share from the first row on; reinvest cash at the next close. One ticker, one row a session."""
    shares, split_shares, cash, out = 1.0, 1.0, 0.0, []
    for i, row in enumerate(rows):
        if i:
            cash += shares * (row.get("dividend") or 0.0)
            shares *= row.get("split") or 1.0
            split_shares *= row.get("split") or 1.0
            if row["close"]:
                shares, cash = shares + cash / row["close"], 0.0
        out.append((shares, split_shares))
    return [s for s, _ in out], [s for _, s in out]


def cell_strategy():
    price = st.one_of(st.none(), st.floats(0.5, 200.0), st.sampled_from([0.0, -1.0]))
    return st.fixed_dictionaries(
        {
            "ticker": st.sampled_from(["A", "B'C", "D/E"]),
            "date": st.integers(0, 16).map(lambda i: date(2024, 1, 2) + timedelta(days=i)),
            "open": price,
            "close": price,
            "dividend": st.sampled_from([None, None, 0.0, 0.5, -1.0]),
            "split": st.sampled_from([None, None, 1.0, 2.0, 0.25, 0.0]),
            "adjusted_close": st.one_of(st.none(), st.floats(0.5, 200.0)),
            "fetched_at": st.sampled_from([FETCHED, FETCHED + timedelta(days=1), None]),
        }
    )


class TestAgainstNaiveLoop:
    @settings(deadline=None)
    @given(data=st.data())
    def test_factors(self, data):
        closes = data.draw(st.lists(st.one_of(st.none(), st.floats(1.0, 100.0)), min_size=1, max_size=10))
        # A first close: what a holding of nothing earns before it is not defined.
        closes[0] = 10.0
        events = st.dictionaries(st.integers(0, 9), st.floats(0.1, 4.0), max_size=5)
        rows = series("A", closes, dividend=data.draw(events), split=data.draw(events))
        clean = clean_prices(history(rows), sessions=SESSIONS, has_events=True)
        total, split = naive_factors(rows)
        priced = [i for i, close in enumerate(closes) if close is not None]
        got = column(clean.prices, "total_return_factor")
        assert [got[i] for i in priced] == pytest.approx([total[i] for i in priced], rel=1e-12)
        assert column(clean.prices, "split_factor") == pytest.approx(split, rel=1e-12)

    def test_worked_example(self):
        rows = series("A", [100.0, 48.0, 50.0], dividend={1: 2.0}, split={1: 2.0})
        clean = clean_prices(history(rows), sessions=SESSIONS)
        # 100 buys one share; it becomes two at 48 and pays 2, which buys 2/48 more.
        assert column(clean.prices, "total_return_factor") == [1.0, (48 * 2 + 2) / 48, (48 * 2 + 2) / 48]
        assert column(clean.prices, "split_factor") == [1.0, 2.0, 2.0]
        assert clean.corporate_actions.to_pylist() == [
            {
                "date": DAYS[1],
                "ticker": "A",
                "dividend": 2.0,
                "split": 2.0,
                "implied_adjustment": None,
                "source": "test",
            }
        ]

    def test_vendor_of_real_prices(self, shared_data):
        rows = real_history(shared_data / "prices" / "us_large_daily_2010_2021.parquet")
        clean = clean_prices(rows, sessions=sessions("XNYS", date(2010, 1, 4), date(2021, 4, 21)))
        assert clean.prices.num_rows == rows.num_rows == 1_363_249
        assert not any({**clean.dropped, **clean.treated}.values())
        actions = clean.corporate_actions
        assert len(actions["dividend"].drop_null()) == 16_530
        assert len(actions["split"].drop_null()) == 133
        assert actions["implied_adjustment"].null_count == actions.num_rows
        # AAPL over eleven years, the vendor's dividends and two splits: within its float32 rounding.
        apple = clean.prices.filter(pc.equal(clean.prices["ticker"], "AAPL"))
        ours = apple["close"].to_numpy() * apple["total_return_factor"].to_numpy()
        theirs = rows.filter(pc.equal(rows["ticker"], "AAPL"))["adjusted_close"].to_numpy()
        assert ours[-1] / ours[0] == pytest.approx(theirs[-1] / theirs[0], rel=1e-3)
        assert column(apple, "split_factor")[-1] == pytest.approx(28.0, rel=1e-5)  # delivered as 7.000007 x 4

    def test_real_prices_truncated_at_a_date(self, shared_data):
        rows = real_history(shared_data / "prices" / "us_large_daily_2010_2021.parquet")
        rows = rows.filter(pc.is_in(rows["ticker"], value_set=pa.array(["AAPL", "TSLA", "CHTR", "HBI"])))
        days = sessions("XNYS", date(2010, 1, 4), date(2021, 4, 21))
        whole = clean_prices(rows, sessions=days)
        part = Slice(end=date(2014, 6, 9))  # the day on which AAPL's split of 7 is effective
        early = clean_prices(rows.filter(part.mask(rows)), sessions=days)
        assert checksum(early.prices) == checksum(whole.prices.filter(part.mask(whole.prices)))


class TestProperties:
    @settings(deadline=None, max_examples=200)
    @given(
        cells=st.lists(cell_strategy(), max_size=40),
        cut=st.integers(0, 17).map(lambda i: date(2024, 1, 2) + timedelta(days=i)),
        has_events=st.booleans(),
    )
    def test_later_rows_change_nothing(self, cells, cut, has_events):
        rows, part = history(cells), Slice(end=cut)
        whole = clean_prices(rows, sessions=SESSIONS, has_events=has_events)
        early = clean_prices(
            rows.filter(part.mask(rows)), sessions=SESSIONS[np.datetime64(cut) > SESSIONS], has_events=has_events
        )
        asked = clean_prices(rows, sessions=SESSIONS, part=part, has_events=has_events)
        for name in ("prices", "corporate_actions"):
            table = getattr(whole, name)
            expected = checksum(table.filter(part.mask(table)))
            assert checksum(getattr(early, name)) == expected
            assert checksum(getattr(asked, name)) == expected

    @settings(deadline=None)
    @given(cells=st.lists(cell_strategy(), max_size=40))
    def test_rows_are_kept_or_counted(self, cells):
        clean = clean_prices(history(cells), sessions=SESSIONS)
        assert clean.prices.num_rows + sum(clean.dropped.values()) == len(cells)
        for name in ("prices", "corporate_actions"):
            table = getattr(clean, name)
            assert conform(TABLES[name], table).equals(table)
            assert len({(r["date"], r["ticker"]) for r in table.to_pylist()}) == table.num_rows
        assert all(c is None or c > 0 for c in column(clean.prices, "close"))

    @settings(deadline=None)
    @given(cells=st.lists(cell_strategy(), max_size=25, unique_by=lambda c: (c["ticker"], c["date"])), data=st.data())
    def test_order_of_the_rows_does_not_matter(self, cells, data):
        shuffled = data.draw(st.permutations(cells))
        one = clean_prices(history(cells), sessions=SESSIONS)
        other = clean_prices(history(shuffled), sessions=SESSIONS)
        assert checksum(one.prices) == checksum(other.prices)
        assert checksum(one.corporate_actions) == checksum(other.corporate_actions)

    @settings(deadline=None)
    @given(cells=st.lists(cell_strategy(), min_size=1, max_size=40))
    def test_other_tickers_do_not_matter(self, cells):
        rows = history(cells)
        alone = rows.filter(pc.equal(rows["ticker"], "B'C"))
        whole = clean_prices(rows, sessions=SESSIONS, has_events=True).prices
        expected = whole.filter(pc.equal(whole["ticker"], "B'C"))
        assert checksum(clean_prices(alone, sessions=SESSIONS, has_events=True).prices) == checksum(expected)

    def test_a_later_split_changes_no_earlier_row(self):
        before = clean_prices(history(series("A", [10.0, 11.0, 12.0])), sessions=SESSIONS, has_events=True)
        after = clean_prices(history(series("A", [10.0, 11.0, 12.0, 4.0], split={3: 3.0})), sessions=SESSIONS)
        assert checksum(after.prices.slice(0, 3)) == checksum(before.prices)
        assert column(after.prices, "split_factor")[3] == 3.0

    def test_an_event_on_the_first_row_is_not_earned(self):
        clean = clean_prices(history(series("A", [10.0, 11.0], dividend={0: 1.0}, split={0: 2.0})), sessions=SESSIONS)
        assert column(clean.prices, "total_return_factor") == [1.0, 1.0]
        assert clean.corporate_actions.num_rows == 1

    def test_dividend_on_a_row_without_close_is_reinvested_at_the_next(self):
        rows = series("A", [10.0, None, 6.0, 6.0], dividend={1: 2.0}, split={1: 2.0})
        clean = clean_prices(history(rows), sessions=SESSIONS)
        # One old share pays 2 and becomes two; 2 buys a third of a share at 6.
        assert column(clean.prices, "total_return_factor") == pytest.approx([1.0, 2.0, 2 + 2 / 6, 2 + 2 / 6])
        assert clean.treated["carried_dividend"] == 1
        assert column(clean.prices, "close")[1] is None
        assert column(clean.corporate_actions, "date") == [DAYS[1]]

    def test_event_on_a_holiday_moves_to_the_next_row(self):
        saturday = {"ticker": "A", "date": date(2024, 1, 6), "close": 5.0, "split": 2.0, "dividend": 1.0}
        rows = series("A", [10.0, 10.0, 10.0, 10.0, 5.0], dividend={4: 0.5})
        clean = clean_prices(history([*rows, saturday]), sessions=SESSIONS)
        assert clean.dropped["off_session"] == 1
        # The split moves; the dividend does not, since Monday has its own.
        assert clean.treated["moved_event"] == 1
        assert column(clean.corporate_actions, "split") == [2.0]
        assert column(clean.corporate_actions, "dividend") == [0.5]
        assert column(clean.prices, "total_return_factor")[4] == (5.0 * 2 + 0.5) / 5.0

    def test_an_event_after_a_ticker_ended_goes_to_no_other(self):
        ended = {"ticker": "A", "date": date(2024, 1, 6), "close": 5.0, "split": 2.0}
        # B's first row is next in order; its own weekend event comes to it, A's does not.
        first = {"ticker": "B", "date": date(2024, 1, 7), "close": 5.0, "split": 3.0}
        rows = [*series("A", [10.0]), *series("B", [None] * 4 + [5.0])[4:], ended, first]
        clean = clean_prices(history(rows), sessions=SESSIONS)
        assert clean.corporate_actions.select(["ticker", "split"]).to_pylist() == [{"ticker": "B", "split": 3.0}]

    def test_a_weekend_of_copies_is_one_event(self):
        rows = [{"ticker": "A", "date": date(2024, 1, d), "close": 5.0, "split": 2.0} for d in (6, 7)]
        clean = clean_prices(history([*series("A", [10.0, 10.0, 10.0, 10.0, 5.0]), *rows]), sessions=SESSIONS)
        assert column(clean.prices, "split_factor") == [1.0, 1.0, 1.0, 1.0, 2.0]

    def test_duplicates_are_told_apart(self):
        row = {"ticker": "A", "date": DAYS[0], "close": 10.0}
        later = FETCHED + timedelta(days=1)
        for others, reason in (
            ([row], "repeated"),
            ([row | {"close": 11.0}], "conflicting"),
            ([row | {"fetched_at": later}], "refetched"),
            ([row | {"close": 11.0, "fetched_at": later}], "revised"),
        ):
            clean = clean_prices(history([row, *others]), sessions=SESSIONS)
            assert {k for k, n in clean.dropped.items() if n} == {reason}
            assert column(clean.prices, "close") == [others[-1]["close"]]

    def test_the_latest_delivery_wins_wherever_it_stands(self):
        row = {"ticker": "A", "date": DAYS[0], "close": 10.0}
        rows = [row | {"close": 11.0, "fetched_at": FETCHED + timedelta(days=1)}, row, row | {"fetched_at": None}]
        assert column(clean_prices(history(rows), sessions=SESSIONS).prices, "close") == [11.0]

    def test_impossible_values_become_null_and_are_counted(self):
        rows = series("A", [0.0, -1.0, float("inf"), 10.0], volume={3: -5.0}, split={3: 0.0}, dividend={2: -1.0})
        clean = clean_prices(history(rows), sessions=SESSIONS)
        assert column(clean.prices, "close") == [None, None, None, 10.0]
        assert column(clean.prices, "volume")[3] is None
        assert {k: n for k, n in clean.treated.items() if n} == {
            "invalid_price": 12, "invalid_volume": 1, "invalid_split": 1, "invalid_dividend": 1,
        }  # fmt: skip
        assert clean.corporate_actions.num_rows == 0

    def test_adjusted_close_without_events(self):
        rows = series("A", [100.0, 50.0, None, 51.0], adjusted_close={0: 49.0, 1: 50.0, 2: 50.5, 3: 51.0})
        clean = clean_prices(history(rows), sessions=SESSIONS)
        implied = (50 / 49) / (50 / 100)
        assert column(clean.prices, "total_return_factor") == [1.0, implied, implied, implied]
        assert column(clean.prices, "split_factor") == [1.0] * 4
        assert column(clean.corporate_actions, "implied_adjustment") == [implied]
        # Events, or the word that there would be some, switch it off.
        for switched in (
            clean_prices(history(rows), sessions=SESSIONS, has_events=True),
            clean_prices(history([*rows, *series("B", [1.0, 2.0], split={1: 1.0})]), sessions=SESSIONS),
        ):
            assert switched.corporate_actions.num_rows == 0

    def test_adjusted_closes_of_two_vintages_imply_nothing(self):
        rows = series("A", [100.0, 100.0, 100.0], adjusted_close={0: 100.0, 1: 50.0, 2: 50.0})
        for row in rows[1:]:
            row["fetched_at"] = FETCHED + timedelta(days=9)
        clean = clean_prices(history(rows), sessions=SESSIONS)
        assert column(clean.prices, "total_return_factor") == [1.0, 1.0, 1.0]
        assert clean.treated["vintage_break"] == 1

    def test_odd_tickers(self):
        rows = [*series("O'Reilly/B", [1.0]), *series('"; DROP', [2.0]), *series("É", [3.0])]
        prices = clean_prices(history(rows), sessions=SESSIONS).prices
        assert column(prices, "ticker") == ['"; DROP', "O'Reilly/B", "É"]


class TestErrors:
    """Bad rows are counted, never raised about: one bad ticker must not stop the rest."""

    def test_no_rows(self):
        clean = clean_prices(history([]), sessions=SESSIONS)
        assert clean.prices.num_rows == clean.corporate_actions.num_rows == 0
        assert clean.prices.schema.equals(TABLES["prices"].schema)

    def test_no_sessions(self):
        clean = clean_prices(history(series("A", [1.0, 2.0])), sessions=SESSIONS[:0])
        assert clean.prices.num_rows == 0
        assert clean.dropped["off_session"] == 2

    def test_one_row(self):
        clean = clean_prices(history(series("A", [1.0])), sessions=SESSIONS)
        assert column(clean.prices, "total_return_factor") == [1.0]

    def test_a_ticker_without_any_usable_price(self):
        clean = clean_prices(history(series("A", [0.0, None], dividend={1: 1.0})), sessions=SESSIONS)
        assert column(clean.prices, "total_return_factor") == [1.0, 1.0]

    def test_chunked_columns(self):
        rows = history(series("B", [1.0, 2.0]))
        both = pa.concat_tables([rows, history(series("A", [3.0]))])
        assert column(clean_prices(both, sessions=SESSIONS).prices, "close") == [3.0, 1.0, 2.0]
