"""Moments, regressions and weighted means: exact definitions, pandas, NumPy, and what a window may not remember."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets import expressions
from factor_assets.errors import ExpressionError
from factor_assets.expressions import close, kernels
from factor_assets.expressions.decays import NEGLECTED, decay_window
from factor_assets.expressions.declaration import OPERATORS
from factor_assets_tests.expressions.naive import NAN, WINDOWS, naive
from factor_assets_tests.expressions.naive_moments import WINDOWS as OURS
from factor_assets_tests.expressions.strategies import random_panel, same_bits

TWO_SERIES = ("cov", "corr", "beta", "rsquare", "residual")
DECAYING = {"ema": "halflife", "ema_span": "span", "wilder": "periods"}
KERNELS = sorted({*OURS, "var", "std", "cov", "corr", "beta"})
SEEDS = st.integers(0, 2**32 - 1)


def computed(name: str, *series: np.ndarray, first_row: int = 0, **params: float) -> np.ndarray:
    """One kernel's values; series of shape (n_dates,) or (n_dates, n_tickers)."""
    arrays = [np.ascontiguousarray(x.reshape(len(x), -1), dtype=np.float64) for x in series]
    out = np.full(arrays[0].shape, 12345.0)
    kernels.TIME_SERIES[name](out, *arrays, first_row=first_row, **params)
    return out.reshape(series[0].shape)


def params_of(name: str, n: int, min_periods: int) -> dict[str, float]:
    """Numbers for a window of about n sessions."""
    if name == "pct_change":
        return {"n": n}
    if name in DECAYING:
        return {DECAYING[name]: 1.1 + n / 40, "min_periods": min_periods}
    n = max(n, OPERATORS[name].smallest)
    return {"n": n, "min_periods": min(n, min_periods)}


def operands(name: str, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (y, x) if name in TWO_SERIES else (y,)


def defined(name: str, *series: np.ndarray, at: range | None = None, **params: float) -> np.ndarray:
    """The definition, for one ticker, at the rows `at` or at all."""
    length = OPERATORS[name].lookback(**params) + 1
    padded = [np.concatenate([np.full(length - 1, np.nan), x]) for x in series]
    rows = range(len(series[0])) if at is None else at
    return np.array([WINDOWS[name](*(x[t : t + length].tolist() for x in padded), **params) for t in rows])


class TestAgainstDefinition:
    @pytest.mark.parametrize("name", sorted(OURS))
    @given(seed=SEEDS, n=st.integers(1, 25), least=st.integers(1, 25), far=st.sampled_from([0.0, 1e6, -3e4]))
    @settings(max_examples=20, deadline=None)
    def test_random_panels(self, name, seed, n, least, far):
        panel = random_panel(seed, n_dates=40, n_tickers=4, first_row=seed % 61)
        y, x = panel.fields["close"] + far, panel.fields["open"] - far
        params = params_of(name, n, least)
        ours = computed(name, *operands(name, y, x), first_row=panel.first_row, **params)
        for j in range(4):
            theirs = defined(name, *operands(name, y[:, j], x[:, j]), **params)
            np.testing.assert_allclose(ours[:, j], theirs, rtol=1e-10, atol=1e-11)

    @pytest.mark.parametrize("name", ["ts_zscore", "skew", "kurt", "slope", "trend_rsquare", "rsquare", "residual"])
    def test_windows_that_begin_with_an_outlier(self, name):
        rng = np.random.default_rng(3)
        y, x = 1e6 + rng.normal(0, 1, 600), rng.normal(0, 1, 600)
        y[[0, 250, 499, 500]], x[[100, 249]] = 1e9, -1e5
        params = params_of(name, 250, 250)
        at = range(249, 600, 25)
        ours = computed(name, *operands(name, y, x), **params)[at]
        theirs = defined(name, *operands(name, y, x), at=at, **params)
        # the residual's own unit is the outlier's
        unit = 1e9 if name in ("residual", "slope") else 1.0
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13 * unit)

    @pytest.mark.parametrize("name", ["var", "std", "cov", "corr", "beta"])
    def test_second_moments_far_from_zero(self, name):
        rng = np.random.default_rng(5)
        noise_y, noise_x = (rng.integers(-1000, 1000, 700) / 256 for _ in range(2))
        noise_y[[7, 301]], noise_x[200] = 2.0**20, 2.0**18
        near = computed(name, *operands(name, noise_y, noise_x), **params_of(name, 252, 20))
        far = computed(name, *operands(name, noise_y + 2.0**30, noise_x - 2.0**30), **params_of(name, 252, 20))
        assert same_bits(near, far)
        frames = pd.Series(noise_y).rolling(252, min_periods=20), pd.Series(noise_x)
        theirs = {
            "var": frames[0].var,
            "std": frames[0].std,
            "cov": lambda: frames[0].cov(frames[1]),
            "corr": lambda: frames[0].corr(frames[1]),
            "beta": lambda: frames[0].cov(frames[1]) / frames[1].rolling(252, min_periods=20).var(),
        }[name]()
        # pandas carries the rounding of outliers that have left the window
        np.testing.assert_allclose(far[:252], theirs[:252], rtol=1e-9)

    @given(x=st.floats(-1e3, 1e3), y=st.floats(-6, 6))
    @settings(max_examples=200, deadline=None)
    def test_signed_power(self, x, y):
        fields = {"close": np.array([[x, np.nan, -0.0]])}
        expression = expressions.signed_power(close, y)
        ours = np.empty((1, 3))
        with np.errstate(all="ignore"):
            kernels.ELEMENTWISE["signed_power"](fields["close"], y, out=ours)
        theirs = naive(expression, fields, np.ones((1, 3), dtype=bool))
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


