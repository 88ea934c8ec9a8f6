"""The ledger: what was paid is kept, whatever happens to the run; and what it says of every call."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factor_assets.errors import MalformedDataError
from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.ledger import Call, Entry, Ledger, call_id, judged, ledger_rows
from factor_assets_tests.servers.anthropic import SENTIMENT, fake_anthropic
from factor_assets_tests.text.asking import KEY, Asker, questions

ROOT = Path(__file__).resolve().parents[2]
CALL = Call(
    call_id="c",
    purpose="sentiment",
    document_id="d",
    prompt_version="p",
    provider="anthropic",
    model="m",
    parameters={"max_tokens": 10},
)
CLIENT = """
import sys
from pathlib import Path
from types import SimpleNamespace
from factor_assets_tests.text.asking import Asker, questions
asker = Asker(SimpleNamespace(address=sys.argv[1]), Path(sys.argv[2]), max_concurrent=6, timeout=10.0)
for answered in asker.ask(questions(200)):
    pass
"""


def entry(text: str = json.dumps(SENTIMENT), *, message_id: str = "m1", stop_reason: str = "end_turn") -> Entry:
    return Entry(
        call=CALL,
        called_at=datetime(2024, 1, 2, tzinfo=UTC),
        message_id=message_id,
        batch_id=None,
        stop_reason=stop_reason,
        text=text,
        input_tokens=100,
        output_tokens=20,
        cost=0.001,
        latency=1.5,
        error=judged(CALL, text=text, stop_reason=stop_reason),
    )


class TestAgainstTheTable:
    def test_rows_are_those_of_the_declared_table(self, tmp_path: Path) -> None:
        documents = Documents(str(tmp_path))
        assert ledger_rows(documents).equals(TABLES["language_model_calls"].schema.empty_table())
        Ledger(documents).keep(entry())
        rows = ledger_rows(documents)
        assert rows.schema == TABLES["language_model_calls"].schema
        assert rows.to_pylist() == [
            {
                "call_id": "c",
                "called_at": datetime(2024, 1, 2, tzinfo=UTC),
                "purpose": "sentiment",
                "document_id": "d",
                "prompt_version": "p",
                "model": "m",
                "parameters": '{"max_tokens": 10}',
                "input_tokens": 100,
                "output_tokens": 20,
                "cost": 0.001,
                "latency": 1.5,
                "error": None,
                "source": "anthropic",
            }
        ]


class TestProperties:
    def test_an_entry_is_never_changed_and_the_first_valid_one_counts(self, tmp_path: Path) -> None:
        ledger = Ledger(Documents(str(tmp_path)))
        assert ledger.find("c") is None
        cut = entry('{"sent', message_id="m0", stop_reason="max_tokens")
        for one in (cut, entry(), entry(json.dumps(SENTIMENT | {"sentiment": -1.0}), message_id="m2")):
            ledger.keep(one)
        found = ledger.find("c")
        assert found == entry()
        assert sorted(one.message_id or "" for one in ledger.entries()) == ["m0", "m1", "m2"]

    def test_the_same_message_is_kept_once(self, tmp_path: Path) -> None:
        ledger = Ledger(Documents(str(tmp_path)))
        for _ in range(3):
            ledger.keep(entry())
        assert len(list(ledger.entries())) == 1

    def test_everything_that_is_asked_is_in_the_hash(self) -> None:
        parts = ("document", "prompt", "provider", "model", {"max_tokens": 1}, "system", "user")
        hashes = {call_id(*parts)}
        for position, part in enumerate(parts):
            changed = {"max_tokens": 2} if isinstance(part, dict) else part + "x"
            hashes.add(call_id(*parts[:position], changed, *parts[position + 1 :]))
        assert len(hashes) == 8
        assert call_id("ab", "c") != call_id("a", "bc")

    def test_a_kill_in_the_middle_loses_no_paid_answer_but_those_on_their_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        # An answer that the server wrote to a connection may not have been read when the process ends: nobody can keep
        # that. There are at most as many as calls in flight; everything else is in the ledger, and paid once.
        with fake_anthropic(latency=0.05) as api:
            client = subprocess.Popen(
                [sys.executable, "-c", CLIENT, api.address, str(tmp_path)],
                cwd=ROOT,
            )
            end = time.monotonic() + 60
            while len(api.delivered) < 40 and time.monotonic() < end:
                time.sleep(0.005)
            client.send_signal(signal.SIGKILL)
            client.wait()
            time.sleep(0.2)  # until the stub has noticed
            documents = Documents(str(tmp_path))
            kept = {one.message_id for one in Ledger(documents).entries()}
            assert 40 - 6 <= len(kept) < 200
            assert kept <= set(api.billed)
            assert len(set(api.delivered) - kept) <= 6
            before = len(api.billed)
            found = Asker(api, tmp_path, timeout=10.0).ask(questions(200))
            assert [one.error for one in found] == [None] * 200
            assert len(api.billed) - before == 200 - len(kept)
            assert ledger_rows(documents).num_rows == 200


class TestErrors:
    def test_an_entry_that_was_changed_by_hand_is_named(self, tmp_path: Path) -> None:
        ledger = Ledger(Documents(str(tmp_path)))
        ledger.keep(entry())
        (tmp_path / "language_model" / "c.json").write_text('{"text": "secret"}', encoding="utf-8")
        with pytest.raises(MalformedDataError, match=r"language_model/c\.json is no entry of the ledger") as caught:
            ledger.find("c")
        assert "secret" not in str(caught.value)
