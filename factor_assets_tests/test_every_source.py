"""Every registered source of prices keeps the contract of `sources/price_source.py`; a new one is tested for free."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from factor_assets.errors import did_you_mean
from factor_assets.settings import Settings
from factor_assets.sources.price_source import Delivery, PriceSource, open_source, source_names
from factor_assets.storage.rows import conform
from factor_assets.tables import TABLES
from factor_assets_tests.servers.yahoo import Company, fake_yahoo

TABLE = TABLES["price_history"]
START, END = date(2017, 1, 3), date(2017, 12, 29)
UNKNOWN = "NO SUCH TICKER"


def sample_rows() -> pa.Table:
    source = open_source(Settings.model_validate({"data": {"end": END}, "sample": {"tickers": 10}}))
    tickers = source.tickers() or []
    tables = [d.rows for d in source.fetch(tickers[:3], start=START, end=END, stored=never) if d.rows is not None]
    return pa.concat_tables(tables)


def never(ticker: str) -> pa.Table:
    return TABLE.schema.empty_table()


@pytest.fixture(params=source_names())
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[PriceSource, list[str]]]:
    """A source with prices in it, and tickers that it has."""
    settings = {"data": {"source": request.param, "start": START, "end": END}}
    with ExitStack() as stack:
        if request.param == "sample":
            settings["sample"] = {"tickers": 10}
        elif request.param == "files":
            pq.write_table(sample_rows().drop(["source", "issue", "fetched_at"]), tmp_path / "prices.parquet")
            settings["files"] = {"path": str(tmp_path)}
        elif request.param == "yahoo":
            yahoo = stack.enter_context(fake_yahoo(tmp_path))
            settings["yahoo"] = {"requests_per_second": 20, "retries": 0}
            for row in sample_rows().to_pylist():
                company = yahoo.companies.setdefault(row["ticker"], Company(bars={}))
                company.bars[row["date"]] = tuple(row[name] for name in ("open", "high", "low", "close", "volume"))  # type: ignore[assignment]
        else:
            pytest.fail(f"Give source {request.param!r} prices here: a file or a server on loopback.")
        source = open_source(Settings.model_validate(settings))
        yield source, source.tickers() or sorted(yahoo.companies)


def fetch(source: PriceSource, tickers: list[str], stored: dict[str, pa.Table] | None = None) -> list[Delivery]:
    have = stored or {}
    return list(source.fetch(tickers, start=START, end=END, stored=lambda t: have.get(t, TABLE.schema.empty_table())))


class TestProperties:
    def test_rows_are_rows_of_the_table(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, tickers = opened
        deliveries = fetch(source, tickers)
        loaded = [d for d in deliveries if d.rows is not None]
        assert [d.ticker for d in deliveries] == tickers
        assert len(loaded) >= 3
        for delivery in loaded:
            rows = delivery.rows
            assert rows is not None
            assert rows.schema == TABLE.schema
            assert conform(TABLE, rows).equals(rows)  # sorted, and no null where none is allowed
            assert pc.unique(rows["ticker"]).to_pylist() == [delivery.ticker]
            assert pc.unique(rows["source"]).to_pylist() == [source.label]
            assert START <= pc.min(rows["date"]).as_py() <= pc.max(rows["date"]).as_py() <= END
            assert rows["fetched_at"].null_count == 0

    def test_a_second_fetch_changes_nothing(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, tickers = opened
        first = {d.ticker: d for d in fetch(source, tickers)}
        stored = {ticker: d.rows for ticker, d in first.items() if d.rows is not None}
        for again in fetch(source, tickers, stored):
            before = first[again.ticker]
            assert again.dropped == before.dropped
            if again.outcome == "unchanged":
                assert before.outcome == "loaded"
            else:
                assert (again.outcome, again.reason) == (before.outcome, before.reason)
                assert again.rows == before.rows

    def test_order_and_company_do_not_matter(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, tickers = opened
        together = {d.ticker: d for d in fetch(source, tickers)}
        for ticker in tickers[-2:]:
            (alone,) = fetch(source, [ticker])
            assert alone.outcome == together[ticker].outcome
            if alone.rows is not None and together[ticker].rows is not None:
                ours = alone.rows.drop(["fetched_at"])
                assert ours.equals(together[ticker].rows.drop(["fetched_at"]))  # type: ignore[union-attr]

    def test_it_is_lazy(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, tickers = opened
        asked: list[str] = []

        def stored(ticker: str) -> pa.Table:
            asked.append(ticker)
            return TABLE.schema.empty_table()

        next(source.fetch(tickers, start=START, end=END, stored=stored))
        assert len(asked) <= 1

    def test_what_it_says_about_itself(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, _ = opened
        assert source.label
        assert source.synthetic == ("synthetic" in source.label)
        assert source.batch_size >= 1
        assert source.version() == source.version()
        listed = source.tickers()
        assert listed is None or listed == sorted(set(listed))

    def test_fetch_times_are_in_the_past(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, tickers = opened
        for delivery in fetch(source, tickers[:3]):
            assert delivery.rows is not None
            assert pc.max(delivery.rows["fetched_at"]).as_py() < datetime.now(UTC) + timedelta(seconds=1)


class TestErrors:
    def test_a_ticker_that_is_not_there_fails_alone(self, opened: tuple[PriceSource, list[str]]) -> None:
        source, tickers = opened
        good, bad, other = fetch(source, [tickers[0], UNKNOWN, tickers[1]])
        assert (good.outcome, bad.outcome, other.outcome) == ("loaded", "failed", "loaded")
        assert bad.rows is None
        assert bad.reason
        if source.tickers() is not None:
            assert did_you_mean(UNKNOWN, source.tickers() or []) in bad.reason
