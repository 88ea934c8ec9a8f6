"""Correlations of factors: against scipy and pandas in plain loops, their properties, their errors."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import rankdata, spearmanr

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.factor_correlations import (
    Closest,
    FactorBlock,
    Label,
    block_sessions,
    centred_ranks,
    closest_factors,
    correlation_matrix,
    factor_correlations,
    rank_correlations,
    return_correlations,
    sampling_step,
)
from factor_assets.evaluation.ranking import rank
from factor_assets.panel.panel import Array
from factor_assets.tables import table

LABELS: list[Label] = [("f", "a"), ("f", "b"), ("g", "c"), ("g", "d")]
N_DATES, N_TICKERS = 40, 25


def factors(*, missing: float, seed: int = 0) -> list[Array]:
    """Four factors with ties; the second is like the first, the third its opposite."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(N_DATES, N_TICKERS))
    some = [first, first + rng.normal(size=first.shape), 0.5 * rng.normal(size=first.shape) - first]
    some.append(rng.normal(size=first.shape))
    for values in some:
        values[:] = np.round(values, 1)
        values[rng.random(values.shape) < missing] = np.nan
    return some


def blocks(values: Sequence[Array], *, members: np.ndarray | None = None, size: int = 7) -> Iterator[FactorBlock]:
    inside = np.ones(values[0].shape, dtype=bool) if members is None else members
    for i in range(0, len(values[0]), size):
        rows = [
            (family, name, own[i : i + size]) for (family, name), own in zip(LABELS[: len(values)], values, strict=True)
        ]
        yield FactorBlock(factors=rows[::-1], in_universe=inside[i : i + size])


def timeseries(returns: Array, labels: Sequence[Label] = LABELS) -> pa.Table:
    return pa.table(
        {
            "date": pa.array(
                np.repeat(np.datetime64("2020-01-01") + np.arange(len(returns)), len(labels)), pa.date32()
            ),
            "factor_type": [family for family, _ in labels] * len(returns),
            "factor_name": [name for _, name in labels] * len(returns),
            "factor_value": pa.array(returns.ravel(), pa.float64(), from_pandas=True),
        }
    )


def rows_of(correlation: Array, labels: Sequence[Label] = LABELS) -> pa.Table:
    return factor_correlations(
        labels, return_correlation=correlation, rank_correlation=correlation, universe="u", source="s"
    )


class TestAgainstScipy:
    def test_ranks(self) -> None:
        values = factors(missing=0.2)[0]
        values[3] = np.nan
        values[4] = 1.0
        found = centred_ranks(rank(values))
        for row, own in zip(found, values, strict=True):
            known = np.isfinite(own)
            np.testing.assert_array_equal(np.isfinite(row), known)
            np.testing.assert_array_equal(row[known], rankdata(own[known]) - (known.sum() + 1) / 2)

    def test_names_that_all_factors_have(self) -> None:
        values = factors(missing=0.0)
        members = np.random.default_rng(5).random(values[0].shape) < 0.7
        found = rank_correlations(blocks(values, members=members), labels=LABELS)
        for i in range(4):
            for j in range(4):
                each = [spearmanr(values[i][t, members[t]], values[j][t, members[t]])[0] for t in range(N_DATES)]
                assert found[i, j] == pytest.approx(np.mean(each), abs=1e-12)

    def test_names_that_some_factors_lack(self) -> None:
        values = factors(missing=0.3)
        values[1][:5] = np.nan
        values[2][7, 4:] = np.nan
        values[3][9] = 2.0
        found = rank_correlations(blocks(values), labels=LABELS, min_sessions=1)
        each = []
        for t in range(N_DATES):
            ranks = pd.DataFrame([own[t] for own in values]).T.rank()
            each.append(ranks.corr(min_periods=10).to_numpy())
        np.testing.assert_allclose(found, np.nanmean(each, axis=0), atol=1e-12, rtol=0)

    def test_returns(self) -> None:
        rng = np.random.default_rng(2)
        returns = rng.normal(0.001, 0.01, (200, 4))
        returns[:, 1] += returns[:, 0]
        returns[rng.random(returns.shape) < 0.2] = np.nan
        returns[100:, 2] = np.nan
        found = return_correlations(timeseries(returns), labels=LABELS)
        np.testing.assert_allclose(found, pd.DataFrame(returns).corr(min_periods=30), atol=1e-12, rtol=0)


