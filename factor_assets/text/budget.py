"""`Budget` and `Pace`: what a run may spend, and how fast it may ask. Both are shared by all threads of a run.

What does not belong here: what a call costs (`language_model.py`), and when to try again (`attempts.py`).
"""

import threading
import time
from collections.abc import Callable


class Budget:
    """US dollars that a run may spend; before each call the most that it can cost is put aside.

    Parameters
    ----------
    limit
        A call that could bring the sum above it is not made, and none after it.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.spent = 0.0
        self.exhausted = False
        self._reserved = 0.0
        self._in_flight = 0
        self._changed = threading.Condition()

    def reserve(self, most: float) -> bool:
        """Put the most that a call can cost aside, or return False where it could exceed the limit.

        Where only the calls in flight stand in the way it waits for them: they mostly cost less than was put aside.
        """
        with self._changed:
            while not self.exhausted:
                if self.spent + self._reserved + most <= self.limit:
                    self._reserved += most
                    self._in_flight += 1
                    return True
                if self._in_flight == 0:
                    self.exhausted = True
                    self._changed.notify_all()
                else:
                    self._changed.wait()
            return False

    def settle(self, most: float, *, cost: float) -> None:
        """Exchange what was put aside for what the call did cost."""
        with self._changed:
            self._in_flight -= 1
            self._reserved = self._reserved - most if self._in_flight else 0.0
            self.spent += cost
            self._changed.notify_all()


class Pace:
    """Token bucket: at most `per_minute` calls begin in any minute, of which a few may begin at once.

    It holds for one process. Of several, the provider's own limit decides by 429, and `hold` obeys.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
        stopping: threading.Event | None = None,
    ) -> None:
        # A full bucket and a minute of refilling together must not exceed per_minute.
        self._size = max(1, min(at_once, per_minute // 10))
        self._rate = (per_minute - self._size + 1) / 60
        self._tokens = float(self._size)
        self._clock = clock
        self._filled_at = clock()
        self._lock = threading.Lock()
        self._stopping = threading.Event() if stopping is None else stopping

    def take(self) -> bool:
        """Wait until a call may begin; return False where the run is stopping instead."""
        with self._lock:
            now = self._clock()
            if now > self._filled_at:
                self._tokens = min(self._size, self._tokens + (now - self._filled_at) * self._rate)
                self._filled_at = now
            self._tokens -= 1
            seconds = max(0.0, self._filled_at - now) + max(0.0, -self._tokens / self._rate)
        return not self._stopping.wait(seconds) if seconds > 0 else not self._stopping.is_set()

    def hold(self, seconds: float) -> None:
        """Let no call begin for that long: the provider asked for it."""
        with self._lock:
            until = self._clock() + seconds
            if until > self._filled_at:
                self._filled_at = until
                self._tokens = min(self._tokens, 1.0)

    def wait(self, seconds: float) -> bool:
        """Wait before one call is tried again; return False where the run is stopping instead."""
        return not self._stopping.wait(seconds)
