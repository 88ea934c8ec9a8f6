"""`attempt`: one request as often as it needs, within the pace, the retries and the budget of a run.

1. Put the most that the attempt can cost aside; where the budget does not allow it, stop.
2. Wait for the pace; send.
3. A reply settles at its own cost. A failure that the provider may have billed (a cut connection, a timeout) settles
   at the most it can have cost, others at nothing: the budget holds whatever the provider bills.
4. After a Retry-After no call of the run begins before that; without one this call waits 0.5, 1, 2, ... seconds.

What does not belong here: what is sent (`anthropic_client.py`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from factor_assets.text.anthropic_client import Failure
from factor_assets.text.budget import Budget, Pace

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
LONGEST_RETRY_AFTER = 300.0
STOPPED = Failure(message="The run stopped before this was asked.")

T = TypeVar("T")


def attempt(
    send: Callable[[], T | Failure],
    *,
    pace: Pace,
    retries: int,
    budget: Budget,
    most: float = 0.0,
    cost: Callable[[T], float] = lambda _: 0.0,
) -> T | Failure | None:
    """Return what came, or the last failure; None where the budget does not allow (another) attempt.

    Parameters
    ----------
    retries
        Further attempts after the first.
    most
        US dollars that an attempt can cost at most.
    cost
        US dollars of what came.
    """
    retry = 0
    while True:
        if not budget.reserve(most):
            return None
        found, spent = None, most
        try:
            found = send() if pace.take() else STOPPED
            spent = (most if found.may_be_billed else 0.0) if isinstance(found, Failure) else cost(found)
        finally:
            budget.settle(most, cost=spent)
        if not isinstance(found, Failure) or not found.again:
            return found
        if retry == retries or not _may_go_on(found, retry, pace):
            return replace(found, message=f"{found.message} Attempts: {retry + 1}.")
        retry += 1


def _may_go_on(failure: Failure, retry: int, pace: Pace) -> bool:
    """Wait as the failure asks; return False where the run stops, or the service wants to be left alone for long."""
    if failure.retry_after is None:
        return pace.wait(min(LONGEST_WAIT, FIRST_WAIT * 2**retry))
    pace.hold(min(failure.retry_after, LONGEST_RETRY_AFTER))
    return failure.retry_after <= LONGEST_RETRY_AFTER
