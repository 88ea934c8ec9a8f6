"""On which session news are used, and which are one article."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets import calendar
from factor_assets.panel.news import News, article_id, days_of_news, news_rows
from factor_assets.settings import NewsSettings
from factor_assets.sources.articles import ARTICLES
from factor_assets.sources.headlines import read_headlines
from factor_assets.storage.rows import checksum, conform
from factor_assets.tables import TABLES

NY = "XNYS"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


def article(title: str = "Apple rises", **others: Any) -> dict[str, Any]:
    return {"ticker": "AAPL", "title": title, "provider": "files", **others}


def table(*articles: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(articles), schema=ARTICLES)


def made(articles: pa.Table, first: date = date(2023, 1, 3), last: date = date(2024, 12, 31), **others: Any) -> News:
    chosen: dict[str, Any] = {"calendar": NY, "tickers": ["AAPL", "MSFT"], "source": "test", **others}
    return news_rows(articles, sessions=calendar.sessions(chosen["calendar"], first, last), **chosen)


def session_of(**published: Any) -> date | None:
    rows = made(table(article(**published))).rows
    return rows["date"][0].as_py() if rows.num_rows else None


class TestAgainstTheExchange:
    @pytest.mark.parametrize(
        ("moment", "session"),
        [
            (utc(2024, 3, 5, 20, 59, 59), date(2024, 3, 5)),  # a second before the close
            (utc(2024, 3, 5, 21), date(2024, 3, 6)),  # the close itself
            (utc(2024, 3, 6, 2), date(2024, 3, 6)),  # in the evening of New York
            (utc(2024, 3, 8, 22), date(2024, 3, 11)),  # Friday after the close
            (utc(2024, 3, 9, 12), date(2024, 3, 11)),  # Saturday
            (utc(2024, 3, 11, 19, 59), date(2024, 3, 11)),  # summer time: the close is at 20:00
            (utc(2024, 3, 11, 20), date(2024, 3, 12)),
            (utc(2024, 7, 3, 16, 59), date(2024, 7, 3)),  # early close at 17:00
            (utc(2024, 7, 3, 17), date(2024, 7, 5)),  # and the holiday after it
            (utc(2024, 7, 4, 15), date(2024, 7, 5)),
        ],
    )
    def test_a_moment_belongs_to_the_first_session_that_closes_later(self, moment: datetime, session: date) -> None:
        assert session_of(published_at=moment) == session

    @pytest.mark.parametrize(
        ("day", "session"),
        [
            (date(2024, 3, 5), date(2024, 3, 6)),
            (date(2024, 3, 8), date(2024, 3, 11)),
            (date(2024, 3, 9), date(2024, 3, 11)),
            (date(2024, 7, 3), date(2024, 7, 5)),
        ],
    )
    def test_a_day_belongs_to_the_session_after_it(self, day: date, session: date) -> None:
        assert session_of(published_on=day) == session

    def test_the_day_of_a_moment_is_that_of_the_exchange(self) -> None:
        rows = made(table(article(published_at=utc(2024, 3, 6, 2)))).rows
        assert rows["published_on"].to_pylist() == [date(2024, 3, 5)]

    def test_another_exchange_has_other_closes(self) -> None:
        articles = table(article(published_at=utc(2024, 3, 5, 7)))
        assert made(articles, calendar="XTKS").rows["date"].to_pylist() == [date(2024, 3, 6)]
        assert made(articles, calendar=NY).rows["date"].to_pylist() == [date(2024, 3, 5)]

    def test_days_asked_for_are_all_whose_news_a_session_may_use(self) -> None:
        monday = np.array(["2024-03-11"], "datetime64[D]")
        assert days_of_news(NY, monday).tolist() == [date(2024, 3, day) for day in (8, 9, 10, 11)]
        assert len(days_of_news(NY, monday[:0])) == 0

    def test_real_tweets_are_used_after_they_were_written(self, shared_data: Path) -> None:
        path = shared_data / "news" / "stock_tweets_2015h2.parquet"
        if not path.is_file():
            pytest.skip(f"{path.name} is not in the real market data")
        chosen = NewsSettings(source="files", path=str(path), columns={"published": "created_at", "content": "text"})
        articles = read_headlines(chosen, calendar=NY).rows
        tickers = set(articles["ticker"].to_pylist())
        found = made(articles, date(2015, 6, 1), date(2016, 6, 1), tickers=tickers)
        assert found.rows.num_rows + found.dropped["repeated on the session"] == articles.num_rows
        assert found.rows.num_rows > 20_000
        for row in found.rows.slice(0, 2000).to_pylist():
            close = calendar.close_time(NY, row["date"])
            assert row["published_at"] < close
            assert row["published_at"] >= calendar.close_time(NY, calendar.previous_session(NY, row["date"]))


class TestProperties:
    def test_prints_of_one_text_are_used_once_a_ticker_and_session(self) -> None:
        found = made(
            table(
                article(" Apple  RISES", published_at=utc(2024, 3, 5, 15), url="late"),
                article("Apple rises", published_at=utc(2024, 3, 5, 14), url="early"),
                article("Apple rises", published_at=utc(2024, 3, 5, 14), url="also"),
                article("Apple rises", published_at=utc(2024, 3, 6, 14), url="next"),
                article("Apple rises", published_at=utc(2024, 3, 5, 14), ticker="MSFT", url="other"),
                article("Apple falls", published_at=utc(2024, 3, 5, 14), url="another text"),
            )
        )
        assert sorted(found.rows["url"].to_pylist()) == ["also", "another text", "next", "other"]
        assert found.dropped == {"repeated on the session": 2}

    def test_title_and_content_are_not_confused(self) -> None:
        assert article_id("a b", None) != article_id("a", "b")
        assert article_id("\uff26\uff35LL  Width\n", "") == article_id("full width", None)

    def test_other_tickers_are_left_out_and_counted(self) -> None:
        found = made(table(article(published_on=date(2024, 3, 5), ticker="ZZZ")))
        assert found.rows.num_rows == 0
        assert found.dropped == {"of another ticker": 1}

    def test_an_answer_for_a_day_changes_no_session_that_had_closed_before(self) -> None:
        monday = date(2024, 3, 11)
        found = made(
            table(
                *(
                    article(f"{n}", published_at=moment, asked_on=monday)
                    for n, moment in enumerate(
                        [
                            utc(2024, 3, 8, 19),  # used on Friday: the past would change
                            utc(2024, 3, 9, 12),  # used on Monday itself
                            utc(2024, 3, 11, 22),  # used on Tuesday
                            utc(2024, 3, 12, 22),  # used on Wednesday: that session does not ask for Monday
                        ]
                    )
                )
            )
        )
        assert sorted(found.rows["date"].to_pylist()) == [monday, date(2024, 3, 12)]
        assert found.dropped == {"of another day than asked for": 2}

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 28 * 86_400).map(lambda second: utc(2024, 3, 1) + timedelta(seconds=second)),
                st.booleans(),
                st.sampled_from(["AAPL", "MSFT"]),
                st.sampled_from("abc"),
                st.one_of(st.none(), st.integers(-3, 3)),
            ),
            max_size=25,
        ),
        st.randoms(use_true_random=False),
        st.integers(2, 18),
    )
    def test_slices_and_order_make_the_same_bits(self, drawn: list[Any], random: Any, cut: int) -> None:
        articles = [
            article(
                title,
                ticker=ticker,
                url=str(number),
                asked_on=None if offset is None else moment.date() + timedelta(days=offset),
                **({"published_at": moment} if timed else {"published_on": moment.date()}),
            )
            for number, (moment, timed, ticker, title, offset) in enumerate(drawn)
        ]
        whole = made(table(*articles), date(2024, 3, 1), date(2024, 3, 28)).rows
        random.shuffle(articles)
        sessions = calendar.sessions(NY, date(2024, 3, 1), date(2024, 3, 28))
        at = sessions[cut].item()
        parts = [
            # A session asks for its own days only; what others ask for must make no difference.
            made(table(*articles), date(2024, 3, 1), sessions[cut - 1].item()).rows,
            made(table(*_asked_within(articles, sessions[cut:])), at, date(2024, 3, 28)).rows,
        ]
        stored = conform(TABLES["news"], whole)
        assert checksum(stored) == checksum(conform(TABLES["news"], pa.concat_tables(parts)))
        if whole.num_rows:
            assert min(whole["date"].to_pylist()) >= date(2024, 3, 1)


def _asked_within(articles: list[dict[str, Any]], sessions: Any) -> list[dict[str, Any]]:
    days = set(days_of_news(NY, sessions).tolist())
    return [entry for entry in articles if entry["asked_on"] is None or entry["asked_on"] in days]


class TestErrors:
    def test_an_article_without_any_session_is_not_used(self) -> None:
        assert session_of(published_on=date(2099, 1, 1)) is None
