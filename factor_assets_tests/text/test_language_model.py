"""Asking one by one, against a server on loopback that answers as Anthropic's API does and misbehaves on demand."""

import json
import logging
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import BudgetError, DocumentError, LanguageModelError, ServiceError, SettingsError
from factor_assets.storage.documents import Documents
from factor_assets.text import attempts
from factor_assets.text.answers import Ratings, Sentiment
from factor_assets.text.calls import prepare
from factor_assets.text.language_model import Answered, Tally, ask_all
from factor_assets.text.ledger import Ledger, ledger_rows
from factor_assets_tests.servers.anthropic import (
    CLOSE,
    DRIP,
    HANG,
    HANG_UP,
    RATINGS,
    FakeAnthropic,
    fake_anthropic,
)
from factor_assets_tests.text.asking import KEY, SECRET, Asker, questions

MISBEHAVIOURS = {
    "429": (429, {"retry-after": "0.05"}),
    "429 in words": (429, {}),
    "429 until a date": (429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "500": 500,
    "overloaded": 529,
    "gateway": 504,
    "timeout": HANG,
    "slow drip": DRIP,
    "cut connection": HANG_UP,
    "closed connection": CLOSE,
    "malformed JSON": b'{"id": "msg_1", "type": "mess',
    "another shape": b'{"type": "completion"}',
    "no usage": b'{"type": "message", "content": [], "stop_reason": "end_turn"}',
    "a page": b"<html>gateway</html>",
}
"""Name -> a reply after which another attempt helps."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr(attempts, "FIRST_WAIT", 0.01)


@pytest.fixture
def api() -> Iterator[FakeAnthropic]:
    with fake_anthropic() as found:
        yield found


def only(answers: list[Answered]) -> Answered:
    (found,) = answers
    return found


class TestAgainstTheServer:
    def test_answers_are_validated_and_paid_once(self, api: FakeAnthropic, tmp_path: Path) -> None:
        asker = Asker(api, tmp_path)
        asked = [*questions(8), *questions(3, purpose="ratings")]
        tally = Tally()
        for found in asker.ask(asked):
            tally.add(found)
            assert isinstance(found.answer, Ratings if found.question.purpose == "ratings" else Sentiment)
            assert (found.model, found.error, found.from_ledger) == ("stub", None, False)
        assert tally.counts() == {"answered": 11, "invalid": 0, "failed": 0, "over_budget": 0, "from_ledger": 0}
        assert tally.failed_share == 0

        again = asker.ask(asked)
        assert len(api.asked) == 11
        assert all(found.from_ledger and found.answer is not None for found in again)
        rows = ledger_rows(asker.documents)
        assert rows.num_rows == 11
        assert sum(rows["cost"].to_pylist()) == pytest.approx(tally.cost)
        assert set(rows["call_id"].to_pylist()) == {found.call_id for found in again}
        assert set(rows["source"].to_pylist()) == {"anthropic"}
        assert all(seconds > 0 for seconds in rows["latency"].to_pylist())

    def test_what_is_sent_has_schema_key_and_document(self, api: FakeAnthropic, tmp_path: Path) -> None:
        Asker(api, tmp_path, max_tokens=321).ask(questions(1))
        (sent,) = api.asked
        assert (sent["model"], sent["max_tokens"]) == ("stub", 321)
        assert sent["output_config"]["format"]["type"] == "json_schema"
        assert f"{SECRET} 0" in sent["messages"][0]["content"]
        assert SECRET not in sent["system"]
        assert api.headers[0]["authorization"] == f"Bearer {KEY}"  # where this SDK puts it

    def test_bedrock_by_the_sdk_s_own_client(
        self, api: FakeAnthropic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, KEY)
        for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        found = only(
            Asker(api, tmp_path, provider="bedrock", model="a.model-v1:0", region="eu-west-1").ask(questions(1))
        )
        assert found.error is None
        assert isinstance(found.answer, Sentiment)
        assert [path for _, _, path in api.requests] == ["/model/a.model-v1:0/invoke"]
        assert api.headers[0]["authorization"].startswith("AWS4-HMAC-SHA256")
        assert "eu-west-1/bedrock" in api.headers[0]["authorization"]

    @pytest.mark.parametrize("reply", MISBEHAVIOURS.values(), ids=list(MISBEHAVIOURS))
    def test_a_misbehaviour_loses_nothing_and_doubles_nothing(
        self, api: FakeAnthropic, tmp_path: Path, reply: Any
    ) -> None:
        api.replies.extend([reply] * 2)
        asker = Asker(api, tmp_path)
        found = asker.ask(questions(3))
        assert [one.error for one in found] == [None] * 3
        assert len({one.call_id for one in found}) == 3
        assert ledger_rows(asker.documents).num_rows == len(api.delivered) == 3
        assert sum(method == "POST" for _, method, _ in api.requests) == 5

    @pytest.mark.parametrize("reply", MISBEHAVIOURS.values(), ids=list(MISBEHAVIOURS))
    def test_one_that_does_not_end_names_the_service_and_the_remedy(
        self, api: FakeAnthropic, tmp_path: Path, reply: Any
    ) -> None:
        api.replies.extend([reply] * 3)
        asker = Asker(api, tmp_path)
        found = only(asker.ask(questions(1)))
        assert found.answer is None
        assert found.outcome == "failed"
        assert isinstance(found.failure, ServiceError)
        assert found.error is not None
        assert f"Anthropic at {api.address.removeprefix('http://')}" in found.error
        assert "only what is missing is asked" in found.error
        assert found.error.endswith("Attempts: 3.")
        assert ledger_rows(asker.documents).num_rows == 0
        assert only(asker.ask(questions(1))).error is None

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"stop_reason": "refusal", "content": []}, "refused"),
            ({"stop_reason": "max_tokens", "content": [{"type": "text", "text": '{"sentiment": 0.'}]}, "cut off"),
            ({"content": [{"type": "text", "text": '{"sentiment": 7, "confidence": 1, "reason": "x"}'}]}, "sentiment"),
            ({"content": [{"type": "text", "text": "It is good."}]}, "not whole JSON"),
            ({"content": []}, "not whole JSON"),
        ],
    )
    def test_an_answer_that_is_none_is_paid_kept_and_not_asked_again(
        self, api: FakeAnthropic, tmp_path: Path, change: dict[str, Any], says: str
    ) -> None:
        asker = Asker(api, tmp_path)
        api.replies.append(change)
        for from_ledger in (False, True):
            found = only(asker.ask(questions(1)))
            assert found.outcome == "invalid"
            assert isinstance(found.failure, LanguageModelError)
            assert says in str(found.error)
            assert found.answer is None
            assert found.from_ledger == from_ledger
            assert found.cost is not None
        assert len(api.asked) == 1
        assert ledger_rows(asker.documents)["error"].to_pylist() == [found.error]

        assert only(asker.ask(questions(1), retry_invalid=True)).outcome == "answered"
        assert only(asker.ask(questions(1))).outcome == "answered"
        assert len(api.asked) == 2
        assert ledger_rows(asker.documents).num_rows == 2


class TestProperties:
    def test_calls_at_the_same_time_are_bounded(self, tmp_path: Path) -> None:
        for at_once in (1, 5):
            with fake_anthropic(latency=0.03) as api:
                Asker(api, tmp_path / str(at_once), max_concurrent=at_once).ask(questions(20))
                assert api.most_at_once == at_once

    def test_the_pace_is_held(self, api: FakeAnthropic, tmp_path: Path) -> None:
        Asker(api, tmp_path, requests_per_minute=1200, max_concurrent=4).ask(questions(14))
        begun = [at for at, _, _ in api.requests]
        assert begun[-1] - begun[0] >= 10 / (1200 / 60) * 0.95  # four at once, ten at twenty a second

    def test_after_retry_after_nobody_asks_for_that_long(self, api: FakeAnthropic, tmp_path: Path) -> None:
        api.replies.append((429, {"retry-after": "0.4"}))
        Asker(api, tmp_path, max_concurrent=1).ask(questions(4))
        begun = [at for at, _, _ in api.requests]
        assert begun[1] - begun[0] >= 0.39

    def test_a_service_that_wants_an_hour_is_not_waited_for(self, api: FakeAnthropic, tmp_path: Path) -> None:
        api.replies.append((429, {"retry-after": "3600"}))
        begun = time.monotonic()
        error = only(Asker(api, tmp_path, retries=5, max_concurrent=1).ask(questions(1))).error
        assert "answered 429" in str(error)
        assert time.monotonic() - begun < 5

    def test_the_number_of_attempts_is_that_of_the_settings(self, api: FakeAnthropic, tmp_path: Path) -> None:
        for retries in (0, 3):
            api.requests.clear()
            api.replies.extend([500] * (retries + 1))
            assert only(Asker(api, tmp_path, retries=retries).ask(questions(1))).outcome == "failed"
            assert len(api.requests) == retries + 1

    def test_the_same_question_twice_is_one_call(self, tmp_path: Path) -> None:
        with fake_anthropic(latency=0.05) as api:
            found = Asker(api, tmp_path).ask(questions(2) * 5)
            assert len(found) == 10
            assert len(api.asked) == 2
            tally = Tally()
            for one in found:
                tally.add(one)
            assert tally.from_ledger == 8
            assert tally.cost == pytest.approx(sum(ledger_rows(Documents(str(tmp_path)))["cost"].to_pylist()))

    @pytest.mark.parametrize("change", [{"model": "other"}, {"max_tokens": 999}, {"provider": "bedrock"}])
    def test_another_model_or_parameter_is_another_call(self, api: FakeAnthropic, tmp_path: Path, change: Any) -> None:
        asker = Asker(api, tmp_path)
        (question,) = questions(1)
        changed = asker.settings.model_copy(update=change)
        assert prepare(question, asker.settings).call.call_id != prepare(question, changed).call.call_id
        same = asker.settings.model_copy(update={"max_concurrent": 2, "budget": 1.0, "input_price": 9.0})
        assert prepare(question, asker.settings).call.call_id == prepare(question, same).call.call_id

    @pytest.mark.parametrize(("budget", "replies"), [(0.12, []), (0.3, [HANG_UP, HANG, 500, b"{"] * 2)])
    def test_the_budget_is_never_exceeded(
        self, api: FakeAnthropic, tmp_path: Path, budget: float, replies: list[Any]
    ) -> None:
        api.replies.extend(replies)
        asker = Asker(api, tmp_path, budget=budget, max_tokens=1000)
        found = asker.ask(questions(40, words="words " * 300))
        tally = Tally()
        for one in found:
            tally.add(one)
        rows = ledger_rows(asker.documents)
        billed = len(api.billed) * max(rows["cost"].to_pylist())  # also what was cut off on its way
        assert 0 < billed <= budget
        assert tally.outcomes["answered"] + tally.outcomes["over_budget"] + tally.outcomes["failed"] == 40
        assert tally.outcomes["over_budget"] > 0
        refused = [one for one in found if one.outcome == "over_budget"]
        assert all(isinstance(one.failure, BudgetError) for one in refused)
        assert f"language_model.budget, {budget} US dollars" in str(refused[0].error)
        # The rest is for other runs, each with its budget; answers are not lost and not paid again.
        assert (
            len({one.call_id for one in asker.ask(questions(40, words="words " * 300)) if one.answer}) > rows.num_rows
        )

    def test_a_budget_of_nothing_makes_no_call_and_still_reads_the_ledger(
        self, api: FakeAnthropic, tmp_path: Path
    ) -> None:
        Asker(api, tmp_path).ask(questions(2))
        found = Asker(api, tmp_path, budget=0.0).ask(questions(4))
        assert sorted(one.outcome for one in found) == ["answered", "answered", "over_budget", "over_budget"]
        assert len(api.asked) == 2

    def test_texts_are_taken_as_they_are_needed(self, api: FakeAnthropic, tmp_path: Path) -> None:
        taken = []
        asker = Asker(api, tmp_path, max_concurrent=2)
        asked = (taken.append(i) or question for i, question in enumerate(questions(30)))
        answers = ask_all(asked, settings=asker.settings, documents=asker.documents)
        next(answers)
        assert len(taken) <= 5
        answers.close()

    def test_a_run_that_is_stopped_keeps_what_it_paid(self, tmp_path: Path) -> None:
        with fake_anthropic(latency=0.1) as api:
            asker = Asker(api, tmp_path, max_concurrent=4)
            answers = ask_all(iter(questions(30)), settings=asker.settings, documents=asker.documents)
            next(answers)
            answers.close()
            assert ledger_rows(asker.documents).num_rows == len(api.billed) < 30

    def test_without_a_key_the_ledger_is_still_read(
        self, api: FakeAnthropic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asker = Asker(api, tmp_path)
        asker.ask(questions(1))
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        assert only(asker.ask(questions(1))).answer is not None


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "says"),
        [(401, "ANTHROPIC_API_KEY"), (403, "ANTHROPIC_API_KEY"), (402, "credit"), (404, "language_model.model")],
    )
    def test_a_refusal_of_everything_stops_the_run(
        self, api: FakeAnthropic, tmp_path: Path, status: int, says: str
    ) -> None:
        api.replies.extend([status] * 100)
        found = Asker(api, tmp_path, max_concurrent=2).ask(questions(30))
        assert [one.outcome for one in found] == ["failed"] * 30
        assert all(says in str(one.error) and f"answered {status}" in str(one.error) for one in found)
        assert len(api.requests) <= 2

    @pytest.mark.parametrize("status", [400, 413, 422])
    def test_a_refusal_of_one_request_is_its_own(self, api: FakeAnthropic, tmp_path: Path, status: int) -> None:
        api.replies.append(status)
        found = Asker(api, tmp_path, max_concurrent=1).ask(questions(3))
        assert sorted(one.outcome for one in found) == ["answered", "answered", "failed"]
        assert len(api.requests) == 3
        (error,) = [one.error for one in found if one.error]
        assert "the model answers by JSON schema" in error
        assert "req_011abc" in error

    def test_nobody_there(self, tmp_path: Path) -> None:
        with fake_anthropic() as api:
            pass
        found = only(Asker(api, tmp_path, budget=0.05).ask(questions(1)))
        assert "The connection to Anthropic at 127.0.0.1" in str(found.error)
        assert "failed. Check the network and language_model.url" in str(found.error)

    def test_no_key(self, api: FakeAnthropic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")
        with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY is empty; set it, or choose the provider 'lexicon'"):
            Asker(api, tmp_path).ask(questions(2))
        assert not api.requests

    def test_no_price(self, api: FakeAnthropic, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"set language_model\.input_price"):
            Asker(api, tmp_path, input_price=None).ask(questions(1))

    def test_nothing_to_read_is_not_asked(self, api: FakeAnthropic, tmp_path: Path) -> None:
        (question,) = questions(1)
        found = only(Asker(api, tmp_path).ask([replace(question, texts=(" ",))]))
        assert found.error == "There is no text to read."
        assert not api.requests

    def test_a_ledger_that_cannot_be_written_stops_the_run(
        self, api: FakeAnthropic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: Any) -> None:
            raise DocumentError("Cannot write")

        monkeypatch.setattr(Ledger, "keep", fail)
        with pytest.raises(DocumentError):
            Asker(api, tmp_path, max_concurrent=2).ask(questions(30))
        assert len(api.billed) <= 6

    @pytest.mark.parametrize(
        "reply", [*MISBEHAVIOURS.values(), 400, 401, {"content": [{"type": "text", "text": SECRET}]}]
    )
    def test_neither_key_nor_document_is_in_logs_or_tracebacks(
        self, api: FakeAnthropic, tmp_path: Path, reply: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        api.replies.extend([reply] * 3)
        found = only(Asker(api, tmp_path, timeout=0.2).ask(questions(1)))
        assert found.failure is not None
        shown = "".join(traceback.format_exception(found.failure)) + caplog.text + repr(found)
        failure: BaseException | None = found.failure
        assert failure.__cause__ is None
        assert failure.__context__ is None
        for secret in (KEY, SECRET, "THE-KEY"):
            assert secret not in shown

    def test_a_ledger_has_neither_key_nor_document(self, api: FakeAnthropic, tmp_path: Path) -> None:
        Asker(api, tmp_path).ask(questions(2, purpose="ratings"))
        kept = [file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.json")]
        assert len(kept) == 2
        assert not any(KEY in text or SECRET in text for text in kept)
        assert json.loads(json.loads(kept[0])["text"]) == RATINGS
