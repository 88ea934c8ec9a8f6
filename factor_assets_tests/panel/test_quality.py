"""The checks find what the README of the real data lists, and what is planted in small rows; nothing else."""

from datetime import date, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest

from factor_assets.calendar import sessions
from factor_assets.panel.prices import clean_prices
from factor_assets.panel.quality import CHECKS, Finding, inspect
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets_tests.panel.price_rows import DAYS, FETCHED, SESSIONS, history, real_history, series


def findings(
    rows: pa.Table, *, days=SESSIONS, part: Slice = EVERYTHING, has_events: bool | None = None, n_examples: int = 100
) -> dict[str, Finding]:
    clean = clean_prices(rows, sessions=days, has_events=has_events)
    return {f.check: f for f in inspect(rows, clean, part=part, n_examples=n_examples)}


def ticker_days(finding: Finding) -> set[tuple[str, str]]:
    assert finding.n == len(finding.examples)
    return {(e["ticker"], str(e["date"])) for e in finding.examples}


def days_of(text: str) -> set[tuple[str, str]]:
    """ "A/B 2015-01-02, ..." -> {("A", "2015-01-02"), ("B", "2015-01-02"), ...}."""
    parts = (part.split() for part in text.split(","))
    return {(ticker, day) for tickers, day in parts for ticker in tickers.split("/")}


@pytest.fixture(scope="module")
def large(shared_data):
    rows = real_history(shared_data / "prices" / "us_large_daily_2010_2021.parquet")
    return findings(rows, days=sessions("XNYS", date(2010, 1, 4), date(2021, 4, 21)))


@pytest.fixture(scope="module")
def five_years(shared_data):
    rows = real_history(shared_data / "prices" / "sp500_5yr_2013_2018.parquet")
    return findings(rows, days=sessions("XNYS", date(2013, 2, 8), date(2018, 2, 7)))


class TestAgainstRealData:
    def test_large_double_booked_events(self, large):
        assert ticker_days(large["adjustment_mismatch"]) == days_of(
            "TMUS 2013-05-01, LDOS 2013-09-30, HBI 2015-03-04, ROST 2015-06-12, HLT 2017-01-04, MET 2017-08-07,"
            " RTX 2020-04-03"
        )

    def test_large_moves_above_half(self, large):
        # Wrongly booked events are jumps, too: our return follows the events as they were delivered.
        moves = {(e["ticker"], str(e["date"])) for e in large["jumps"].examples if abs(e["total_return"]) > 0.5}
        real = days_of("VRTX 2012-05-07, VRTX 2013-04-19, AMD 2016-04-22, APA/OXY 2020-03-09")
        assert moves == real | days_of("GNRC 2010-02-12, TMUS 2013-05-01, LDOS 2013-09-30, HLT 2017-01-04")
        assert large["jumps"].n == 59

    def test_large_has_nothing_else(self, large):
        assert {name: f.n for name, f in large.items() if f.n} == {
            "zero_volume": 28, "jumps": 59, "adjustment_mismatch": 7,
        }  # fmt: skip
        assert {f.severity for f in large.values()} == {"warning"}

    def test_five_years_nulls(self, five_years):
        assert ticker_days(five_years["null_values"]) == days_of(
            "BHF 2017-07-26, DHR/ES/O 2015-07-17, DHR/O 2016-01-12, FTV 2016-07-01, UA 2016-04-07, REGN 2015-06-09,"
            " VRTX 2015-05-12, WRK 2015-06-26"
        )

    def test_five_years_zero_volume(self, five_years):
        assert ticker_days(five_years["zero_volume"]) == days_of("DHR/O 2016-01-12, UA 2016-04-07, FTV 2016-07-01")

    def test_five_years_price_order(self, five_years):
        assert ticker_days(five_years["price_order"]) == days_of(
            "AOS/CHD 2014-05-19, BBY 2016-03-14, CHK 2014-06-30, DHR/O 2014-11-06, IP 2014-07-01, LNT 2016-05-19,"
            " O 2014-08-27, SPG 2014-05-28, UA 2016-06-10, WRK 2016-05-13"
        )

    def test_five_years_jumps(self, five_years):
        listed = days_of(
            "BAX 2015-07-01, EBAY 2015-07-20, NI 2015-07-02, BHGE 2017-07-05, DISCA/DISCK 2014-08-07,"
            " LNT 2016-05-19, LNT 2016-05-20"
        )
        others = days_of(
            "VRTX 2013-04-19, BBY 2014-01-16, VRTX 2014-06-24, CHK 2016-02-08, WMB 2016-02-08, AMD 2016-04-22,"
            " ARNC 2016-11-01, YUM 2016-11-01, NWL 2017-09-14, NWL 2017-09-15, EVHC 2017-11-01, SIG 2017-11-21"
        )
        assert ticker_days(five_years["jumps"]) == listed | others

    def test_five_years_spikes(self, five_years):
        assert ticker_days(five_years["reversals"]) == days_of("LNT 2016-05-19, NWL 2017-09-14")

    def test_five_years_gaps(self, five_years):
        gaps = five_years["missing_sessions"]
        assert gaps.n == 51
        assert gaps.examples[0] == {
            "ticker": "DHR", "date": date(2015, 3, 9), "last_missing": date(2015, 3, 20), "n_sessions": 10,
        }  # fmt: skip


