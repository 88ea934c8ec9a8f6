"""The batch interface: nothing is paid twice, whatever is cut or killed on the way."""

import itertools
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import BudgetError, ServiceError, SettingsError
from factor_assets.storage.documents import Documents
from factor_assets.text import attempts, batches
from factor_assets.text.language_model import Answered
from factor_assets.text.ledger import ledger_rows
from factor_assets_tests.servers.anthropic import CLOSE, DRIP, HANG, HANG_UP, FakeAnthropic, fake_anthropic
from factor_assets_tests.text.asking import KEY, SECRET, Asker, questions

EVERY_MISBEHAVIOUR = [429, 500, 529, HANG, HANG_UP, DRIP, CLOSE, b"{", b"[]"]


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr(attempts, "FIRST_WAIT", 0.01)


@pytest.fixture
def api() -> Iterator[FakeAnthropic]:
    with fake_anthropic() as found:
        yield found


def ask(api: FakeAnthropic, folder: Path, n: int, *, batch: bool = True, **settings: Any) -> list[Answered]:
    asker = Asker(api, folder, batch=batch, timeout=0.6, **settings)
    return asker.ask(questions(n), poll_seconds=0.01)


class TestAgainstTheServer:
    def test_a_backfill_is_one_batch_and_is_paid_once(self, api: FakeAnthropic, tmp_path: Path) -> None:
        found = ask(api, tmp_path, 12)
        assert [one.outcome for one in found] == ["answered"] * 12
        assert len(api.batches) == 1
        rows = ledger_rows(Documents(str(tmp_path)))
        assert rows.num_rows == len(api.billed) == 12
        assert rows["latency"].null_count == 12

        assert all(one.from_ledger for one in ask(api, tmp_path, 12))
        assert all(one.from_ledger for one in ask(api, tmp_path, 12, batch=False))  # one ledger for both ways
        assert len(api.batches) == 1
        ask(api, tmp_path, 15)
        assert [len(batch.requests) for batch in api.batches.values()] == [12, 3]
        assert len(api.billed) == 15

    @pytest.mark.parametrize("reply", EVERY_MISBEHAVIOUR, ids=str)
    @pytest.mark.parametrize("step", range(5))
    def test_a_misbehaviour_at_any_step_loses_nothing_and_doubles_nothing(
        self, api: FakeAnthropic, tmp_path: Path, reply: Any, step: int
    ) -> None:
        api.replies.extend([None] * step + [reply])
        found = ask(api, tmp_path, 4)
        assert [one.error for one in found] == [None] * 4
        assert len(api.batches) == 1
        assert len(api.billed) == 4

    def test_one_that_fails_in_the_batch_is_its_own(self, api: FakeAnthropic, tmp_path: Path) -> None:
        names = [str(one.call_id) for one in ask(api, tmp_path / "names", 4)]
        api.results.clear()
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": SECRET}, "request_id": "r"}
        api.results[names[1]] = {"type": "errored", "error": error}
        api.results[names[2]] = {"type": "expired"}
        found = {one.call_id: one for one in ask(api, tmp_path / "a", 4)}
        assert [found[name].outcome for name in names] == ["answered", "failed", "failed", "answered"]
        assert "did not answer in the batch: errored (invalid_request_error)" in str(found[names[1]].error)
        assert "did not answer in the batch: expired" in str(found[names[2]].error)
        assert all(SECRET not in str(one.error) for one in found.values())
        api.results.clear()
        assert [one.outcome for one in ask(api, tmp_path / "a", 4)] == ["answered"] * 4
        assert len(list(api.batches.values())[-1].requests) == 2

    def test_the_same_question_twice_is_one_call(self, api: FakeAnthropic, tmp_path: Path) -> None:
        asker = Asker(api, tmp_path, batch=True)
        found = asker.ask(questions(2) * 3, poll_seconds=0.01)
        assert len(found) == 6
        assert len(api.billed) == 2