class TestProperties:
    def test_any_cut_into_blocks_gives_the_same_bits(self) -> None:
        values = factors(missing=0.2)
        whole = rank_correlations(blocks(values, size=N_DATES), labels=LABELS)
        for size in (1, 6):
            np.testing.assert_array_equal(rank_correlations(blocks(values, size=size), labels=LABELS), whole)

    def test_the_result_follows_the_labels(self) -> None:
        values = factors(missing=0.2)
        found = rank_correlations(blocks(values), labels=LABELS)
        order = [2, 0, 3, 1]
        moved = rank_correlations(blocks(values), labels=[LABELS[i] for i in order])
        np.testing.assert_allclose(moved, found[np.ix_(order, order)], atol=1e-14)

    def test_is_symmetric_and_in_range(self) -> None:
        found = rank_correlations(blocks(factors(missing=0.2)), labels=LABELS)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-15)
        assert found[0, 1] > 0.5
        assert found[0, 2] < -0.5
        assert abs(found[0, 3]) < 0.2

    def test_too_few_names_or_sessions_are_missing(self) -> None:
        values = factors(missing=0.0)
        values[1][:, 12:] = np.nan
        values[2][29:] = np.nan
        assert np.isfinite(rank_correlations(blocks(values), labels=LABELS, min_tickers=12)[0, 1])
        few_names = rank_correlations(blocks(values), labels=LABELS, min_tickers=13)
        assert np.isnan(few_names[1]).all()
        few_sessions = rank_correlations(blocks(values), labels=LABELS)
        assert np.isnan(few_sessions[2]).all()
        assert np.isfinite(rank_correlations(blocks(values), labels=LABELS, min_sessions=29)[2]).all()

    def test_a_constant_or_empty_factor_has_none(self) -> None:
        values = factors(missing=0.0)
        values[1][:] = 3.0
        values[3][:] = np.nan
        found = rank_correlations(blocks(values), labels=LABELS)
        assert np.isnan(found[[1, 3]]).all()
        assert np.isfinite(found[0, 2])

    def test_infinite_values_and_non_members_do_not_count(self) -> None:
        values = factors(missing=0.0)
        members = np.ones(values[0].shape, dtype=bool)
        members[:, :5] = False
        usual = rank_correlations(blocks([own[:, 5:] for own in values]), labels=LABELS)
        np.testing.assert_array_equal(rank_correlations(blocks(values, members=members), labels=LABELS), usual)
        for own in values:
            own[:, :5] = np.inf
        np.testing.assert_array_equal(rank_correlations(blocks(values), labels=LABELS), usual)

    def test_nothing_gives_nothing(self) -> None:
        assert np.isnan(rank_correlations([], labels=LABELS)).all()
        assert rank_correlations([], labels=[]).shape == (0, 0)
        assert np.isnan(return_correlations(timeseries(np.empty((0, 4))), labels=LABELS)).all()
        empty = FactorBlock(
            factors=[(*label, np.empty((3, 0))) for label in LABELS], in_universe=np.ones((3, 0), dtype=bool)
        )
        assert np.isnan(rank_correlations([empty], labels=LABELS)).all()

    def test_returns_that_do_not_vary_together(self) -> None:
        returns = np.random.default_rng(1).normal(size=(80, 4)) * [1e-200, 1e150, 1.0, 1.0]
        returns[:, 2] = 0.01
        returns[:40, 3] = 0.007  # constant over the sessions of the first
        returns[40:, 0] = np.nan
        found = return_correlations(timeseries(returns), labels=LABELS)
        assert np.isnan(found[2]).all()
        assert np.isnan(found[0, 3])
        assert found[0, 1] == pytest.approx(np.corrcoef(returns[:40, 0] * 1e200, returns[:40, 1])[0, 1], abs=1e-12)
        assert np.isnan(return_correlations(timeseries(returns), labels=LABELS, min_sessions=41)[0]).all()

    def test_rows_are_the_declared_ones(self) -> None:
        correlation = np.array([[1.0, 0.9, -0.6, np.nan], [0.9, 1, -0.5, 0], [-0.6, -0.5, 1, 0.1], [np.nan, 0, 0.1, 1]])
        rows = rows_of(correlation)
        assert rows.schema == table("factor_correlations").schema
        assert rows.num_rows == 12
        assert rows.equals(rows.sort_by([(key, "ascending") for key in table("factor_correlations").key]))
        shuffled = [2, 0, 3, 1]
        assert rows_of(correlation[np.ix_(shuffled, shuffled)], [LABELS[i] for i in shuffled]).equals(rows)
        first = rows.to_pylist()[2]
        assert (first["factor_name"], first["other_name"], first["rank_correlation"]) == ("a", "d", None)
        clusters = dict(zip(rows["factor_name"].to_pylist(), rows["cluster"].to_pylist(), strict=True))
        assert clusters["a"] == clusters["b"] == clusters["c"] != clusters["d"]
        assert rows_of(np.ones((1, 1)), LABELS[:1]).num_rows == 0

    def test_the_height_of_the_cut_changes_the_clusters(self) -> None:
        correlation = np.array([[1.0, 0.7], [0.7, 1.0]])
        for height, n in ((0.2, 2), (0.4, 1)):
            rows = factor_correlations(
                LABELS[:2],
                return_correlation=correlation,
                rank_correlation=correlation,
                universe="u",
                source="s",
                height=height,
            )
            assert len(rows["cluster"].unique()) == n

    def test_closest(self) -> None:
        correlation = np.full((4, 4), np.nan)
        correlation[0, 1] = correlation[1, 0] = 0.5
        correlation[0, 2] = correlation[2, 0] = -0.5
        correlation[1, 2] = correlation[2, 1] = -0.8
        assert closest_factors(rows_of(correlation)) == {
            ("f", "a"): Closest("f", "b", 0.5),
            ("f", "b"): Closest("g", "c", -0.8),
            ("g", "c"): Closest("f", "b", -0.8),
        }
        assert closest_factors(rows_of(np.full((4, 4), np.nan))) == {}

    def test_matrix_of_the_rows(self) -> None:
        correlation = rank_correlations(blocks(factors(missing=0.1)), labels=LABELS)
        labels, matrix = correlation_matrix(rows_of(correlation))
        order = [LABELS.index(label) for label in labels]
        assert sorted(order) == [0, 1, 2, 3]
        np.testing.assert_allclose(matrix, correlation[np.ix_(order, order)], atol=1e-15)
        labels, matrix = correlation_matrix(rows_of(np.ones((1, 1)), LABELS[:1]))
        assert (labels, matrix.shape) == ([], (0, 0))

    def test_sampling_starts_where_there_are_many(self) -> None:
        assert sampling_step(115, 2000) == sampling_step(200, 2500) == sampling_step(0, 0) == 1
        assert sampling_step(300, 2520) == 3
        assert 2520 // sampling_step(5000, 2520) >= 100
        assert block_sessions(115, 500) * 115 * 500 * 8 <= 100e6
        assert block_sessions(10**6, 10**4) == block_sessions(0, 0) // 12_000_000 == 1


