# ruff: noqa: DTZ001 - timestamps without a zone are what is tested
"""Cells to rows: dates in zones, numbers in text, and what is said about cells that cannot be read."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.sources.delivered_rows import MISSING_MARKS, Zones, clip_dates, place_dates, place_rows, read_numbers
from factor_assets.sources.price_source import IN_THE_FUTURE, OUTSIDE_RANGE
from factor_assets.tables import TABLES

NEW_YORK = ZoneInfo("America/New_York")
HERE = Zones(exchange=NEW_YORK, naive=NEW_YORK)
FETCHED = pa.scalar(datetime(2024, 1, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))


def dates(values: list[Any], kind: pa.DataType | None = None, zones: Zones = HERE) -> list[date | None]:
    return place_dates(pa.chunked_array([pa.array(values, kind)]), zones=zones).to_pylist()


def numbers(values: list[Any], kind: pa.DataType | None = None) -> tuple[list[float | None], list[str | None]]:
    read, said = read_numbers(pa.chunked_array([pa.array(values, kind)]))
    return read.to_pylist(), said.to_pylist()


def rows(**columns: Any) -> tuple[pa.Table, dict[str, int]]:
    n = len(columns["date"])
    cells = pa.table(
        {"ticker": pa.array(columns.pop("ticker", ["A"] * n)), **{k: pa.array(v) for k, v in columns.items()}}
    )
    return place_rows(cells, zones=HERE, label="test", fetched_at=FETCHED)


class TestAgainstPython:
    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_a_number_as_text_is_the_number(self, number: float) -> None:
        assert numbers([repr(number), f" {number!r} "]) == ([number, number], [None, None])

    @given(st.text(max_size=8))
    def test_text_is_a_number_exactly_where_python_says(self, text: str) -> None:
        ((read,), (said,)) = numbers([text])
        plain = text.strip()
        try:
            expected = float(plain) if plain.isascii() and "_" not in plain else None
        except ValueError:
            expected = None
        if expected is not None and expected == expected and abs(expected) != float("inf"):
            assert (read, said) == (expected, None)
        else:
            assert read is None
            assert (said is None) == (plain.lower() in MISSING_MARKS or text.strip() == "")

    @given(
        st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2030, 1, 1)),
        st.sampled_from(["UTC", "Asia/Tokyo"]),
    )
    def test_a_timestamp_has_the_date_of_the_exchange(self, moment: datetime, zone: str) -> None:
        zoned = moment.replace(tzinfo=ZoneInfo(zone))
        midnight = moment.time() == datetime.min.time()
        expected = moment.date() if midnight else zoned.astimezone(NEW_YORK).date()
        assert dates([zoned], pa.timestamp("us", tz=zone)) == [expected]
        assert dates([zoned.isoformat()]) == [expected]


class TestProperties:
    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            ([date(2020, 1, 2)], None),
            ([datetime(2020, 1, 2)], pa.timestamp("s")),
            ([datetime(2020, 1, 2, 16)], pa.timestamp("ns")),
            ([date(2020, 1, 2)], pa.date64()),
            (["2020-01-02"], None),
            ([" 2020-01-02 "], None),
            (["20200102"], None),
            ([20200102], pa.int64()),
            (["2020-01-02T16:00:00"], None),
            (["2020-01-02 16:00:00-05:00"], None),
            (["2020-01-02T21:00:00Z"], None),
            (["2020-01-03T02:00:00+00:00"], None),
            (["2020-01-02T00:00:00.000Z"], None),  # a day's label, as vendors write it
        ],
    )
    def test_spellings_of_one_date(self, values: list[Any], kind: pa.DataType | None) -> None:
        assert dates(values, kind) == [date(2020, 1, 2)]

    def test_two_zones_in_one_column(self) -> None:
        values = ["2020-01-02T23:30:00-05:00", "2020-01-03T04:30:00+00:00", "2020-01-03T13:30:00+09:00"]
        assert dates(values) == [date(2020, 1, 2)] * 3

    def test_the_zone_of_naive_timestamps(self) -> None:
        zones = Zones(exchange=NEW_YORK, naive=ZoneInfo("Asia/Tokyo"))
        moment = datetime(2020, 1, 3, 6)
        assert (
            dates([moment], pa.timestamp("us"), zones) == dates([moment.isoformat()], zones=zones) == [date(2020, 1, 2)]
        )
        assert dates([moment], pa.timestamp("us")) == [date(2020, 1, 3)]

    def test_unreadable_dates_are_null(self) -> None:
        assert dates(["01/02/2020", "", None, "2020-13-01", "soon", "2020-01-02"]) == [None] * 5 + [date(2020, 1, 2)]

    @pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.float64(), pa.decimal128(9, 3)])
    def test_number_types(self, kind: pa.DataType) -> None:
        value = Decimal(3) if pa.types.is_decimal(kind) else 3
        assert numbers([value, None], kind) == ([3.0, None], [None, None])

    def test_missing_marks_are_missing_without_a_word(self) -> None:
        marks = [mark.upper() for mark in MISSING_MARKS]
        assert numbers([*marks, None]) == ([None] * (len(marks) + 1), [None] * (len(marks) + 1))
        assert numbers([float("nan")]) == ([None], [None])
        assert numbers([None], pa.null()) == ([None], [None])

    def test_every_value_that_can_be_read_stays(self) -> None:
        placed, undated = rows(date=["2020-01-02"] * 3, close=[-1.0, 0.0, 5.0], volume=["-3", "0", "1e3"])
        assert placed["close"].to_pylist() == [-1.0, 0.0, 5.0]
        assert placed["volume"].to_pylist() == [-3.0, 0.0, 1000.0]
        assert placed["issue"].null_count == 3
        assert placed.schema == TABLES["price_history"].schema
        assert undated == {}

    def test_rows_are_sorted_and_repeats_keep_their_order(self) -> None:
        placed, _ = rows(
            ticker=["B", "A", "B", "A"],
            date=["2020-01-03", "2020-01-03", "2020-01-02", "2020-01-03"],
            close=[1.0, 2.0, 3.0, 1.5],
        )
        assert placed["ticker"].to_pylist() == ["A", "A", "B", "B"]
        assert placed["close"].to_pylist() == [2.0, 1.5, 3.0, 1.0]

    def test_undated_rows_are_counted_by_ticker(self) -> None:
        placed, undated = rows(ticker=["A", "B", "B"], date=["2020-01-02", "never", None], close=[1.0, 2.0, 3.0])
        assert placed["ticker"].to_pylist() == ["A"]
        assert undated == {"B": 2}

    def test_no_event_is_null(self) -> None:
        placed, _ = rows(date=["2020-01-02"] * 2, close=[1.0, 1.0], split=["1", "1.0"], dividend=[0.0, None])
        assert placed["split"].null_count == placed["dividend"].null_count == placed["issue"].null_count == 2

    def test_zero_may_mean_no_split(self) -> None:
        cells = pa.table({"ticker": ["A"] * 2, "date": ["2020-01-02"] * 2, "split": [0.0, 2.0]})
        placed, _ = place_rows(cells, zones=HERE, label="t", fetched_at=FETCHED, zero_is_no_split=True)
        assert placed["split"].to_pylist() == [None, 2.0]
        assert placed["issue"].null_count == 2

    def test_dates_outside_are_counted_and_left_out(self) -> None:
        placed, _ = rows(date=["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-06", "2099-01-01"], close=[1.0] * 5)
        kept, dropped = clip_dates(placed, start=date(2020, 1, 2), end=date(2020, 1, 3), today=date(2024, 1, 1))
        assert kept["date"].to_pylist() == [date(2020, 1, 2), date(2020, 1, 3)]
        assert dropped == {OUTSIDE_RANGE: 2, IN_THE_FUTURE: 1}
        kept, dropped = clip_dates(placed, start=date(2020, 1, 1), end=None, today=date(2099, 1, 1))
        assert (kept.num_rows, dropped) == (5, {})


class TestErrors:
    def test_unreadable_cells_are_null_and_the_row_says_why(self) -> None:
        placed, _ = rows(
            date=["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"],
            open=["1", "2", "3", "1,5"],
            close=["abc", "2", "inf", "1e999"],
            volume=[float("inf"), 1.0, None, float("-inf")],
        )
        assert placed["issue"].to_pylist() == [
            "close: 'abc' is not a number; volume: inf is not finite",
            None,
            "close: 'inf' is not a number",
            "open: '1,5' is not a number; close: '1e999' is not a number; volume: -inf is not finite",
        ]
        assert placed["close"].to_pylist() == [None, 2.0, None, None]
        assert placed["volume"].to_pylist() == [None, 1.0, None, None]

    def test_impossible_events_are_null_and_explained(self) -> None:
        placed, _ = rows(date=["2020-01-02"] * 3, close=[1.0] * 3, split=[0.0, -2.0, 2.0], dividend=[-0.5, 0.25, 0.0])
        assert placed["split"].to_pylist() == [None, None, 2.0]
        assert placed["dividend"].to_pylist() == [None, 0.25, None]
        assert placed["issue"].to_pylist() == [
            "dividend: -0.5 is not 0 or more; split: 0 is not above 0",
            "split: -2 is not above 0",
            None,
        ]
