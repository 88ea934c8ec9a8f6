"""The polite HTTP client, against a server on loopback that misbehaves on demand."""

import itertools
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import ServiceError
from factor_assets.sources.service import Service, SharedPace
from factor_assets_tests.servers.edgar import CONTACT, FakeEdgar, fake_edgar

PATH = "/document.json"
BODY = b'{"a": [1, 2]}'


@pytest.fixture
def edgar() -> Iterator[FakeEdgar]:
    with fake_edgar() as server:
        server.hold(PATH, BODY)
        yield server


Open = Callable[..., Service]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Open]:
    """How to open a client, with changes of its options; it is closed after the test."""
    with ExitStack() as stack:

        def opened(**changes: Any) -> Service:
            options: dict[str, Any] = {
                "section": "sec",
                "home": tmp_path,
                "headers": {"User-Agent": CONTACT},
                "refused": "Set sec.contact.",
                "requests_per_second": 1000.0,
                "retries": 2,
                "timeout": 5.0,
                "backoff": 0.01,
                **changes,
            }
            return stack.enter_context(closing(Service("SEC EDGAR", **options)))

        yield opened


class TestAgainstServedDocuments:
    def test_the_body_comes_whole_with_its_validators(self, edgar: FakeEdgar, service: Open) -> None:
        answer = service().get(edgar.url + PATH)
        assert (answer.outcome, answer.content) == ("new", BODY)
        assert set(answer.validators) == {"etag"}
        assert edgar.asked[0][2]["user-agent"] == CONTACT

    def test_an_unchanged_document_is_not_sent_again(self, edgar: FakeEdgar, service: Open) -> None:
        client = service()
        first = client.get(edgar.url + PATH)
        assert client.get(edgar.url + PATH, validators=first.validators).outcome == "unchanged"
        edgar.hold(PATH, b"[3]")
        assert client.get(edgar.url + PATH, validators=first.validators).content == b"[3]"

    def test_what_is_not_there_is_absent_at_once(self, edgar: FakeEdgar, service: Open) -> None:
        assert service().get(f"{edgar.url}/nothing.json").outcome == "absent"
        assert len(edgar.asked) == 1

    @pytest.mark.parametrize(
        "trouble",
        [500, 503, 429, (429, {"Retry_After": "0"}), "hang up", "silence", "drip", "drip headers", b'{"a": [1', b""],
        ids=str,
    )
    def test_trouble_that_passes_costs_nothing_but_time(self, edgar: FakeEdgar, service: Open, trouble: object) -> None:
        edgar.reply_with(PATH, trouble)
        answer = service(timeout=0.25).get(edgar.url + PATH)
        assert answer.content == BODY
        assert len(edgar.asked) == 2

    def test_a_pause_that_is_asked_for_is_kept_by_all(self, edgar: FakeEdgar, service: Open) -> None:
        edgar.reply_with(PATH, (429, {"Retry_After": "1"}))
        with pytest.raises(ServiceError):
            service(retries=0).get(edgar.url + PATH)
        service().get(edgar.url + PATH)
        assert edgar.asked[1][0] - edgar.asked[0][0] >= 1.0


class TestProperties:
    def test_the_rate_holds_over_four_processes(self, edgar: FakeEdgar, tmp_path: Path) -> None:
        rate, each = 8.0, 6
        program = (
            "from pathlib import Path\n"
            "from factor_assets.sources.service import Service\n"
            f"s = Service('SEC EDGAR', home=Path({str(tmp_path)!r}), section='sec', headers={{}}, refused='',"
            f" requests_per_second={rate}, retries=0, timeout=20)\n"
            f"for _ in range({each}): s.get({edgar.url + PATH!r})\n"
        )
        workers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(4)]
        assert [worker.wait(60) for worker in workers] == [0] * 4
        moments = sorted(moment for moment, _, _ in edgar.asked)
        assert len(moments) == 4 * each
        busiest = max(sum(start <= m < start + 1.0 for m in moments) for start in moments)
        # 8 go out in a second; under load one more may arrive in it, for not all take equally long. The SEC allows 10.
        assert busiest <= rate + 1
        assert moments[-1] - moments[0] >= (4 * each - 1) / rate - 0.1

    @pytest.mark.parametrize("rate", [20.0, 100.0])
    def test_the_pace_follows_the_rate(self, tmp_path: Path, rate: float) -> None:
        pace = SharedPace(tmp_path / "pace" / "service", rate)
        began = time.monotonic()
        for _ in range(11):
            pace.take()
        assert 10 / rate <= time.monotonic() - began < 10 / rate + 0.5

    @pytest.mark.parametrize("held", ["", "torn", "9e99"])
    def test_a_damaged_file_or_a_clock_set_back_stops_nothing(self, tmp_path: Path, held: str) -> None:
        (tmp_path / "service").write_text(held)
        assert SharedPace(tmp_path / "service", 100.0).take() == 0.0

    @pytest.mark.parametrize(("retries", "requests"), [(0, 1), (3, 4)])
    def test_retries_are_further_attempts(self, edgar: FakeEdgar, service: Open, retries: int, requests: int) -> None:
        edgar.reply_with(PATH, *[500] * 10)
        with pytest.raises(ServiceError):
            service(retries=retries).get(edgar.url + PATH)
        assert len(edgar.asked) == requests

    def test_attempts_are_ever_further_apart(self, edgar: FakeEdgar, service: Open) -> None:
        edgar.reply_with(PATH, *[500] * 10)
        with pytest.raises(ServiceError):
            service(retries=3, backoff=0.2).get(edgar.url + PATH)
        moments = [moment for moment, _, _ in edgar.asked]
        gaps = [after - before for before, after in itertools.pairwise(moments)]
        assert all(gap >= 0.1 * 2**i for i, gap in enumerate(gaps))