class TestErrors:
    def test_a_factor_twice(self) -> None:
        with pytest.raises(EvaluationError, match=r"want each factor once; f/a came more often"):
            rank_correlations([], labels=[("f", "a"), ("f", "a")])

    def test_a_block_of_other_factors(self) -> None:
        values = factors(missing=0.0)
        with pytest.raises(EvaluationError, match=r"g/d is none of them"):
            rank_correlations(blocks(values), labels=LABELS[:3])
        with pytest.raises(EvaluationError, match=r"g/d is not there"):
            rank_correlations(blocks(values[:3]), labels=LABELS)
        twice = FactorBlock(
            factors=[("f", "a", values[0]), ("f", "a", values[0])], in_universe=np.ones(values[0].shape, dtype=bool)
        )
        with pytest.raises(EvaluationError, match=r"f/a is there again"):
            rank_correlations([twice], labels=LABELS)

    def test_shapes(self) -> None:
        with pytest.raises(MisalignedError, match="one shape"):
            rank_correlations(
                [FactorBlock(factors=[("f", "a", np.ones((3, 4)))], in_universe=np.ones((3, 5), dtype=bool))],
                labels=LABELS[:1],
            )
        with pytest.raises(MisalignedError, match=r"return correlation of 4 factors wants the shape \(4, 4\)"):
            rows_of(np.ones((3, 3)))
