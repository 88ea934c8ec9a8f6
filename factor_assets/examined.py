"""`Examined`: one finding of `doctor`.

What does not belong here: what is looked at (`doctor.py`, `doctor_documents.py`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """One thing looked at: what was found and, if the finding does not say it, what to do."""

    check: str
    ok: bool
    found: str
    advice: str = ""
