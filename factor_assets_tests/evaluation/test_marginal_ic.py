"""Marginal rank IC: against statsmodels and scipy in a plain loop, its properties, its errors."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import rankdata, spearmanr

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.marginal_ic import marginal_rank_ic
from factor_assets.evaluation.newey_west import newey_west_mean
from factor_assets.evaluation.ranking import rank
from factor_assets.panel.panel import Array

N_DATES, N_TICKERS, DELAY = 30, 40, 2


def market(seed: int = 0, *, missing: float = 0.1) -> tuple[Array, list[Array], Array]:
    """A factor, three others that it depends on, and completed returns that both foretell."""
    rng = np.random.default_rng(seed)
    others = [rng.normal(size=(N_DATES, N_TICKERS)) for _ in range(3)]
    own = rng.normal(size=(N_DATES, N_TICKERS))
    factor = own + others[0] - 0.5 * others[1]
    forward = rng.normal(size=(N_DATES, N_TICKERS))
    forward[DELAY:] += own[:-DELAY] + others[0][:-DELAY]
    for values in (factor, *others, forward):
        values[rng.random(values.shape) < missing] = np.nan
    factor[:] = np.round(factor, 1)
    return factor, others, forward


class TestAgainstStatsmodels:
    def test_residuals_by_date(self) -> None:
        factor, others, forward = market()
        found = marginal_rank_ic(factor, others, rank(forward), delay=DELAY)
        assert np.isnan(found.rank_ic[:DELAY]).all()
        for d in range(DELAY, N_DATES):
            s = d - DELAY
            names = np.isfinite([factor[s], *(other[s] for other in others)]).all(axis=0)
            ranks = np.column_stack([rankdata(other[s, names]) for other in others])
            fit = sm.OLS(rankdata(factor[s, names]), sm.add_constant(ranks)).fit()
            both = np.isfinite(forward[d, names])
            wanted = spearmanr(np.round(fit.resid[both], 8), forward[d, names][both])[0]
            assert found.rank_ic[d] == pytest.approx(wanted, abs=1e-10)
            assert found.explained[s] == pytest.approx(fit.rsquared, abs=1e-10)

    def test_mean(self) -> None:
        factor, others, forward = market()
        found = marginal_rank_ic(factor, others, rank(forward), delay=DELAY, horizon=3)
        known = found.rank_ic[np.isfinite(found.rank_ic)]
        fit = sm.OLS(known, np.ones(len(known))).fit(
            cov_type="HAC", cov_kwds={"maxlags": int(found.mean.lags), "use_correction": True}
        )
        assert found.mean.lags >= 2
        assert float(found.mean.estimate.value) == pytest.approx(known.mean(), abs=1e-14)
        assert float(found.mean.estimate.tstat) == pytest.approx(float(fit.tvalues[0]), rel=1e-10)


class TestProperties:
    def test_without_others_it_is_the_rank_ic(self) -> None:
        factor, _, forward = market()
        found = marginal_rank_ic(factor, [], rank(forward), delay=DELAY)
        np.testing.assert_array_equal(found.rank_ic, rank_ic(rank(factor), rank(forward), delay=DELAY))
        assert np.nanmax(found.explained) == 0.0

    def test_what_others_tell_is_gone(self) -> None:
        rng = np.random.default_rng(4)
        known = rng.normal(size=(200, 60))
        factor = known + 0.5 * rng.normal(size=known.shape)
        forward = np.vstack([np.full((1, 60), np.nan), known[:-1]]) + rng.normal(size=known.shape)
        alone = marginal_rank_ic(factor, [], rank(forward), delay=1)
        beside = marginal_rank_ic(factor, [known], rank(forward), delay=1)
        assert float(alone.mean.estimate.tstat) > 20
        assert abs(float(beside.mean.estimate.value)) < 0.1 * float(alone.mean.estimate.value)
        assert float(np.nanmean(beside.explained)) > 0.7

    def test_wholly_explained_or_constant_is_missing(self) -> None:
        factor, others, forward = market(missing=0.0)
        for own in (np.exp(others[0]), -others[0], np.ones_like(factor)):
            assert np.isnan(marginal_rank_ic(own, others, rank(forward), delay=DELAY).rank_ic).all()

    def test_others_that_repeat_or_are_constant_change_nothing(self) -> None:
        factor, others, forward = market(missing=0.0)
        once = marginal_rank_ic(factor, others, rank(forward), delay=DELAY, min_tickers=2)
        more = [*others, others[0], -others[1], np.ones_like(factor)]
        again = marginal_rank_ic(factor, more, rank(forward), delay=DELAY, min_tickers=2)
        np.testing.assert_allclose(again.rank_ic, once.rank_ic, atol=1e-12)

    def test_a_missing_return_changes_no_other_session(self) -> None:
        factor, others, forward = market(missing=0.0)
        usual = marginal_rank_ic(factor, others, rank(forward), delay=DELAY)
        forward[10, :25] = np.nan
        less = marginal_rank_ic(factor, others, rank(forward), delay=DELAY)
        assert list(np.flatnonzero(~np.isclose(usual.rank_ic, less.rank_ic, equal_nan=True))) == [10]
        np.testing.assert_array_equal(usual.explained, less.explained)

    def test_names_alike_in_every_factor_tie(self) -> None:
        factor, others, forward = market(missing=0.0)
        for values in (factor, *others):
            values[:, 1:7] = values[:, :1]
        usual = marginal_rank_ic(factor, others, rank(forward), delay=DELAY)
        order = np.random.default_rng(1).permutation(N_TICKERS)
        moved = marginal_rank_ic(factor[:, order], [x[:, order] for x in others], rank(forward[:, order]), delay=DELAY)
        np.testing.assert_allclose(moved.rank_ic, usual.rank_ic, atol=1e-12)

    def test_too_few_names_are_missing(self) -> None:
        factor, others, forward = market(missing=0.0)
        factor[:, 15:] = np.nan
        assert np.isfinite(
            marginal_rank_ic(factor, others, rank(forward), delay=DELAY, min_tickers=12).rank_ic[2:]
        ).all()
        assert np.isnan(marginal_rank_ic(factor, others, rank(forward), delay=DELAY, min_tickers=13).rank_ic).all()

    def test_among_and_infinite(self) -> None:
        factor, others, forward = market(missing=0.0)
        members = np.ones(factor.shape, dtype=bool)
        members[:, :10] = False
        usual = marginal_rank_ic(factor, others, rank(forward), delay=DELAY, among=members).rank_ic
        others[1][:, :10] = np.inf
        np.testing.assert_array_equal(marginal_rank_ic(factor, others, rank(forward), delay=DELAY).rank_ic, usual)

    def test_lags_change_the_error(self) -> None:
        factor, others, forward = market()
        found = marginal_rank_ic(factor, others, rank(forward), delay=DELAY, lags=7)
        wanted = newey_west_mean(found.rank_ic, lags=7)
        assert float(found.mean.estimate.tstat) == float(wanted.estimate.tstat)
        usual = marginal_rank_ic(factor, others, rank(forward), delay=DELAY)
        assert float(found.mean.estimate.tstat) != float(usual.mean.estimate.tstat)


class TestErrors:
    def test_shapes(self) -> None:
        factor, others, forward = market()
        with pytest.raises(MisalignedError, match=r"other 1 has \(30, 39\)"):
            marginal_rank_ic(factor, [others[0], others[1][:, 1:]], rank(forward), delay=DELAY)
        with pytest.raises(MisalignedError, match="one shape"):
            marginal_rank_ic(factor, others, rank(forward[:, 1:]), delay=DELAY)

    def test_horizon_and_delay(self) -> None:
        factor, others, forward = market()
        with pytest.raises(EvaluationError, match="horizon of at least 1 session, got 0"):
            marginal_rank_ic(factor, others, rank(forward), delay=DELAY, horizon=0)
        with pytest.raises(EvaluationError, match="got delay 0"):
            marginal_rank_ic(factor, others, rank(forward), delay=0)
