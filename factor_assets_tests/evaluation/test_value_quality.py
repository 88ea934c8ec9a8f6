"""Checks of factor values, against loops over sessions, and that a cut of the dates finds the same."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from factor_assets.errors import MisalignedError
from factor_assets.evaluation.value_quality import (
    CHECKS,
    HISTORY_SESSIONS,
    HUGE,
    MIN_NAMES,
    Judgement,
    ValueStatistics,
    judge,
    value_statistics,
)

N_DATES, N_TICKERS = 120, 100
DATES = np.arange(np.datetime64("2023-01-02"), np.datetime64("2023-01-02") + N_DATES)
EVERYWHERE = np.ones((N_DATES, N_TICKERS), dtype=bool)


def steady(seed: int = 1) -> np.ndarray:
    """Values whose order hardly changes from one session to the next."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=N_TICKERS) + 0.05 * rng.normal(size=(N_DATES, N_TICKERS)).cumsum(axis=0)


def judged(values: np.ndarray, *, inside=EVERYWHERE, start=0, warm=0, has_scale=False) -> dict[str, Judgement]:
    statistics = value_statistics(values, inside, has_scale=has_scale)
    return {found.check: found for found in judge(statistics, DATES[: len(values)], start=start, warm=warm)}


def failed(found: dict[str, Judgement]) -> set[str]:
    return {check for check, judgement in found.items() if not judgement.passed}


