"""Cross-sectional kernels against definitions, and what must not change a bit of their results."""

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets import expressions
from factor_assets.errors import ExpressionError
from factor_assets.expressions import Call, Field, close, sector
from factor_assets.expressions.cross_section import COMPUTE as ALONE
from factor_assets.expressions.engine import evaluate
from factor_assets.expressions.groups import COMPUTE as GROUPED
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.naive_cross import ALL_ROWS, residualize
from factor_assets_tests.expressions.strategies import same_bits

COMPUTE = {**ALONE, **GROUPED}
PARAMS = {"winsorize": {"limit": 0.1}, "scale": {"to": 2.0}, "bucket": {"n_buckets": 3}}
BY_GROUP = ("group_mean", "neutralize", "group_zscore", "group_rank")
# name, operands, params: every operator at least once
CASES = [
    *((name, 1, PARAMS.get(name, {})) for name in ALONE),
    *((name, 2, {}) for name in BY_GROUP),
    *(("residualize", 1 + len(flags), {"label_flags": flags}) for flags in [(False,), (True,), (False, True, False)]),
    ("residualize", 4, {"label_flags": (True, False, True)}),
]
IDS = [f"{name}{''.join('gx'[not f] for f in params.get('label_flags', ()))}" for name, _, params in CASES]
every_case = pytest.mark.parametrize(("name", "n_operands", "params"), CASES, ids=IDS)


def run(name: str, members: np.ndarray, *operands: np.ndarray, **params: object) -> np.ndarray:
    out = np.full(members.shape, 1e300)
    COMPUTE[name](out, members, *operands, **params)
    return out


