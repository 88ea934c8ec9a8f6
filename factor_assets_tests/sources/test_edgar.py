"""The EDGAR client: raw documents kept as delivered, against a server on loopback and the real files."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import DocumentNotFoundError, MalformedDataError, ServiceError
from factor_assets.settings import SecSettings
from factor_assets.sources.edgar import (
    MOST_FAILURES,
    EdgarClient,
    Fetched,
    document_version,
    latest,
    older_submissions,
    spelled,
)
from factor_assets.storage.documents import Documents
from factor_assets_tests.servers.edgar import (
    COMPANY_TICKERS,
    CONTACT,
    FakeEdgar,
    columns,
    company_facts,
    facts_path,
    fake_edgar,
    filing,
    submissions,
    submissions_path,
)

MORNING = datetime(2024, 5, 6, 1, 0, tzinfo=UTC)
COMPANIES = {"AAA": 1, "BRK-B": 2, "CCC": 3}


@pytest.fixture
def edgar() -> Iterator[FakeEdgar]:
    with fake_edgar() as server:
        server.list_companies(COMPANIES)
        for cik in COMPANIES.values():
            server.list_filings(cik, filing(f"{cik:010d}-24-000001", "2024-05-03T10:00:46"))
            server.hold(facts_path(cik), company_facts(cik))
        yield server


class Home:
    """A home folder, and clients on it at the times that the test sets."""

    def __init__(self, edgar: FakeEdgar, folder: Path, stack: ExitStack) -> None:
        self.edgar, self.folder, self._stack = edgar, folder, stack
        self.now = MORNING
        self.documents = Documents(str(folder / "documents"))

    def client(self, **changes: Any) -> EdgarClient:
        settings = SecSettings(
            contact=CONTACT,
            data_url=self.edgar.url,
            archives_url=self.edgar.url,
            requests_per_second=9,
            **{"retries": 2, "timeout": 0.5, **changes},
        )
        client = EdgarClient(settings, self.documents, home=self.folder, now=lambda: self.now, backoff=0.01)
        return self._stack.enter_context(closing(client))

    def fetch(self, *tickers: str, again: bool = False) -> list[str]:
        """Fetch with a new client, as a new process would; return the outcomes."""
        return [found.outcome for found in self.results(*tickers, again=again)]

    def results(self, *tickers: str, again: bool = False) -> list[Fetched]:
        return list(self.client().fetch(tickers, again=again))

    def keys(self, prefix: str = "sec") -> list[str]:
        return sorted(info.key for info in self.documents.list(prefix) if info.key.endswith(".gz"))


@pytest.fixture
def home(edgar: FakeEdgar, tmp_path: Path) -> Iterator[Home]:
    with ExitStack() as stack:
        yield Home(edgar, tmp_path, stack)


class TestAgainstServedDocuments:
    def test_documents_are_kept_as_delivered_by_ticker_and_day(self, home: Home) -> None:
        odd = b'{"cik": 1,\r\n  "facts" : {}, "caf\\u00e9": 1.10}\n'
        home.edgar.hold(facts_path(1), odd)
        assert home.fetch("AAA") == ["fetched", "fetched"]
        assert home.keys() == [
            "sec/company_tickers/2024-05-06.json.gz",
            "sec/companyfacts/AAA/2024-05-06.json.gz",
            "sec/submissions/AAA/2024-05-06.json.gz",
        ]
        assert gzip.decompress(home.documents.get("sec/companyfacts/AAA/2024-05-06.json.gz")) == odd
        assert latest(home.documents, "companyfacts", "AAA") == odd

    @pytest.mark.parametrize("validates", [True, False])
    def test_an_unchanged_answer_stores_nothing(self, home: Home, validates: bool) -> None:
        home.edgar.validates = validates
        home.fetch("AAA")
        before = home.keys("sec/companyfacts") + home.keys("sec/submissions")
        home.now += timedelta(days=1)
        assert home.fetch("AAA") == ["unchanged", "unchanged"]
        assert home.keys("sec/companyfacts") + home.keys("sec/submissions") == before
        assert ("if-none-match" in home.edgar.asked[-1][2]) == validates

    def test_a_changed_answer_is_stored_beside_the_old_one(self, home: Home) -> None:
        home.fetch("AAA")
        version = document_version(home.documents, "AAA")
        home.edgar.hold(facts_path(1), company_facts(1, assets=200.0))
        home.now += timedelta(days=1)
        assert home.fetch("AAA") == ["fetched", "unchanged"]
        assert len(home.keys("sec/companyfacts/AAA")) == 2
        assert json.loads(latest(home.documents, "companyfacts", "AAA")) == company_facts(1, assets=200.0)
        assert document_version(home.documents, "AAA") != version

    def test_two_changes_on_a_day_are_both_kept(self, home: Home) -> None:
        home.fetch("AAA")
        for hour in (16, 17):
            home.now = MORNING.replace(hour=hour)
            home.edgar.hold(facts_path(1), company_facts(1, assets=float(hour)))
            assert home.fetch("AAA", again=True)[0] == "fetched"
            assert json.loads(latest(home.documents, "companyfacts", "AAA")) == company_facts(1, assets=float(hour))
        assert len(home.keys("sec/companyfacts/AAA")) == 3

    def test_a_day_is_asked_for_once_unless_again(self, home: Home) -> None:
        home.fetch("AAA")
        requests = len(home.edgar.asked)
        assert home.fetch("AAA") == ["unchanged", "unchanged"]
        assert len(home.edgar.asked) == requests
        home.fetch("AAA", again=True)
        assert len(home.edgar.asked) == requests + 2

    def test_older_filings_are_fetched_when_their_list_changes(self, home: Home) -> None:
        name = "CIK0000000001-submissions-001.json"
        entry = {"name": name, "filingCount": 1, "filingFrom": "2001-01-01", "filingTo": "2001-01-01"}
        recent = [filing("0000000001-24-000001", "2024-05-03T10:00:46")]
        home.edgar.hold(submissions_path(1), submissions(1, recent, files=[entry]))
        older = columns([filing("0000000001-01-000001", "2001-01-01T10:00:00")])
        home.edgar.hold(f"/submissions/{name}", older)
        home.fetch("AAA")
        assert [json.loads(content) for content in older_submissions(home.documents, "AAA")] == [older]
        home.now += timedelta(days=1)
        home.fetch("AAA")
        assert home.edgar.count()[f"/submissions/{name}"] == 1
        entry = {**entry, "filingCount": 2}
        older = columns([filing(f"0000000001-01-00000{i}", "2001-01-01T10:00:00") for i in (1, 2)])
        home.edgar.hold(submissions_path(1), submissions(1, recent, files=[entry]))
        home.edgar.hold(f"/submissions/{name}", older)
        home.now += timedelta(days=1)
        assert home.fetch("AAA")[1] == "fetched"
        assert [json.loads(content) for content in older_submissions(home.documents, "AAA")] == [older]
        assert json.loads(latest(home.documents, "submissions", "AAA"))["filings"]["files"] == [entry]

    @pytest.mark.parametrize("ticker", ["BRK.B", "BRK-B", "BRK/B", "brk.b "])
    def test_share_classes_are_found_however_they_are_spelled(self, home: Home, ticker: str) -> None:
        assert spelled(ticker) == "BRK-B"
        assert home.fetch(ticker) == ["fetched", "fetched"]
        assert latest(home.documents, "companyfacts", ticker) == home.edgar.documents[facts_path(2)]

    def test_the_list_of_companies_is_asked_for_once_a_day(self, home: Home) -> None:
        for _ in range(2):
            home.fetch("AAA", "CCC")
        assert home.edgar.count()[COMPANY_TICKERS] == 1
        home.now += timedelta(days=1)
        home.edgar.reply_with(COMPANY_TICKERS, *[500] * 3)
        assert home.fetch("AAA") == ["unchanged", "unchanged"]

    def test_real_documents_come_back_bit_for_bit(self, home: Home, shared_data: Path) -> None:
        raw = {
            path: gzip.decompress((shared_data / "edgar" / folder / "CIK0000320193.json.gz").read_bytes())
            for path, folder in ((facts_path(320193), "companyfacts"), (submissions_path(320193), "submissions"))
        }
        home.edgar.list_companies({"AAPL": 320193})
        home.edgar.documents |= raw
        name = json.loads(raw[submissions_path(320193)])["filings"]["files"][0]["name"]
        home.edgar.hold(f"/submissions/{name}", columns([]))
        assert home.fetch("AAPL") == ["fetched", "fetched"]
        assert latest(home.documents, "companyfacts", "AAPL") == raw[facts_path(320193)]
        assert latest(home.documents, "submissions", "AAPL") == raw[submissions_path(320193)]


class TestProperties:
    @pytest.mark.parametrize("trouble", [500, 429, "hang up", "silence", "drip", b'{"cik": 1', b""], ids=str)
    def test_trouble_loses_nothing_and_doubles_nothing(self, home: Home, trouble: object) -> None:
        for path in (COMPANY_TICKERS, facts_path(1), submissions_path(3)):
            home.edgar.reply_with(path, trouble)
        assert set(home.fetch("AAA", "CCC")) == {"fetched"}
        assert len(home.keys()) == 5
        for ticker, cik in (("AAA", 1), ("CCC", 3)):
            assert latest(home.documents, "companyfacts", ticker) == home.edgar.documents[facts_path(cik)]
            assert latest(home.documents, "submissions", ticker) == home.edgar.documents[submissions_path(cik)]

    def test_a_ticker_that_fails_holds_up_no_other_and_is_asked_for_again(self, home: Home) -> None:
        home.edgar.reply_with(facts_path(1), *[500] * 3)
        results = home.results("AAA", "CCC")
        assert [found.outcome for found in results] == ["failed", "fetched", "fetched", "fetched"]
        assert results[0].reason.startswith("SEC EDGAR is in trouble (HTTP 500), 3 times")
        requests = len(home.edgar.asked)
        assert home.fetch("AAA", "CCC") == ["fetched", "unchanged", "unchanged", "unchanged"]
        assert len(home.edgar.asked) == requests + 1

    def test_a_kill_midway_loses_nothing_and_the_rest_is_asked_for(self, home: Home) -> None:
        tickers = {f"T{i:02d}": 100 + i for i in range(12)}
        home.edgar.list_companies(tickers)
        for cik in tickers.values():
            home.edgar.list_filings(cik, filing(f"{cik:010d}-24-000001", "2024-05-03T10:00:46"))
            home.edgar.hold(facts_path(cik), company_facts(cik))
        program = (
            "from datetime import datetime\nfrom pathlib import Path\n"
            "from factor_assets.settings import SecSettings\n"
            "from factor_assets.sources.edgar import EdgarClient\n"
            "from factor_assets.storage.documents import Documents\n"
            f"s = SecSettings(contact='c', data_url={home.edgar.url!r}, archives_url={home.edgar.url!r},"
            " requests_per_second=9)\n"
            f"c = EdgarClient(s, Documents({home.documents.root!r}), home=Path({str(home.folder)!r}),"
            f" now=lambda: datetime.fromisoformat({home.now.isoformat()!r}))\n"
            f"list(c.fetch({sorted(tickers)!r}))\n"
        )
        worker = subprocess.Popen([sys.executable, "-c", program])
        deadline = time.monotonic() + 60
        while len(home.edgar.asked) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.kill()
        worker.wait()
        before = home.edgar.count()
        assert 10 <= sum(before.values()) < 25
        outcomes = home.fetch(*sorted(tickers))
        after = home.edgar.count()
        assert set(outcomes) <= {"fetched", "unchanged"}
        assert len(home.keys()) == 1 + 2 * len(tickers)
        # Only what was under way when it was killed may have been asked for twice.
        assert set(after) == {
            COMPANY_TICKERS,
            *map(facts_path, tickers.values()),
            *map(submissions_path, tickers.values()),
        }
        assert sum(after.values()) <= 1 + 2 * len(tickers) + 1

    def test_documents_without_their_validators_are_asked_for_and_not_doubled(self, home: Home) -> None:
        home.fetch("AAA")
        for kind in ("companyfacts", "submissions"):
            (home.folder / "documents" / "sec" / kind / "AAA" / "state.json").write_text("{torn")
        assert home.fetch("AAA") == ["unchanged", "unchanged"]
        assert len(home.keys()) == 3

    def test_validators_without_their_document_do_not_hide_it(self, home: Home) -> None:
        home.fetch("AAA")
        (home.folder / "documents" / "sec" / "companyfacts" / "AAA" / "2024-05-06.json.gz").unlink()
        home.now += timedelta(days=1)
        assert home.fetch("AAA") == ["fetched", "unchanged"]

    def test_a_poll_stores_nothing(self, home: Home) -> None:
        client = home.client()
        answer = client.poll("AAA", {})
        assert answer is not None
        assert answer.content == home.edgar.documents[submissions_path(1)]
        again = client.poll("AAA", answer.validators)
        assert again is not None
        assert again.outcome == "unchanged"
        assert client.poll("ZZZ", {}) is None
        assert home.keys() == ["sec/company_tickers/2024-05-06.json.gz"]


class TestErrors:
    def test_what_the_sec_does_not_have_is_an_answer(self, home: Home) -> None:
        del home.edgar.documents[facts_path(1)]
        results = home.results("ZZZ", "AAA")
        assert [found.outcome for found in results] == ["absent", "absent", "absent", "fetched"]
        assert [found.reason for found in results] == [
            *["SEC EDGAR lists no company of that ticker"] * 2,
            "SEC EDGAR has none of company 0000000001",
            "",
        ]
        assert home.fetch("AAA") == ["absent", "unchanged"]
        home.now += timedelta(days=1)
        home.edgar.hold(facts_path(1), company_facts(1))
        assert home.fetch("AAA") == ["fetched", "unchanged"]

    def test_a_service_that_is_down_is_left_alone(self, home: Home) -> None:
        home.client(retries=0).company_tickers()
        for path in map(facts_path, COMPANIES.values()):
            home.edgar.reply_with(path, *[500] * 9)
        for path in map(submissions_path, COMPANIES.values()):
            home.edgar.reply_with(path, *[500] * 9)
        results = list(home.client(retries=0).fetch(sorted(COMPANIES)))
        assert [found.outcome for found in results] == ["failed"] * 6
        assert results[-1].reason.startswith(f"not asked after {MOST_FAILURES} failures in a row; SEC EDGAR is in")
        assert len(home.edgar.asked) == 1 + MOST_FAILURES

    def test_without_a_list_of_companies_nothing_can_be_asked(self, home: Home) -> None:
        home.edgar.reply_with(COMPANY_TICKERS, *[503] * 3)
        with pytest.raises(ServiceError, match=r"SEC EDGAR is in trouble \(HTTP 503\)"):
            home.fetch("AAA")

    @pytest.mark.parametrize("content", [b"[]", b'{"0": {"ticker": "A"}}', b'{"0": {"cik_str": "x", "ticker": "A"}}'])
    def test_another_list_of_companies_is_refused(self, home: Home, content: bytes) -> None:
        home.edgar.hold(COMPANY_TICKERS, content)
        with pytest.raises(MalformedDataError, match="wanted entries with ticker and cik_str"):
            home.fetch("AAA")

    @pytest.mark.parametrize("files", [None, [{"name": "../../etc/passwd"}], [{}]])
    def test_other_submissions_fail_for_their_ticker_alone(self, home: Home, files: Any) -> None:
        whole = submissions(1, [])
        whole["filings"]["files"] = files
        home.edgar.hold(submissions_path(1), whole)
        assert home.fetch("AAA", "CCC") == ["fetched", "failed", "fetched", "fetched"]

    def test_nothing_stored_says_what_to_make(self, home: Home) -> None:
        with pytest.raises(DocumentNotFoundError, match="make sec_documents for the ticker first"):
            latest(home.documents, "companyfacts", "AAA")