class TestProperties:
    def test_clean_rows_pass_every_check(self):
        found = findings(history(series("A", [10.0, 10.5, 10.2, 10.4])))
        assert list(found) == list(CHECKS)
        assert all(f.passed and f.severity == "warning" and not f.examples for f in found.values())

    def test_parts_add_up_to_the_whole(self, shared_data):
        rows = real_history(shared_data / "prices" / "sp500_5yr_2013_2018.parquet")
        days = sessions("XNYS", date(2013, 2, 8), date(2018, 2, 7))
        whole = findings(rows, days=days)
        cuts = [None, date(2014, 7, 1), date(2015, 3, 12), date(2016, 5, 20), None]
        parts = []
        for start, end in pairwise(cuts):
            known = rows.filter(Slice(end=end).mask(rows)) if end else rows
            parts.append(findings(known, days=days, part=Slice(start=start, end=end)))
        for check in CHECKS:
            if check == "reversals":
                continue  # a jump on a part's last session is taken back in the next part
            assert sum(p[check].n for p in parts) == whole[check].n, check
            assert sum(p[check].n_rows for p in parts) == rows.num_rows

    @pytest.mark.parametrize(
        ("check", "changes"),
        [
            ("null_values", {"open": None}),
            ("null_values", {"volume": None}),
            ("unreadable_cells", {"issue": "close: 'abc' is not a number"}),
            ("invalid_prices", {"low": -1.0}),
            ("invalid_prices", {"volume": -1.0}),
            ("invalid_events", {"split": 0.0}),
            ("invalid_events", {"dividend": -2.0}),
            ("price_order", {"high": 9.0}),
            ("price_order", {"low": 11.0}),
            ("zero_volume", {"volume": 0.0}),
        ],
    )
    def test_one_bad_cell(self, check, changes):
        rows = series("O'Reilly/B", [10.0, 10.1, 10.2])
        rows[1] |= changes
        found = findings(history(rows), has_events=True)
        assert found[check].n == 1
        assert (found[check].examples[0]["ticker"], found[check].examples[0]["date"]) == ("O'Reilly/B", DAYS[1])
        for name, value in changes.items():
            assert found[check].examples[0].get(name, value) == value

    def test_jump_thresholds_are_symmetric(self):
        for ratio, n in ((1.39, 0), (1.41, 1), (1 / 1.39, 0), (1 / 1.41, 1)):
            assert findings(history(series("A", [10.0, 10.0 * ratio])))["jumps"].n == n

    def test_a_split_explains_a_jump(self):
        rows = series("A", [10.0, 5.0], split={1: 2.0})
        assert findings(history(rows))["jumps"].passed
        assert not findings(history(series("A", [10.0, 5.0])))["jumps"].passed

    def test_spike(self):
        found = findings(history(series("A", [10.0, 5.0, 9.9, 10.0])))
        assert ticker_days(found["reversals"]) == {("A", str(DAYS[1]))}
        assert found["reversals"].examples[0]["total_return"] == -0.5
        assert findings(history(series("A", [10.0, 5.0, 5.1, 5.0])))["reversals"].passed

    def test_another_ticker_takes_nothing_back(self):
        assert findings(history([*series("A", [10.0, 5.0]), *series("B", [10.0])]))["reversals"].passed

    def test_mismatch_with_the_vendor(self):
        adjusted = {0: 9.0, 1: 10.0, 2: 10.0}
        rows = series("A", [10.0, 10.0, 10.0], dividend={1: 1.0}, adjusted_close=adjusted)
        found = findings(history(rows))["adjustment_mismatch"]
        assert found.examples[0]["vendor_return"] == pytest.approx(1 / 9, abs=1e-6)
        assert found.examples[0]["total_return"] == pytest.approx(0.1)
        rows[1]["dividend"] = 10.0 * (10.0 / 9.0 - 1.0)
        assert findings(history(rows))["adjustment_mismatch"].passed

    def test_two_deliveries_do_not_mismatch(self):
        rows = series("A", [10.0, 10.0], dividend={1: 0.001}, adjusted_close={0: 5.0, 1: 10.0})
        rows[1]["fetched_at"] = FETCHED + timedelta(days=1)
        assert findings(history(rows))["adjustment_mismatch"].passed

    def test_stale(self):
        assert findings(history(series("A", [5.0] * 9)))["stale_prices"].passed
        assert findings(history(series("A", [5.0] * 10)))["stale_prices"].n == 1
        untraded = dict.fromkeys(range(1, 6), 0.0)
        assert ticker_days(findings(history(series("A", [5.0] * 7, volume=untraded)))["stale_prices"]) == {
            ("A", str(DAYS[5]))
        }
        del untraded[3]
        assert findings(history(series("A", [5.0] * 7, volume=untraded)))["stale_prices"].passed

    def test_gap(self):
        rows = series("A", [5.0, 5.1, 5.2, 5.3, 5.4])
        found = findings(history([rows[0], rows[3], *series("B", [1.0])]))["missing_sessions"]
        assert found.examples == [{"ticker": "A", "date": DAYS[1], "last_missing": DAYS[2], "n_sessions": 2}]

    def test_off_session_rows(self):
        found = findings(history([{"ticker": "A", "date": date(2024, 1, 6), "close": 1.0}]))
        assert ticker_days(found["off_session_rows"]) == {("A", "2024-01-06")}

    def test_duplicates(self):
        row = series("A", [1.0])[0]
        found = findings(history([row, row, row | {"close": 2.0}]))
        assert found["duplicate_rows"].n == 0  # against the row that is used, both earlier ones are conflicting
        assert (found["conflicting_rows"].n, found["conflicting_rows"].severity) == (2, "error")
        again = row | {"close": 2.0, "fetched_at": FETCHED + timedelta(days=1)}
        assert findings(history([row, again]))["conflicting_rows"].passed
        assert findings(history([row, row]))["duplicate_rows"].n == 1

    def test_many_violations_are_an_error(self):
        def severity(n_bad: int) -> str:
            rows = [{**series(f"T{i}", [1.0])[0], **({"volume": 0.0} if i < n_bad else {})} for i in range(200)]
            return findings(history(rows))["zero_volume"].severity

        assert severity(2) == "warning"
        assert severity(3) == "error"

    def test_examples_are_limited_and_the_largest(self):
        rows = [*series("A", [10.0, 20.0]), *series("B", [10.0, 40.0]), *series("C", [10.0, 2.0])]
        found = findings(history(rows), n_examples=2)["jumps"]
        assert found.n == 3
        assert [e["ticker"] for e in found.examples] == ["C", "B"]


class TestErrors:
    """Bad rows are findings, never exceptions."""

    def test_no_rows(self):
        assert all(f.passed and f.n_rows == 0 for f in findings(history([])).values())

    def test_a_part_without_rows(self):
        found = findings(history(series("A", [0.0, 1.0])), part=Slice(start=date(2030, 1, 1)))
        assert all(f.passed and f.n_rows == 0 for f in found.values())

    def test_only_rows_off_the_sessions(self):
        rows = history([{"ticker": "A", "date": date(2024, 1, 6), "close": -1.0}])
        found = findings(rows)
        assert {name for name, f in found.items() if f.n} == {"off_session_rows", "null_values"}

    def test_nothing_but_nulls(self):
        found = findings(history([{"ticker": "A", "date": d} for d in DAYS]))
        assert {name: f.n for name, f in found.items() if f.n} == {"null_values": 10}
