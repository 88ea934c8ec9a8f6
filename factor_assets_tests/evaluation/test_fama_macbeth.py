"""Fama-MacBeth regressions against linearmodels, a loop over dates and Shanken's formula."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from linearmodels.panel import FamaMacBeth as PanelFamaMacBeth

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.fama_macbeth import FamaMacBeth, fama_macbeth

EXACT = {"rtol": 1e-10, "atol": 1e-14}


def market(seed: int, n_dates: int = 120, n_tickers: int = 60, k: int = 3) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Correlated characteristics of different scale and level, with gaps."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(n_dates, n_tickers))
    regressors = {f"x{j}": 4.0 ** (j % 3) * (j + random.normal(size=shared.shape) + 0.7 * shared) for j in range(k)}
    premia = 0.001 + 0.01 * random.normal(size=(n_dates, k))
    returns = 0.02 * random.normal(size=shared.shape)
    for j, values in enumerate(regressors.values()):
        returns += premia[:, j : j + 1] * values / 4.0 ** (j % 3)
        values[random.random(shared.shape) < 0.02] = np.nan
    returns[random.random(shared.shape) < 0.02] = np.nan
    returns[3, 5], regressors["x0"][4, 6] = np.inf, -np.inf
    return returns, regressors


def by_linearmodels(returns: np.ndarray, regressors: dict[str, np.ndarray]) -> PanelFamaMacBeth:
    n_dates, n_tickers = returns.shape
    index = pd.MultiIndex.from_product(
        [range(n_tickers), pd.date_range("2010-01-01", periods=n_dates)], names=["ticker", "date"]
    )
    frame = pd.DataFrame({"constant": 1.0} | {n: v.T.reshape(-1) for n, v in regressors.items()}, index=index)
    frame["r"] = returns.T.reshape(-1)
    frame = frame[np.isfinite(frame).all(axis=1)]
    return PanelFamaMacBeth(frame["r"], frame.drop(columns="r"))


def by_loop(returns: np.ndarray, regressors: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    premia, rsquared = [], []
    for t in range(len(returns)):
        x = np.column_stack([np.ones(returns.shape[1]), *(values[t] for values in regressors.values())])
        rows = np.isfinite(x).all(axis=1) & np.isfinite(returns[t])
        y, x = returns[t, rows], x[rows]
        b, *_ = np.linalg.lstsq(x, y, rcond=None)
        premia.append(b)
        rsquared.append(1 - ((y - x @ b) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    return np.array(premia), np.array(rsquared)


class TestAgainstLinearmodels:
    @pytest.mark.parametrize("lags", [0, 4])
    @pytest.mark.parametrize("k", [1, 3])
    def test_every_number(self, k: int, lags: int) -> None:
        returns, regressors = market(0, k=k)
        got = fama_macbeth(returns, regressors, lags=lags)
        model = by_linearmodels(returns, regressors)
        ordinary, kernel = model.fit(), model.fit(cov_type="kernel", kernel="bartlett", bandwidth=lags)
        for mine, theirs in ((got.ordinary, ordinary), (got.newey_west, kernel)):
            np.testing.assert_allclose(mine.value, theirs.params, **EXACT)
            np.testing.assert_allclose(mine.standard_error, theirs.std_errors, **EXACT)
            np.testing.assert_allclose(mine.tstat, theirs.tstats, **EXACT)
            np.testing.assert_allclose(mine.pvalue, theirs.pvalues, **EXACT)
            lower, upper = theirs.conf_int().to_numpy().T
            np.testing.assert_allclose(mine.conf_int_lower, lower, **EXACT)
            np.testing.assert_allclose(mine.conf_int_upper, upper, **EXACT)
        np.testing.assert_allclose(got.premia, ordinary.all_params, **EXACT)
        assert got.names == tuple(ordinary.params.index)


class TestAgainstALoop:
    @pytest.mark.parametrize("seed", [1, 2])
    @pytest.mark.parametrize("k", [1, 2, 7])
    def test_every_date(self, seed: int, k: int) -> None:
        returns, regressors = market(seed, k=k)
        got = fama_macbeth(returns, regressors)
        premia, rsquared = by_loop(returns, regressors)
        np.testing.assert_allclose(got.premia, premia, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(got.rsquared, rsquared, rtol=1e-10)
        assert got.mean_rsquared == pytest.approx(rsquared.mean(), rel=1e-10)

    def test_nearly_collinear_regressors_keep_their_digits(self) -> None:
        returns, regressors = market(3)
        noise = np.random.default_rng(0).normal(size=returns.shape)
        regressors["almost"] = regressors["x0"] + 1e-4 * noise
        premia, _ = by_loop(returns, regressors)
        np.testing.assert_allclose(fama_macbeth(returns, regressors).premia, premia, rtol=1e-9, atol=1e-9)

    def test_large_levels_do_not_cancel(self) -> None:
        returns, regressors = market(4)
        expected = fama_macbeth(returns, regressors).newey_west
        regressors["x0"] = regressors["x0"] + 1e6
        got = fama_macbeth(returns, regressors).newey_west
        np.testing.assert_allclose(got.tstat[1:], expected.tstat[1:], rtol=1e-8)


class TestAgainstShanken:
    def test_betas_of_the_sample(self) -> None:
        """Cochrane (2005), section 12.2: with fixed betas, ((1 + c) A + Sigma_F) / T in terms of the residuals."""
        random = np.random.default_rng(0)
        n, tickers, k = 300, 25, 2
        factors = np.array([0.05, 0.02]) + np.array([0.1, 0.05]) * random.normal(size=(n, k))
        betas = random.normal([1, 0], [0.4, 0.6], size=(tickers, k))
        returns = factors @ betas.T + 0.1 * random.normal(size=(n, tickers))
        x = np.column_stack([np.ones(n), factors])
        coefficients, *_ = np.linalg.lstsq(x, returns, rcond=None)
        residuals, estimated = returns - x @ coefficients, coefficients[1:].T
        design = np.column_stack([np.ones(tickers), estimated])
        weights = np.linalg.inv(design.T @ design) @ design.T
        premia = weights @ returns.mean(axis=0)
        sigma_factors = np.cov(factors, rowvar=False)
        c = premia[1:] @ np.linalg.inv(sigma_factors) @ premia[1:]
        a = weights @ (residuals.T @ residuals / (n - 1)) @ weights.T
        padded = np.zeros((k + 1, k + 1))
        padded[1:, 1:] = sigma_factors
        expected = np.sqrt(np.diag(((1 + c) * a + padded) / n))

        regressors = {f"beta{j}": np.tile(estimated[:, j], (n, 1)) for j in range(k)}
        named = {f"beta{j}": factors[:, j] for j in range(k)}
        got = fama_macbeth(returns, regressors, factor_returns=named)
        assert got.shanken is not None
        np.testing.assert_allclose(got.shanken.value, premia, **EXACT)
        np.testing.assert_allclose(got.shanken.standard_error, expected, **EXACT)
        np.testing.assert_allclose(got.ordinary.standard_error, np.sqrt(np.diag((a + padded) / n)), **EXACT)
        assert c > 0.1
        # the names say which factor belongs to which beta, not the order
        again = fama_macbeth(returns, regressors, factor_returns=dict(reversed(named.items()))).shanken
        assert again is not None
        np.testing.assert_array_equal(again.standard_error, got.shanken.standard_error)

    def test_never_makes_an_error_smaller_and_is_missing_without_the_factors(self) -> None:
        returns, regressors = market(5, k=1)
        random = np.random.default_rng(0)
        wild = fama_macbeth(returns, regressors, factor_returns={"x0": random.normal(size=120)})
        assert wild.shanken is not None
        assert (wild.shanken.standard_error >= wild.ordinary.standard_error).all()
        for bad in (np.full(120, 0.1), np.full(120, np.nan)):
            none = fama_macbeth(returns, regressors, factor_returns={"x0": bad}).shanken
            assert none is not None
            assert np.isnan(none.tstat).all()
        assert fama_macbeth(returns, regressors).shanken is None


class TestProperties:
    def test_scaling(self) -> None:
        returns, regressors = market(6)
        one = fama_macbeth(returns, regressors)
        two = fama_macbeth(2.0 * returns, regressors | {"x1": -4.0 * regressors["x1"]})
        np.testing.assert_allclose(two.newey_west.value, one.newey_west.value * [2, 2, -0.5, 2], rtol=1e-12)
        np.testing.assert_allclose(two.newey_west.tstat, one.newey_west.tstat * [1, 1, -1, 1], rtol=1e-11)

    def test_the_order_of_tickers_and_regressors_does_not_matter(self) -> None:
        returns, regressors = market(7)
        one = fama_macbeth(returns, regressors)
        order = np.random.default_rng(0).permutation(returns.shape[1])
        turned = {name: values[:, order] for name, values in reversed(regressors.items())}
        two = fama_macbeth(returns[:, order], turned)
        np.testing.assert_allclose(two.premia[:, [0, 3, 2, 1]], one.premia, rtol=1e-11, atol=1e-15)
        assert two.names == ("constant", "x2", "x1", "x0")

    def test_a_slice_of_dates_has_the_same_bits(self) -> None:
        returns, regressors = market(8, n_dates=2500, n_tickers=40)
        whole = fama_macbeth(returns, regressors)
        rows = slice(900, 1701)
        part = fama_macbeth(returns[rows], {name: values[rows] for name, values in regressors.items()})
        np.testing.assert_array_equal(part.premia, whole.premia[rows])
        np.testing.assert_array_equal(part.rsquared, whole.rsquared[rows])

    def test_dates_left_out_are_counted_with_the_reason(self) -> None:
        returns, regressors = market(9)
        returns[10:15, 9:] = np.nan
        regressors["x1"][20:23] = 7.0
        regressors["x2"][30] = 3.0 * regressors["x0"][30] - 2.0
        returns[40] = 0.01
        got: FamaMacBeth = fama_macbeth(returns, regressors)
        assert set(np.flatnonzero(got.reason == "too few tickers")) == set(range(10, 15))
        assert set(np.flatnonzero(got.reason == "collinear regressors")) == {20, 21, 22, 30}
        assert (got.n_dates_used, got.n_dates_few, got.n_dates_collinear) == (111, 5, 4)
        used = got.reason == ""
        assert np.isnan(got.premia[~used]).all()
        assert np.isfinite(got.premia[used]).all()
        # returns that are all the same have premia of 0 and nothing to explain
        assert got.premia[40].tolist() == [0.01, 0.0, 0.0, 0.0]
        assert np.flatnonzero(np.isnan(got.rsquared) & used).tolist() == [40]
        assert (got.n_tickers[10:15] <= 9).all()
        assert got.mean_n_tickers == got.n_tickers[used].mean()
        assert fama_macbeth(returns, regressors, min_tickers=5).n_dates_few < 5

    def test_lags_and_overlap_reach_the_error(self) -> None:
        returns, regressors = market(10)
        default = fama_macbeth(returns, regressors)
        assert default.lags == 4
        assert fama_macbeth(returns, regressors, overlap=9).lags == 9
        more = fama_macbeth(returns, regressors, lags=9)
        assert (more.newey_west.tstat != default.newey_west.tstat).all()
        np.testing.assert_array_equal(more.ordinary.tstat, default.ordinary.tstat)
        chosen = fama_macbeth(returns, regressors, lags="newey_west_1994")
        assert (chosen.newey_west.tstat != default.newey_west.tstat).all()

    @pytest.mark.parametrize("n_tickers", [0, 1, 4])
    def test_too_few_tickers_everywhere(self, n_tickers: int) -> None:
        random = np.random.default_rng(0)
        shape = (50, n_tickers)
        got = fama_macbeth(
            random.normal(size=shape), {f"x{j}": random.normal(size=shape) for j in range(3)}, min_tickers=1
        )
        assert (got.n_dates_used, got.n_dates_few) == (0, 50)
        for name in ("value", "tstat", "pvalue"):
            assert np.isnan(getattr(got.newey_west, name)).all()
        assert np.isnan([got.mean_rsquared, got.mean_n_tickers]).all()

    def test_bad_values_everywhere(self) -> None:
        returns, regressors = market(11)
        for bad in (np.nan, np.inf, 0.3):
            got = fama_macbeth(returns, regressors | {"x1": np.full(returns.shape, bad)})
            assert got.n_dates_used == 0
            assert np.isnan(got.newey_west.value).all()
        one = fama_macbeth(returns[:1], {name: values[:1] for name, values in regressors.items()})
        assert np.isfinite(one.ordinary.value).all()
        assert np.isnan(one.newey_west.tstat).all()

    def test_memory_beyond_the_inputs_is_small(self) -> None:
        random = np.random.default_rng(0)
        returns = random.normal(size=(400, 2000))
        regressors = {f"x{j}": random.normal(size=returns.shape) for j in range(3)}
        fama_macbeth(returns[:2], {name: values[:2] for name, values in regressors.items()})
        tracemalloc.start()
        fama_macbeth(returns, regressors)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * returns.nbytes


class TestErrors:
    def test_messages(self) -> None:
        y = np.ones((5, 20))
        with pytest.raises(EvaluationError, match=r"at least one regressor besides the constant.*got \[\]"):
            fama_macbeth(y, {})
        with pytest.raises(EvaluationError, match=r"adds itself; got \['constant'\]"):
            fama_macbeth(y, {"constant": y})
        with pytest.raises(
            MisalignedError, match=r"regressor 'a' wants the shape of the returns, \(5, 20\); got \(4, 20\)"
        ):
            fama_macbeth(y, {"a": y[:4]})
        with pytest.raises(MisalignedError, match=r"\(n_dates, n_tickers\), got \(5,\)"):
            fama_macbeth(y[:, 0], {"a": y[:, 0]})
        with pytest.raises(EvaluationError, match=r"one factor return for each regressor.*\['a'\]; got \['b'\]"):
            fama_macbeth(y, {"a": y}, factor_returns={"b": y[:, 0]})
        with pytest.raises(MisalignedError, match=r"factor return 'a' wants shape \(5,\), got \(4,\)"):
            fama_macbeth(y, {"a": y}, factor_returns={"a": y[:4, 0]})
        with pytest.raises(EvaluationError, match="at least 0 or a rule, got -1"):
            fama_macbeth(y, {"a": y}, lags=-1)
        with pytest.raises(EvaluationError, match="overlap wants at least 0 sessions, got -1"):
            fama_macbeth(y, {"a": y}, overlap=-1)