class TestAgainstPandasAndNumPy:
    @pytest.mark.parametrize("name", ["skew", "kurt"])
    def test_higher_moments(self, name):
        x = np.random.default_rng(0).gamma(2.0, 1.0, (400, 3))
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
        theirs = getattr(pd.DataFrame(x).rolling(60, min_periods=20), name)()
        np.testing.assert_allclose(computed(name, x, n=60, min_periods=20), theirs, rtol=1e-9, atol=1e-10)

    @pytest.mark.parametrize(("name", "param"), DECAYING.items())
    @pytest.mark.parametrize("value", [1.5, 12.0, 26.0])
    def test_exponential_means_once_warm(self, name, param, value):
        rng = np.random.default_rng(2)
        x = 1e4 + rng.normal(0, 1.0, (1500, 3))
        x[rng.random(x.shape) < [0.0, 0.1, 0.5]] = np.nan
        decay = {"ema": 0.5 ** (1 / value), "ema_span": 1 - 2 / (value + 1), "wilder": 1 - 1 / value}[name]
        warm = decay_window(decay) - 1
        theirs, present = (
            pd.DataFrame(v).ewm(alpha=1 - decay, adjust=True, ignore_na=False).mean().to_numpy()
            for v in (x, ~np.isnan(x))
        )
        ours = computed(name, x, first_row=77, min_periods=1, **{param: value})
        reach = np.nanmax(x) - np.nanmin(x)
        # what is neglected weighs more where recent sessions are missing; pandas' own rounding is that of 1e4
        assert (np.abs(ours - theirs)[warm:] <= NEGLECTED * reach / present[warm:] + 2e-11).all()
        assert np.abs(ours - theirs)[warm:, 0].max() <= 1e-10 * reach
        np.testing.assert_allclose(ours[:warm], theirs[:warm], rtol=1e-13)

    def test_what_the_window_of_exponential_means_leaves_out(self):
        assert 0 < 0.5 ** (decay_window(0.5 ** (1 / 40)) / 40) <= NEGLECTED
        x = np.zeros(600)
        x[0] = 1.0
        ours = computed("ema", x, halflife=10.0, min_periods=1)
        last = decay_window(0.5**0.1) - 1
        assert ours[last] > 0.0
        assert (ours[last + 1 :] == 0.0).all()

    @pytest.mark.parametrize("n", [2, 3, 20, 252])
    def test_trends(self, n):
        x = 1e3 + np.cumsum(np.random.default_rng(n).normal(0, 1, 300))
        theirs = [np.polynomial.Polynomial.fit(range(n), x[t - n + 1 : t + 1], 1) for t in range(n - 1, 300)]
        slopes = np.array([line.convert().coef[1] for line in theirs])
        residuals = np.array([x[n - 1 + k] - line(n - 1) for k, line in enumerate(theirs)])
        np.testing.assert_allclose(computed("slope", x, n=n, min_periods=n)[n - 1 :], slopes, atol=1e-10)
        np.testing.assert_allclose(computed("trend_residual", x, n=n, min_periods=n)[n - 1 :], residuals, atol=1e-9)
        if n > 2:
            corr = [np.corrcoef(range(n), x[t - n + 1 : t + 1])[0, 1] for t in range(n - 1, 300)]
            ours = computed("trend_rsquare", x, n=n, min_periods=n)[n - 1 :]
            np.testing.assert_allclose(ours, np.square(corr), atol=1e-10)

    def test_regression_on_another_series(self):
        rng = np.random.default_rng(8)
        x = rng.normal(0, 1, 200)
        y = 0.3 * x + rng.normal(0, 1, 200)
        rsquare, residual = (computed(k, y, x, n=30, min_periods=30) for k in ("rsquare", "residual"))
        for t in range(29, 200):
            design = np.column_stack([np.ones(30), x[t - 29 : t + 1]])
            part = y[t - 29 : t + 1]
            left = part - design @ np.linalg.lstsq(design, part)[0]
            assert residual[t] == pytest.approx(left[-1], abs=1e-12)
            assert rsquare[t] == pytest.approx(1 - left @ left / np.square(part - part.mean()).sum(), abs=1e-12)

    def test_by_hand(self):
        x = np.array([1.0, 2.0, 4.0])
        assert computed("decay_linear", x, n=3, min_periods=3)[-1] == pytest.approx((1 + 4 + 12) / 6)
        assert computed("slope", x, n=3, min_periods=3)[-1] == pytest.approx(1.5)
        assert computed("trend_residual", x, n=3, min_periods=3)[-1] == pytest.approx(4 - 7 / 3 - 1.5)
        assert computed("ts_zscore", x, n=3, min_periods=3)[-1] == pytest.approx((4 - 7 / 3) / math.sqrt(7 / 3))
        assert computed("pct_change", x, n=2)[-1] == 3.0
        assert computed("wilder", x, periods=2.0, min_periods=1)[-1] == pytest.approx((1 + 2 * 2 + 4 * 4) / 7)


