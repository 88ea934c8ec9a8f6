"""A user's own price files: real sets, every layout, and every way in which a file can be bad."""

import gzip
import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factor_assets.errors import SourceError
from factor_assets.settings import Settings
from factor_assets.sources.files import BAD_LINE, FilesSource, find_files
from factor_assets.sources.price_source import IN_THE_FUTURE, NO_DATE, NO_TICKER, OUTSIDE_RANGE, Delivery
from factor_assets.tables import TABLES

WRITTEN = datetime(2024, 3, 1, 12, tzinfo=UTC)


def source(path: Path | str, *, calendar: str = "XNYS", **files: Any) -> FilesSource:
    return FilesSource(
        Settings.model_validate(
            {"data": {"source": "files", "calendar": calendar}, "files": {"path": str(path), **files}}
        )
    )


def never(ticker: str) -> pa.Table:
    raise AssertionError(ticker)


def load(
    given: FilesSource, tickers: list[str] | None = None, *, start: date = date(2010, 1, 1), end: date | None = None
) -> dict[str, Delivery]:
    wanted = given.tickers() if tickers is None else tickers
    deliveries = list(given.fetch(wanted, start=start, end=end, stored=never))
    assert [d.ticker for d in deliveries] == wanted
    return {d.ticker: d for d in deliveries}


def column(delivery: Delivery, name: str) -> list[Any]:
    assert delivery.rows is not None, delivery.reason
    return delivery.rows[name].to_pylist()


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    return path


class TestAgainstRealData:
    def test_eleven_years_of_504_tickers_arrive_whole(self, shared_data: Path) -> None:
        path = shared_data / "prices" / "us_large_daily_2010_2021.parquet"
        given = source(path)
        expected = pl.read_parquet(path)
        assert given.tickers() == expected["ticker"].unique().sort().to_list()
        counts: Counter[str] = Counter()
        for delivery in given.fetch(given.tickers(), start=date(2010, 1, 1), end=None, stored=never):
            rows = delivery.rows
            assert rows is not None
            assert (delivery.outcome, delivery.reason, delivery.dropped) == ("loaded", "", {})
            counts["rows"] += rows.num_rows
            for name in ("dividend", "split", "issue"):
                counts[name] += rows.num_rows - rows[name].null_count
            if delivery.ticker == "AAPL":
                theirs = expected.filter(pl.col("ticker") == "AAPL").sort("date")
                for ours, name in [("close", "close"), ("adjusted_close", "adj_close"), ("volume", "volume")]:
                    assert rows[ours].to_pylist() == theirs[name].cast(pl.Float64).to_list()
                splits = {r["date"]: r["split"] for r in rows.to_pylist() if r["split"]}
                # The vendor's own 7.00000700001: as delivered.
                assert splits == {date(2014, 6, 9): pytest.approx(7.0, rel=2e-6), date(2020, 8, 31): 4.0}
        assert counts == {"rows": 1_363_249, "dividend": 16_530, "split": 133, "issue": 0}

    def test_five_years_of_505_tickers_arrive_with_their_nulls(self, shared_data: Path) -> None:
        deliveries = load(source(shared_data / "prices" / "sp500_5yr_2013_2018.parquet", prices="split_adjusted"))
        assert len(deliveries) == 505
        tables = [d.rows for d in deliveries.values() if d.rows is not None]
        assert sum(t.num_rows for t in tables) == 619_040
        assert sum(t["open"].null_count for t in tables) == 11
        assert sum(t["high"].null_count for t in tables) == 8
        assert sum(t["volume"].to_pylist().count(0.0) for t in tables) == 4


