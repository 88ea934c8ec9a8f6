"""Evidence by session against plain pandas, and that no cut of the dates changes a bit."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.timeseries import evaluate_factors, history_sessions
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation import plain
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
CHOICES = [
    EvaluationSettings(),
    EvaluationSettings(n_groups=5, weighting="cap", execution_lag=0, horizon=5, n_quantiles=3),
    EvaluationSettings(n_groups=2, execution_lag=3, horizon=2),
]
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def rows_of(rows: pa.Table, name: str) -> pd.DataFrame:
    frame = rows.to_pandas()
    return frame[frame["factor_name"] == name].reset_index(drop=True)


def frames(panel: Panel) -> dict[str, pd.DataFrame]:
    def frame(values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, index=panel.dates, columns=list(panel.tickers))

    return {name: frame(panel[name]) for name in ("returns", "close", "market_cap")} | {
        "members": frame(panel.in_universe)
    }


class TestAgainstPlainPandas:
    @pytest.mark.parametrize("choice", CHOICES)
    @pytest.mark.parametrize("seed", [0, 1])
    def test_timeseries_equals_the_definition(self, seed: int, choice: EvaluationSettings) -> None:
        panel, factors = random_market(seed)
        data = frames(panel)
        evidence = evaluate_factors(factors, panel, settings=choice, **NAMES).timeseries
        assert evidence.num_rows == len(panel.dates) * len(factors)
        for family, name, values in factors:
            expected = plain.timeseries(
                pd.DataFrame(values, index=panel.dates, columns=list(panel.tickers)),
                data["returns"],
                data["close"],
                data["members"],
                n_groups=choice.n_groups,
                market_cap=data["market_cap"] if choice.weighting == "cap" else None,
                lag=choice.execution_lag,
                horizon=choice.horizon,
            )
            got = rows_of(evidence, name)
            assert (got["factor_type"] == family).all()
            for ours, theirs in (
                ("high_portfolio_return", "high"),
                ("low_portfolio_return", "low"),
                ("factor_value", "factor"),
                ("n_ranked", "n_ranked"),
                ("coverage", "coverage"),
                ("turnover", "turnover"),
                ("rank_ic", "rank_ic"),
            ):
                np.testing.assert_allclose(
                    got[ours].to_numpy(float), expected[theirs].to_numpy(float), rtol=0, atol=1e-10, err_msg=ours
                )
            assert (got["reason"].isna() == got["factor_value"].notna()).all()
        assert evidence["factor_value"].null_count < evidence.num_rows / 2

    def test_rank_ic_equals_scipy(self) -> None:
        panel, factors = random_market(3)
        got = rows_of(evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES).timeseries, "tied")
        values, returns = factors[1][2], panel["returns"]
        for d in range(2, len(panel.dates)):
            pairs = panel.in_universe[d - 2] & np.isfinite(values[d - 2]) & np.isfinite(returns[d])
            if pairs.sum() >= 10:
                expected = spearmanr(values[d - 2][pairs], returns[d][pairs]).statistic
                assert got["rank_ic"][d] == pytest.approx(expected, abs=1e-12)

    def test_quantiles_equal_the_definition(self) -> None:
        panel, factors = random_market(4)
        choice = EvaluationSettings(n_quantiles=4, horizon=2)
        got = rows_of(evaluate_factors(factors, panel, settings=choice, **NAMES).quantiles, "tied")
        values, close = factors[1][2], panel["close"]
        for d in range(len(panel.dates)):
            rows = got.iloc[d * 4 : d * 4 + 4]
            if d < 3:
                assert rows["n_tickers"].isna().all()
                continue
            ranked = pd.Series(values[d - 3])[panel.in_universe[d - 3]].dropna().sort_values(kind="stable")
            forward = pd.Series(close[d] / close[d - 2] - 1)
            for q in range(4):
                names = [c for i, c in enumerate(ranked.index) if i * 4 // len(ranked) == q]
                present = forward[names].dropna()
                assert rows["n_tickers"].iloc[q] == len(present)
                if len(present):
                    assert rows["quantile_return"].iloc[q] == pytest.approx(present.mean(), abs=1e-12)
                else:
                    assert np.isnan(rows["quantile_return"].iloc[q])

    def test_counts_add_up(self) -> None:
        panel, factors = random_market(5)
        choice = EvaluationSettings(weighting="cap")
        got = evaluate_factors(factors, panel, settings=choice, **NAMES).timeseries.to_pandas()
        formed = got.dropna(subset=["n_high"])
        total = formed[["n_high", "n_low", "n_missing_returns", "n_missing_market_caps"]].sum(axis=1)
        assert (total == 2 * (formed["n_ranked"] // choice.n_groups)).all()
        assert formed["n_missing_market_caps"].sum() > 0
        assert formed["n_missing_returns"].sum() > 0


class TestProperties:
    @FEW
    @given(
        seed=st.integers(0, 10_000),
        choice=st.sampled_from(CHOICES),
        cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted),
    )
    def test_any_partitioning_gives_the_same_bits(self, seed: int, choice: EvaluationSettings, cuts: list[int]) -> None:
        panel, factors = random_market(seed, n_dates=60, n_tickers=15)
        whole = evaluate_factors(factors, panel, settings=choice, **NAMES)
        edges = [0, *cuts, 60]
        history = history_sessions(choice)
        pieces = []
        for start, stop in pairwise(edges):
            first = max(0, start - history)
            pieces.append(
                evaluate_factors(
                    [(family, name, values[first:stop]) for family, name, values in factors],
                    panel.rows(first, stop),
                    settings=choice,
                    start_row=start - first,
                    **NAMES,
                )
            )
        for whole_rows, parts in zip(whole, zip(*pieces, strict=True), strict=True):
            assert whole_rows.equals(pa.concat_tables(parts).combine_chunks())

    @FEW
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 60), choice=st.sampled_from(CHOICES))
    def test_truncating_the_data_changes_nothing_before(self, seed: int, stop: int, choice: EvaluationSettings) -> None:
        panel, factors = random_market(seed, n_dates=60, n_tickers=15)
        whole = evaluate_factors(factors, panel, settings=choice, **NAMES)
        cut = evaluate_factors(
            [(family, name, values[:stop]) for family, name, values in factors],
            panel.rows(0, stop),
            settings=choice,
            **NAMES,
        )
        for whole_rows, cut_rows in zip(whole, cut, strict=True):
            assert whole_rows.slice(0, cut_rows.num_rows).equals(cut_rows)

    @FEW
    @given(seed=st.integers(0, 10_000))
    def test_the_order_of_tickers_does_not_matter_without_ties(self, seed: int) -> None:
        panel, factors = random_market(seed, n_dates=40, n_tickers=15)
        columns = np.random.default_rng(seed).permutation(15)
        shuffled = replace(
            panel,
            fields={name: np.ascontiguousarray(values[:, columns]) for name, values in panel.fields.items()},
            in_universe=np.ascontiguousarray(panel.in_universe[:, columns]),
        )
        family, name, values = factors[0]
        one = evaluate_factors([(family, name, values)], panel, settings=EvaluationSettings(), **NAMES)
        other = evaluate_factors([(family, name, values[:, columns])], shuffled, settings=EvaluationSettings(), **NAMES)
        for a, b in zip(one, other, strict=True):
            pd.testing.assert_frame_equal(a.to_pandas(), b.to_pandas(), rtol=0, atol=1e-14)

    @FEW
    @given(seed=st.integers(0, 10_000))
    def test_only_the_order_of_the_factor_matters(self, seed: int) -> None:
        panel, factors = random_market(seed, n_dates=40, n_tickers=15)
        stretched = [(family, name, 2.0 * values + 1e6 * (values > 1.0)) for family, name, values in factors]
        one = evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES)
        other = evaluate_factors(stretched, panel, settings=EvaluationSettings(), **NAMES)
        assert one.timeseries.equals(other.timeseries)
        assert one.quantiles.equals(other.quantiles)

    @FEW
    @given(seed=st.integers(0, 10_000))
    def test_the_opposite_factor_swaps_high_and_low(self, seed: int) -> None:
        panel, factors = random_market(seed, n_dates=40, n_tickers=15)
        family, name, values = factors[0]
        one = evaluate_factors([(family, name, values)], panel, settings=EvaluationSettings(), **NAMES).timeseries
        other = evaluate_factors([(family, name, -values)], panel, settings=EvaluationSettings(), **NAMES).timeseries
        assert one["high_portfolio_return"].equals(other["low_portfolio_return"])
        assert one["low_portfolio_return"].equals(other["high_portfolio_return"])
        np.testing.assert_array_equal(one["rank_ic"].to_numpy(), -other["rank_ic"].to_numpy())

    def test_rows_are_sorted_by_key_and_typed_as_declared(self) -> None:
        panel, factors = random_market(0, n_dates=20)
        evidence = evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES)
        for rows, name in zip(evidence, ("factor_timeseries", "factor_quantiles"), strict=True):
            declared = table(name)
            assert rows.schema.equals(declared.schema)
            assert rows.sort_by([(key, "ascending") for key in declared.key]).equals(rows)
        none = evaluate_factors([], panel, settings=EvaluationSettings(), **NAMES)
        assert none.timeseries.schema.equals(table("factor_timeseries").schema)
        assert none.timeseries.num_rows == none.quantiles.num_rows == 0

    def test_a_missing_return_moves_no_other_name(self) -> None:
        panel, factors = random_market(6)
        close = panel["close"].copy()
        close[50, 3] = np.nan
        poorer = replace(panel, fields={**panel.fields, "close": close})
        one = evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES).quantiles.to_pandas()
        two = evaluate_factors(factors, poorer, settings=EvaluationSettings(), **NAMES).quantiles.to_pandas()
        changed = one["n_tickers"].fillna(-1) != two["n_tickers"].fillna(-1)
        assert set(one["date"][changed]) <= {panel.dates[50].item(), panel.dates[51].item()}
        assert changed.groupby([one["date"], one["factor_name"]]).sum().max() == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            (np.full((4, 3), np.nan), "no factor value on the previous session"),
            (np.full((4, 3), np.inf), "no factor value on the previous session"),
            (np.full((4, 3), 7.0), "all ranked names have the same factor value"),
            (np.tile([1.0, 2.0, np.nan], (4, 1)), "fewer than 3 names ranked"),
            (np.tile([1.0, 2.0, -np.inf], (4, 1)), "fewer than 3 names ranked"),
        ],
    )
    def test_a_session_that_cannot_be_computed_is_null_and_says_why(self, values: Array, reason: str) -> None:
        panel, _ = random_market(0, n_dates=4, n_tickers=3)
        panel = replace(panel, in_universe=np.ones((4, 3), dtype=bool))
        evidence = evaluate_factors([("a", "b", values)], panel, settings=EvaluationSettings(), **NAMES)
        rows = evidence.timeseries.to_pydict()
        assert rows["reason"] == ["first session", *[reason] * 3]
        for column in ("factor_value", "high_portfolio_return", "turnover", "rank_ic", "n_high"):
            assert rows[column] == [None] * 4
        assert evidence.quantiles["quantile_return"].null_count == evidence.quantiles.num_rows
        assert rows["n_ranked"][0] is None
        assert rows["n_ranked"][1] == np.isfinite(values[0]).sum()

    def test_reasons_of_members_returns_and_market_caps(self) -> None:
        panel, _ = random_market(0, n_dates=5, n_tickers=6)
        members = np.ones((5, 6), dtype=bool)
        members[0] = False
        returns, cap = np.full((5, 6), 0.01), np.full((5, 6), 1e9)
        returns[2, :3] = np.nan  # no return in the low portfolio
        cap[2] = np.nan
        cap[3] = 0.0
        panel = replace(panel, in_universe=members, fields={**panel.fields, "returns": returns, "market_cap": cap})
        factor = ("a", "b", np.tile(np.arange(6.0), (5, 1)))
        rows = evaluate_factors(
            [factor], panel, settings=EvaluationSettings(weighting="cap"), **NAMES
        ).timeseries.to_pydict()
        assert rows["reason"] == [
            "first session",
            "no universe member on the previous session",
            "no return in a portfolio",
            "no market cap in a portfolio on the previous session",
            "no market cap in a portfolio on the previous session",
        ]
        assert rows["coverage"] == [None, None, 1.0, 1.0, 1.0]
        assert rows["n_missing_returns"] == [None, None, 2, None, None]
        assert rows["n_missing_market_caps"] == [None, None, 0, 4, 4]
        assert rows["factor_value"] == [None] * 5

    def test_one_ticker_and_one_date(self) -> None:
        panel, _ = random_market(0, n_dates=1, n_tickers=1)
        evidence = evaluate_factors([("a", "b", np.ones((1, 1)))], panel, settings=EvaluationSettings(), **NAMES)
        assert evidence.timeseries["reason"].to_pylist() == ["first session"]
        assert evidence.quantiles["quantile"].to_pylist() == [1, 2, 3, 4, 5]
        panel, _ = random_market(0, n_dates=3, n_tickers=1)
        panel = replace(panel, in_universe=np.ones((3, 1), dtype=bool))
        evidence = evaluate_factors([("a", "b", np.ones((3, 1)))], panel, settings=EvaluationSettings(), **NAMES)
        assert evidence.timeseries["reason"].to_pylist()[1:] == ["fewer than 3 names ranked"] * 2

    def test_no_ticker_at_all(self) -> None:
        panel, _ = random_market(0, n_dates=3, n_tickers=1)
        empty = replace(
            panel,
            tickers=(),
            fields={name: np.empty((3, 0)) for name in panel.fields},
            in_universe=np.empty((3, 0), dtype=bool),
        )
        rows = evaluate_factors([("a", "b", np.empty((3, 0)))], empty, settings=EvaluationSettings(), **NAMES)
        assert rows.timeseries["reason"].to_pylist()[1] == "no universe member on the previous session"

    def test_messages(self) -> None:
        panel, factors = random_market(0, n_dates=10, n_tickers=12)
        choice = EvaluationSettings()
        with pytest.raises(MisalignedError, match=r"Factor 'b' has shape \(9, 12\), the panel has 10 dates x 12 tick"):
            evaluate_factors([("a", "b", np.ones((9, 12)))], panel, settings=choice, **NAMES)
        with pytest.raises(EvaluationError, match="Factor 'smooth' of family 'style' is given twice"):
            evaluate_factors([factors[0], factors[0]], panel, settings=choice, **NAMES)
        with pytest.raises(MisalignedError, match="start_row wants a row of the panel's 10"):
            evaluate_factors(factors, panel, settings=choice, start_row=11, **NAMES)
