"""Prompt files -> what a model is asked; the version of a prompt is its file's name and the hash of what it holds.

A prompt is `prompts/NAME.md` with the parts `# System` and `# User`, and the schema of its answer beside it as
`prompts/NAME.json`. An edit of either is another version, and is asked anew. Documents are data: they stand between
tags that carry the hash of their own content, which no document can hold, so that none can close them.
What does not belong here: whether an answer is valid (`answers.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any

from factor_assets.text.question import Purpose, Question, document_hash

FOLDER = Path(__file__).parent / "prompts"
FILES: Mapping[Purpose, str] = {"sentiment": "news_sentiment", "ratings": "report_ratings"}
PARTS: Mapping[Purpose, str] = {"sentiment": "article", "ratings": "section"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One prompt file.

    Parameters
    ----------
    version
        Name of the file and twelve digits of the SHA-256 of prompt and schema: report_ratings-0123456789ab.
    schema
        JSON schema of the answer. It has no ranges, which structured output does not know; `answers.py` checks them.
    """

    version: str
    system: str
    user: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A prompt with a question filled in; `repr` does not show it, since it has the document."""

    system: str = field(repr=False)
    user: str = field(repr=False)


def read_prompt(name: str, *, folder: Path = FOLDER) -> Prompt:
    """Read a prompt file and its schema.

    Raises
    ------
    ValueError
        If the file has not the parts `# System` and `# User`.
    """
    text = (folder / f"{name}.md").read_text(encoding="utf-8")
    schema = (folder / f"{name}.json").read_text(encoding="utf-8")
    head, found, user = text.partition("\n# User\n")
    if not found or not head.startswith("# System\n"):
        raise ValueError(f"{name}.md must have a part '# System' and then a part '# User'.")
    version = f"{name}-{sha256(f'{len(text)}:{text}{schema}'.encode()).hexdigest()[:12]}"
    return Prompt(
        version=version,
        system=head.removeprefix("# System\n").strip(),
        user=user.strip(),
        schema=json.loads(schema),
    )


@cache
def prompt_of(purpose: Purpose) -> Prompt:
    """Return the prompt of a purpose."""
    return read_prompt(FILES[purpose])


def render(prompt: Prompt, question: Question) -> Rendered:
    """Fill a question in."""
    boundary = f"documents-{document_hash(*question.texts)[:16]}"
    part = PARTS[question.purpose]
    values = {
        "ticker": question.ticker,
        "day": question.day.isoformat(),
        "boundary": boundary,
        "documents": "\n".join(
            f'<{part} number="{number}">\n{_whole(text).strip()}\n</{part}>'
            for number, text in enumerate(question.texts, start=1)
        ),
    }
    # One pass: a document that holds $ticker keeps it.
    return Rendered(system=Template(prompt.system).substitute(values), user=Template(prompt.user).substitute(values))


def _whole(text: str) -> str:
    """Replace halves of characters, which a broken source leaves and no request can carry."""
    return text.encode("utf-8", "replace").decode()