class TestProperties:
    @pytest.mark.parametrize("name", KERNELS)
    @given(seed=SEEDS, n=st.integers(1, 40), least=st.integers(1, 40), data=st.data())
    @settings(max_examples=15, deadline=None)
    def test_slices_and_neighbours_change_no_bit(self, name, seed, n, least, data):
        wide = data.draw(st.sampled_from([1, 3, 127, 128, 129, 300]))
        panel = random_panel(seed, n_dates=130, n_tickers=wide, first_row=seed % 97)
        y, x = panel.fields["close"], panel.fields["open"]
        params = params_of(name, n, least)
        whole = computed(name, *operands(name, y, x), first_row=panel.first_row, **params)
        before = OPERATORS[name].lookback(**params)
        start = data.draw(st.integers(min(before, 129), 129))
        stop = data.draw(st.integers(start + 1, 130))
        left = data.draw(st.integers(0, wide - 1))
        right = data.draw(st.integers(left + 1, wide))
        rows = slice(max(0, start - before), stop)
        part = computed(
            name,
            *operands(name, y[rows, left:right], x[rows, left:right]),
            first_row=panel.first_row + rows.start,
            **params,
        )
        assert same_bits(whole[start:stop, left:right], part[start - rows.start :])

    @pytest.mark.parametrize("name", KERNELS)
    @pytest.mark.parametrize("loud", [1e300, -1.7e308, 1e9])
    def test_what_left_the_window_is_forgotten(self, name, loud):
        rng = np.random.default_rng(4)
        y, x = rng.normal(50, 1, 200), rng.normal(0, 1, 200)
        params = params_of(name, 10, 2)
        calm = computed(name, *operands(name, y, x), first_row=5, **params)
        stop = 100
        y[stop - 7 : stop], x[stop - 3 : stop] = loud, -loud
        x[stop - 2] = loud
        y[stop : stop + 4] = np.nan
        changed = computed(name, *operands(name, y, x), first_row=5, **params)
        assert not np.isinf(changed).any()
        after = stop + 4 + OPERATORS[name].lookback(**params)
        assert same_bits(calm[: stop - 7], changed[: stop - 7])
        assert same_bits(calm[after:], changed[after:])
        assert not np.isnan(changed[after:]).any()

    @pytest.mark.parametrize("name", KERNELS)
    def test_lookback_is_exact(self, name):
        rng = np.random.default_rng(6)
        y, x = rng.normal(0, 1, 300), rng.normal(0, 1, 300)
        params = params_of(name, 12, 2)
        before, t = OPERATORS[name].lookback(**params), 290
        values = {}
        for row in (t - before - 1, t - before):
            for new in (5.0, 9e6, np.nan):
                changed = [v.copy() for v in operands(name, y, x)]
                for v in changed:
                    v[row] = new
                values.setdefault(row, []).append(str(computed(name, *changed, first_row=3, **params)[t]))
        assert len(set(values[t - before - 1])) == 1
        assert len(set(values[t - before])) > 1

    @given(constant=st.floats(-1e12, 1e12), n=st.integers(4, 60), first_row=st.integers(0, 90), seed=SEEDS)
    @settings(max_examples=60, deadline=None)
    def test_constant_windows(self, constant, n, first_row, seed):
        rng = np.random.default_rng(seed)
        same, other = np.full(100, constant), rng.normal(0, 1, 100)
        gaps = rng.random(100) < 0.2
        same[gaps] = np.nan
        given_ = {"first_row": first_row, "n": n, "min_periods": 4}
        here = ~gaps & (np.convolve(~gaps, np.ones(n))[:100] >= 4)
        for name in ("ts_zscore", "skew", "kurt", "trend_rsquare"):
            assert np.isnan(computed(name, same, **given_)).all()
        for name, pair in {"corr": (same, other), "rsquare": (same, other), "beta": (other, same)}.items():
            assert np.isnan(computed(name, *pair, **given_)).all()
        for name in ("rsquare", "residual"):
            assert np.isnan(computed(name, other, same, **given_)).all()
        assert (computed("residual", same, other, **given_)[here] == 0.0).all()
        assert (computed("trend_residual", same, **given_)[here] == 0.0).all()
        assert (computed("slope", same, **given_)[here] == 0.0).all()
        for name in ("var", "std"):
            assert (computed(name, same, **given_)[here] == 0.0).all()
        assert (computed("decay_linear", same, **given_)[here] == constant).all()
        assert (computed("ema", same, first_row=first_row, halflife=n / 20, min_periods=1)[here] == constant).all()

    @given(seed=SEEDS, n=st.integers(3, 30), scale=st.floats(-1e8, 1e8), noise=st.sampled_from([0.0, 1e-9, 1.0]))
    @settings(max_examples=60, deadline=None)
    def test_rsquare_is_a_share(self, seed, n, scale, noise):
        rng = np.random.default_rng(seed)
        x = 100 + rng.normal(0, 1, 80)
        y = scale * x + rng.normal(0, 1, 80) * noise
        line = scale * np.arange(80.0) + rng.normal(0, 1, 80) * noise
        for values in (
            computed("rsquare", y, x, first_row=seed % 50, n=n, min_periods=3),
            computed("trend_rsquare", line, first_row=seed % 50, n=n, min_periods=3),
        ):
            known = values[~np.isnan(values)]
            assert ((known >= 0) & (known <= 1)).all()

    @given(seed=SEEDS, n=st.integers(4, 30), exponent=st.integers(-40, 40))
    @settings(max_examples=30, deadline=None)
    def test_units(self, seed, n, exponent):
        x = np.random.default_rng(seed).normal(0, 1, 90)
        unit = 2.0**exponent
        given_ = {"n": n, "min_periods": 4}
        for name, sign in {"skew": -1, "kurt": 1, "ts_zscore": -1, "trend_rsquare": 1}.items():
            once = computed(name, x, **given_)
            assert same_bits(computed(name, x * unit, **given_), once)
            assert same_bits(computed(name, -x, **given_), sign * once)
        for name in ("slope", "trend_residual", "decay_linear", "std"):
            assert same_bits(computed(name, x * unit, **given_), computed(name, x, **given_) * unit)

    @given(seed=SEEDS, n=st.integers(1, 40))
    @settings(max_examples=40, deadline=None)
    def test_weighted_means_lie_among_the_values(self, seed, n):
        x = random_panel(seed, n_dates=60, n_tickers=1).fields["close"][:, 0]
        for name in ("decay_linear", *DECAYING):
            values = computed(name, x, first_row=seed % 40, **params_of(name, n, 1))
            known = ~np.isnan(values)
            # what is left of the older block's sum after many sessions weighs less than the last bit
            low, high = np.fmin.reduce(x), np.fmax.reduce(x)  # NaN, without a warning, where nothing is there
            assert (values[known] <= high + 1e-13 * 60).all()
            assert (values[known] >= low - 1e-13 * 60).all()

    def test_a_line_has_no_residual(self):
        x = 3.0 + 0.5 * np.arange(50.0)
        x[[4, 17, 18]] = np.nan
        ours = computed("trend_residual", x, n=9, min_periods=3)
        assert np.isnan(ours[[4, 17, 18]]).all()
        np.testing.assert_allclose(ours[~np.isnan(ours)], 0.0, atol=1e-13)
        np.testing.assert_allclose(computed("slope", x, n=9, min_periods=3)[9:], 0.5, rtol=1e-13)

    def test_pct_change_is_its_formula(self):
        panel = random_panel(3, n_dates=30, n_tickers=5)
        x = panel.fields["volume"].copy()
        x[4, 2] = 0.0
        with np.errstate(all="ignore"):
            theirs = x[3:] / x[:-3] - 1.0
        theirs[np.isinf(theirs)] = NAN
        ours = computed("pct_change", x, n=3)
        assert np.isnan(ours[:3]).all()
        assert same_bits(ours[3:], theirs)
        assert np.isnan(computed("pct_change", x, n=30)).all()

    @pytest.mark.parametrize("name", [k for k in KERNELS if k != "pct_change"])
    def test_min_periods_changes_a_value(self, name):
        rng = np.random.default_rng(9)
        y, x = rng.normal(0, 1, 60), rng.normal(0, 1, 60)
        few, many = (
            np.isnan(computed(name, *operands(name, y, x), **params_of(name, 12, least))).sum() for least in (1, 9)
        )
        # one and two values have no variance, three no kurtosis
        assert few == (0 if name in (*DECAYING, "decay_linear") else OPERATORS[name].smallest - 1)
        assert many == 8

    def test_a_window_longer_than_the_panel(self):
        x = np.random.default_rng(10).normal(0, 1, 30)
        theirs = pd.Series(x).ewm(halflife=1000.0).mean()
        for first_row in (0, 25_000, decay_window(0.5**0.001) - 10):
            ours = computed("ema", x, first_row=first_row, halflife=1000.0, min_periods=1)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
        for first_row in (0, 9_990):
            ours = computed("skew", x, first_row=first_row, n=10_000, min_periods=3)
            assert ours[-1] == pytest.approx(pd.Series(x).skew(), abs=1e-12)

    @given(x=st.floats(allow_infinity=False), y=st.floats(allow_infinity=False))
    def test_signed_power_keeps_the_sign_and_is_never_infinite(self, x, y):
        ours = np.empty((1, 1))
        with np.errstate(all="ignore"):
            kernels.ELEMENTWISE["signed_power"](np.array([[x]]), np.array([[y]]), out=ours)
        assert not math.isinf(ours[0, 0])
        assert math.isnan(ours[0, 0]) or ours[0, 0] * np.sign(x) >= 0