class TestProperties:
    @pytest.mark.parametrize("kill_at", range(9))
    def test_a_kill_at_any_moment_pays_nothing_twice(
        self, api: FakeAnthropic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
    ) -> None:
        moments = itertools.count()

        def die_sometimes(whole: Any) -> Any:
            def stepped(*arguments: Any, **named: Any) -> Any:
                if next(moments) == kill_at:
                    raise Killed
                found = whole(*arguments, **named)
                if next(moments) == kill_at:
                    raise Killed
                return found

            return stepped

        with monkeypatch.context() as patch:
            for name in ("create_batch", "has_ended", "batch_results"):
                patch.setattr(batches.AnthropicClient, name, die_sometimes(getattr(batches.AnthropicClient, name)))
            patch.setattr(batches.Ledger, "keep", die_sometimes(batches.Ledger.keep))
            with pytest.raises(Killed):
                ask(api, tmp_path, 3)
        found = ask(api, tmp_path, 3)
        assert [one.outcome for one in found] == ["answered"] * 3
        assert len(api.batches) == 1
        assert ledger_rows(Documents(str(tmp_path))).num_rows == len(api.billed) == 3
        assert batches.open_calls(Documents(str(tmp_path))) == frozenset()

    def test_what_is_in_an_open_batch_is_not_asked_one_by_one(self, api: FakeAnthropic, tmp_path: Path) -> None:
        api.replies.extend([None, *[500] * 3])
        with pytest.raises(ServiceError, match="another run gets its results"):
            ask(api, tmp_path, 2)
        found = ask(api, tmp_path, 3, batch=False)
        assert sorted(one.outcome for one in found) == ["answered", "failed", "failed"]
        assert "language_model.batch = true" in str(next(one.error for one in found if one.error))
        assert [one.outcome for one in ask(api, tmp_path, 3)] == ["answered"] * 3
        assert len(api.billed) == 3

    def test_the_budget_is_never_exceeded(self, api: FakeAnthropic, tmp_path: Path) -> None:
        found = ask(api, tmp_path, 60, budget=0.1)
        spent = sum(ledger_rows(Documents(str(tmp_path)))["cost"].to_pylist())
        assert 0.05 < spent <= 0.1
        refused = [one for one in found if one.outcome == "over_budget"]
        assert refused
        assert len(refused) + len(api.billed) == 60
        assert all(isinstance(one.failure, BudgetError) for one in refused)

    def test_a_batch_of_somebody_else_is_not_taken_for_ours(self, api: FakeAnthropic, tmp_path: Path) -> None:
        Asker(api, tmp_path / "else", batch=True).ask(questions(3, words="of theirs"), poll_seconds=0.01)
        before = dict(api.batches)
        api.replies.append(HANG)
        found = ask(api, tmp_path / "ours", 3)
        assert [one.outcome for one in found] == ["answered"] * 3
        assert len(api.batches) == len(before) + 1

    def test_results_that_are_not_whole_are_not_taken(self, api: FakeAnthropic, tmp_path: Path) -> None:
        api.replies.extend([None] * 4 + [b'{"custom_id": "x", "result": {"type": "expired"}}'])
        assert [one.outcome for one in ask(api, tmp_path, 3)] == ["answered"] * 3
        assert len(api.batches) == 1


class TestErrors:
    def test_bedrock_has_no_batches(self, api: FakeAnthropic, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"Set language_model\.batch to false"):
            ask(api, tmp_path, 1, provider="bedrock")

    def test_a_batch_that_cannot_be_made_is_no_answer(self, api: FakeAnthropic, tmp_path: Path) -> None:
        api.replies.extend([401] * 5)
        found = ask(api, tmp_path, 2)
        assert [one.outcome for one in found] == ["failed"] * 2
        assert "ANTHROPIC_API_KEY" in str(found[0].error)
        api.replies.clear()
        assert [one.outcome for one in ask(api, tmp_path, 2)] == ["answered"] * 2

    @pytest.mark.parametrize("reply", EVERY_MISBEHAVIOUR, ids=str)
    def test_neither_key_nor_document_is_in_logs_or_tracebacks(
        self, api: FakeAnthropic, tmp_path: Path, reply: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        api.replies.extend([None, None] + [reply] * 3)
        with pytest.raises(ServiceError) as caught:
            ask(api, tmp_path, 2)
        shown = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert KEY not in shown
        assert SECRET not in shown
        assert "Anthropic at 127.0.0.1" in str(caught.value)
        assert not any(SECRET in file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.*"))
