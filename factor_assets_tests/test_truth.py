"""The sample market's planted premium is found at its nominal rate, and nothing is found where nothing was planted."""

import numpy as np
import pytest

from factor_assets.evaluation.portfolios import sort_portfolios
from factor_assets.evaluation.ranking import rank
from factor_assets.sources.sample import SampleMarket, simulate_market

N_SEEDS, N_DATES, N_TICKERS, SPREAD = 200, 2012, 60, 0.0008


def factor_returns(market: SampleMarket, part: str) -> np.ndarray:
    """Daily returns of the factor made of where `part` (close or open) lies between low and high."""
    values = (getattr(market, part) - market.low) / (market.high - market.low)
    growth = np.where(np.isnan(market.split), 1.0, market.split) + np.nan_to_num(market.dividend) / market.close
    returns = np.full_like(market.close, np.nan)
    returns[1:] = market.close[1:] * growth[1:] / market.close[:-1] - 1
    ranking = rank(values, among=market.listed)
    n_members = market.listed.sum(axis=1).astype(np.int64)
    portfolios = sort_portfolios(ranking, returns, n_groups=3, weighting="equal", market_cap=None, n_members=n_members)
    found = portfolios.high - portfolios.low
    return found[~np.isnan(found)]


@pytest.fixture(scope="module")
def evidence() -> dict[str, np.ndarray]:
    """Mean and standard error of both factors' returns for each seed, shape (n_seeds, 2)."""
    found: dict[str, list[tuple[float, float]]] = {"close": [], "open": []}
    for seed in range(N_SEEDS):
        market = simulate_market(N_DATES, seed=seed, n_tickers=N_TICKERS, planted_spread=SPREAD)
        for part, rows in found.items():
            returns = factor_returns(market, part)
            rows.append((returns.mean(), returns.std(ddof=1) / np.sqrt(len(returns))))
    return {part: np.array(rows) for part, rows in found.items()}


def binomial_bounds(rate: float) -> tuple[float, float]:
    """Share of N_SEEDS that a rate stays within with probability 0.999."""
    from scipy.stats import binom

    return binom.ppf(0.0005, N_SEEDS, rate) / N_SEEDS, binom.ppf(0.9995, N_SEEDS, rate) / N_SEEDS


@pytest.mark.slow
class TestAgainstThePlantedPremium:
    def test_its_interval_covers_it_at_the_nominal_rate(self, evidence: dict[str, np.ndarray]) -> None:
        mean, error = evidence["close"].T
        covered = np.mean(np.abs(mean - SPREAD) <= 1.96 * error)
        low, high = binomial_bounds(0.95)
        assert low <= covered <= high

    def test_the_null_factor_is_significant_at_the_nominal_rate(self, evidence: dict[str, np.ndarray]) -> None:
        mean, error = evidence["open"].T
        significant = np.mean(np.abs(mean) > 1.96 * error)
        low, high = binomial_bounds(0.05)
        assert low <= significant <= high

    def test_the_estimate_is_unbiased(self, evidence: dict[str, np.ndarray]) -> None:
        for part, planted in (("close", SPREAD), ("open", 0.0)):
            mean = evidence[part][:, 0]
            assert abs(mean.mean() - planted) < 3.5 * mean.std(ddof=1) / np.sqrt(N_SEEDS)