class TestErrors:
    @pytest.mark.parametrize(
        ("trouble", "what", "remedy"),
        [
            (500, "is in trouble (HTTP 500), 3 times", "ask again later"),
            (429, "too many requests (HTTP 429), 3 times", "Lower sec.requests_per_second"),
            (403, "refused (HTTP 403)", "Set sec.contact."),
            (302, "refused (HTTP 302)", "Check the addresses in the settings sec"),
            ((503, {"Retry_After": "600"}), "wants a pause of 600 s", "ask again later"),
            ("hang up", "hung up (RemoteProtocolError), 3 times", "Check the network"),
            ("silence", "did not answer in time (0.2 s of silence, 0.8 s in all), 3 times", "Raise sec.timeout"),
            ("drip", "did not answer in time", "Raise sec.timeout"),
            ("drip headers", "did not answer in time", "Raise sec.timeout"),
            (b"<html>", "answered with something that is not JSON, 3 times", "Ask again later"),
        ],
        ids=str,
    )
    def test_the_message_names_service_trouble_and_remedy_and_no_secret(
        self,
        edgar: FakeEdgar,
        service: Open,
        caplog: pytest.LogCaptureFixture,
        trouble: object,
        what: str,
        remedy: str,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        edgar.reply_with(PATH, *[trouble] * 3)
        with pytest.raises(ServiceError) as caught:
            service(timeout=0.2).get(edgar.url + PATH)
        message = str(caught.value)
        assert message.startswith("SEC EDGAR ")
        assert what in message
        assert remedy in message
        told = "".join(traceback.format_exception(caught.value)) + caplog.text + message
        assert not any(word in told for word in (CONTACT, "ada.lovelace", "Threshold"))
        assert caught.value.__context__ is None

    def test_a_server_that_is_not_there(self, service: Open) -> None:
        with pytest.raises(ServiceError, match=r"could not be reached, or hung up \(ConnectError\), 3 times. Check"):
            service().get("http://127.0.0.1:9/x.json")

    def test_an_address_that_is_none(self, service: Open) -> None:
        with pytest.raises(ServiceError, match="Correct the addresses in the settings sec"):
            service().get("http://[::1/x.json")

    @pytest.mark.parametrize("contact", ["Jürgen\r\nX-Evil: 1", "名前 a@b.example"])
    def test_any_contact_can_be_sent(self, edgar: FakeEdgar, service: Open, contact: str) -> None:
        assert service(headers={"User-Agent": contact}).get(edgar.url + PATH).outcome == "new"
        assert "x-evil" not in edgar.asked[0][2]

    def test_a_long_pause_is_not_waited_for_and_not_asked_into(self, edgar: FakeEdgar, service: Open) -> None:
        edgar.reply_with(PATH, (429, {"Retry_After": "600"}))
        with pytest.raises(ServiceError):
            service().get(edgar.url + PATH)
        with pytest.raises(ServiceError, match=r"asked for a pause; \d+ s of it are left"):
            service().get(edgar.url + PATH)
        assert len(edgar.asked) == 1

    def test_patience_is_the_pause_that_is_waited_for(self, edgar: FakeEdgar, service: Open) -> None:
        edgar.reply_with(PATH, (429, {"Retry_After": "1"}))
        with pytest.raises(ServiceError, match="wants a pause of 1 s"):
            service(patience=0.5).get(edgar.url + PATH)
