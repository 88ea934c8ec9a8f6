"""Budget and pace under many threads."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from factor_assets.text.budget import Budget, Pace


class TestAgainstCounting:
    @pytest.mark.parametrize("limit", [0.0, 1.0, 7.3, 100.0])
    def test_the_sum_never_exceeds_the_limit_whatever_calls_cost(self, limit: float) -> None:
        budget, draw = Budget(limit), random.Random(1)
        calls = [(most := draw.uniform(0.1, 1), draw.uniform(0, most)) for _ in range(60)]
        in_flight, worst, lock = [0.0], [0.0], threading.Lock()

        def call(most: float, cost: float) -> bool:
            if not budget.reserve(most):
                return False
            with lock:
                in_flight[0] += most
                worst[0] = max(worst[0], budget.spent + in_flight[0])
            time.sleep(0.0005)
            with lock:
                in_flight[0] -= most
            budget.settle(most, cost=cost)
            return True

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda c: call(*c), calls))
        assert budget.spent == pytest.approx(sum(cost for (_, cost), was in zip(calls, made, strict=True) if was))
        assert worst[0] <= limit + 1e-9
        assert all(made) == (limit == 100.0)
        if not all(made):  # nothing is refused that would have been borne
            assert budget.exhausted
            assert budget.spent + 1.0 > limit

    @pytest.mark.parametrize(("per_minute", "at_once"), [(1, 6), (12, 6), (60, 1), (600, 6), (3000, 16)])
    def test_no_minute_has_more_calls_than_allowed(self, per_minute: int, at_once: int) -> None:
        now, begun = [0.0], []
        pace = Pace(per_minute, at_once=at_once, clock=lambda: now[0])

        class Stopping(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                now[0] += timeout or 0.0
                return False

        pace._stopping = Stopping()
        for _ in range(3 * per_minute + 5):
            assert pace.take()
            begun.append(now[0])
        for first, later in zip(begun, begun[per_minute:], strict=False):
            assert later - first >= 60 - 1e-6
        assert begun[-1] <= 60 * 3 * 1.01 + 60 * 5 / per_minute
        burst = sum(t == 0 for t in begun)
        assert burst == max(1, min(at_once, per_minute // 10))


class TestProperties:
    def test_a_call_waits_for_those_in_flight_before_it_is_refused(self) -> None:
        budget = Budget(1.0)
        assert budget.reserve(0.9)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(budget.reserve, 0.9)
            time.sleep(0.02)
            assert not waiting.done()
            budget.settle(0.9, cost=0.05)
            assert waiting.result(timeout=5)

    def test_after_a_hold_nobody_begins_too_early(self) -> None:
        pace = Pace(60_000, at_once=4)
        pace.hold(0.2)
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda _: pace.take(), range(4)))
        assert 0.19 <= time.monotonic() - begun < 5

    def test_a_run_that_stops_waits_for_nothing(self) -> None:
        stopping = threading.Event()
        pace = Pace(1, at_once=1, stopping=stopping)
        assert pace.take()
        stopping.set()
        assert not pace.take()
        assert not pace.wait(60)


class TestErrors:
    def test_after_a_refusal_nothing_is_reserved_any_more(self) -> None:
        budget = Budget(1.0)
        assert not budget.reserve(1.5)
        assert not budget.reserve(0.1)
        assert budget.spent == 0
