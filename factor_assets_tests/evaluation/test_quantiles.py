"""Quantiles of sorted names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.information import quantile_returns
from factor_assets.evaluation.quantiles import (
    FORMED,
    NO_GROUP,
    NO_VALUES,
    ONE_VALUE,
    TOO_FEW,
    TOO_FEW_AT_BREAKPOINTS,
    assign_quantiles,
    reason_texts,
)
from factor_assets.evaluation.ranking import rank
from factor_assets_tests.evaluation.sorts import ALPHALENS, alphalens_data, quantile_numbers, random_market


class TestAgainstLoopsAndAlphalens:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("n", [2, 3, 5, 10])
    def test_equal_loops(self, seed: int, n: int) -> None:
        market = random_market(seed)
        ranking = rank(market.factor)
        for groups in (None, market.sectors):
            got = assign_quantiles(ranking, n_quantiles=n, groups=groups)
            expected = quantile_numbers(market.factor, n, sectors=groups)
            np.testing.assert_array_equal(got.number, expected)
            # with ties, a breakpoint between two listed names may be an unlisted one's value but for rounding
            for listed in (None, *([] if seed % 2 else [market.is_listed])):
                got = assign_quantiles(
                    ranking, n_quantiles=n, method="breakpoint", breakpoints_from=listed, groups=groups
                )
                expected = quantile_numbers(market.factor, n, sectors=groups, listed=listed, by_value=True)
                np.testing.assert_array_equal(got.number, expected)
                np.testing.assert_array_equal(
                    got.n_names, [[(row == q).sum() for q in range(1, n + 1)] for row in expected]
                )
                np.testing.assert_array_equal(got.n_left_out, ranking.n_ranked - (expected > 0).sum(axis=1))
                np.testing.assert_array_equal(got.reason == FORMED, (expected > 0).any(axis=1))

    @ALPHALENS
    @pytest.mark.parametrize("n", [2, 5, 7])
    def test_breakpoints_equal_alphalens(self, n: int) -> None:
        market = random_market(0)
        close = np.exp(np.random.default_rng(0).normal(size=market.close.shape))
        theirs = alphalens_data(market.factor, close, n_quantiles=n, horizons=(1,))["factor_quantile"].unstack()
        got = assign_quantiles(rank(market.factor), n_quantiles=n, method="breakpoint")
        np.testing.assert_array_equal(got.number[:-1], theirs.fillna(0).to_numpy())

    def test_positions_are_those_of_quantile_returns(self) -> None:
        market = random_market(1)
        quantiles = assign_quantiles(rank(market.factor))
        _, n_tickers = quantile_returns(rank(market.factor), rank(np.ones_like(market.factor)), delay=1)
        np.testing.assert_array_equal(quantiles.n_names[:-1], n_tickers[1:])


class TestProperties:
    def test_a_breakpoint_is_not_exceeded_by_itself(self) -> None:
        quantiles = assign_quantiles(rank(np.array([[1.0, 2.0, 2.0, 2.0, 3.0]])), n_quantiles=2, method="breakpoint")
        assert quantiles.number.tolist() == [[1, 1, 1, 1, 2]]

    def test_breakpoints_come_from_the_subset_and_divide_all(self) -> None:
        values = np.arange(10.0)[None]
        listed = values >= 6
        quantiles = assign_quantiles(rank(values), n_quantiles=2, method="breakpoint", breakpoints_from=listed)
        assert quantiles.n_names.tolist() == [[8, 2]]

    def test_values_at_the_ends_of_float64(self) -> None:
        values = np.array([[-1.7e308, -1e308, 1e308, 1.7e308]])
        quantiles = assign_quantiles(rank(values), n_quantiles=2, method="breakpoint")
        assert quantiles.number.tolist() == [[1, 1, 2, 2]]

    def test_reasons(self) -> None:
        values = np.array([[np.nan] * 4, [1, 2, np.nan, np.nan], [1.0] * 4, [1, 2, 3, 4], [1, 2, 3, 4]])
        groups = np.zeros_like(values)
        groups[3] = np.nan
        listed = np.ones(values.shape, dtype=bool)
        listed[4, :2] = False
        quantiles = assign_quantiles(
            rank(values), n_quantiles=3, method="breakpoint", breakpoints_from=listed, groups=groups
        )
        assert quantiles.reason.tolist() == [NO_VALUES, TOO_FEW, ONE_VALUE, NO_GROUP, TOO_FEW_AT_BREAKPOINTS]
        assert quantiles.n_left_out.tolist() == [0, 2, 4, 4, 4]
        assert not quantiles.n_names.any()
        assert reason_texts(3)[TOO_FEW] == "fewer than 3 names ranked"
        assert len(reason_texts(3)) == TOO_FEW_AT_BREAKPOINTS + 1

    def test_infinite_is_missing(self) -> None:
        values = np.array([[1.0, 2.0, np.inf, -np.inf]])
        assert assign_quantiles(rank(values), n_quantiles=2).number.tolist() == [[1, 2, 0, 0]]

    def test_a_small_group_does_not_stop_the_others(self) -> None:
        values, groups = np.arange(5.0)[None], np.array([[1.0, 1.0, 1.0, 1.0, 2.0]])
        quantiles = assign_quantiles(rank(values), n_quantiles=2, groups=groups)
        assert quantiles.number.tolist() == [[1, 1, 2, 2, 0]]
        assert quantiles.n_left_out.tolist() == [1]

    def test_empty_panels(self) -> None:
        for shape in ((0, 5), (5, 0), (1, 1)):
            assert not assign_quantiles(rank(np.ones(shape))).number.any()

    @hypothesis_settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), n=st.integers(2, 6), by_value=st.booleans())
    def test_codes_order_and_increasing_functions_do_not_matter(self, seed: int, n: int, by_value: bool) -> None:
        random = np.random.default_rng(seed)
        values = random.permutation(np.arange(60.0)).reshape(3, 20)  # no ties
        groups = random.integers(0, 3, values.shape).astype(float)
        method = "breakpoint" if by_value else "position"
        first = assign_quantiles(rank(values), n_quantiles=n, method=method, groups=groups).number
        order = random.permutation(20)
        moved = assign_quantiles(
            rank(values[:, order]), n_quantiles=n, method=method, groups=-7.5 * groups[:, order]
        ).number
        np.testing.assert_array_equal(moved, first[:, order])
        if not by_value:  # a breakpoint between two names is linear in their values
            cubed = assign_quantiles(rank(values**3 - 5), n_quantiles=n, groups=groups).number
            np.testing.assert_array_equal(cubed, first)

    @hypothesis_settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 40))
    def test_later_dates_change_nothing(self, seed: int, stop: int) -> None:
        market = random_market(seed, n_tickers=15)
        choice = {"n_quantiles": 3, "method": "breakpoint"}
        whole = assign_quantiles(
            rank(market.factor), breakpoints_from=market.is_listed, groups=market.sectors, **choice
        )
        cut = assign_quantiles(
            rank(market.factor[:stop]),
            breakpoints_from=market.is_listed[:stop],
            groups=market.sectors[:stop],
            **choice,
        )
        np.testing.assert_array_equal(cut.number, whole.number[:stop])
        np.testing.assert_array_equal(cut.reason, whole.reason[:stop])


class TestErrors:
    def test_messages(self) -> None:
        ranking = rank(np.ones((3, 4)))
        with pytest.raises(EvaluationError, match="2 to 32767 quantiles, got 1"):
            assign_quantiles(ranking, n_quantiles=1)
        with pytest.raises(EvaluationError, match="Unknown method 'breakpoints' of a sort; did you mean 'breakpoint'"):
            assign_quantiles(ranking, method="breakpoints")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="breakpoints_from wants the method 'breakpoint'"):
            assign_quantiles(ranking, breakpoints_from=np.ones((3, 4), dtype=bool))
        with pytest.raises(MisalignedError, match=r"breakpoints_from of the ranking's shape \(3, 4\), got \(3, 3\)"):
            assign_quantiles(ranking, method="breakpoint", breakpoints_from=np.ones((3, 3), dtype=bool))
        with pytest.raises(MisalignedError, match=r"groups of the ranking's shape \(3, 4\), got \(4,\)"):
            assign_quantiles(ranking, groups=np.ones(4))
