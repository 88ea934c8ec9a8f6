"""Ranks, quantiles, places of extremes, deviations and what happened since, each against a second implementation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets import expressions as e
from factor_assets.errors import ExpressionError
from factor_assets.expressions import Call, close, lookback, order_statistics, since, volume
from factor_assets.expressions import open as open_
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.engine import evaluate
from factor_assets.expressions.expression import Expression
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.naive import naive
from factor_assets_tests.expressions.strategies import panels, random_panel, same_bits

ROLLING = sorted(order_statistics.COMPUTE)
NAMES = sorted([*ROLLING, *since.COMPUTE])


def value(expression: Expression, panel: Panel) -> np.ndarray:
    return dict(evaluate({"e": expression}, panel))["e"]


def applied(name: str, *, n: int, min_periods: int | None = None, q: float = 0.3) -> Expression:
    params: dict[str, float] = {"n": n}
    if name == "quantile":
        params["q"] = q
    if min_periods is not None and name in ROLLING:
        params["min_periods"] = min(min_periods, n)
    condition = open_ < volume
    args = {"days_since": (condition,), "sum_since": (close, condition)}.get(name, (close,))
    return Call(name, args, tuple(params.items()))


def panel_of(values: np.ndarray, *, first_row: int = 0) -> Panel:
    """A panel of closes; one column may be given flat."""
    closes = np.array(values, dtype=float).reshape(len(values), -1)
    return Panel(
        dates=np.arange(len(closes)).astype("datetime64[D]"),
        tickers=tuple(f"T{j:05d}" for j in range(closes.shape[1])),
        fields={"close": closes},
        in_universe=np.ones(closes.shape, dtype=bool),
        first_row=first_row,
    )


def of(operator, values, *params, **named) -> list[float]:
    return value(operator(close, *params, **named), panel_of(values))[:, 0].tolist()


class TestAgainstDefinition:
    @pytest.mark.parametrize("name", NAMES)
    @given(panel=panels, n=st.integers(1, 15), min_periods=st.none() | st.integers(1, 15), q=st.floats(0, 1))
    @settings(max_examples=40, deadline=None)
    def test_cell_by_cell(self, name, panel, n, min_periods, q):
        expression = applied(name, n=n, min_periods=min_periods, q=q)
        ours, theirs = value(expression, panel), naive(expression, panel.fields, panel.in_universe)
        exact = name in ("ts_rank", "argmax", "argmin", "days_since")
        np.testing.assert_allclose(ours, theirs, rtol=0 if exact else 1e-10, atol=0 if exact else 1e-12)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("n", [64, 252])
    def test_long_windows(self, name, n):
        panel = random_panel(n, n_dates=300, n_tickers=2, first_row=17)
        expression = applied(name, n=n, min_periods=20)
        theirs = naive(expression, panel.fields, panel.in_universe)
        np.testing.assert_allclose(value(expression, panel), theirs, rtol=1e-10, atol=1e-11)


class TestAgainstPandasAndNumpy:
    @given(panel=panels, n=st.integers(1, 15), least=st.integers(1, 15), q=st.sampled_from([0.0, 0.05, 0.5, 0.8, 1.0]))
    @settings(max_examples=60, deadline=None)
    def test_pandas(self, panel, n, least, q):
        rolling = pd.DataFrame(panel["close"]).rolling(n, min_periods=min(least, n))
        for name, theirs in (
            ("ts_rank", rolling.rank(pct=True)),
            ("quantile", rolling.quantile(q)),
            ("median", rolling.median()),
        ):
            ours = value(applied(name, n=n, min_periods=least, q=q), panel)
            np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=1e-13, atol=1e-14)

    @given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([1, 2, 7, 20, 64, 65, 252]), q=st.floats(0, 1))
    @settings(max_examples=25, deadline=None)
    def test_numpy(self, seed, n, q):
        """Full windows, with ties in every second ticker; quantiles to the bit."""
        closes = np.random.default_rng(seed).normal(0, 3, (n + 40, 6))
        closes[:, ::2] = np.round(closes[:, ::2]) + 0.0
        panel = panel_of(closes, first_row=seed % 100)
        windows = np.lib.stride_tricks.sliding_window_view(closes, n, axis=0)

        def full(name: str) -> np.ndarray:
            ours = value(applied(name, n=n, q=q), panel)
            assert np.isnan(ours[: n - 1]).all()
            return ours[n - 1 :]

        assert same_bits(full("quantile"), np.quantile(windows, q, axis=2))
        np.testing.assert_allclose(full("median"), np.median(windows, axis=2), rtol=1e-15, atol=1e-15)
        np.testing.assert_array_equal(full("argmax"), windows.argmax(axis=2) + 1)
        np.testing.assert_array_equal(full("argmin"), windows.argmin(axis=2) + 1)
        distances = np.abs(windows - windows.mean(axis=2, keepdims=True))
        np.testing.assert_allclose(full("mad"), distances.mean(axis=2), rtol=1e-12, atol=1e-13)


class TestProperties:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("n", [1, 5, 20, 64, 65, 252])
    def test_slices_neighbours_and_first_rows_change_no_bit(self, name, n):
        rng = np.random.default_rng(n)
        panel = random_panel(n, n_dates=n + 60, n_tickers=140, first_row=3)
        expression = applied(name, n=n, min_periods=max(1, n // 2))
        before, whole = lookback(expression), value(expression, panel)
        assert before == n - 1
        assert np.isfinite(whole).any()
        for _ in range(4):
            start = int(rng.integers(before, n + 59))
            stop = int(rng.integers(start + 1, n + 61))
            cut = panel.rows(start - before, stop)
            assert same_bits(whole[start:stop], value(expression, cut)[before:])
            columns = rng.permutation(140)[: rng.integers(1, 140)]
            fewer = Panel(
                dates=panel.dates,
                tickers=panel.tickers[: len(columns)],
                fields={k: np.ascontiguousarray(v[:, columns]) for k, v in panel.fields.items()},
                in_universe=panel.in_universe[:, columns],
                first_row=panel.first_row + int(rng.integers(2)) * n,
            )
            assert same_bits(whole[:, columns], value(expression, fewer))

    @pytest.mark.parametrize("name", [k for k in NAMES if k not in since.COMPUTE])
    def test_a_value_depends_on_its_window_alone(self, name):
        """Also on the signs of zeros that have left it."""
        window = [0.0, -0.0, 1.0, 0.0, -2.0]
        for past in ([-0.0, 3.0], [5.0, np.nan], [0.0, 1e300], [-1e300, 1e300]):
            values = value(applied(name, n=5, q=0.5), panel_of([*past, *window]))
            alone = value(applied(name, n=5, q=0.5), panel_of([np.nan, np.nan, *window]))
            assert same_bits(values[-1], alone[-1])

    @given(constant=st.floats(-1e9, 1e9), n=st.integers(1, 60))
    @settings(max_examples=50, deadline=None)
    def test_constant_windows(self, constant, n):
        constants = np.full(80, constant)
        constants[::7] = np.nan
        constants[-1] = constant
        assert of(e.mad, constants, n, min_periods=1)[-1] == 0.0
        assert of(e.median, constants, n, min_periods=1)[-1] == constant
        m = np.isfinite(constants[-n:]).sum()
        assert of(e.ts_rank, constants, n, min_periods=1)[-1] == (m + 1) / 2 / m
        oldest = np.flatnonzero(np.isfinite(constants[-n:]))[0] + 1
        assert of(e.argmax, constants, n, min_periods=1)[-1] == of(e.argmin, constants, n, min_periods=1)[-1] == oldest

    def test_median_is_the_half_quantile(self):
        panel = random_panel(1, n_dates=200, n_tickers=30)
        half = value(e.quantile(close, 21, 0.5, min_periods=5), panel)
        assert same_bits(value(e.median(close, 21, min_periods=5), panel), half)

    def test_extremes_of_the_language_agree(self):
        """The value at the place of the maximum is the maximum."""
        panel = random_panel(2, n_dates=120, n_tickers=30, first_row=5)
        for place, extreme in ((e.argmax, e.max), (e.argmin, e.min)):
            places = value(place(close, 9, min_periods=2), panel)
            wanted = value(extreme(close, 9, min_periods=2), panel)
            rows, columns = np.nonzero(np.isfinite(places))
            at = rows - 9 + places[rows, columns].astype(int)
            np.testing.assert_array_equal(panel["close"][at, columns], wanted[rows, columns])
            assert (np.isnan(places) == np.isnan(wanted)).all()

    def test_places_count_sessions_also_where_some_are_missing(self):
        nan = np.nan
        assert of(e.argmax, [1, nan, 3, 3, nan], 5, min_periods=1) == [5, 4, 5, 4, 3]
        assert of(e.argmin, [nan, 2, 2, nan, 9], 4, min_periods=2)[2:] == [3, 2, 1]

    def test_rank_of_a_missing_value_is_missing(self):
        ranks = of(e.ts_rank, [3, 1, np.nan, 2, 2], 4, min_periods=1)
        assert np.isnan(ranks[2])
        assert [*ranks[:2], *ranks[3:]] == [1, 0.5, 2 / 3, 2.5 / 3]

    def test_conditions(self):
        days = of(e.days_since, [np.nan, 0, 2, 0, np.nan, 0, -1], 3)
        assert np.isnan([*days[:2], days[5]]).all()
        assert [*days[2:5], days[6]] == [0, 1, 2, 0]
        panel = panel_of([1, 5, 7, np.nan, 2, 4])
        sums = value(e.sum_since(close, e.equal(e.fill(close, 0), 5) | e.equal(close, 2), 5), panel)[:, 0]
        assert np.isnan(sums[[0, 3]]).all()
        assert sums[[1, 2, 4, 5]].tolist() == [5, 12, 2, 6]

    def test_nothing_is_infinite(self):
        huge = [1.7e308, -1.7e308, 1.7e308, 1.7e308, -1.7e308, 1.7e308, np.nan, 1.7e308]
        panel = panel_of(huge)
        for name in ROLLING:
            for n in (1, 2, 3, 4, 8):
                assert not np.isinf(value(applied(name, n=n, min_periods=1), panel)).any()
        sums = value(e.sum_since(close, e.is_missing(e.delay(close, 1)), 8), panel)[:, 0]
        assert sums[:3].tolist() == [1.7e308, 0.0, 1.7e308]
        assert np.isnan(sums[3:7]).all()

    @pytest.mark.parametrize("name", ROLLING)
    def test_every_param_changes_a_value(self, name):
        panel = random_panel(5, n_dates=40, n_tickers=6)
        base = applied(name, n=10)
        changed = [applied(name, n=11), applied(name, n=10, min_periods=3)]
        changed += [applied(name, n=10, q=0.4)] if name == "quantile" else []
        assert not any(same_bits(value(base, panel), value(other, panel)) for other in changed)

    @pytest.mark.parametrize("name", sorted(since.COMPUTE))
    def test_the_window_changes_a_value(self, name):
        panel = random_panel(5, n_dates=40, n_tickers=6)
        assert not same_bits(value(applied(name, n=2), panel), value(applied(name, n=4), panel))

    def test_kernels_take_what_the_operators_declare(self):
        assert all(OPERATORS[name].kind == "time_series" for name in NAMES)


class TestErrors:
    def test_windows_quantiles_and_periods(self):
        with pytest.raises(ExpressionError, match="would look ahead"):
            e.ts_rank(close, -3)
        with pytest.raises(ExpressionError, match=r"wants q between 0 and 1; got 1\.5"):
            e.quantile(close, 5, 1.5)
        with pytest.raises(ExpressionError, match="wants n of at least 1; got 0"):
            e.days_since(close, 0)
        with pytest.raises(ExpressionError, match="wants min_periods between 1 and its window of 5 sessions; got 6"):
            e.mad(close, 5, min_periods=6)
        with pytest.raises(ExpressionError, match=r"wants a whole number for n; got 2\.5"):
            e.argmax(close, 2.5)
