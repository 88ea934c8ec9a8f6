"""Information and trading by session against plain pandas, and that no cut of the dates changes a bit."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.evidence_by_date import EvidenceByDate, evidence_by_date, history_sessions, horizons_of
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
CHOICES = [
    EvaluationSettings(horizons=(1, 3, 7)),
    EvaluationSettings(horizons=(5,), horizon=2, execution_lag=0, n_quantiles=3),
    EvaluationSettings(horizons=(10, 1), execution_lag=3, n_quantiles=2, participation_rate=0.1),
]
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
Factors = list[tuple[str, str, Array]]


def market(seed: int, *, n_dates: int = 60, n_tickers: int = 24) -> tuple[Panel, Factors]:
    """Add volumes that differ, and are sometimes missing, to the random market."""
    panel, factors = random_market(seed, n_dates=n_dates, n_tickers=n_tickers)
    random = np.random.default_rng(seed + 1)
    volume = np.exp(random.normal(15.0, 2.0, panel.shape))
    volume[random.random(panel.shape) < 0.1] = np.nan
    volume[: n_dates // 2, 0] = np.nan
    fields = {**panel.fields, "dollar_volume": volume}
    return Panel(panel.dates, panel.tickers, fields, panel.in_universe, panel.first_row), factors


def rows_of(rows: pa.Table, name: str, horizon: int | None = None) -> pd.DataFrame:
    frame = rows.to_pandas()
    frame = frame[frame["factor_name"] == name]
    return (frame if horizon is None else frame[frame["horizon"] == horizon]).reset_index(drop=True)


def plain_legs(values: Array, members: Array, n_quantiles: int) -> tuple[pd.Series, pd.Series] | None:
    """Equal weights of the lowest and the highest quantile of one session."""
    ranked = pd.Series(values)[members].dropna().sort_values(kind="stable")
    n = len(ranked)
    if n < n_quantiles or ranked.min() == ranked.max():
        return None
    quantile = pd.Series([i * n_quantiles // n for i in range(n)], index=ranked.index)
    low, high = quantile.index[quantile == 0], quantile.index[quantile == n_quantiles - 1]
    return pd.Series(1.0 / len(low), index=low), pd.Series(1.0 / len(high), index=high)


class TestAgainstPlainPandas:
    @pytest.mark.parametrize("choice", CHOICES)
    def test_information_equals_scipy(self, choice: EvaluationSettings) -> None:
        panel, factors = market(0)
        close = panel["close"]
        information = evidence_by_date(factors, panel, settings=choice, **NAMES).information
        n_tested = 0
        for _, name, values in factors:
            for horizon in {*choice.horizons, choice.horizon}:
                got = rows_of(information, name, horizon)
                assert len(got) == len(panel.dates)
                delay = choice.execution_lag + horizon
                assert got["n_pairs"][:delay].isna().all()
                for d in range(delay, len(panel.dates)):
                    x, y = values[d - delay], close[d] / close[d - horizon] - 1.0
                    both = panel.in_universe[d - delay] & np.isfinite(x) & np.isfinite(y)
                    assert got["n_pairs"][d] == both.sum()
                    if both.sum() < 10:
                        assert np.isnan(got["ic"][d])
                        assert np.isnan(got["rank_ic"][d])
                        continue
                    n_tested += 1
                    assert got["ic"][d] == pytest.approx(pearsonr(x[both], y[both]).statistic, abs=1e-12)
                    assert got["rank_ic"][d] == pytest.approx(spearmanr(x[both], y[both]).statistic, abs=1e-12)
        assert n_tested > 100

    @pytest.mark.parametrize("choice", CHOICES)
    def test_trading_equals_pandas(self, choice: EvaluationSettings) -> None:
        panel, factors = market(1)
        trading = evidence_by_date(factors, panel, settings=choice, **NAMES).trading
        volume = pd.DataFrame(panel["dollar_volume"]).rolling(20, min_periods=1).mean().to_numpy()
        n_missing = 0
        for _, name, values in factors:
            got = rows_of(trading, name)
            before = None
            for d in range(len(panel.dates)):
                legs = plain_legs(values[d], panel.in_universe[d], choice.n_quantiles)
                if legs is None or before is None:
                    assert np.isnan(got["turnover"][d])
                else:
                    changes = [
                        now.sub(then, fill_value=0.0).abs().sum() / 2.0 for now, then in zip(legs, before, strict=True)
                    ]
                    assert got["turnover"][d] == pytest.approx(np.mean(changes), abs=1e-12)
                before = legs
                if legs is None:
                    assert np.isnan(got["capacity"][d])
                    continue
                weights = pd.concat(legs)
                limits = choice.participation_rate * pd.Series(volume[d])[weights.index] / weights
                if weights[limits.isna()].sum() / 2.0 > 0.0501:
                    n_missing += 1
                    assert np.isnan(got["capacity"][d])
                else:
                    assert got["capacity"][d] == pytest.approx(limits.min(), rel=1e-12)
                both = (
                    np.isfinite(values[d])
                    & np.isfinite(values[d - 1])
                    & panel.in_universe[d]
                    & panel.in_universe[d - 1]
                )
                if d and both.sum() >= 10:
                    expected = spearmanr(values[d][both], values[d - 1][both]).statistic
                    assert got["rank_autocorrelation"][d] == pytest.approx(expected, abs=1e-12, nan_ok=True)
                else:
                    assert np.isnan(got["rank_autocorrelation"][d])
        assert n_missing > 0
        assert trading["capacity"].null_count < trading.num_rows * 0.7


def pieces(panel: Panel, factors: Factors, choice: EvaluationSettings, edges: list[int]) -> list[EvidenceByDate]:
    """Evaluate each piece with its history and, as the store gives it, without the tickers that it has no row of."""
    made = []
    for start, stop in pairwise(edges):
        first = max(0, start - history_sessions(choice))
        part = panel.rows(first, stop)
        there = np.isfinite(part["close"]).any(axis=0) | part.in_universe.any(axis=0)
        held = Panel(
            part.dates,
            tuple(np.array(part.tickers)[there].tolist()),
            {name: np.ascontiguousarray(values[:, there]) for name, values in part.fields.items()},
            np.ascontiguousarray(part.in_universe[:, there]),
        )
        own = [(family, name, values[first:stop][:, there]) for family, name, values in factors]
        made.append(evidence_by_date(own, held, settings=choice, start_row=start - first, **NAMES))
    return made


class TestProperties:
    @FEW
    @given(
        seed=st.integers(0, 10_000),
        choice=st.sampled_from(CHOICES),
        cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted),
    )
    def test_any_partitioning_gives_the_same_bits(self, seed: int, choice: EvaluationSettings, cuts: list[int]) -> None:
        panel, factors = market(seed)
        whole = evidence_by_date(factors, panel, settings=choice, **NAMES)
        parts = zip(*pieces(panel, factors, choice, [0, *cuts, 60]), strict=True)
        for whole_rows, part in zip(whole, parts, strict=True):
            assert whole_rows.equals(pa.concat_tables(part).combine_chunks())

    @pytest.mark.parametrize("n_sessions", [1, 21, 60])
    def test_by_day_month_and_range(self, n_sessions: int) -> None:
        panel, factors = market(5)
        choice = EvaluationSettings()
        whole = evidence_by_date(factors, panel, settings=choice, **NAMES)
        parts = zip(*pieces(panel, factors, choice, [*range(0, 60, n_sessions), 60]), strict=True)
        for whole_rows, part in zip(whole, parts, strict=True):
            assert whole_rows.equals(pa.concat_tables(part).combine_chunks())
            for column in whole_rows.column_names:
                assert whole_rows[column].null_count < whole_rows.num_rows

    @FEW
    @given(seed=st.integers(0, 10_000), stop=st.integers(0, 60), choice=st.sampled_from(CHOICES))
    def test_truncating_the_data_changes_nothing_before(self, seed: int, stop: int, choice: EvaluationSettings) -> None:
        panel, factors = market(seed)
        whole = evidence_by_date(factors, panel, settings=choice, **NAMES)
        before = [(family, name, values[:stop]) for family, name, values in factors]
        cut = evidence_by_date(before, panel.rows(0, stop), settings=choice, **NAMES)
        for whole_rows, cut_rows in zip(whole, cut, strict=True):
            assert whole_rows.slice(0, cut_rows.num_rows).equals(cut_rows)

    def test_another_horizon_changes_none(self) -> None:
        panel, factors = market(2)
        one, more = (
            evidence_by_date(factors, panel, settings=EvaluationSettings(horizons=h), **NAMES).information.to_pandas()
            for h in ((1,), (1, 40))
        )
        kept = more[more["horizon"] == 1].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, kept, check_exact=True)

    def test_the_rate_is_in_the_capacity_alone(self) -> None:
        panel, factors = market(3)
        one, other = (
            evidence_by_date(factors, panel, settings=EvaluationSettings(participation_rate=r), **NAMES).trading
            for r in (0.05, 0.1)
        )
        np.testing.assert_allclose(other["capacity"].to_numpy(), 2.0 * one["capacity"].to_numpy(), rtol=1e-14)
        assert one.drop_columns("capacity").equals(other.drop_columns("capacity"))

    def test_rows_are_sorted_by_their_keys(self) -> None:
        panel, factors = market(4)
        for name, rows in evidence_by_date(factors[::-1], panel, settings=CHOICES[2], **NAMES)._asdict().items():
            keys = [(key, "ascending") for key in table(f"factor_{name}").key]
            assert rows.equals(rows.sort_by(keys))
            assert rows.schema == table(f"factor_{name}").schema

    def test_the_horizon_of_the_quantiles_is_always_there(self) -> None:
        assert horizons_of(EvaluationSettings(horizons=(20, 5), horizon=7)) == (5, 7, 20)
        assert horizons_of(EvaluationSettings(horizons=(), horizon=7)) == (7,)

    @pytest.mark.parametrize("values", [np.nan, np.inf, 3.0])
    def test_a_factor_without_an_order_has_no_numbers(self, values: float) -> None:
        panel, _ = market(6)
        flat = [("other", "flat", np.full(panel.shape, values))]
        evidence = evidence_by_date(flat, panel, settings=CHOICES[0], **NAMES)
        assert evidence.information.num_rows == 3 * 60
        for rows, columns in zip(
            evidence, (("ic", "rank_ic"), ("rank_autocorrelation", "turnover", "capacity")), strict=True
        ):
            for column in columns:
                assert rows[column].null_count == rows.num_rows, column

    def test_one_ticker_and_no_dates(self) -> None:
        panel, factors = market(7, n_tickers=1)
        evidence = evidence_by_date(factors, panel, settings=CHOICES[0], **NAMES)
        assert evidence.information["rank_ic"].null_count == evidence.information.num_rows > 0
        assert evidence.trading["turnover"].null_count == evidence.trading.num_rows > 0
        nothing = evidence_by_date(
            [(family, name, values[:0]) for family, name, values in factors],
            panel.rows(0, 0),
            settings=CHOICES[0],
            **NAMES,
        )
        assert [rows.num_rows for rows in nothing] == [0, 0]
        assert [rows.num_rows for rows in evidence_by_date([], panel, settings=CHOICES[0], **NAMES)] == [0, 0]


class TestErrors:
    def test_another_shape(self) -> None:
        panel, factors = market(0)
        with pytest.raises(MisalignedError, match="has shape"):
            evidence_by_date([("a", "b", factors[0][2][1:])], panel, settings=CHOICES[0], **NAMES)

    def test_twice(self) -> None:
        panel, factors = market(0)
        with pytest.raises(EvaluationError, match="given twice"):
            evidence_by_date([factors[0], factors[0]], panel, settings=CHOICES[0], **NAMES)

    def test_a_start_outside(self) -> None:
        panel, factors = market(0)
        with pytest.raises(MisalignedError, match="start_row wants a row"):
            evidence_by_date(factors, panel, settings=CHOICES[0], start_row=61, **NAMES)

    def test_a_horizon_below_one_session(self) -> None:
        panel, factors = market(0)
        with pytest.raises(EvaluationError, match="at least 1 session"):
            evidence_by_date(
                factors, panel, settings=EvaluationSettings().model_copy(update={"horizons": (0, 1)}), **NAMES
            )
