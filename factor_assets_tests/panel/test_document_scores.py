"""Numbers from documents by session: which document counts, until when, and that nothing later matters."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets import calendar
from factor_assets.document_columns import SCORES
from factor_assets.panel.document_scores import document_scores
from factor_assets.storage.rows import checksum, conform
from factor_assets.tables import TABLES

SESSIONS = calendar.sessions("XNYS", date(2024, 1, 2), date(2024, 3, 28))
TICKERS = ("A", "B")


def rows_of(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    filled = {f.name: "x" if f.type == pa.string() and not f.nullable else None for f in TABLES[name].schema}
    return pa.Table.from_pylist([{**filled, **row} for row in rows], schema=TABLES[name].schema)


def rating(ticker: str, dated: date, known: date | None, value: float | None, topic: str = "risk_factors") -> Any:
    return {
        "ticker": ticker,
        "report_date": dated,
        "known_from": known,
        "topic": topic,
        "rating": value,
        "document_key": f"{ticker}/{dated}",
    }


def filing(ticker: str, dated: date | None, known: date, **numbers: Any) -> Any:
    return {
        "ticker": ticker,
        "accession": f"{ticker}-{dated}-{known}",
        "report_date": dated,
        "filed": known,
        "known_from": known,
        **numbers,
    }


def sentiment(ticker: str, day: date, value: float | None) -> Any:
    return {"date": day, "ticker": ticker, "sentiment": value}


def scores(
    *,
    sentiments: Any = (),
    ratings: Any = (),
    filings: Any = (),
    sessions: Any = SESSIONS,
    tickers: Any = TICKERS,
    max_age_days: int = 400,
) -> pa.Table:
    return document_scores(
        sessions=sessions,
        tickers=tickers,
        sentiments=rows_of("news_sentiments", list(sentiments)),
        ratings=rows_of("report_ratings", list(ratings)),
        filings=rows_of("filing_texts", list(filings)),
        max_age_days=max_age_days,
        source="test",
    )


def value(rows: pa.Table, column: str, ticker: str, day: date) -> float | None:
    found = [r[column] for r in rows.to_pylist() if r["ticker"] == ticker and r["date"] == day]
    return found[0] if found else None


def naive(documents: list[Any], ticker: str, day: date, column: str, key: str, max_age: int) -> float | None:
    """The last document known, one comparison at a time."""
    last: Any = None
    for document in documents:
        if document["ticker"] != ticker or document["report_date"] is None or document["known_from"] is None:
            continue
        if document["known_from"] <= day:
            order = (document["report_date"], document["known_from"], document[key])
            if last is None or order > (last["report_date"], last["known_from"], last[key]):
                last = document
    if last is None or (day - last["report_date"]).days > max_age:
        return None
    found: float | None = last[column]
    return found


days = st.integers(0, 90).map(lambda n: date(2024, 1, 1) + timedelta(days=n))


class TestAgainstOneComparisonAtATime:
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(TICKERS),
                days,
                st.integers(0, 40),
                st.one_of(st.none(), st.floats(0, 10)),
            ),
            max_size=12,
            unique_by=lambda drawn: drawn[:2],
        ),
        st.integers(5, 60),
    )
    def test_ratings_and_filings(self, drawn: list[Any], max_age: int) -> None:
        ratings = [rating(ticker, day, day + timedelta(days=later), number) for ticker, day, later, number in drawn]
        filings = [
            filing(ticker, day, day + timedelta(days=later), tone=number) for ticker, day, later, number in drawn
        ]
        found = scores(ratings=ratings, filings=filings, max_age_days=max_age)
        for ticker in TICKERS:
            for day in SESSIONS[::7].tolist():
                assert value(found, "rating_risk_factors", ticker, day) == naive(
                    ratings, ticker, day, "rating", "document_key", max_age
                )
                assert value(found, "filing_tone", ticker, day) == naive(
                    filings, ticker, day, "tone", "accession", max_age
                )


class TestProperties:
    def test_sentiment_is_that_of_the_session_alone(self) -> None:
        day = date(2024, 2, 1)
        found = scores(sentiments=[sentiment("A", day, 0.5), sentiment("B", day, None), sentiment("Z", day, 0.1)])
        assert found.select(["date", "ticker", "news_sentiment"]).to_pylist() == [
            {"date": day, "ticker": "A", "news_sentiment": 0.5}
        ]

    def test_a_zero_is_a_number(self) -> None:
        assert scores(sentiments=[sentiment("A", date(2024, 2, 1), 0.0)])["news_sentiment"].to_pylist() == [0.0]

    def test_the_five_topics_and_the_numbers_of_a_filing_are_in_their_columns(self) -> None:
        day = date(2024, 3, 28)
        found = scores(
            ratings=[rating("A", date(2024, 2, 1), date(2024, 2, 2), n, topic) for n, topic in enumerate(SCORES)],
            filings=[
                filing("A", date(2023, 12, 31), date(2024, 2, 5), similarity_cosine=0.9, n_words=1000, tone=-0.25)
            ],
        )
        assert [value(found, f"rating_{topic}", "A", day) for topic in SCORES] == [0, 1, 2, 3, 4]
        assert [value(found, f"filing_{n}", "A", day) for n in ("similarity", "length", "tone")] == [0.9, 1000, -0.25]
        assert min(found["date"].to_pylist()) == date(2024, 2, 2)

    def test_a_later_report_that_lacks_a_rating_is_not_replaced_by_an_earlier_one(self) -> None:
        found = scores(
            ratings=[
                rating("A", date(2024, 1, 3), date(2024, 1, 4), 7.0),
                rating("A", date(2024, 2, 1), date(2024, 2, 2), None),
            ]
        )
        assert value(found, "rating_risk_factors", "A", date(2024, 2, 1)) == 7.0
        assert value(found, "rating_risk_factors", "A", date(2024, 2, 2)) is None

    def test_an_old_filing_that_comes_late_does_not_take_the_place_of_a_newer(self) -> None:
        found = scores(
            filings=[
                filing("A", date(2023, 12, 31), date(2024, 1, 15), tone=0.1),
                filing("A", date(2023, 9, 30), date(2024, 2, 15), tone=0.2),
                filing("A", date(2023, 12, 31), date(2024, 3, 1), tone=0.3),  # amended
            ]
        )
        assert value(found, "filing_tone", "A", date(2024, 2, 20)) == 0.1
        assert value(found, "filing_tone", "A", date(2024, 3, 1)) == 0.3

    def test_a_document_counts_until_it_is_too_old(self) -> None:
        report = [rating("A", date(2024, 1, 3), date(2024, 1, 4), 7.0)]
        found = scores(ratings=report, max_age_days=30)
        assert max(found["date"].to_pylist()) == date(2024, 2, 2)
        assert max(scores(ratings=report, max_age_days=400)["date"].to_pylist()) == date(2024, 3, 28)

    def test_slices_have_the_same_bits_as_the_whole(self) -> None:
        given_documents = everything()
        whole = scores(**given_documents)
        parts = [scores(**given_documents, sessions=SESSIONS[a : a + 13]) for a in range(0, len(SESSIONS), 13)]
        stored = [conform(TABLES["document_scores"], rows) for rows in (whole, pa.concat_tables(parts))]
        assert checksum(stored[0]) == checksum(stored[1])

    @pytest.mark.parametrize("at", [5, 20, 40])
    def test_what_becomes_known_later_changes_nothing(self, at: int) -> None:
        last = SESSIONS[at].item()
        whole = everything()
        cut = {
            "sentiments": [row for row in whole["sentiments"] if row["date"] <= last],
            "ratings": [row for row in whole["ratings"] if row["known_from"] <= last],
            "filings": [row for row in whole["filings"] if row["known_from"] <= last],
        }
        until = SESSIONS[: at + 1]
        assert scores(**cut, sessions=until).equals(scores(**whole, sessions=until))


def everything() -> dict[str, list[Any]]:
    rng = np.random.default_rng(5)
    found: dict[str, list[Any]] = {"sentiments": [], "ratings": [], "filings": []}
    for ticker in TICKERS:
        for row in range(0, len(SESSIONS), 3):
            found["sentiments"].append(sentiment(ticker, SESSIONS[row].item(), float(rng.normal())))
        for n in range(6):
            dated = date(2024, 1, 1) + timedelta(days=int(rng.integers(80)) + n)
            known = dated + timedelta(days=int(rng.integers(1, 20)))
            found["ratings"].append(rating(ticker, dated, known, float(rng.random())))
            found["filings"].append(filing(ticker, dated, known, tone=float(rng.random()), n_words=n))
    return found


class TestErrors:
    def test_what_has_no_session_or_no_date_does_not_count(self) -> None:
        found = scores(
            ratings=[rating("A", date(2024, 2, 1), None, 7.0)],
            filings=[filing("A", None, date(2024, 2, 5), tone=0.1)],
        )
        assert found.num_rows == 0

    def test_without_sessions_there_are_no_rows(self) -> None:
        assert scores(**everything(), sessions=SESSIONS[:0]).num_rows == 0
