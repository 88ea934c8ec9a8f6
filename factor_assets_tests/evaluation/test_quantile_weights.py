"""Weights of the names in a quantile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.quantile_weights import quantile_weights
from factor_assets.evaluation.quantiles import assign_quantiles
from factor_assets.evaluation.ranking import rank
from factor_assets_tests.evaluation import sorts
from factor_assets_tests.evaluation.sorts import random_market


class TestAgainstLoops:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("by_sector", [False, True])
    @pytest.mark.parametrize("equal_shares", [False, True])
    def test_equal_loops(self, seed: int, by_sector: bool, equal_shares: bool) -> None:
        market = random_market(seed, n_tickers=60)
        groups = market.sectors if by_sector else None
        quantiles = assign_quantiles(rank(market.factor), n_quantiles=3, groups=groups)
        ones = np.ones_like(market.factor)
        for scheme, size, cap in (
            ("equal", ones, None),
            ("value", market.market_cap, None),
            ("capped_value", market.market_cap, 0.3),
            ("capped_value", market.market_cap, 0.01),  # cannot hold: equal weights
            ("capped_value", market.market_cap, 1.0),
        ):
            got = quantile_weights(
                quantiles,
                scheme=scheme,
                market_cap=market.market_cap,
                max_weight=cap,
                groups=groups,
                group_share="equal" if equal_shares else "proportional",
            )
            expected = sorts.quantile_weights(
                quantiles.number, size, cap=cap or 1.0, sectors=groups, equal_shares=equal_shares
            )
            np.testing.assert_allclose(got.weight, expected, atol=1e-12)
            held = [
                [((row == q) & (w > 0)).sum() for q in (1, 2, 3)]
                for row, w in zip(quantiles.number, expected, strict=True)
            ]
            np.testing.assert_array_equal(got.n_names, held)
            np.testing.assert_array_equal(got.n_left_out, quantiles.n_names.sum(axis=1) - np.sum(held, axis=1))
            sizes = np.where(expected > 0, size, 0.0)
            by_quantile = np.stack([(sizes * (quantiles.number == q)).sum(axis=1) for q in (1, 2, 3)], axis=1)
            np.testing.assert_allclose(
                got.quantile_share, by_quantile / by_quantile.sum(axis=1, keepdims=True), atol=1e-12
            )

    def test_a_cap_by_hand(self) -> None:
        values = np.arange(8.0)[None]
        size = np.array([[60.0, 20.0, 15.0, 5.0, 1.0, 1.0, 1.0, 1.0]])
        got = quantile_weights(
            assign_quantiles(rank(values), n_quantiles=2), scheme="capped_value", market_cap=size, max_weight=0.4
        )
        # 60 is cut to 40 %; 20, 15 and 5 share 60 %: 30, 22.5 and 7.5
        np.testing.assert_allclose(got.weight, [[0.4, 0.3, 0.225, 0.075, 0.25, 0.25, 0.25, 0.25]])
        again = quantile_weights(
            assign_quantiles(rank(values), n_quantiles=2), scheme="capped_value", market_cap=size, max_weight=0.29
        )
        # 40 %, 30 % of the rest are above 29 % too: a second round
        np.testing.assert_allclose(again.weight[0, :4], [0.29, 0.29, 0.29, 0.13])


class TestProperties:
    def test_neutral_to_sectors_and_size(self) -> None:
        market = random_market(2, n_tickers=200)
        ranking = rank(market.factor)
        size_buckets = assign_quantiles(rank(market.market_cap), n_quantiles=2).number.astype(float)
        size_buckets[size_buckets == 0] = np.nan
        for groups, share in ((market.sectors, "proportional"), (size_buckets, "equal")):
            quantiles = assign_quantiles(ranking, groups=groups)
            got = quantile_weights(
                quantiles, scheme="value", market_cap=market.market_cap, groups=groups, group_share=share
            )
            for code in np.unique(groups[np.isfinite(groups)]):
                inside = [np.where((groups == code) & (quantiles.number == q), got.weight, 0).sum(1) for q in (1, 5)]
                np.testing.assert_allclose(inside[0], inside[1], atol=1e-12)
                assert (inside[0] > 0).all()
                if share == "equal":
                    np.testing.assert_allclose(inside[0], 0.5)

    def test_a_group_without_a_name_in_every_quantile_is_left_out(self) -> None:
        values = np.arange(6.0)[None]
        groups = np.array([[1.0, 1.0, 2.0, 1.0, 1.0, np.nan]])  # group 2 is in the lowest quantile only
        got = quantile_weights(assign_quantiles(rank(values), n_quantiles=2), groups=groups)
        np.testing.assert_allclose(got.weight, [[0.5, 0.5, 0.0, 0.5, 0.5, 0.0]])
        assert got.n_left_out.tolist() == [2]

    def test_nothing_to_weigh(self) -> None:
        values = np.full((2, 4), np.nan)
        got = quantile_weights(assign_quantiles(rank(values)))
        assert not got.weight.any()
        assert np.isnan(got.quantile_share).all()
        got = quantile_weights(
            assign_quantiles(rank(np.arange(4.0)[None]), n_quantiles=2), scheme="value", market_cap=np.zeros((1, 4))
        )
        assert not got.weight.any()
        assert got.n_left_out.tolist() == [4]

    @hypothesis_settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), cap=st.floats(0.01, 1.0), stop=st.integers(1, 10))
    def test_weights_add_up_and_stay_below_the_cap(self, seed: int, cap: float, stop: int) -> None:
        market = random_market(seed, n_dates=10)
        quantiles = assign_quantiles(rank(market.factor), n_quantiles=3)
        got = quantile_weights(quantiles, scheme="capped_value", market_cap=market.market_cap, max_weight=cap)
        for q in (1, 2, 3):
            inside = np.where(quantiles.number == q, got.weight, 0.0)
            n = got.n_names[:, q - 1]
            np.testing.assert_allclose(inside.sum(axis=1)[n > 0], 1.0)
            assert (inside.max(axis=1)[n > 0] <= np.maximum(cap, 1.0 / n[n > 0]) * (1 + 1e-12)).all()
        assert (got.weight >= 0).all()
        early = assign_quantiles(rank(market.factor[:stop]), n_quantiles=3)
        cut = quantile_weights(early, scheme="capped_value", market_cap=market.market_cap[:stop], max_weight=cap)
        np.testing.assert_array_equal(cut.weight, got.weight[:stop])
        order = np.random.default_rng(seed).permutation(market.factor.shape[1])
        values = market.factor + 1e-3 * np.arange(market.factor.shape[1]) / 1e3  # no ties
        straight, moved = (
            quantile_weights(
                assign_quantiles(rank(values[:, columns]), n_quantiles=3),
                scheme="capped_value",
                market_cap=market.market_cap[:, columns],
                max_weight=cap,
            ).weight
            for columns in (np.arange(len(order)), order)
        )
        np.testing.assert_allclose(moved, straight[:, order], atol=1e-12)


class TestErrors:
    def test_messages(self) -> None:
        quantiles = assign_quantiles(rank(np.ones((3, 4))))
        with pytest.raises(EvaluationError, match="Unknown scheme 'cap' of weights; choose one of"):
            quantile_weights(quantiles, scheme="cap")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="Unknown group_share 'half' of weights"):
            quantile_weights(quantiles, group_share="half")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="Weights by 'value' want market_cap, got none"):
            quantile_weights(quantiles, scheme="value")
        with pytest.raises(EvaluationError, match="max_weight wants the scheme 'capped_value' and no other"):
            quantile_weights(quantiles, max_weight=0.1)
        with pytest.raises(EvaluationError, match="got None and 'capped_value'"):
            quantile_weights(quantiles, scheme="capped_value", market_cap=np.ones((3, 4)))
        with pytest.raises(EvaluationError, match=r"a share in \(0, 1\], got 1.5"):
            quantile_weights(quantiles, scheme="capped_value", market_cap=np.ones((3, 4)), max_weight=1.5)
        with pytest.raises(MisalignedError, match=r"market_cap of the sort's shape \(3, 4\), got \(3, 3\)"):
            quantile_weights(quantiles, scheme="value", market_cap=np.ones((3, 3)))
