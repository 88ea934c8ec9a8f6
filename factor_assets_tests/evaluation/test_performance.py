"""Performance against empyrical where the definitions agree; where they part, both numbers and why.

They agree on compound return, volatility, the Sharpe ratio of `sharpe.py` (mean over standard deviation), and on
drawdowns below a later peak. They part on five points:

1. Sharpe ratio of `performance`: the compound return less the riskless rate of a year, over the volatility. Empyrical
   takes the arithmetic mean less a riskless rate of a session. The first is what `factor_summary` has always said; the
   second, which has a sampling distribution, is in `sharpe.py`.
2. The peak of a drawdown: ours is a session's wealth, empyrical's also the capital of before the first session. A loss
   before the first peak is a drawdown to empyrical alone.
3. Missing sessions: ours are left out everywhere; empyrical counts them as sessions without a return in the compound
   return, and leaves them out of the volatility.
4. No volatility: ours has no ratio (NaN), empyrical's is infinite.
5. Ruin: our compound return is -1; empyrical's is a root of a negative number, which there is not.

What does not belong here: `factor_summary`, which is made of these (`test_summary.py`).
"""

import math

import empyrical
import numpy as np
import pytest

from factor_assets.evaluation.performance import performance
from factor_assets.evaluation.sharpe import sharpe_ratio
from factor_assets.panel.panel import Array

EXACT = {"rel": 1e-10, "abs": 1e-14}


def drawn(seed: int, n: int = 750) -> Array:
    """Daily returns with fat tails, the first of them a gain."""
    returns: Array = 0.01 * np.random.default_rng(seed).standard_t(4, size=n) + 0.0004
    returns[0] = 0.01
    return returns


class TestAgainstEmpyrical:
    @pytest.mark.parametrize("n", [2, 30, 252, 2520])
    @pytest.mark.parametrize("seed", range(3))
    def test_where_the_definitions_agree(self, seed: int, n: int) -> None:
        returns = drawn(seed, n)
        got = performance(returns)
        assert got.annualized_return == pytest.approx(empyrical.annual_return(returns), **EXACT)
        assert got.annualized_volatility == pytest.approx(empyrical.annual_volatility(returns), **EXACT)
        assert sharpe_ratio(returns).annualized == pytest.approx(empyrical.sharpe_ratio(returns), **EXACT)
        # Opening with a session of no return, the capital of before the first session is a session's wealth.
        opened = performance(np.concatenate([[0.0], returns]))
        assert opened.max_drawdown == pytest.approx(empyrical.max_drawdown(returns), **EXACT)

    def test_sharpe_ratio_is_of_the_compound_return(self) -> None:
        returns = drawn(0)
        got = performance(returns, risk_free_rate=0.03)
        compound, volatility = empyrical.annual_return(returns), empyrical.annual_volatility(returns)
        assert got.sharpe_ratio == pytest.approx((compound - 0.03) / volatility, **EXACT)
        arithmetic = empyrical.sharpe_ratio(returns, risk_free=0.03 / 252)
        assert arithmetic == pytest.approx((252 * returns.mean() - 0.03) / volatility, **EXACT)
        assert abs(got.sharpe_ratio - arithmetic) > 0.01, "compounding costs about half the variance"

    def test_a_loss_before_the_first_peak_is_a_drawdown_to_empyrical_alone(self) -> None:
        returns = np.array([-0.2, 0.1, 0.1, -0.05])
        assert performance(returns).max_drawdown == pytest.approx(-0.05)
        assert empyrical.max_drawdown(returns) == pytest.approx(-0.2)
        assert performance(np.concatenate([[0.0], returns])).max_drawdown == pytest.approx(-0.2)

    def test_missing_sessions_are_not_sessions(self) -> None:
        returns = drawn(1)
        gaps = returns.copy()
        gaps[5::3] = np.nan
        present = gaps[~np.isnan(gaps)]
        got = performance(gaps)
        assert got == performance(present)
        assert got.annualized_volatility == pytest.approx(empyrical.annual_volatility(gaps), **EXACT)
        assert got.annualized_return == pytest.approx(empyrical.annual_return(present), **EXACT)
        diluted = (1 + got.annualized_return) ** (len(present) / len(gaps)) - 1
        assert empyrical.annual_return(gaps) == pytest.approx(diluted, **EXACT)

    def test_no_volatility_is_no_ratio(self) -> None:
        constant = np.full(50, 0.001)
        assert math.isnan(performance(constant).sharpe_ratio)
        assert math.isnan(sharpe_ratio(constant).annualized)
        assert math.isinf(empyrical.sharpe_ratio(constant)), "or 1e15, in releases before 0.7"

    def test_after_ruin_nothing_is_left(self) -> None:
        returns = np.array([0.1, -1.5, 0.3, 0.1, 0.0])  # a short position can lose more than all
        assert performance(returns).annualized_return == -1.0
        with np.errstate(invalid="ignore"):
            assert math.isnan(empyrical.annual_return(returns))
        assert performance(returns).max_drawdown == pytest.approx(empyrical.max_drawdown(returns), **EXACT)


class TestProperties:
    def test_the_riskless_rate_moves_the_sharpe_ratio_alone(self) -> None:
        one, other = performance(drawn(0)), performance(drawn(0), risk_free_rate=0.05)
        assert other.sharpe_ratio == pytest.approx(one.sharpe_ratio - 0.03 / one.annualized_volatility)
        assert (one.annualized_return, one.max_drawdown) == (other.annualized_return, other.max_drawdown)

    def test_order_matters_to_the_drawdown_alone(self) -> None:
        returns = drawn(2)
        forth, back = performance(returns), performance(returns[::-1])
        assert back.annualized_return == pytest.approx(forth.annualized_return, **EXACT)
        assert back.sharpe_ratio == pytest.approx(forth.sharpe_ratio, **EXACT)
        assert back.max_drawdown != forth.max_drawdown
