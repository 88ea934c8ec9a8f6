"""The archives against a server on loopback that misbehaves."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import DocumentNotFoundError
from factor_assets.settings import SecSettings
from factor_assets.sources.edgar import MOST_FAILURES
from factor_assets.sources.edgar_archives import Archived, EdgarArchives, filing_document, filing_key
from factor_assets.sources.service import SharedPace
from factor_assets.storage.documents import Documents
from factor_assets_tests.servers.edgar import CONTACT, FakeEdgar, fake_edgar

BODY = b"<html>\xff a filing, as delivered\r\n</html>"


def accession(n: int) -> str:
    return f"0000320193-24-{n:06d}"


def path_of(n: int, document: str = "a.htm") -> str:
    return f"/Archives/edgar/data/320193/000032019324{n:06d}/{document}"


class World:
    def __init__(self, edgar: FakeEdgar, home: Path, **settings: Any) -> None:
        self.edgar, self.home = edgar, home
        self.documents = Documents(str(home / "documents"))
        limits = {"requests_per_second": 9, "retries": 0, "timeout": 1, **settings}
        self.settings = SecSettings(contact=CONTACT, archives_url=f"{edgar.url}/", **limits)

    def open(self) -> EdgarArchives:
        return EdgarArchives(self.settings, self.documents, home=self.home, backoff=0.01)

    def fetch(self, *numbers: int, document: str | None = "a.htm", ticker: str = "AAPL") -> list[Archived]:
        with closing(self.open()) as archives:
            return [
                archives.fetch(ticker=ticker, cik="0000320193", accession=accession(n), primary_document=document)
                for n in numbers
            ]


@pytest.fixture
def edgar() -> Iterator[FakeEdgar]:
    with fake_edgar() as server:
        yield server


@pytest.fixture
def world(edgar: FakeEdgar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(SharedPace, "take", lambda *_: 0.0)
    return World(edgar, tmp_path)


class TestAgainstServedDocuments:
    def test_the_bytes_are_kept_as_delivered_and_asked_for_once(self, world: World) -> None:
        world.edgar.hold(path_of(1), BODY)
        assert world.fetch(1) == [Archived("fetched")]
        assert filing_document(world.documents, "AAPL", accession(1)) == BODY
        assert world.fetch(1, 1) == [Archived("kept")] * 2
        assert [info.key for info in world.documents.list()] == [f"sec/filings/AAPL/{accession(1)}.gz"]
        ((_, _, headers),) = world.edgar.asked
        assert headers["user-agent"] == CONTACT

    def test_a_filing_without_a_main_document_comes_as_full_submission(self, world: World) -> None:
        for n, document in ((1, None), (2, "")):
            world.edgar.hold(f"/Archives/edgar/data/320193/{accession(n)}.txt", BODY)
            assert world.fetch(n, document=document) == [Archived("fetched")]

    def test_share_classes_have_one_spelling(self) -> None:
        assert filing_key("BRK.B", accession(1)) == filing_key("BRK-B", accession(1))

    def test_requests_share_the_rate_limit_of_the_service(self, edgar: FakeEdgar, tmp_path: Path) -> None:
        world = World(edgar, tmp_path)
        edgar.hold(path_of(1), BODY)
        world.fetch(1)
        assert (tmp_path / "pace" / "sec_edgar").exists(), "the file that every client of the SEC takes its turn by"


class TestProperties:
    def test_trouble_of_one_filing_leaves_the_rest_and_the_next_run_asks_again(self, world: World) -> None:
        for n in (1, 2, 3, 4):
            world.edgar.hold(path_of(n), BODY)
        del world.edgar.documents[path_of(2)]
        world.edgar.reply_with(path_of(3), 500)
        found = world.fetch(1, 2, 3, 4)
        assert [f.outcome for f in found] == ["fetched", "failed", "failed", "fetched"]
        assert found[1].reason.endswith(f"has no document at {world.edgar.url}{path_of(2)}; the next run asks again.")
        assert found[2].reason == "SEC EDGAR is in trouble (HTTP 500). What was stored is still there; ask again later."
        world.edgar.hold(path_of(2), BODY)
        assert [f.outcome for f in world.fetch(1, 2, 3, 4)] == ["kept", "fetched", "fetched", "kept"]
        assert world.edgar.count()[path_of(1)] == 1

    @pytest.mark.parametrize("trouble", [429, 503, "hang up", (429, {"Retry-After": "0"})])
    def test_passing_trouble_is_waited_for(self, world: World, trouble: Any) -> None:
        world.settings = world.settings.model_copy(update={"retries": 2})
        world.edgar.hold(path_of(1), BODY)
        world.edgar.reply_with(path_of(1), trouble)
        assert world.fetch(1) == [Archived("fetched")]
        assert filing_document(world.documents, "AAPL", accession(1)) == BODY

    def test_a_service_that_is_down_is_left_alone(self, world: World) -> None:
        world.edgar.hold(path_of(99), BODY)
        for n in range(MOST_FAILURES + 3):
            world.edgar.reply_with(path_of(n), 500)
        found = world.fetch(*range(MOST_FAILURES + 3), 99)
        assert {f.outcome for f in found} == {"failed"}
        assert len(world.edgar.asked) == MOST_FAILURES
        assert found[-1].reason.startswith(f"not asked after {MOST_FAILURES} failures in a row; SEC EDGAR is in ")

    def test_missing_documents_are_no_sign_that_it_is_down(self, world: World) -> None:
        world.edgar.hold(path_of(99), BODY)
        assert world.fetch(*range(MOST_FAILURES + 3), 99)[-1] == Archived("fetched")


class TestErrors:
    def test_an_empty_document_is_not_kept(self, world: World) -> None:
        world.edgar.hold(path_of(1), b" \n")
        assert "has an empty document at" in world.fetch(1)[0].reason
        with pytest.raises(DocumentNotFoundError):
            filing_document(world.documents, "AAPL", accession(1))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"cik": "../1"}, "company '../1', which is no number"),
            ({"accession": "../../x"}, "accession number '../../x', which is none"),
            ({"primary_document": "../../a.htm"}, "file name '../../a.htm', which is none"),
            ({"primary_document": "http://x"}, "file name 'http://x', which is none"),
        ],
    )
    def test_names_that_make_no_address_are_not_asked_for(
        self, world: World, changes: dict[str, str], message: str
    ) -> None:
        names: dict[str, Any] = {"cik": "0000320193", "accession": accession(1), "primary_document": "a.htm"}
        with closing(world.open()) as archives:
            found = archives.fetch(ticker="AAPL", **{**names, **changes})
        assert found.outcome == "failed"
        assert message in found.reason
        assert not world.edgar.asked

    def test_a_refusal_says_what_to_do_and_not_who_asked(self, world: World) -> None:
        world.edgar.reply_with(path_of(1), 403)
        (found,) = world.fetch(1)
        assert found.reason.startswith("SEC EDGAR refused (HTTP 403). Set sec.contact")
        assert CONTACT not in found.reason
