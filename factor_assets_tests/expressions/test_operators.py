"""Every operator against its definition cell by cell, and the bits of every slice."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets import expressions
from factor_assets.errors import ExpressionError
from factor_assets.expressions import Call, Field, close, kernels, lookback
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.engine import evaluate
from factor_assets.expressions.expression import Expression
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.naive import naive
from factor_assets_tests.expressions.strategies import expressions as random_expressions
from factor_assets_tests.expressions.strategies import panels, random_panel, same_bits

ROLLING = sorted(k for k, v in OPERATORS.items() if v.kind == "time_series")


def value(expression: Expression, panel: Panel, *, start: int = 0) -> np.ndarray:
    return dict(evaluate({"e": expression}, panel, start=start))["e"]


def applied(name: str, *, n: int, min_periods: int | None) -> Expression:
    spec = OPERATORS[name]
    args = tuple(
        Field("sector" if a in spec.labels and not spec.variadic else f)
        for a, f in zip(spec.args, ("close", "open", "volume"), strict=False)
    )
    params: dict[str, float] = {}
    for param in spec.params:
        if param == "n":
            params["n"] = max(n, spec.smallest)
        elif param == "min_periods":
            if min_periods is not None:
                params["min_periods"] = min(min_periods, spec.lookback(**params) + 1)
        elif param not in spec.defaults:
            params[param] = {"q": min(n / 12, 1.0), "halflife": n / 10, "span": 1.1 + n / 2, "periods": 1.1 + n / 4}[
                param
            ]
    return Call(name, args, tuple(params.items()))


windows = st.integers(1, 12)
min_periods = st.none() | st.integers(1, 12)


class TestAgainstDefinition:
    @pytest.mark.parametrize("name", sorted(OPERATORS))
    @given(panel=panels, n=windows, min_periods=min_periods)
    @settings(max_examples=40, deadline=None)
    def test_cell_by_cell(self, name, panel, n, min_periods):
        expression = applied(name, n=n, min_periods=min_periods)
        ours, theirs = value(expression, panel), naive(expression, panel.fields, panel.in_universe)
        scale = 60.0**2 if name in ("var", "cov") else 60.0 if name in ("std", "sum", "mean") else 1.0
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13 * scale)

    @given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([60, 252]), wide=st.integers(1, 40))
    @settings(max_examples=6, deadline=None)
    def test_long_windows_and_many_tickers(self, seed, n, wide):
        panel = random_panel(seed, n_dates=300, n_tickers=wide, first_row=seed % 1000)
        sample = np.random.default_rng(seed).integers(0, wide)
        narrow = Panel(
            dates=panel.dates,
            tickers=(panel.tickers[sample],),
            fields={k: v[:, [sample]] for k, v in panel.fields.items()},
            in_universe=panel.in_universe[:, [sample]],
            first_row=panel.first_row,
        )
        for name in ("mean", "std", "beta"):
            expression = applied(name, n=n, min_periods=20)
            ours = value(expression, panel)[:, [sample]]
            np.testing.assert_allclose(
                ours, naive(expression, narrow.fields, narrow.in_universe), rtol=1e-9, atol=1e-12
            )
            assert same_bits(ours, value(expression, narrow))

    def test_ranks_of_values_that_differ_in_their_last_bits(self):
        base = np.nextafter(np.full(600, 1.0), 2.0)
        row = np.array([1.0 + np.spacing(1.0) * k for k in np.random.default_rng(1).permutation(600)])
        row = np.concatenate([row, -row, base[:5], [0.0, -0.0, np.nan]])[None, :]
        panel = Panel(
            dates=np.arange(1).astype("datetime64[D]"),
            tickers=tuple(f"T{j:05d}" for j in range(row.shape[1])),
            fields={"close": row},
            in_universe=np.ones(row.shape, dtype=bool),
        )
        ours = value(expressions.rank(close), panel)
        np.testing.assert_allclose(ours, naive(expressions.rank(close), panel.fields, panel.in_universe), rtol=1e-14)

    def test_moments_do_not_cancel_far_from_zero(self):
        values = 1e9 + np.random.default_rng(0).normal(0, 1.0, (2000, 1))
        panel = random_panel(0, n_dates=2000, n_tickers=1)
        panel = Panel(
            dates=panel.dates,
            tickers=panel.tickers,
            fields={"close": values},
            in_universe=panel.in_universe,
        )
        ours = value(expressions.std(close, 50), panel)[-1, 0]
        assert ours == pytest.approx(np.std(values[-50:, 0] - 1e9, ddof=1), rel=1e-7)


class TestProperties:
    def test_every_operator_is_implemented_documented_and_a_python_function(self):
        implemented = {**kernels.ELEMENTWISE, **kernels.TIME_SERIES, **kernels.CROSS_SECTION}
        assert set(implemented) == set(OPERATORS)
        for name, spec in OPERATORS.items():
            if not spec.symbol:
                function = getattr(expressions, name)
                assert function.__doc__
                assert list(inspect.signature(function).parameters) == [*spec.args, *spec.params]

    @given(panel=panels, expression=random_expressions, data=st.data())
    @settings(max_examples=300, deadline=None)
    def test_a_slice_with_its_lookback_has_the_same_bits(self, panel, expression, data):
        before, n_dates = lookback(expression), panel.shape[0]
        if before >= n_dates:
            return
        start = data.draw(st.integers(before, n_dates - 1))
        stop = data.draw(st.integers(start + 1, n_dates))
        whole = value(expression, panel)[start:stop]
        part = value(expression, panel.rows(start - before, stop), start=before)
        assert same_bits(whole, part), str(expression)

    @pytest.mark.parametrize("name", ROLLING)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), data=st.data())
    @settings(max_examples=25, deadline=None)
    def test_slices_of_one_operator(self, name, seed, n, data):
        expression = applied(name, n=n, min_periods=data.draw(min_periods))
        before = lookback(expression)
        n_dates = before + 60
        panel = random_panel(seed, n_dates=n_dates, n_tickers=5, first_row=seed % 97)
        start = data.draw(st.integers(before, n_dates - 1))
        stop = data.draw(st.integers(start + 1, n_dates))
        whole = value(expression, panel)[start:stop]
        assert same_bits(whole, value(expression, panel.rows(start - before, stop), start=before))

    @given(panel=panels, expression=random_expressions, data=st.data())
    @settings(max_examples=150, deadline=None)
    def test_later_rows_change_nothing_and_nothing_is_infinite(self, panel, expression, data):
        t = data.draw(st.integers(0, panel.shape[0] - 1))
        rng = np.random.default_rng(0)
        after = {
            k: np.concatenate([v[: t + 1], rng.normal(1e6, 1e6, v[t + 1 :].shape)]) for k, v in panel.fields.items()
        }
        other = Panel(
            dates=panel.dates,
            tickers=panel.tickers,
            fields=after,
            in_universe=np.concatenate([panel.in_universe[: t + 1], ~panel.in_universe[t + 1 :]]),
            first_row=panel.first_row,
        )
        values = value(expression, panel)
        assert not np.isinf(values).any()
        assert same_bits(values[: t + 1], value(expression, other)[: t + 1])

    @pytest.mark.parametrize("name", ROLLING)
    def test_lookback_is_exact(self, name):
        expression = applied(name, n=7, min_periods=2)
        before = lookback(expression)
        at, n_dates = before + 3, before + 9
        rng = np.random.default_rng(3)
        fields = {f: rng.normal(0.0, 1.0, (n_dates, 1)) for f in ("close", "open")}
        condition = expression.args[-1].name if name in ("days_since", "sum_since") else ""
        if condition:  # true on the oldest session alone, or never
            fields[condition][:] = 0.0

        def at_with(row: int, new: float) -> float:
            changed = {k: v.copy() for k, v in fields.items()}
            for k, v in changed.items():
                v[row, 0] = new if new != new or k == condition else new * rng.choice([-1, 1])
            panel = Panel(
                dates=np.arange(n_dates).astype("datetime64[D]"),
                tickers=("A",),
                fields=changed,
                in_universe=np.ones((n_dates, 1), dtype=bool),
            )
            return float(value(expression, panel)[at, 0])

        same = {str(at_with(at - before - 1, new)) for new in (5.0, 900.0, np.nan)}
        assert len(same) == 1
        # what is left of an exponential mean's weight there is 1e-11
        edge = {str(at_with(at - before, new)) for new in (5.0, 1e9, 2e9, -3e9, 4e9, np.nan)}
        assert len(edge) > 1

    @given(constant=st.floats(-1e6, 1e6), n=st.integers(2, 30), first_row=st.integers(0, 40))
    @settings(max_examples=50, deadline=None)
    def test_constant_windows(self, constant, n, first_row):
        shape = (60, 1)
        panel = Panel(
            dates=np.arange(60).astype("datetime64[D]"),
            tickers=("A",),
            fields={"close": np.full(shape, constant), "open": np.random.default_rng(0).normal(0, 1, shape)},
            in_universe=np.ones(shape, dtype=bool),
            first_row=first_row,
        )
        other = Field("open")
        assert (value(expressions.var(close, n), panel)[n - 1 :] == 0.0).all()
        assert np.isnan(value(expressions.corr(close, other, n), panel)).all()
        assert np.isnan(value(expressions.beta(other, close, n), panel)).all()

    def test_min_periods_changes_a_value(self):
        panel = random_panel(5, n_dates=20, n_tickers=4)
        few = np.isnan(value(expressions.mean(close, 10, min_periods=1), panel)).sum()
        many = np.isnan(value(expressions.mean(close, 10), panel)).sum()
        assert few < many

    def test_names_outside_the_universe_change_nothing(self):
        panel = random_panel(8, n_dates=30, n_tickers=6)
        loud = {k: np.where(panel.in_universe, v, 1e9) for k, v in panel.fields.items()}
        other = Panel(dates=panel.dates, tickers=panel.tickers, fields=loud, in_universe=panel.in_universe)
        for operator in (expressions.rank, expressions.zscore, expressions.demean, expressions.cross_mean):
            ours, theirs = value(operator(close), panel), value(operator(close), other)
            inside = panel.in_universe
            assert same_bits(ours[inside], theirs[inside])
            if operator is not expressions.cross_mean:
                assert np.isnan(theirs[~inside]).all()


class TestErrors:
    def test_looking_ahead(self):
        with pytest.raises(ExpressionError, match=r"delay\(x, n\) with n = -1 would look ahead"):
            expressions.delay(close, -1)
        with pytest.raises(ExpressionError, match="would look ahead"):
            expressions.mean(close, -5)

    def test_windows(self):
        with pytest.raises(ExpressionError, match="wants n of at least 1; got 0"):
            expressions.delay(close, 0)
        with pytest.raises(ExpressionError, match="wants n of at least 2; got 1"):
            expressions.std(close, 1)
        with pytest.raises(ExpressionError, match="at most 10000 sessions"):
            expressions.sum(close, 10_001)
        with pytest.raises(ExpressionError, match=r"whole number for n; got 2\.5"):
            expressions.mean(close, 2.5)
        with pytest.raises(ExpressionError, match="min_periods between 1 and its window of 5 sessions; got 6"):
            expressions.mean(close, 5, min_periods=6)
        with pytest.raises(ExpressionError, match="between 1 and its window of 5 sessions; got 0"):
            expressions.mean(close, 5, min_periods=0)