def market(
    seed: int, n_rows: int, n_tickers: int, n_operands: int, flags: tuple[bool, ...] = ()
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Members and operands with ties, constant rows, zeros of both signs, rows of NaN and rows without members."""
    rng = np.random.default_rng(seed)
    shape = (n_rows, n_tickers)
    members = rng.random(shape) < 0.85
    members[rng.random(n_rows) < 0.05] = False
    operands = []
    for k in range(n_operands):
        x = rng.normal(rng.choice([0.0, 30.0]), 1.0, shape) * rng.choice([1e-3, 1.0, 1e6])
        for i in range(n_rows):
            kind = rng.integers(8)
            if kind == 0:
                x[i] = rng.choice([0.0, 0.1, -3.7])
            elif kind == 1:
                x[i] = rng.integers(-2, 3, n_tickers) * rng.choice([1.0, -1.0], n_tickers)
            elif kind == 2:
                x[i, rng.random(n_tickers) < 0.5] = 0.0
            elif kind == 3 and rng.random() < 0.3:
                x[i] = np.nan
            elif kind == 4:
                x[i] = 1.0 + np.spacing(1.0) * rng.integers(0, 40, n_tickers)
        if k < len(flags) and flags[k]:
            x = rng.choice([0.0, -0.0, 3.0, -7.5, 1e200], shape)
        x[rng.random(shape) < 0.1] = np.nan
        operands.append(x)
    return members, operands


def is_label(name: str, n_operands: int, params: dict) -> tuple[bool, ...]:
    if name in BY_GROUP:
        return False, True
    return False, *params.get("label_flags", (False,) * (n_operands - 1))


def panel_of(values: dict[str, np.ndarray], members: np.ndarray) -> Panel:
    return Panel(
        dates=np.arange(len(members)).astype("datetime64[D]"),
        tickers=tuple(f"T{j:04d}" for j in range(members.shape[1])),
        fields=values,
        in_universe=members,
    )


class TestAgainstDefinition:
    @every_case
    @given(seed=st.integers(0, 2**32 - 1), n_rows=st.integers(1, 6), n_tickers=st.integers(1, 24))
    @settings(max_examples=60, deadline=None)
    def test_row_by_row(self, name, n_operands, params, seed, n_rows, n_tickers):
        members, operands = market(seed, n_rows, n_tickers, n_operands, is_label(name, n_operands, params))
        ours = run(name, members, *operands, **params)
        assert not np.isinf(ours).any()
        for i in range(n_rows):
            rows = [[float(v) for v in x[i][members[i]]] for x in operands]
            size = np.nanmax([1e-300, *(abs(v) for v in rows[0] if name not in ("group_zscore", "zscore"))])
            if name == "cross_mean":
                there = [v for v in rows[0] if v == v]
                theirs = np.full(n_tickers, np.mean(there) if there else np.nan)
                np.testing.assert_allclose(ours[i], theirs, rtol=1e-10, atol=1e-14 * size)
                continue
            assert np.isnan(ours[i][~members[i]]).all()
            theirs = ALL_ROWS[name](*rows, **params)
            tolerance = 1e-10 if name == "residualize" else 1e-14
            np.testing.assert_allclose(ours[i][members[i]], theirs, rtol=1e-10, atol=tolerance * size)

    @given(seed=st.integers(0, 2**32 - 1), n_tickers=st.sampled_from([2, 63, 64, 65, 257, 500, 1024]))
    @settings(max_examples=30, deadline=None)
    def test_ranks_against_scipy(self, seed, n_tickers):
        rng = np.random.default_rng(seed)
        shape = (3, n_tickers)
        for x in (
            rng.normal(0, 1, shape),
            np.round(rng.normal(0, 3, shape)),
            np.exp(rng.normal(0, 8, shape)),
            rng.standard_cauchy(shape),
            rng.standard_cauchy(shape) ** 15,
            -np.exp(rng.normal(0, 3, shape)),
            np.where(rng.random(shape) < 0.02, 1e9, np.round(rng.normal(0, 2, shape)) * rng.choice([1.0, -1.0], shape)),
            rng.integers(-3, 4, shape) * 5e-324,
            rng.choice([1.7e308, -1.7e308, 0.0, -0.0, 1.0], shape),
            rng.choice([np.inf, -np.inf, 2.0, 3.0], shape),
            np.where(rng.random(shape) < 0.01, 1e18, 1.0 + np.spacing(1.0) * rng.integers(0, 5000, shape)),
        ):
            ours = run("rank", np.ones(shape, dtype=bool), x)
            assert same_bits(ours, scipy.stats.rankdata(x, axis=1) / n_tickers)

    def test_more_tickers_than_short_keys_have_room_for(self):
        x = np.random.default_rng(0).normal(0, 1, (2, 20_000))
        x[0, :300] = x[0, 300:600]
        ours = run("rank", np.ones(x.shape, dtype=bool), x)
        assert same_bits(ours, scipy.stats.rankdata(x, axis=1) / 20_000)

    @pytest.mark.parametrize("limit", [0.0, 0.01, 0.25, 0.5])
    def test_winsorize_against_numpy(self, limit):
        x = np.random.default_rng(1).standard_t(2, (7, 331))
        low, high = np.quantile(x, [limit, 1 - limit], axis=1, keepdims=True)
        ours = run("winsorize", np.ones(x.shape, dtype=bool), x, limit=limit)
        np.testing.assert_allclose(ours, np.clip(x, low, high), rtol=1e-13)

    def test_residualize_against_statsmodels(self):
        rng = np.random.default_rng(2)
        x, size = rng.normal(0, 1, (4, 60)), rng.lognormal(20, 2, (4, 60))
        groups, more = rng.integers(0, 5, (4, 60)).astype(float), rng.integers(0, 3, (4, 60)).astype(float)
        for labels, flags in (([], ()), ([groups], (True,)), ([groups, more], (True, True))):
            ours = run(
                "residualize",
                np.ones(x.shape, dtype=bool),
                x,
                np.log(size),
                x**2,
                *labels,
                label_flags=(False, False, *flags),
            )
            for i in range(4):
                dummies = [(g[i] == code).astype(float) for g in labels for code in np.unique(g[i])[1:]]
                design = sm.add_constant(np.stack([np.log(size)[i], x[i] ** 2, *dummies], axis=1))
                np.testing.assert_allclose(ours[i], sm.OLS(x[i], design).fit().resid, rtol=1e-8, atol=1e-12)

    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=20, deadline=None)
    def test_through_the_engine(self, seed):
        members, (x, size, group) = market(seed, 5, 12, 3, (False, False, True))
        panel = panel_of({"close": x, "volume": size, "sector": group}, members)
        wanted = {
            "group_rank": expressions.group_rank(close, sector),
            "neutralize": expressions.neutralize(close, sector),
            "residualize": expressions.residualize(close, Field("volume"), sector),
            "winsorize": expressions.winsorize(close, limit=0.1),
            "own": expressions.group_rank(close, close),
        }
        got = dict(evaluate(wanted, panel))
        assert same_bits(got["group_rank"], run("group_rank", members, x, group))
        assert same_bits(got["neutralize"], run("neutralize", members, x, group))
        assert same_bits(got["residualize"], run("residualize", members, x, size, group, label_flags=(False, True)))
        assert same_bits(got["winsorize"], run("winsorize", members, x, limit=0.1))
        assert same_bits(got["own"], run("group_rank", members, x, x))
        for i in range(5):
            theirs = residualize(*(v[i][members[i]].tolist() for v in (x, size, group)), label_flags=(False, True))
            scale = np.nanmax([1e-300, *np.abs(x[i])]) if not np.isnan(x[i]).all() else 1.0
            np.testing.assert_allclose(got["residualize"][i][members[i]], theirs, rtol=1e-9, atol=1e-10 * scale)


class TestProperties:
    @every_case
    @given(seed=st.integers(0, 2**32 - 1), n_tickers=st.sampled_from([1, 2, 30, 300]), data=st.data())
    @settings(max_examples=15, deadline=None)
    def test_in_place_and_rows_on_their_own_have_the_same_bits(self, name, n_operands, params, seed, n_tickers, data):
        members, operands = market(seed, 130, n_tickers, n_operands, is_label(name, n_operands, params))
        whole = run(name, members, *operands, **params)
        top = data.draw(st.integers(0, 129))
        rows = slice(top, data.draw(st.integers(top, 129)) + 1)
        assert same_bits(run(name, members[rows], *(x[rows] for x in operands), **params), whole[rows])
        frozen = [x.copy() for x in operands]
        for x in frozen:
            x.flags.writeable = False
        assert same_bits(run(name, members, *frozen, **params), whole)
        COMPUTE[name](operands[0], members, *operands, **params)
        assert same_bits(operands[0], whole)

    @pytest.mark.parametrize("name", [*BY_GROUP, "residualize"])
    def test_in_place_where_every_operand_is_the_same_array(self, name):
        members, (x,) = market(3, 40, 25, 1)
        params = {"label_flags": (False,)} if name == "residualize" else {}
        apart = run(name, members, x, x.copy(), **params)
        COMPUTE[name](x, members, x, x, **params)
        assert same_bits(x, apart)

    @every_case
    @given(seed=st.integers(0, 2**32 - 1), n_tickers=st.sampled_from([1, 9, 300]))
    @settings(max_examples=10, deadline=None)
    def test_names_outside_the_universe_change_no_bit(self, name, n_operands, params, seed, n_tickers):
        members, operands = market(seed, 10, n_tickers, n_operands, is_label(name, n_operands, params))
        whole = run(name, members, *operands, **params)
        loud = [np.where(members, x, np.random.default_rng(seed).normal(0, 1e9, x.shape)) for x in operands]
        assert same_bits(run(name, members, *loud, **params)[members], whole[members])
        wider = np.insert(members, [0, n_tickers // 2, n_tickers], False, axis=1)
        loud = [np.insert(x, [0, n_tickers // 2, n_tickers], 7e7, axis=1) for x in operands]
        assert same_bits(run(name, wider, *loud, **params)[wider], whole[members])

    @every_case
    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=10, deadline=None)
    def test_another_order_of_tickers(self, name, n_operands, params, seed):
        members, operands = market(seed, 6, 40, n_operands, is_label(name, n_operands, params))
        order = np.random.default_rng(seed).permutation(40)
        ours = run(name, members[:, order].copy("C"), *(x[:, order].copy("C") for x in operands), **params)
        theirs = run(name, members, *operands, **params)[:, order]
        if name in ("rank", "bucket", "group_rank", "winsorize"):
            assert same_bits(ours, theirs)
        else:
            size = np.nanmax([1e-300, *np.abs(operands[0][np.isfinite(operands[0])])])
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * size)

    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=20, deadline=None)
    def test_codes_are_only_names(self, seed):
        members, (x, size, group) = market(seed, 8, 50, 3, (False, False, True))
        renamed = group.copy()
        for code, other in ((0.0, 11.0), (3.0, 1e-310), (-7.5, -2.0), (1e200, 0.5)):
            renamed[group == code] = other
        for name in BY_GROUP:
            assert same_bits(run(name, members, x, group), run(name, members, x, renamed))
        flags = {"label_flags": (False, True)}
        assert same_bits(
            run("residualize", members, x, size, group, **flags), run("residualize", members, x, size, renamed, **flags)
        )

    def test_constant_groups_are_exact(self):
        x = np.array([[0.1] * 10 + [1e17 + 2] * 3 + [5.0]])
        group = np.array([[1.0] * 10 + [2.0] * 3 + [3.0]])
        members = np.ones(x.shape, dtype=bool)
        assert (run("neutralize", members, x, group) == 0.0).all()
        assert same_bits(run("group_mean", members, x, group), x)
        assert np.isnan(run("group_zscore", members, x, group)).all()
        assert (run("residualize", members, x, group, label_flags=(True,)) == 0.0).all()
        assert run("group_rank", members, x, group)[0].tolist() == [0.55] * 10 + [2 / 3] * 3 + [1.0]

    @pytest.mark.parametrize("value", [0.1, -3.7, 0.0, 1e300, 5e-324])
    def test_constant_rows_are_exact(self, value):
        x = np.full((1, 61), value)
        members = np.ones(x.shape, dtype=bool)
        assert (run("demean", members, x) == 0.0).all()
        assert same_bits(run("cross_mean", members, x), x)
        assert same_bits(run("winsorize", members, x, limit=0.013), x)
        assert np.isnan(run("zscore", members, x)).all()
        assert (run("residualize", members, x, x, label_flags=(False,)) == 0.0).all()

    def test_the_group_mean_reaches_members_without_a_value(self):
        members = np.array([[True, True, True, False, True]])
        x, group = np.array([[1.0, 3.0, np.nan, 5.0, 7.0]]), np.array([[0.0, 0.0, 0.0, 0.0, np.nan]])
        np.testing.assert_array_equal(run("group_mean", members, x, group), [[2.0, 2.0, 2.0, np.nan, np.nan]])
        np.testing.assert_array_equal(run("neutralize", members, x, group), [[-1.0, 1.0, np.nan, np.nan, np.nan]])

    def test_more_groups_over_time_than_the_table_has_room_for(self):
        rng = np.random.default_rng(0)
        members, x = np.ones((400, 5), dtype=bool), rng.normal(0, 1, (400, 5))
        codes = np.repeat(rng.normal(0, 1, (400, 1)), 5, axis=1)
        codes[:, 3:] = rng.normal(0, 1, (400, 2))
        ours = run("group_mean", members, x, codes)
        np.testing.assert_allclose(ours[:, :3], x[:, :3].mean(axis=1, keepdims=True) * np.ones(3), rtol=1e-12)
        assert same_bits(ours[:, 3:], x[:, 3:])

    def test_collinear_regressors_are_as_good_as_one(self):
        rng = np.random.default_rng(4)
        x, size, group = rng.normal(0, 1, (5, 30)), rng.normal(20, 2, (5, 30)), rng.integers(0, 4, (5, 30)) + 0.0
        members = np.ones(x.shape, dtype=bool)
        one = run("residualize", members, x, size, group, label_flags=(False, True))
        for more in ([3 * size - 7, size], [np.full(size.shape, 0.3)], [group * 2 + 1], [size + group]):
            flags = (False, True, *(False,) * len(more))
            again = run("residualize", members, x, size, group, *more, label_flags=flags)
            np.testing.assert_allclose(again, one, rtol=1e-9, atol=1e-12)
        twice = run("residualize", members, x, size, group, group, label_flags=(False, True, True))
        np.testing.assert_allclose(twice, one, rtol=1e-9, atol=1e-12)

    def test_units_of_regressors_change_nothing(self):
        rng = np.random.default_rng(5)
        x, size, other = rng.normal(0, 1, (3, 3, 20))
        members = np.ones(x.shape, dtype=bool)
        one = run("residualize", members, x, size, other, label_flags=(False, False))
        for unit in (1e-200, 1e6, 1e200):
            scaled = run("residualize", members, x, size * unit, other, label_flags=(False, False))
            np.testing.assert_allclose(scaled, one, rtol=1e-9, atol=1e-12)

    def test_too_few_observations(self):
        x = np.array([[1.0, 2.0, 5.0, np.nan]])
        z, members = np.array([[3.0, 1.0, 2.0, 4.0]]), np.ones((1, 4), dtype=bool)
        fitted = run("residualize", members, x, z, label_flags=(False,))
        assert np.isnan(fitted).tolist() == [[False, False, False, True]]
        assert np.isnan(run("residualize", members, x, z, z**2, label_flags=(False, False))).all()
        assert np.isnan(run("residualize", members, x, z, label_flags=(True,))).all()
        assert np.isnan(
            run("residualize", members[:, :1], x[:, :1].copy(), z[:, :1].copy(), label_flags=(False,))
        ).all()

    @every_case
    @pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3), (1, 1), (70_000, 1)])
    def test_shapes_without_much_in_them(self, name, n_operands, params, shape):
        members, operands = np.ones(shape, dtype=bool), [np.ones(shape) for _ in range(n_operands)]
        out = run(name, members, *operands, **params)
        assert out.shape == shape
        one = {"rank": 1, "bucket": 3, "group_rank": 1, "winsorize": 1, "cross_mean": 1, "group_mean": 1, "scale": 2}
        expected = one.get(name, 0 if name in ("demean", "neutralize") else np.nan)
        assert same_bits(out, np.full(shape, float(expected)))

    @every_case
    def test_nothing_is_infinite(self, name, n_operands, params):
        x = np.array([[1.7e308, -1.7e308, 1.7e308, 1e308, 5e-324, 0.0], [1.7e308] * 6])
        labels = is_label(name, n_operands, params)
        operands = [np.array([[1.0, 1, 1, 2, 2, 2]] * 2) if flag else x for flag in labels]
        assert not np.isinf(run(name, np.ones(x.shape, dtype=bool), *operands, **params)).any()

    def test_params_change_a_number(self):
        x, members = np.random.default_rng(0).normal(0, 1, (1, 40)), np.ones((1, 40), dtype=bool)
        for name, one, other in (
            ("winsorize", {"limit": 0.01}, {"limit": 0.2}),
            ("scale", {"to": 1.0}, {"to": 3.0}),
            ("bucket", {"n_buckets": 5}, {"n_buckets": 10}),
        ):
            assert not same_bits(run(name, members, x, **one), run(name, members, x, **other))

    def test_ties_stay_together_in_buckets(self):
        x = np.array([[1.0, 1, 1, 1, 2, 3, 4, 5, 6, 7]])
        got = run("bucket", np.ones(x.shape, dtype=bool), x, n_buckets=5)
        assert got.tolist() == [[2, 2, 2, 2, 3, 3, 4, 4, 5, 5]]


class TestErrors:
    def test_limits_of_params(self):
        with pytest.raises(ExpressionError, match=r"winsorize.* wants limit between 0 and 0\.5; got 0\.6"):
            expressions.winsorize(close, limit=0.6)
        with pytest.raises(ExpressionError, match=r"bucket.* wants n_buckets between 2 and 1000; got 1"):
            expressions.bucket(close, n_buckets=1)
        with pytest.raises(ExpressionError, match=r"scale.* wants to between"):
            expressions.scale(close, to=0.0)

    def test_operands(self):
        with pytest.raises(ExpressionError, match=r"residualize.* wants at least 2 operands; got 1"):
            Call("residualize", (close,))
        with pytest.raises(ExpressionError, match="sector names groups and has no value of its own"):
            expressions.rank(sector)

    def test_flags_that_do_not_fit(self):
        x, members = np.ones((1, 3)), np.ones((1, 3), dtype=bool)
        with pytest.raises(ValueError, match="shorter"):
            run("residualize", members, x, x, x, label_flags=(False,))