class TestAgainstLoops:
    def test_statistics_of_every_session(self):
        rng = np.random.default_rng(2)
        values = rng.standard_t(1.2, size=(N_DATES, N_TICKERS)).round(1)
        values[rng.random(values.shape) < 0.2] = np.nan
        values[3, 4], values[5, :] = np.inf, np.nan
        values[7, :4] = [2 * HUGE, -2 * HUGE, 1e5, np.nan]
        values[9] = 4.0
        inside = rng.random(values.shape) < 0.9
        inside[7, :4] = True
        found = value_statistics(values, inside)
        for t in range(N_DATES):
            row = np.sort(values[t][inside[t] & np.isfinite(values[t])])
            assert found.n_members[t] == inside[t].sum()
            assert found.n_values[t] == len(row)
            assert found.n_infinite[t] == np.isinf(values[t]).sum()
            far = np.abs(row) > HUGE
            if len(row) >= MIN_NAMES:
                low, middle, high = (row[len(row) * q // 4] for q in (1, 2, 3))
                if high > low:
                    far |= np.abs(row - middle) > 50 * (high - low) / 1.349
            assert found.n_absurd[t] == far.sum()
            both = np.zeros(N_TICKERS, dtype=bool)
            if t:
                both = inside[t] & inside[t - 1] & np.isfinite(values[t]) & np.isfinite(values[t - 1])
            constant = len(set(values[t][both])) < 2 or len(set(values[t - 1][both])) < 2
            if both.sum() < MIN_NAMES or constant:
                assert np.isnan(found.rank_correlation[t])
            else:
                expected = spearmanr(values[t][both], values[t - 1][both]).statistic
                assert found.rank_correlation[t] == pytest.approx(expected, abs=1e-12)

    def test_a_session_is_compared_with_the_sixty_before_it(self):
        values = steady()
        values[:40, :30] = np.nan  # 70% covered, then all
        values[100, :35] = np.nan
        found = judged(values, start=100)["coverage"]
        before = [np.isfinite(row).mean() for row in values[40:100]]
        assert found.numbers["mean_before_worst"] == pytest.approx(np.mean(before))
        assert found.numbers["coverage_on_worst"] == 0.65
        assert (found.numbers["worst_session"], found.passed) == (str(DATES[100]), False)


class TestProperties:
    def test_steady_values_pass_with_their_numbers(self):
        found = judged(steady(), start=80)
        assert list(found) == list(CHECKS)
        assert not failed(found)
        assert all(judgement.excess == 0 for judgement in found.values())
        assert found["coverage"].numbers["lowest_coverage"] == 1.0
        assert found["cross_section"].numbers["fewest_names"] == N_TICKERS
        assert found["rank_stability"].numbers["median_correlation"] > 0.95
        assert found["sane_values"].text == "none of 4000 values is infinite, and 0.00% are absurd"

    @pytest.mark.parametrize("seed", range(5))
    def test_a_cut_finds_the_same_sessions(self, seed):
        rng = np.random.default_rng(seed)
        values = steady(seed)
        for t in rng.integers(0, N_DATES, 12):
            values[t, : rng.integers(5, 100)] = np.nan
        for t in rng.integers(0, N_DATES, 6):
            values[t] = rng.permutation(values[t])
        values[rng.integers(0, N_DATES)] = 1.0
        whole = judged(values, warm=5)
        by_session: dict[str, int] = dict.fromkeys(CHECKS, 0)
        for t in range(N_DATES):
            first = max(0, t - HISTORY_SESSIONS - 1)
            cut = value_statistics(values[first : t + 1], EVERYWHERE[first : t + 1])
            for found in judge(cut, DATES[first : t + 1], start=t - first, warm=5 - first):
                by_session[found.check] += found.numbers.get("n_failed", 0)
        for check in ("coverage", "cross_section", "rank_stability"):
            assert by_session[check] == whole[check].numbers["n_failed"], check
        assert by_session["coverage"] > 0
        assert by_session["rank_stability"] > 0

    def test_parts_that_follow_each_other_are_the_whole(self):
        values = steady()
        whole = value_statistics(values, EVERYWHERE)
        parts = [value_statistics(values[:50], EVERYWHERE[:50]), value_statistics(values[49:], EVERYWHERE[49:]).rows(1)]
        for name, expected in vars(whole).items():
            np.testing.assert_array_equal(getattr(ValueStatistics.joined(parts), name), expected)

    def test_nothing_is_expected_before_the_lookback(self):
        values = steady()
        values[:70] = np.nan
        assert not failed(judged(values, warm=70))
        assert failed(judged(values, warm=69)) == {"coverage", "cross_section"}
        found = judged(values[:60], inside=EVERYWHERE[:60], warm=70)
        assert found["coverage"].text == "no session past the lookback has anything to judge"

    def test_no_tickers_and_no_members(self):
        assert not failed(judged(np.empty((N_DATES, 0)), inside=EVERYWHERE[:, :0], warm=N_DATES))
        assert failed(judged(steady(), inside=~EVERYWHERE)) == {"cross_section"}

    def test_large_values_of_money_are_no_fault(self):
        values = 1e13 * np.exp(steady())
        assert failed(judged(values)) == {"sane_values"}
        assert not failed(judged(values, has_scale=True))

    def test_chance_among_few_names_is_no_fault(self):
        values = np.random.default_rng(3).normal(size=(N_DATES, 12))
        assert not failed(judged(values, inside=EVERYWHERE[:, :12], start=60))


class TestErrors:
    """What each check says of a fault."""

    def test_fewer_names_than_usual(self):
        values = steady()
        values[110, 70:] = np.nan
        found = judged(values, start=100)
        assert failed(found) == {"coverage"}
        assert found["coverage"].text == (
            "1 of 20 sessions fall short: 70.0% of 100 members have a value on 2023-04-22, 100.0% in the mean of the 60"
            " sessions before"
        )
        values[110, 70:] = steady()[110, 70:]
        values[110, 85:] = np.nan
        assert not failed(judged(values, start=100))

    def test_always_too_few(self):
        values = steady()
        values[:, 45:] = np.nan
        assert failed(judged(values)) == {"coverage"}

    def test_infinite_values_are_an_error(self):
        values = steady()
        values[90, 3] = -np.inf
        found = judged(values)["sane_values"]
        assert (found.passed, found.is_error) == (False, True)
        assert found.text == "1 values are infinite, the first on 2023-04-02"
        assert not judged(values, start=91)["sane_values"].is_error

    def test_absurd_values(self):
        values = steady()
        values[100:, :3] *= 1e6
        found = judged(values, start=100)["sane_values"]
        assert (found.passed, found.is_error) == (False, False)
        assert found.text == "3.0% of 2000 values are absurd, most of them on 2023-04-12"
        values[100:, 1:3] /= 1e6
        assert judged(values, start=100)["sane_values"].passed

    def test_a_small_cross_section(self):
        values = steady()
        values[117, 4:] = np.nan
        found = judged(values, start=100)
        assert failed(found) == {"coverage", "cross_section"}
        assert found["cross_section"].text == "1 of 20 sessions have fewer than 10 names: 4 on 2023-04-29"

    def test_an_order_that_breaks(self):
        values = steady()
        values[110] = np.random.default_rng(4).permutation(values[110])
        found = judged(values, start=100)
        assert failed(found) == {"rank_stability"}
        assert found["rank_stability"].numbers["n_failed"] == 1  # the way back is compared with the fall
        assert found["rank_stability"].text.startswith("1 of 20 sessions fail: on 2023-04-22 the ranks correlate ")
        assert "with the session before, at least 0.9" in found["rank_stability"].text

    def test_one_value_for_all(self):
        values = steady()
        values[110] = 3.0
        found = judged(values, start=100)["rank_stability"]
        assert found.text == "2 of 20 sessions fail: all names have one value on 2023-04-22 or before it"
        assert found.numbers["n_undefined"] == 2

    def test_dates_of_another_length(self):
        with pytest.raises(MisalignedError, match="Statistics of 120 sessions are not of 119 dates"):
            judge(value_statistics(steady(), EVERYWHERE), DATES[:-1], start=0, warm=0)
