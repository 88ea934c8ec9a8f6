"""Questions and settings for tests that ask the stub of Anthropic's API."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.text.language_model import Answered, Purpose, Question, ask_all, document_hash
from factor_assets_tests.servers.anthropic import FakeAnthropic

KEY = "sk-ant-THE-KEY"
SECRET = "SECRET-TEXT"


def questions(n: int, *, purpose: Purpose = "sentiment", words: str = "") -> list[Question]:
    found = []
    for i in range(n):
        text = f"{SECRET} {i} {words}"
        found.append(
            Question(
                document_id=document_hash(text), purpose=purpose, ticker="AAPL", day=date(2024, 1, 2), texts=(text,)
            )
        )
    return found


class Asker:
    """Asks the stub with a ledger in a folder."""

    def __init__(self, api: FakeAnthropic, folder: Path, **settings: Any) -> None:
        self.documents = Documents(str(folder))
        self.settings = LanguageModelSettings(
            **{
                "provider": "anthropic",
                "model": "stub",
                "url": api.address,
                "input_price": 3.0,
                "output_price": 15.0,
                "requests_per_minute": 100_000,
                "timeout": 1.0,
                "retries": 2,
                **settings,
            }
        )

    def ask(self, asked: Iterable[Question], **arguments: Any) -> list[Answered]:
        return list(ask_all(asked, settings=self.settings, documents=self.documents, **arguments))
