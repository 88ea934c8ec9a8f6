"""The panel against a naive loop over rows, and its worst cases."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.calendar import sessions
from factor_assets.errors import MisalignedError, PanelError, UnknownFieldError
from factor_assets.panel.fields import LABELS, MADE_OF, price_columns_of
from factor_assets.panel.fields import PRICE_FIELDS as FIELDS
from factor_assets.panel.panel import Panel, derived_fields
from factor_assets.panel.prices import clean_prices
from factor_assets.tables import TABLES
from factor_assets_tests.panel.price_rows import DAYS, SESSIONS, history, real_history, series

NUMBERS = ("open", "high", "low", "close", "volume", "total_return_factor", "split_factor", "shares_outstanding")


def prices(rows: list[dict]) -> pa.Table:
    given = [{"total_return_factor": 1.0, "split_factor": 1.0, "source": "test", **row} for row in rows]
    return pa.Table.from_pylist(given, schema=TABLES["prices"].schema)


def universe(*cells: tuple[date, str]) -> pa.Table:
    rows = [{"date": d, "ticker": t, "universe": "u", "membership": "dated", "source": "test"} for d, t in cells]
    return pa.Table.from_pylist(rows, schema=TABLES["universe"].schema)


def with_sectors(members: pa.Table, names: list[str | None], kind: pa.DataType | None = None) -> pa.Table:
    members = members.drop_columns(["sector"]) if "sector" in members.column_names else members
    return members.append_column("sector", pa.array(names, kind or pa.string()))


def price_rows():
    number = st.one_of(st.none(), st.floats(0.5, 100.0))
    row = st.fixed_dictionaries(
        {
            "ticker": st.sampled_from(["A", "B'C", "D/E"]),
            "date": st.sampled_from(DAYS),
            **dict.fromkeys(NUMBERS, number),
        }
    )
    return st.lists(row, max_size=20, unique_by=lambda r: (r["ticker"], r["date"]))


class TestAgainstNaiveLoop:
    @settings(deadline=None)
    @given(rows=price_rows())
    def test_every_field(self, rows):
        panel = Panel.from_tables(prices=prices(rows), universe=universe(), sessions=SESSIONS)
        assert set(panel.fields) == {*FIELDS, *LABELS}
        cell = {(r["date"], r["ticker"]): {n: np.nan if r[n] is None else r[n] for n in NUMBERS} for r in rows}
        nothing = dict.fromkeys(NUMBERS, np.nan)
        for i, day in enumerate(DAYS):
            for j, ticker in enumerate(panel.tickers):
                c = cell.get((day, ticker), nothing)
                before = cell.get((DAYS[i - 1], ticker), nothing) if i else nothing
                growth = c["total_return_factor"]
                now, then = c["close"] * growth, before["close"] * before["total_return_factor"]
                expected = {
                    "open": c["open"] * growth,
                    "high": c["high"] * growth,
                    "low": c["low"] * growth,
                    "close": now,
                    "volume": c["volume"] / c["split_factor"],
                    "raw_open": c["open"],
                    "raw_high": c["high"],
                    "raw_low": c["low"],
                    "raw_close": c["close"],
                    "raw_volume": c["volume"],
                    "split_close": c["close"] * c["split_factor"],
                    "dollar_volume": c["close"] * c["volume"],
                    "returns": now / then - 1.0,
                    "shares_outstanding": c["shares_outstanding"],
                    "market_cap": c["close"] * c["shares_outstanding"],
                }
                got = {name: panel[name][i, j] for name in FIELDS}
                assert got == pytest.approx(expected, rel=1e-15, nan_ok=True)

    @settings(deadline=None)
    @given(cells=st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from("ABC")), unique=True, max_size=20))
    def test_membership(self, cells):
        panel = Panel.from_tables(prices=prices([]), universe=universe(*cells), sessions=SESSIONS)
        got = {(DAYS[i], panel.tickers[j]) for i, j in zip(*np.nonzero(panel.in_universe), strict=True)}
        assert got == set(cells)


class TestAgainstFrench:
    def test_equal_weighted_return_of_the_real_prices(self, shared_data):
        days = sessions("XNYS", date(2010, 1, 4), date(2021, 4, 21))
        rows = real_history(shared_data / "prices" / "us_large_daily_2010_2021.parquet")
        panel = Panel.from_tables(
            prices=clean_prices(rows, sessions=days).prices, universe=universe(), sessions=days, first_row=7571
        )
        french = pq.read_table(shared_data / "factors" / "ff3_daily.parquet")
        inside = np.isin(french["date"].to_numpy().astype("datetime64[D]"), days)
        market = (french["mkt_rf"].to_numpy() + french["rf"].to_numpy())[inside]
        assert np.corrcoef(np.nanmean(panel["returns"][1:], axis=1), market[1:])[0, 1] > 0.97


class TestProperties:
    def test_no_rows(self):
        panel = Panel.from_tables(prices=prices([]), universe=universe(), sessions=SESSIONS)
        assert panel.shape == (10, 0)
        assert panel["close"].shape == (10, 0)

    def test_no_sessions(self):
        panel = Panel.from_tables(prices=prices([]), universe=universe(), sessions=SESSIONS[:0])
        assert panel.shape == (0, 0)

    def test_one_ticker_with_one_row(self):
        one = prices([{"ticker": "A", "date": DAYS[3], "close": 5.0}])
        panel = Panel.from_tables(prices=one, universe=universe((DAYS[3], "A")), sessions=SESSIONS)
        assert panel.shape == (10, 1)
        assert np.isnan(panel["close"]).sum() == 9
        assert panel["close"][3, 0] == 5.0
        assert np.isnan(panel["returns"]).all()
        assert panel.in_universe.sum() == 1

    def test_a_member_without_price_is_a_column_of_nan(self):
        one = prices([{"ticker": "B", "date": DAYS[0], "close": 5.0}])
        panel = Panel.from_tables(prices=one, universe=universe((DAYS[0], "A")), sessions=SESSIONS)
        assert panel.tickers == ("A", "B")
        assert np.isnan(panel["raw_close"][:, 0]).all()
        assert panel.in_universe[0].tolist() == [True, False]

    def test_the_number_of_members_does_not_depend_on_the_range(self):
        rows = [{"ticker": "B", "date": DAYS[5], "close": 5.0}]
        members = [(d, t) for d in DAYS for t in ("A", "B")]
        whole = Panel.from_tables(prices=prices(rows), universe=universe(*members), sessions=SESSIONS)
        part = Panel.from_tables(prices=prices([]), universe=universe(*members[:4]), sessions=SESSIONS[:2])
        assert (part.in_universe.sum(axis=1) == whole.in_universe[:2].sum(axis=1)).all()

    def test_a_field_that_is_read_alone_has_the_same_bits(self):
        random = np.random.default_rng(1)
        cells = [(d, t) for d in DAYS for t in "ABC" if random.random() < 0.8]
        rows = prices([{"date": d, "ticker": t} | {n: float(random.uniform(1, 9)) for n in NUMBERS} for d, t in cells])
        whole = Panel.from_tables(prices=rows, universe=universe(*cells), sessions=SESSIONS)
        assert set(MADE_OF) == set(FIELDS) <= set(whole.fields)
        for name in FIELDS:
            columns = price_columns_of([name, "raw_close"])
            read = rows.select(["date", "ticker", *columns])
            alone = Panel.from_tables(prices=read, universe=universe(*cells), sessions=SESSIONS)
            assert np.array_equal(alone[name], whole[name], equal_nan=True)
            assert len(columns) <= 3

    def test_rows_of_other_tickers_beside_a_whole_panel(self):
        rows = prices([{"ticker": t, "date": d, "close": 5.0} for d in DAYS for t in "ABC"])
        panel = Panel.from_tables(prices=rows, universe=universe(), sessions=SESSIONS, tickers=["A", "B"])
        assert (panel["close"] == 5.0).all()

    def test_chosen_tickers(self):
        rows = prices([{"ticker": t, "date": DAYS[0], "close": 5.0} for t in "ABC"])
        panel = Panel.from_tables(
            prices=rows, universe=universe((DAYS[0], "A"), (DAYS[0], "C")), sessions=SESSIONS, tickers=["Z", "C", "C"]
        )
        assert panel.tickers == ("C", "Z")
        assert panel["close"][0, 0] == 5.0
        assert panel.in_universe[0].tolist() == [True, False]

    def test_a_gap_gives_no_return(self):
        rows = [{"ticker": "A", "date": DAYS[i], "close": c} for i, c in ((0, 10.0), (1, 11.0), (3, 12.0), (4, 6.0))]
        returns = Panel.from_tables(prices=prices(rows), universe=universe(), sessions=SESSIONS)["returns"][:, 0]
        assert np.flatnonzero(~np.isnan(returns)).tolist() == [1, 4]
        assert returns[[1, 4]].tolist() == [11.0 / 10.0 - 1.0, -0.5]

    def test_a_split_changes_no_return_and_no_volume_in_shares_of_the_start(self):
        rows = series("A", [100.0, 50.0], split={1: 2.0}, volume={0: 10.0, 1: 20.0})
        clean = clean_prices(history(rows), sessions=SESSIONS).prices
        panel = Panel.from_tables(prices=clean, universe=universe(), sessions=SESSIONS)
        assert panel["returns"][1, 0] == 0.0
        assert panel["close"][:2, 0].tolist() == panel["split_close"][:2, 0].tolist() == [100.0, 100.0]
        assert panel["raw_close"][:2, 0].tolist() == [100.0, 50.0]
        assert panel["volume"][:2, 0].tolist() == [10.0, 10.0]
        assert panel["dollar_volume"][:2, 0].tolist() == [1000.0, 1000.0]

    def test_a_dividend_is_in_the_total_return_only(self):
        rows = series("A", [100.0, 98.0], dividend={1: 2.0})
        clean = clean_prices(history(rows), sessions=SESSIONS).prices
        panel = Panel.from_tables(prices=clean, universe=universe(), sessions=SESSIONS)
        assert panel["returns"][1, 0] == pytest.approx(0.0, abs=1e-15)
        assert panel["split_close"][1, 0] == 98.0

    def test_rows_share_memory_and_keep_the_ordinal(self):
        rows = prices([{"ticker": "A", "date": d, "close": 5.0} for d in DAYS])
        panel = Panel.from_tables(prices=rows, universe=universe(), sessions=SESSIONS, first_row=100)
        part = panel.rows(3, 7)
        assert part.shape == (4, 1)
        assert part.first_row == 103
        assert np.shares_memory(part["close"], panel["close"])
        assert (part.dates == SESSIONS[3:7]).all()

    def test_arrays_cannot_be_changed(self):
        panel = Panel.from_tables(
            prices=prices([{"ticker": "A", "date": DAYS[0]}]), universe=universe(), sessions=SESSIONS
        )
        with pytest.raises(ValueError, match="read-only"):
            panel["close"][0, 0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            panel.in_universe[0, 0] = True

    def test_gather_is_the_inverse_of_scatter(self):
        rows = prices([{"ticker": t, "date": d, "close": 5.0} for d in DAYS[:3] for t in ("A", "O'B/C")])
        panel = Panel.from_tables(prices=rows, universe=universe((DAYS[0], "Z")), sessions=SESSIONS)
        values = np.arange(30.0).reshape(10, 3)
        values[1, 0] = np.inf
        long = panel.gather(values[1:], start=1)
        assert long.num_rows == 4
        assert long["value"].to_pylist() == [None, 4.0, 6.0, 7.0]
        back = panel.scatter(long, "value")
        assert np.flatnonzero(~np.isnan(back)).tolist() == [4, 6, 7]

    def test_sectors_are_groups_of_equal_codes(self):
        cells = [(d, t) for d in DAYS[:2] for t in "ABCD"]
        names = ["Tech", None, "Energy", "Tech", "Energy", "Tech", "Energy", None]
        whole = with_sectors(universe(*cells), names)
        # delivered in two pieces, as a scan of two files is
        members = pa.concat_tables([whole.slice(0, 3), whole.slice(3)])
        codes = Panel.from_tables(prices=prices([]), universe=members, sessions=SESSIONS)["sector"]
        assert codes.shape == (10, 4)
        assert codes.dtype == np.float64
        for (i, j), name in zip(np.ndindex(2, 4), names, strict=True):
            assert np.isnan(codes[i, j]) if name is None else codes[i, j] == {"Energy": 0.0, "Tech": 1.0}[name]
        assert np.isnan(codes[2:]).all()

    def test_sectors_of_tickers_that_are_not_asked_for(self):
        members = with_sectors(universe((DAYS[0], "A"), (DAYS[0], "B")), ["Energy", "Tech"])
        panel = Panel.from_tables(prices=prices([]), universe=members, sessions=SESSIONS, tickers=["B", "Z"])
        assert not np.isnan(panel["sector"][0, 0])
        assert np.isnan(panel["sector"]).sum() == 19

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.null()])
    def test_sectors_that_nobody_knows(self, kind):
        members = with_sectors(universe((DAYS[0], "A"), (DAYS[1], "B")), [None, None], kind)
        panel = Panel.from_tables(prices=prices([]), universe=members, sessions=SESSIONS)
        assert panel["sector"].shape == (10, 2)
        assert np.isnan(panel["sector"]).all()

    def test_sectors_of_no_rows(self):
        panel = Panel.from_tables(prices=prices([]), universe=with_sectors(universe(), []), sessions=SESSIONS)
        assert panel["sector"].shape == (10, 0)
        one = prices([{"ticker": "A", "date": DAYS[0], "close": 5.0}])
        panel = Panel.from_tables(prices=one, universe=with_sectors(universe(), []), sessions=SESSIONS)
        assert np.isnan(panel["sector"]).all()

    def test_without_sectors_there_is_no_such_field(self):
        members = universe((DAYS[0], "A")).drop_columns(["sector"])
        panel = Panel.from_tables(prices=prices([]), universe=members, sessions=SESSIONS)
        assert set(panel.fields) == set(FIELDS)

    def test_zero_priced_cells_have_no_infinite_return(self):
        shape = (3, 1)
        raw = {name: np.ones(shape) for name in NUMBERS} | {"close": np.array([[np.nan], [1.0], [2.0]])}
        assert derived_fields(raw)["returns"][2, 0] == 1.0
        assert np.isnan(derived_fields(raw)["returns"][:2]).all()


class TestErrors:
    def test_a_date_that_is_no_session(self):
        for day in (date(2024, 1, 6), DAYS[0] - timedelta(days=1), DAYS[-1] + timedelta(days=1), date(1900, 1, 1)):
            with pytest.raises(PanelError, match=f"1 rows are on dates that are not sessions .*, such as {day}"):
                Panel.from_tables(prices=prices([{"ticker": "A", "date": day}]), universe=universe(), sessions=SESSIONS)
        with pytest.raises(PanelError, match="not sessions of the panel"):
            Panel.from_tables(
                prices=prices([{"ticker": "A", "date": DAYS[0]}]), universe=universe(), sessions=SESSIONS[:0]
            )

    def test_repeated_rows(self):
        row = {"ticker": "O'B/C", "date": DAYS[2]}
        with pytest.raises(PanelError, match="O'B/C has more than one row on 2024-01-04"):
            Panel.from_tables(prices=prices([row, row]), universe=universe(), sessions=SESSIONS)
        with pytest.raises(PanelError, match="more than one row"):
            Panel.from_tables(prices=prices([]), universe=universe((DAYS[0], "A"), (DAYS[0], "A")), sessions=SESSIONS)

    def test_unknown_field(self):
        panel = Panel.from_tables(prices=prices([]), universe=universe(), sessions=SESSIONS)
        with pytest.raises(UnknownFieldError, match=r"no field 'closse'; did you mean 'close'"):
            panel["closse"]

    def test_misaligned_arrays(self):
        flags = np.zeros((10, 1), dtype=bool)
        with pytest.raises(MisalignedError, match=r"'close' has shape \(9, 1\), the panel has 10 dates x 1 tickers"):
            Panel(dates=SESSIONS, tickers=("A",), fields={"close": np.zeros((9, 1))}, in_universe=flags)
        with pytest.raises(MisalignedError, match="sorted, distinct tickers"):
            Panel(dates=SESSIONS, tickers=("B", "A"), fields={}, in_universe=np.zeros((10, 2), dtype=bool))
        with pytest.raises(MisalignedError, match="strictly increasing dates"):
            Panel(dates=SESSIONS[::-1], tickers=("A",), fields={}, in_universe=flags)
        with pytest.raises(MisalignedError, match="datetime64"):
            Panel(dates=SESSIONS.astype("datetime64[ns]"), tickers=("A",), fields={}, in_universe=flags)
