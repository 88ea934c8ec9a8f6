"""Headlines of the user: how columns and dates are read, what is left out, and the real files."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factor_assets.errors import SourceError
from factor_assets.settings import NewsSettings
from factor_assets.sources.articles import Articles
from factor_assets.sources.headlines import headlines_version, read_headlines


def read(path: Path, *, calendar: str = "XNYS", **columns: str) -> Articles:
    return read_headlines(NewsSettings(source="files", path=str(path), columns=columns), calendar=calendar)


def written(folder: Path, *lines: str, name: str = "news.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def one(path: Path, **options: Any) -> dict[str, Any]:
    (row,) = read(path, **options).rows.to_pylist()
    return row


class TestAgainstTheFile:
    @pytest.mark.parametrize(
        ("published", "at", "on"),
        [
            ("2024-03-05", None, date(2024, 3, 5)),
            ("2024-03-05T00:00:00Z", None, date(2024, 3, 5)),
            ("2024-03-05 14:30:00", datetime(2024, 3, 5, 19, 30, tzinfo=UTC), None),
            ("2024-03-05T14:30:00Z", datetime(2024, 3, 5, 14, 30, tzinfo=UTC), None),
            ("2024-03-05T14:30:00+02:00", datetime(2024, 3, 5, 12, 30, tzinfo=UTC), None),
            ('"Tue, 05 Mar 2024 14:30:00 GMT"', datetime(2024, 3, 5, 14, 30, tzinfo=UTC), None),
            ('"MAR 05, 2024"', None, date(2024, 3, 5)),
        ],
    )
    def test_text_is_read_as_a_day_or_a_moment(
        self, tmp_path: Path, published: str, at: datetime | None, on: date | None
    ) -> None:
        row = one(written(tmp_path, "ticker,published,title", f"AAPL,{published},Apple rises"))
        assert (row["published_at"], row["published_on"]) == (at, on)

    def test_a_time_without_a_zone_is_in_the_exchange_s(self, tmp_path: Path) -> None:
        path = written(tmp_path, "ticker,published,title", "A,2024-03-05 14:30:00,t")
        assert one(path, calendar="XTKS")["published_at"] == datetime(2024, 3, 5, 5, 30, tzinfo=UTC)

    def test_timestamps_of_parquet_are_read_like_text(self, tmp_path: Path) -> None:
        moments = [datetime(2024, 3, 5, 14, 30, tzinfo=UTC), datetime(2024, 3, 5, tzinfo=UTC), None]
        for zone, hour in ((None, 19), ("UTC", 14)):
            path = tmp_path / f"{zone}.parquet"
            given = {
                "ticker": ["A", "B", "C"],
                "published": pa.array(moments, pa.timestamp("ns", tz="UTC")).cast(pa.timestamp("ns", tz=zone)),
            }
            pq.write_table(pa.table({**given, "title": ["x", "y", "z"]}), path)
            found = read(path)
            assert found.rows["published_at"].to_pylist() == [datetime(2024, 3, 5, hour, 30, tzinfo=UTC), None]
            assert found.rows["published_on"].to_pylist() == [None, date(2024, 3, 5)]
            assert found.dropped == {"no date": 1}

    def test_columns_are_those_that_the_settings_name(self, tmp_path: Path) -> None:
        path = written(tmp_path, "sym;when;head;link;body", "A;2024-03-05;t;u;c")
        row = one(path, ticker="sym", published="when", title="head", url="link", content="body")
        assert [row[name] for name in ("ticker", "title", "url", "content", "provider")] == [
            "A",
            "t",
            "u",
            "c",
            "files",
        ]

    def test_what_cannot_be_used_is_counted_by_reason(self, tmp_path: Path) -> None:
        path = written(
            tmp_path,
            "ticker,published,title,content",
            "A,2024-03-05,t,",
            "A,14 HOURS AGO,t,",
            "A,yesterday,t,",
            "A,soon,t,",
            "A,,t,",
            ",2024-03-05,t,",
            "A,2024-03-05, ,",
            "A,2024-03-05,t",
        )
        found = read(path)
        assert found.rows.num_rows == 1
        assert found.dropped == {
            "wrong number of cells": 1,
            "a relative date": 2,
            "a date that cannot be read": 1,
            "no date": 1,
            "no ticker": 1,
            "no text": 1,
        }

    @pytest.mark.parametrize(
        ("name", "columns", "rows", "dropped"),
        [
            ("fnspid_headlines_a_aa_aapl", {"published": "date", "title": "headline"}, 4507, {"no date": 190}),
            (
                "fnspid_headlines_a_aa_aapl",
                {"published": "date_raw", "title": "headline"},
                4507,
                {"a relative date": 190},
            ),
            ("stock_headlines_2019_2021", {"published": "date", "title": "headline"}, 9888, {"no text": 20}),
            ("stock_tweets_2015h2", {"published": "created_at", "content": "text"}, 26342, {}),
        ],
    )
    def test_real_files(
        self, shared_data: Path, name: str, columns: dict[str, str], rows: int, dropped: dict[str, int]
    ) -> None:
        path = shared_data / "news" / f"{name}.parquet"
        if not path.is_file():
            pytest.skip(f"{path.name} is not in the real market data")
        found = read(path, **columns)
        assert found.rows.num_rows == rows
        assert found.dropped == dropped


class TestProperties:
    def test_a_raw_date_and_its_reading_give_the_same_articles(self, shared_data: Path) -> None:
        path = shared_data / "news" / "fnspid_headlines_a_aa_aapl.parquet"
        if not path.is_file():
            pytest.skip(f"{path.name} is not in the real market data")
        assert read(path, published="date", title="headline").rows.equals(
            read(path, published="date_raw", title="headline").rows
        )

    def test_the_version_follows_the_file(self, tmp_path: Path) -> None:
        path = written(tmp_path, "ticker,published,title", "A,2024-03-05,t")
        chosen = NewsSettings(source="files", path=str(path))
        before = headlines_version(chosen)
        assert headlines_version(chosen) == before
        written(tmp_path, "ticker,published,title", "A,2024-03-05,other")
        assert headlines_version(chosen) != before
        path.unlink()
        assert headlines_version(chosen) == "absent"


class TestErrors:
    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"news.path is .*absent.csv, which is no file; set it to your headlines"):
            read(tmp_path / "absent.csv")

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"the name of a file of headlines ends in .parquet"):
            read(written(tmp_path, "x", name="news.json"))

    def test_a_column_that_is_missing_names_the_nearest(self, tmp_path: Path) -> None:
        path = written(tmp_path, "ticker,publish_date,title", "A,2024-03-05,t")
        with pytest.raises(SourceError, match=r"no column 'published' for published; .*'publish_date'.* news.columns"):
            read(path)

    def test_a_mapping_of_a_column_that_is_not_ours(self, tmp_path: Path) -> None:
        path = written(tmp_path, "ticker,published,title", "A,2024-03-05,t")
        with pytest.raises(SourceError, match=r"news.columns names 'titel', which is not ours; did you mean 'title'"):
            read(path, titel="title")

    def test_a_file_without_any_text(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"no column for title or content; it has ticker, published"):
            read(written(tmp_path, "ticker,published", "A,2024-03-05"))
