"""`Question`: what is asked of a language model or a lexicon about one document.

What does not belong here: the words of the prompt (`prompt.py`), where documents come from (`sources`).
"""

from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Literal

Purpose = Literal["sentiment", "ratings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One document, and what is wanted of it.

    Parameters
    ----------
    document_id
        SHA-256 of the document, as its table has it; of several texts `document_hash` of all.
    purpose
        sentiment: how good the texts are for the share. ratings: five topics of a report.
    day
        Session of the news, or date of the report.
    texts
        Articles of the day, each its title, a line break and its content; or the sections of the report. They are
        not in `repr`, so that no log and no traceback shows them.
    """

    document_id: str
    purpose: Purpose
    ticker: str
    day: date
    texts: tuple[str, ...] = field(repr=False)

    @property
    def has_text(self) -> bool:
        """Whether there is anything to read."""
        return any(text.strip() for text in self.texts)


def document_hash(*texts: str) -> str:
    """Return the SHA-256 of texts; where one ends and the next begins counts."""
    digest = sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()
