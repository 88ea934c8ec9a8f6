"""Random portfolios against a plain replay of their generator, exact enumeration, and the null."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation import random_portfolios as module
from factor_assets.evaluation.portfolios import sort_portfolios
from factor_assets.evaluation.random_portfolios import compare_with_random, random_portfolios
from factor_assets.evaluation.ranking import rank

MASK = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15
GOLDEN = [[8.0, -2.0, 6.0], [-5.0, -1.0, -10.0], [3.0, 3.0, -9.0]]  # a change breaks every stored p-value


def mix(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def plain_draw(candidates: list[int], n_drawn: int, *, seed: int, t: int, simulation: int) -> list[int]:
    names = list(candidates)
    state = mix(mix((seed + t * GAMMA) & MASK) ^ mix((simulation + GAMMA) & MASK))
    for i in range(n_drawn):
        left = len(names) - i
        while True:
            state = (state + GAMMA) & MASK
            product = (mix(state) >> 32) * left
            if product % 2**32 >= 2**32 % left:
                break
        j = i + product // 2**32
        names[i], names[j] = names[j], names[i]
    return names[:n_drawn]


def market(seed: int, n_dates: int = 30, n_tickers: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    returns = 0.02 * random.normal(size=(n_dates, n_tickers))
    returns[random.random(returns.shape) < 0.1] = np.nan
    cap = random.lognormal(size=returns.shape)
    cap[random.random(returns.shape) < 0.05] = np.nan
    return returns, random.random(returns.shape) < 0.9, cap


def sizes(n_dates: int, n: int = 2) -> np.ndarray:
    return np.full(n_dates, n, dtype=np.int64)


class TestAgainstPlainReplay:
    def test_generator_is_splitmix64(self) -> None:
        got = [mix((1234567 + i * GAMMA) & MASK) for i in (1, 2, 3)]
        assert got == [6457827717110365317, 3203168211198807973, 9817491932198370423]

    def test_a_number_that_favours_some_names_is_drawn_again(self) -> None:
        names = np.arange(3, dtype=np.int32)
        module._draw(names, 3, 1, np.uint64(-GAMMA & MASK))  # the first number is 0, one too many for three names
        assert mix(0) == 0
        assert names[0] == (mix(GAMMA) >> 32) * 3 >> 32 == 2

    @pytest.mark.parametrize("seed", [0, 3, 2**63 + 5])
    @pytest.mark.parametrize("is_cap_weighted", [False, True])
    def test_equal(self, seed: int, is_cap_weighted: bool) -> None:
        returns, universe, cap = market(1)
        n_long, n_short = np.random.default_rng(2).integers(-1, 4, size=(2, 30))
        is_rebalance = np.random.default_rng(3).random(30) < 0.4
        got = random_portfolios(
            returns,
            universe,
            n_long=n_long,
            n_short=n_short,
            market_cap=cap if is_cap_weighted else None,
            is_rebalance=is_rebalance,
            n_simulations=4,
            seed=seed,
        )
        expected = np.full((4, 30), np.nan)
        for simulation in range(4):
            sides: list[dict[int, float]] = []
            for t in range(1, 30):
                if min(n_long[t], n_short[t]) < 0 or n_long[t] + n_short[t] == 0:
                    sides = []
                    continue
                if is_rebalance[t] or not sides:
                    weights = cap[t - 1] if is_cap_weighted else np.ones(12)
                    candidates = [
                        j for j in range(12) if universe[t - 1, j] and weights[j] > 0 and np.isfinite(returns[t, j])
                    ]
                    n = n_long[t] + n_short[t]
                    drawn = plain_draw(candidates, n, seed=seed, t=t, simulation=simulation)
                    sides = [{j: weights[j] for j in part} for part in (drawn[: n_long[t]], drawn[n_long[t] :])]
                earned = []
                for side in sides:
                    held = {j: w for j, w in side.items() if np.isfinite(returns[t, j])}
                    total = sum(held.values())
                    mean = sum(w * returns[t, j] for j, w in held.items()) / total if held else np.nan
                    earned.append(mean if side else 0.0)
                expected[simulation, t] = earned[0] - earned[1]
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
        assert 0 < np.isnan(got[:, 1:]).mean() < 0.6


class TestAgainstEnumeration:
    def test_every_pair_of_sides_has_the_same_chance(self) -> None:
        powers = np.array([[1.0, 10.0, 100.0, 1000.0, 10000.0]] * 2)
        got = random_portfolios(
            powers, np.ones((2, 5), bool), n_long=sizes(2), n_short=sizes(2, 1), n_simulations=30_000
        )
        possible = {
            round((powers[0, a] + powers[0, b]) / 2 - powers[0, c], 6): 0
            for a, b in combinations(range(5), 2)
            for c in range(5)
            if c not in {a, b}
        }
        counts = Counter(np.round(got[:, 1], 6).tolist())
        assert counts.keys() == possible.keys()
        assert len(possible) == 30
        chi_square = sum((n - 1000) ** 2 / 1000 for n in counts.values())
        assert 10.2 < chi_square < 64.0  # 0.05% on both sides of chi-square with 29 degrees of freedom

    def test_mean_and_variance_of_a_draw(self) -> None:
        returns = np.random.default_rng(0).normal(size=(2, 40))
        got = random_portfolios(
            returns, np.ones((2, 40), bool), n_long=sizes(2, 8), n_short=sizes(2, 8), n_simulations=20_000
        )[:, 1]
        deviation = (2 / 8 * returns[1].var(ddof=1)) ** 0.5  # finite population: both sides together
        assert got.mean() == pytest.approx(0.0, abs=4 * deviation / 20_000**0.5)
        assert got.std() == pytest.approx(deviation, rel=0.03)


class TestAgainstSimulation:
    def test_pvalue_of_a_random_portfolio_is_uniform(self) -> None:
        random = np.random.default_rng(0)
        n = sizes(20)
        got = []
        for seed in range(400):
            returns = 0.02 * random.normal(size=(20, 10))
            draws = random_portfolios(
                returns, np.ones((20, 10), bool), n_long=n, n_short=n, n_simulations=40, seed=seed
            )
            result = compare_with_random(draws[0], draws[1:], alternative="greater")
            got.append((result.pvalue_mean, result.pvalue_cumulative))
        for level in (0.05, 0.25, 0.5):
            band = 3.3 * (level * (1 - level) / 400) ** 0.5
            assert np.mean(np.array(got) <= level, axis=0) == pytest.approx([level, level], abs=band)

    def test_a_factor_that_knows_is_told_from_luck(self) -> None:
        random = np.random.default_rng(1)
        factor = random.normal(size=(250, 60))
        returns = 0.02 * random.normal(size=(250, 60))
        returns[1:] += 0.004 * factor[:-1]
        random_factor = random.normal(size=(250, 60))
        for values, knows in ((factor, True), (random_factor, False)):
            portfolios = sort_portfolios(rank(values), returns)
            draws = random_portfolios(
                returns, np.isfinite(values), n_long=portfolios.n_high, n_short=portfolios.n_low, n_simulations=199
            )
            result = compare_with_random(portfolios.factor, draws)
            assert result.n_sessions == 249
            assert (result.pvalue_mean == result.pvalue_cumulative == 0.01) == knows
            assert result.mean_return == pytest.approx(np.nanmean(portfolios.factor), rel=1e-12)
            assert result.cumulative_return == pytest.approx(np.nanprod(1 + portfolios.factor) - 1, rel=1e-12)


class TestProperties:
    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 2**64 - 1), n_dates=st.integers(2, 30), n_simulations=st.integers(1, 20))
    def test_what_was_there_keeps_its_bits(self, seed: int, n_dates: int, n_simulations: int) -> None:
        returns, universe, _ = market(0)
        whole = random_portfolios(returns, universe, n_long=sizes(30), n_short=sizes(30), n_simulations=20, seed=seed)
        part = random_portfolios(
            returns[:n_dates],
            universe[:n_dates],
            n_long=sizes(n_dates),
            n_short=sizes(n_dates),
            n_simulations=n_simulations,
            seed=seed,
        )
        np.testing.assert_array_equal(part, whole[:n_simulations, :n_dates])
        assert np.isnan(whole[:, 0]).all()
        assert np.isfinite(whole[:, 1:]).all()

    def test_golden_bits(self) -> None:
        grid = (np.arange(40, dtype=np.float64) ** 2 % 11).reshape(4, 10) / 64  # exact in binary
        got = random_portfolios(
            grid, np.ones((4, 10), bool), n_long=sizes(4), n_short=sizes(4), n_simulations=3, seed=7
        )
        assert (got[:, 1:] * 128).tolist() == GOLDEN

    def test_every_parameter_changes_a_number(self) -> None:
        returns, universe, cap = market(4)
        arguments = {"n_long": sizes(30), "n_short": sizes(30), "n_simulations": 5}
        first = random_portfolios(returns, universe, **arguments)
        np.testing.assert_array_equal(random_portfolios(returns, universe, **arguments), first)
        for change in (
            {"n_long": sizes(30, 3)},
            {"n_short": sizes(30, 1)},
            {"seed": 1},
            {"market_cap": cap},
            {"is_rebalance": np.zeros(30, bool)},
        ):
            assert not np.array_equal(random_portfolios(returns, universe, **arguments | change), first, equal_nan=True)

    def test_memory_layout_does_not_matter(self) -> None:
        returns, universe, cap = market(4)
        one, other = (
            random_portfolios(
                layout(returns),
                layout(universe),
                n_long=np.tile(sizes(30), (2, 1)).T[:, 0],
                n_short=sizes(30),
                market_cap=layout(cap),
            )
            for layout in (np.ascontiguousarray, np.asfortranarray)
        )
        np.testing.assert_array_equal(one, other)

    def test_names_outside_the_universe_and_without_a_return_are_never_held(self) -> None:
        returns = np.ones((5, 8)) * 0.01
        returns[:, 0] = 5.0
        returns[:, 1] = np.nan
        universe = np.ones((5, 8), bool)
        universe[:, 0] = False
        got = random_portfolios(returns, universe, n_long=sizes(5, 3), n_short=sizes(5, 3), n_simulations=50)
        assert (got[:, 1:] == 0.0).all()

    def test_todays_membership_is_not_known_yesterday(self) -> None:
        returns, _, _ = market(5)
        universe = np.ones(returns.shape, bool)
        later = universe.copy()
        later[10, :6] = False
        one, other = (random_portfolios(returns, u, n_long=sizes(30), n_short=sizes(30)) for u in (universe, later))
        differs = (one != other)[:, 1:].any(axis=0)
        assert np.flatnonzero(differs).tolist() == [10]  # row 11: membership on row 10

    def test_names_stay_between_draws(self) -> None:
        returns = np.tile(2.0 ** np.arange(8), (12, 1))
        is_rebalance = np.arange(12) % 4 == 0
        got = random_portfolios(
            returns, np.ones((12, 8), bool), n_long=sizes(12, 1), n_short=sizes(12, 1), is_rebalance=is_rebalance
        )
        assert (np.diff(got[:, 1:4]) == 0).all()
        assert (np.diff(got[:, 4:8]) == 0).all()
        assert (got[:, 3] != got[:, 4]).mean() > 0.9

    def test_one_side_alone_and_no_side(self) -> None:
        returns, universe, _ = market(6)
        n_short = np.where(np.arange(30) < 15, 0, -1)
        got = random_portfolios(returns, universe, n_long=sizes(30, 1), n_short=n_short, n_simulations=10)
        assert np.isin(got[:, 1:15], returns[1:15]).all()
        assert np.isnan(got[:, 15:]).all()
        none = random_portfolios(returns, universe, n_long=sizes(30, 0), n_short=sizes(30, 0))
        assert np.isnan(none).all()

    @settings(deadline=None, max_examples=50)
    @given(seed=st.integers(0, 500), n_simulations=st.integers(1, 30))
    def test_pvalues(self, seed: int, n_simulations: int) -> None:
        random = np.random.default_rng(seed)
        simulated = random.normal(size=(n_simulations, 6)).round(1) / 10
        observed = random.normal(size=6).round(1) / 10
        greater, less, both = (
            compare_with_random(observed, simulated, alternative=a) for a in ("greater", "less", "two_sided")
        )
        for name in ("pvalue_mean", "pvalue_cumulative"):
            up, down = getattr(greater, name), getattr(less, name)
            assert 1 / (1 + n_simulations) <= min(up, down) <= max(up, down) <= 1.0
            assert up + down >= 1.0
            assert getattr(both, name) == min(1.0, 2 * min(up, down))
        better = compare_with_random(observed + 0.05, simulated, alternative="greater")
        assert better.pvalue_mean <= greater.pvalue_mean
        shuffle = random.permutation(n_simulations)
        assert compare_with_random(observed, simulated[shuffle]).pvalue_mean == both.pvalue_mean

    def test_best_of_all_is_one_over_all(self) -> None:
        simulated = np.zeros((19, 3))
        result = compare_with_random(np.full(3, 0.01), simulated, alternative="greater")
        assert (result.pvalue_mean, result.pvalue_cumulative) == (0.05, 0.05)
        tied = compare_with_random(np.zeros(3), simulated, alternative="greater")
        assert (tied.pvalue_mean, tied.pvalue_cumulative) == (1.0, 1.0)

    def test_missing_sessions_are_left_out(self) -> None:
        simulated = np.array([[0.1, 0.5, np.nan, 0.3], [0.2, 0.5, 0.1, 0.1]])
        result = compare_with_random(np.array([0.1, np.nan, 0.2, 0.1]), simulated)
        assert result.n_sessions == 3
        np.testing.assert_allclose(result.simulated_mean_returns, [0.2, 0.4 / 3])
        np.testing.assert_allclose(result.simulated_cumulative_returns, [1.1 * 1.3 - 1, 1.2 * 1.1 * 1.1 - 1])

    def test_what_lost_everything_stays_at_minus_one(self) -> None:
        result = compare_with_random(np.array([-1.5, -3.0]), np.array([[0.1, -2.0]]))
        assert result.cumulative_return == -1.0
        assert result.simulated_cumulative_returns.tolist() == [-1.0]


class TestErrors:
    def test_more_names_than_there_are(self) -> None:
        returns, universe, _ = market(0)
        n_long = sizes(30)
        n_long[7] = 11
        with pytest.raises(EvaluationError, match="Row 7 asks for 11 long and 2 short names; fewer were"):
            random_portfolios(returns, universe, n_long=n_long, n_short=sizes(30))

    def test_one_ticker(self) -> None:
        with pytest.raises(EvaluationError, match="Row 1 asks for 1 long and 1 short names"):
            random_portfolios(np.ones((3, 1)), np.ones((3, 1), bool), n_long=sizes(3, 1), n_short=sizes(3, 1))

    @pytest.mark.parametrize("name", ["n_long", "n_short", "market_cap", "is_rebalance"])
    def test_misaligned(self, name: str) -> None:
        returns, universe, _ = market(0)
        arguments = {"n_long": sizes(30), "n_short": sizes(30), name: np.ones(29, dtype=np.int64)}
        with pytest.raises(MisalignedError, match=rf"want {name} of shape \(30,.*got \(29,\)"):
            random_portfolios(returns, universe, **arguments)

    def test_misaligned_universe_and_returns(self) -> None:
        returns, universe, _ = market(0)
        with pytest.raises(MisalignedError, match=r"in_universe of shape \(30, 12\), got \(30, 11\)"):
            random_portfolios(returns, universe[:, :-1], n_long=sizes(30), n_short=sizes(30))
        with pytest.raises(MisalignedError, match=r"returns of shape \(n_dates, n_tickers\), got \(30,\)"):
            random_portfolios(returns[:, 0], universe[:, 0], n_long=sizes(30), n_short=sizes(30))

    def test_no_simulation(self) -> None:
        returns, universe, _ = market(0)
        with pytest.raises(EvaluationError, match="at least 1 simulation, got 0"):
            random_portfolios(returns, universe, n_long=sizes(30), n_short=sizes(30), n_simulations=0)

    def test_comparison(self) -> None:
        simulated = np.array([[0.1, np.nan, 0.2]])
        with pytest.raises(MisalignedError, match=r"got \(2,\) and \(1, 3\)"):
            compare_with_random(np.zeros(2), simulated)
        with pytest.raises(EvaluationError, match="1 of 3 have none, of 1 simulations"):
            compare_with_random(np.zeros(3), simulated)
        with pytest.raises(EvaluationError, match="0 of 0 have none"):
            compare_with_random(np.full(3, np.nan), simulated)
        with pytest.raises(EvaluationError, match="of 0 simulations"):
            compare_with_random(np.zeros(3), np.zeros((0, 3)))
        with pytest.raises(EvaluationError, match="finite returns; 1 are infinite"):
            compare_with_random(np.array([np.inf, np.nan, 0.0]), simulated)
        with pytest.raises(EvaluationError, match=r"'more': choose one of 'greater', 'less', 'two_sided'\."):
            compare_with_random(np.zeros(3), simulated, alternative="more")  # type: ignore[arg-type]