class TestErrors:
    @pytest.mark.parametrize(("name", "smallest"), [("skew", 3), ("kurt", 4), ("slope", 2), ("trend_rsquare", 3)])
    def test_windows_too_small_for_the_statistic(self, name, smallest):
        with pytest.raises(ExpressionError, match=f"wants n of at least {smallest}; got {smallest - 1}"):
            getattr(expressions, name)(close, smallest - 1)

    def test_looking_ahead(self):
        with pytest.raises(ExpressionError, match="would look ahead"):
            expressions.decay_linear(close, -3)
        with pytest.raises(ExpressionError, match="would look ahead"):
            expressions.pct_change(close, -1)

    def test_decays_outside_their_limits(self):
        with pytest.raises(ExpressionError, match=r"halflife between 0\.1 and 1000; got 0\.0"):
            expressions.ema(close, 0)
        with pytest.raises(ExpressionError, match=r"span between 1\.1 and 2000; got 1\.0"):
            expressions.ema_span(close, 1)
        with pytest.raises(ExpressionError, match=r"periods between 1\.1 and 1000; got 5000\.0"):
            expressions.wilder(close, 5000)

    def test_min_periods_beyond_the_window(self):
        with pytest.raises(ExpressionError, match="min_periods between 1 and its window of 5 sessions; got 6"):
            expressions.kurt(close, 5, min_periods=6)
