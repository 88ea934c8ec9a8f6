"""`until_settled`: try again what lost a race against another writer, or a connection.

What does not belong here: what a failure says (`failures.py`), and what makes a repeated attempt safe (the store).
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from deltalake.exceptions import CommitFailedError

from factor_assets.errors import ConnectionLostError, WriteConflictError

ATTEMPTS = 60
LONGEST_PAUSE_S = 0.5
_Result = TypeVar("_Result")


def until_settled(attempt: Callable[[], _Result], *, table: str, location: str, retries: int = 0) -> _Result:
    """Return what `attempt` returns, as soon as it is neither beaten by another writer nor cut off.

    Parameters
    ----------
    retries
        Further attempts after a lost connection; a race is tried again more often.

    Raises
    ------
    WriteConflictError
        If other writers kept winning.
    ConnectionLostError
        If connections kept breaking.
    """
    lost = 0
    for n in range(ATTEMPTS):
        try:
            return attempt()
        except ConnectionLostError:
            lost += 1
            if lost > retries:
                raise
        except CommitFailedError:
            pass
        # Random pauses, so that writers that met once do not meet again.
        time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.01 * 2**n)))  # noqa: S311 no secret
    raise WriteConflictError(
        f"Other writers kept changing table {table!r} at {location} during {ATTEMPTS} attempts."
        " Nothing was written; run again when fewer writers are at work."
    )