class TestProperties:
    CSV = "Symbol,Timestamp,Open,High,Low,Close,Volume\nB,2020-01-03,1,2,0.5,1.5,100\nA,2020-01-02,3,4,2,3.5,200\n"

    def test_a_long_csv(self, tmp_path: Path) -> None:
        given = source(write(tmp_path / "prices.csv", self.CSV))
        assert given.tickers() == ["A", "B"]
        delivery = load(given)["A"]
        assert delivery.rows is not None
        assert delivery.rows.schema == TABLES["price_history"].schema
        (row,) = delivery.rows.to_pylist()
        assert {k: v for k, v in row.items() if v is not None} == {
            "ticker": "A",
            "date": date(2020, 1, 2),
            "open": 3.0,
            "high": 4.0,
            "low": 2.0,
            "close": 3.5,
            "volume": 200.0,
            "fetched_at": WRITTEN,
            "source": "files",
        }

    @pytest.mark.parametrize("form", ["csv", "bom", "tab", "semicolon", "gzip", "parquet", "int dates"])
    def test_the_form_of_the_file_does_not_matter(self, tmp_path: Path, form: str) -> None:
        path = tmp_path / {"gzip": "p.csv.gz", "parquet": "p.parquet", "int dates": "p.parquet", "tab": "p.tsv"}.get(
            form, "p.csv"
        )
        frame = pl.read_csv(self.CSV.encode(), try_parse_dates=form == "parquet")
        if form == "int dates":
            frame = frame.with_columns(pl.col("Timestamp").str.replace_all("-", "").cast(pl.Int64))
        text = self.CSV.replace(",", {"tab": "\t", "semicolon": ";"}.get(form, ","))
        if path.suffix == ".parquet":
            frame.write_parquet(path)
        else:
            data = text.encode("utf-8-sig" if form == "bom" else "utf-8")
            path.write_bytes(gzip.compress(data) if form == "gzip" else data)
        deliveries = load(source(path))
        assert {t: (column(d, "date"), column(d, "close"), column(d, "volume")) for t, d in deliveries.items()} == {
            "A": ([date(2020, 1, 2)], [3.5], [200.0]),
            "B": ([date(2020, 1, 3)], [1.5], [100.0]),
        }

    def test_columns_can_be_mapped(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.csv", "id,when,close,settle\nA,2020-01-02,1,2\n")
        given = source(path, columns={"ticker": "id", "date": "when", "close": "settle"})
        assert column(load(given)["A"], "close") == [2.0]

    def test_one_file_a_ticker_with_odd_names(self, tmp_path: Path) -> None:
        names = {"BRK.B.csv": "BRK.B", "O'REILLY.csv": "O'REILLY", "BRK%2FA.csv": "BRK/A", "X Y.csv": "X Y"}
        for i, name in enumerate(names):
            write(tmp_path / name, f"date,close\n2020-01-02,{i + 1}\n")
        write(tmp_path / ".hidden.csv", "nothing")
        write(tmp_path / "notes.md", "nothing")
        deliveries = load(source(tmp_path))
        assert sorted(deliveries) == sorted(names.values())
        assert [column(deliveries[t], "close") for t in names.values()] == [[1.0], [2.0], [3.0], [4.0]]
        assert deliveries["BRK.B"].reason == "BRK.B.csv has no column for open, high, low, volume"

    def test_odd_tickers_in_a_long_file(self, tmp_path: Path) -> None:
        text = (
            'ticker,date,close\nO\'REILLY,2020-01-02,1\n BRK/B ,2020-01-02,2\nBRK/B,2020-01-03,3\n"A,B",2020-01-02,4\n'
        )
        deliveries = load(source(write(tmp_path / "p.csv", text)))
        assert {t: column(d, "close") for t, d in deliveries.items()} == {
            "O'REILLY": [1.0],
            "BRK/B": [2.0, 3.0],
            "A,B": [4.0],
        }

    def test_layout_can_be_forced(self, tmp_path: Path) -> None:
        path = write(tmp_path / "ACME.csv", "name,date,close\nAcme Limited,2020-01-02,1\n")
        assert source(path).tickers() == ["Acme Limited"]
        assert source(path, layout="file_per_ticker").tickers() == ["ACME"]

    def test_rows_of_several_long_files_come_together(self, tmp_path: Path) -> None:
        write(tmp_path / "2021.csv", "ticker,date,close\nA,2021-01-04,2\nB,2021-01-04,5\n")
        pq.write_table(
            pa.table({"ticker": ["A"], "date": pa.array([date(2020, 1, 2)]), "close": [1.0]}), tmp_path / "2020.parquet"
        )
        given = source(tmp_path / "202*")
        assert given.tickers() == ["A", "B"]
        assert column(load(given)["A"], "close") == [1.0, 2.0]

    def test_delivery_does_not_depend_on_the_batch(self, tmp_path: Path) -> None:
        rows = "".join(f"T{i:03},2020-01-02,{i + 1}\n" for i in range(250))
        given = source(write(tmp_path / "p.csv", "ticker,date,close\n" + rows))
        whole = load(given)
        assert [column(d, "close") for d in whole.values()] == [[i + 1.0] for i in range(250)]
        assert load(given, ["T120"])["T120"].rows == whole["T120"].rows

    def test_nothing_is_cleaned(self, tmp_path: Path) -> None:
        text = (
            "ticker,date,open,high,low,close,volume\n"
            "A,2020-01-03,1,2,3,-4,5\n"  # negative, and high below low
            "A,2020-01-02,0,0,0,0,0\n"  # unsorted
            "A,2020-01-03,1,2,3,-4,5\n"  # the same row again
            "A,2020-01-03,9,9,9,9,9\n"  # another row of the session
            "A,2020-01-01,7,7,7,7,7\n"  # a holiday
            "A,2020-01-04,8,8,8,8,8\n"  # a Saturday
        )
        delivery = load(source(write(tmp_path / "p.csv", text)))["A"]
        assert column(delivery, "date") == [date(2020, 1, d) for d in (1, 2, 3, 3, 3, 4)]
        assert column(delivery, "close") == [7.0, 0.0, -4.0, -4.0, 9.0, 8.0]
        assert (delivery.reason, delivery.dropped) == ("", {})

    def test_future_and_outside_dates_are_counted(self, tmp_path: Path) -> None:
        future = date.today() + timedelta(days=30)  # noqa: DTZ011 - a month away in any zone
        path = write(tmp_path / "A.csv", f"date,close\n2009-12-31,1\n2020-01-02,2\n2020-01-03,3\n{future},4\n")
        delivery = load(source(path), end=date(2020, 1, 2))["A"]
        assert column(delivery, "close") == [2.0]
        assert delivery.dropped == {IN_THE_FUTURE: 1, OUTSIDE_RANGE: 2}

    def test_two_time_zones(self, tmp_path: Path) -> None:
        text = "date,close\n2020-01-02T16:00:00-05:00,1\n2020-01-03T21:00:00+00:00,2\n2020-01-07T06:00:00+09:00,3\n"
        delivery = load(source(write(tmp_path / "A.csv", text)))["A"]
        assert column(delivery, "date") == [date(2020, 1, 2), date(2020, 1, 3), date(2020, 1, 6)]

    def test_zone_of_naive_timestamps_and_of_the_exchange(self, tmp_path: Path) -> None:
        path = write(tmp_path / "A.csv", "date,close\n2020-01-06T22:00:00,1\n")
        assert column(load(source(path))["A"], "date") == [date(2020, 1, 6)]
        assert column(load(source(path, timezone="UTC", calendar="XTKS"))["A"], "date") == [date(2020, 1, 7)]

    def test_adjusted_close_only_stands_for_the_close(self, tmp_path: Path) -> None:
        path = write(tmp_path / "A.csv", "date,adj close,dividend,split\n2020-01-02,1.5,0.5,2\n")
        delivery = load(source(path))["A"]
        (row,) = delivery.rows.to_pylist() if delivery.rows is not None else []
        assert (row["close"], row["adjusted_close"], row["dividend"], row["split"]) == (1.5, 1.5, None, None)

    def test_close_and_adjusted_close(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "A.csv",
            "date,close,Adj Close,Dividends,Stock Splits\n2020-01-02,2,1.5,0.5,0.0\n2020-01-03,1,1,0,2\n",
        )
        delivery = load(source(path))["A"]
        assert column(delivery, "close") == [2.0, 1.0]
        assert column(delivery, "adjusted_close") == [1.5, 1.0]
        assert column(delivery, "dividend") == [0.5, None]
        assert column(delivery, "split") == [None, 2.0]
        assert column(delivery, "issue") == [None, None]  # Yahoo writes 0 where there is no split

    def test_split_adjusted_prices_are_rebuilt_also_from_splits_after_the_end(self, tmp_path: Path) -> None:
        text = "date,close,volume,split\n2020-01-02,10,400,1\n2020-01-03,11,200,2\n2020-01-06,12,100,4\n"
        path = write(tmp_path / "A.csv", text)
        delivery = load(source(path, prices="split_adjusted"), end=date(2020, 1, 3))["A"]
        assert column(delivery, "close") == [80.0, 44.0]
        assert column(delivery, "volume") == [50.0, 50.0]
        assert column(load(source(path))["A"], "close") == [10.0, 11.0, 12.0]

    def test_one_row_ticker(self, tmp_path: Path) -> None:
        delivery = load(source(write(tmp_path / "A.csv", "date,close\n2020-01-02,1\n")))["A"]
        assert column(delivery, "close") == [1.0]

    def test_version_changes_with_the_files_and_the_settings(self, tmp_path: Path) -> None:
        path = write(tmp_path / "A.csv", "date,close\n2020-01-02,1\n")
        first = source(tmp_path).version()
        assert source(tmp_path).version() == first
        assert source(tmp_path, prices="split_adjusted").version() != first
        os.utime(path, (0, 0))
        assert source(tmp_path).version() != first
        write(tmp_path / "B.csv", "date,close\n2020-01-02,1\n")
        assert len({source(tmp_path).version(), source(tmp_path).version()}) == 1


class TestErrors:
    def test_text_in_a_price_spoils_one_cell(self, tmp_path: Path) -> None:
        text = "ticker,date,close,split\nA,2020-01-02,abc,1\nA,2020-01-03,2,0\nB,2020-01-02,3,1\n"
        deliveries = load(source(write(tmp_path / "p.csv", text)))
        assert column(deliveries["A"], "close") == [None, 2.0]
        assert column(deliveries["A"], "split") == [None, None]
        assert column(deliveries["A"], "issue") == ["close: 'abc' is not a number", "split: 0 is not above 0"]
        assert column(deliveries["B"], "issue") == [None]
        said = "cells of 2 of 2 rows could not be read, such as on 2020-01-02: close: 'abc' is not a number"
        assert deliveries["A"].reason.startswith(said)
        assert not deliveries["B"].reason.startswith("cells of")

    def test_rows_that_cannot_be_placed_are_counted(self, tmp_path: Path) -> None:
        text = "ticker,date,close\nA,soon,1\nA,2020-01-02,2\n,2020-01-02,3\nB,2020-01-02\nB,2020-01-03,4\n"
        deliveries = load(source(write(tmp_path / "p.csv", text)))
        assert deliveries["A"].dropped == {NO_DATE: 1, NO_TICKER: 1, BAD_LINE: 1}
        assert deliveries["B"].dropped == {}
        assert column(deliveries["B"], "close") == [4.0]

    def test_a_ticker_without_a_usable_row(self, tmp_path: Path) -> None:
        text = "ticker,date,close\nA,2020-01-02,1\nB,soon,1\nB,1999-01-04,1\n"
        delivery = load(source(write(tmp_path / "p.csv", text)))["B"]
        assert (delivery.outcome, delivery.rows) == ("failed", None)
        assert delivery.reason == "no usable row: 1 no readable date, 1 outside the date range"
        assert delivery.dropped == {NO_DATE: 1, OUTSIDE_RANGE: 1}

    def test_unknown_ticker(self, tmp_path: Path) -> None:
        given = source(write(tmp_path / "AAPL.csv", "date,close\n2020-01-02,1\n"))
        assert load(given, ["APPL"])["APPL"].reason == "no file has 'APPL'; did you mean 'AAPL'?"

    def test_a_bad_file_fails_alone(self, tmp_path: Path) -> None:
        write(tmp_path / "GOOD.csv", "date,close\n2020-01-02,1\n")
        write(tmp_path / "EMPTY.csv", "")
        write(tmp_path / "HEADER.csv", "date,close\n")
        write(tmp_path / "WRONG.csv", "date,clsoe\n2020-01-02,1\n")
        write(tmp_path / "BROKEN.parquet", "PAR1 but not really")
        (tmp_path / "LATIN.csv").write_bytes(b"date,close,name\n2020-01-02,1,\xe9t\xe9\n")
        (tmp_path / "GOOD.pq").write_bytes(b"")
        given = source(tmp_path, layout="file_per_ticker")
        assert given.tickers() == ["BROKEN", "EMPTY", "GOOD", "GOOD.pq", "HEADER", "LATIN", "WRONG"]
        deliveries = load(given)
        assert column(deliveries["GOOD"], "close") == [1.0]
        reasons = {
            t: d.reason.replace(f"{tmp_path}{os.sep}", "") for t, d in deliveries.items() if d.outcome == "failed"
        }
        assert reasons.pop("BROKEN").startswith("BROKEN.parquet cannot be read as Parquet: ")
        assert reasons.pop("LATIN") == "LATIN.csv is not UTF-8 text: invalid continuation byte. Save it as UTF-8."
        assert reasons == {
            "EMPTY": "EMPTY.csv is empty (0 bytes).",
            "GOOD.pq": "GOOD.pq is empty (0 bytes).",
            "HEADER": "HEADER.csv has a header but no rows.",
            "WRONG": "WRONG.csv has no column for close; it has 'date', 'clsoe' (did you mean 'clsoe'?)."
            " Set files.columns.close to the right one.",
        }

    def test_a_bad_long_file_is_said_with_every_ticker(self, tmp_path: Path) -> None:
        write(tmp_path / "2020.csv", "ticker,date,close\nA,2020-01-02,1\n")
        write(tmp_path / "2021.csv", "")
        deliveries = load(source(tmp_path))
        assert deliveries["A"].outcome == "loaded"
        assert deliveries["A"].reason.endswith(f"perhaps incomplete: {tmp_path / '2021.csv'} is empty (0 bytes).")
        assert deliveries["2021"].reason == f"{tmp_path / '2021.csv'} is empty (0 bytes)."

    def test_a_file_that_breaks_later_fails_its_tickers(self, tmp_path: Path) -> None:
        path = tmp_path / "p.parquet"
        pl.DataFrame({"ticker": ["A"], "date": [date(2020, 1, 2)], "close": [1.0]}).write_parquet(path)
        given = source(path)
        assert given.tickers() == ["A"]
        path.write_bytes(b"gone")
        assert load(given, ["A"])["A"].reason.startswith(f"{path} cannot be read as Parquet: ")

    def test_columns_of_impossible_types(self, tmp_path: Path) -> None:
        days = pa.array([date(2020, 1, 2)])
        pq.write_table(pa.table({"ticker": ["A"], "date": days, "close": [[1.0]]}), tmp_path / "1.parquet")
        pq.write_table(pa.table({"ticker": [["B"]], "date": days, "close": [1.0]}), tmp_path / "2.parquet")
        pq.write_table(pa.table({"ticker": ["C"], "date": days, "close": [True]}), tmp_path / "3.parquet")
        deliveries = load(source(tmp_path))
        assert sorted(deliveries) == ["2", "A", "C"]
        for name, file in [("A", "1.parquet"), ("2", "2.parquet")]:
            assert deliveries[name].reason.startswith(f"{tmp_path / file} cannot be read as Parquet: ")
        assert column(deliveries["C"], "issue") == ["close: 'true' is not a number"]

    def test_a_second_file_of_a_ticker(self, tmp_path: Path) -> None:
        write(tmp_path / "A.csv", "date,close\n2020-01-02,1\n")
        write(tmp_path / "A.txt", "date,close\n2020-01-02,2\n")
        deliveries = load(source(tmp_path))
        assert column(deliveries["A"], "close") == [1.0]
        assert deliveries["A.txt"].reason == f"{tmp_path / 'A.txt'} is a second file of A, after {tmp_path / 'A.csv'}."

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "is empty (0 bytes)."),
            ("day,close\n", "has a header but no rows."),
            ("x,close\n1,2\n", "has no column for date; it has 'x', 'close'"),
            ("ticker,date,open\nA,2020-01-02,1\n", "has no column for close; it has 'ticker', 'date', 'open'"),
            (
                "date,Close,close\n2020-01-02,1,2\n",
                "has several columns for close: 'Close', 'close'. Set files.columns.close.",
            ),
        ],
    )
    def test_the_only_file_is_bad(self, tmp_path: Path, text: str, said: str) -> None:
        path = write(tmp_path / "p.csv", "ticker," + text if text.startswith("day") else text)
        with pytest.raises(SourceError) as caught:
            source(path).tickers()
        assert str(caught.value).startswith(f"No price file can be read:\n  {path} ")
        assert said in str(caught.value)

    def test_no_ticker_column(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.csv", "date,close\n2020-01-02,1\n")
        with pytest.raises(SourceError, match=r"has no column for ticker; set files.columns.ticker, or files.layout"):
            source(path, layout="long").tickers()

    def test_mapping_errors(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.csv", "date,close\n2020-01-02,1\n")
        with pytest.raises(
            SourceError, match=r"has no column 'Close\*', which files.columns gives for close; did you mean 'close'"
        ):
            source(path, columns={"close": "Close*"}).tickers()
        with pytest.raises(
            SourceError, match=r"files.columns names 'closing', which is not a price column; did you mean 'close'"
        ):
            source(path, columns={"closing": "close"}).tickers()

    def test_paths(self, tmp_path: Path) -> None:
        with pytest.raises(
            SourceError, match=r"files.path is .*nowhere, which does not exist; set it to your price files"
        ):
            source(tmp_path / "nowhere")
        with pytest.raises(SourceError, match=r"where no file ends in .parquet, .pq, .csv"):
            source(tmp_path)
        with pytest.raises(SourceError, match=r"where no file ends in"):
            source(tmp_path / "*.csv")
        with pytest.raises(SourceError, match=r"which is not a price file; its name must end in .parquet"):
            source(write(tmp_path / "p.xlsx", "x"))
        write(tmp_path / "a.csv", "")
        assert find_files(str(tmp_path / "**" / "*.csv")) == [tmp_path / "a.csv"]

    def test_timezone(self, tmp_path: Path) -> None:
        path = write(tmp_path / "A.csv", "date,close\n2020-01-02,1\n")
        with pytest.raises(
            SourceError, match=r"files.timezone is 'New York', which is not a time zone; use a name such as"
        ):
            source(path, timezone="New York")
