"""The variants of a factor against loops over dates and names, and that no cut of the dates changes a bit."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.evidence_by_date import evidence_by_date
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.evaluation.variants import (
    CAP_UNKNOWN,
    SECTOR_UNKNOWN,
    factor_variants,
    history_sessions,
    variants_of,
)
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation import sorts
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
CHOICES = [
    EvaluationSettings(n_quantiles=3, horizons=(1, 3, 7)),
    EvaluationSettings(n_quantiles=2, horizons=(5, 2), execution_lag=0),
    EvaluationSettings(n_quantiles=4, horizons=(), execution_lag=3),
]
BY_CAP = ("capped_value", "large_breakpoints", "size_neutral", "value")
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
Factors = list[tuple[str, str, Array]]


def market(seed: int, *, n_dates: int = 50, n_tickers: int = 30) -> tuple[Panel, Factors]:
    """Add sectors, sometimes missing, and capitalisations of every bad kind to the random market."""
    panel, factors = random_market(seed, n_dates=n_dates, n_tickers=n_tickers)
    random = np.random.default_rng(seed + 1)
    sector = np.tile(random.integers(0, 3, n_tickers).astype(np.float64), (n_dates, 1))
    sector[random.random(panel.shape) < 0.05] = np.nan
    cap = np.where(
        random.random(panel.shape) < 0.03, random.choice((np.nan, 0.0, -1.0, np.inf), panel.shape), panel["market_cap"]
    )
    return with_fields(panel, sector=sector, market_cap=cap), factors


def with_fields(panel: Panel, **fields: Array) -> Panel:
    return Panel(panel.dates, panel.tickers, {**panel.fields, **fields}, panel.in_universe, panel.first_row)


def rows_of(rows: pa.Table, name: str, variant: str) -> pd.DataFrame:
    frame = rows.to_pandas()
    return frame[(frame["factor_name"] == name) & (frame["variant"] == variant)].reset_index(drop=True)


def bits(rows: pa.Table, *variants: str) -> list[dict[str, object]]:
    return [row for row in rows.to_pylist() if row["variant"] in variants]


class Plain:
    """One factor as its definitions read, one session and one name at a time."""

    def __init__(self, panel: Panel, values: Array, choice: EvaluationSettings) -> None:
        self.returns, self.n, self.lag = panel["returns"], choice.n_quantiles, choice.execution_lag
        self.values = np.where(panel.in_universe, values, np.nan)
        self.cap = panel["market_cap"]
        self.sector = panel["sector"]
        self.half = np.full(panel.shape, np.nan)
        self.capped = np.full(panel.shape, np.nan)
        for t in range(len(self.half)):
            known = [
                j
                for j in range(panel.shape[1])
                if panel.in_universe[t, j] and np.isfinite(self.cap[t, j]) and self.cap[t, j] > 0
            ]
            known.sort(key=lambda j: self.cap[t, j])
            for i, j in enumerate(known):
                self.half[t, j] = 1.0 + (i * 2 // len(known))
                self.capped[t, j] = min(self.cap[t, j], float(np.percentile(self.cap[t, known], 80)))

    def weights(self, variant: str) -> tuple[np.ndarray, Array]:
        """Quantile and weight of each name."""
        ones = np.ones(self.values.shape)
        if variant == "large_breakpoints":
            numbers = sorts.quantile_numbers(self.values, self.n, listed=self.half == 2.0, by_value=True)
            return numbers, sorts.quantile_weights(numbers, self.cap)
        if variant == "sector_neutral":
            numbers = sorts.quantile_numbers(self.values, self.n, sectors=self.sector)
            return numbers, sorts.quantile_weights(numbers, ones, sectors=self.sector)
        if variant == "size_neutral":
            numbers = sorts.quantile_numbers(self.values, self.n, sectors=self.half)
            for row, half in zip(numbers, self.half, strict=True):
                if {1.0, 2.0} - set(half[row > 0]):
                    row[:] = 0
            return numbers, sorts.quantile_weights(numbers, ones, sectors=self.half, equal_shares=True)
        numbers = sorts.quantile_numbers(self.values, self.n)
        size = {"value": self.cap, "capped_value": self.capped}.get(variant, ones)
        return numbers, sorts.quantile_weights(numbers, size)

    def mean_return(self, held: Array, d: int) -> float:
        there = (held > 0) & np.isfinite(self.returns[d])
        return float((held[there] * self.returns[d, there]).sum() / held[there].sum()) if there.any() else np.nan

    def variant(self, name: str) -> tuple[Array, Array]:
        """Return and turnover by session."""
        holding = int(name.removeprefix("held_")) if name.startswith("held_") else 1
        numbers, weights = self.weights(name)
        legs = [np.where(numbers == q, weights, 0.0) for q in range(1, self.n + 1)]
        n_dates = len(numbers)
        returns, turnover = np.full(n_dates, np.nan), np.full(n_dates, np.nan)
        for d in range(n_dates):
            sessions = [d - self.lag - 1 - c for c in range(holding)]
            if min(sessions) >= 0:
                highs = [self.mean_return(legs[-1][s], d) for s in sessions]
                lows = [self.mean_return(legs[0][s], d) for s in sessions]
                if name == "long_only":
                    lows = [self.everyone(numbers[s], legs, s, d) for s in sessions]
                returns[d] = np.mean(highs) - np.mean(lows)
            sides = []
            for leg in legs[-1:] if name == "long_only" else (legs[0], legs[-1]):
                if d < holding or not all(leg[s].any() for s in range(d - holding, d + 1)):
                    sides.append(np.nan)
                    continue
                now, then = leg[d - holding + 1 : d + 1].mean(axis=0), leg[d - holding : d].mean(axis=0)
                sides.append(np.abs(now - then).sum() / 2.0)
            turnover[d] = np.mean(sides)
        return returns, turnover

    def everyone(self, numbers: np.ndarray, legs: list[Array], s: int, d: int) -> float:
        """Mean of the quantiles' returns, by their numbers of names."""
        means = [(self.mean_return(leg[s], d), (numbers == q).sum()) for q, leg in enumerate(legs, start=1)]
        present = [(mean, n) for mean, n in means if not np.isnan(mean)]
        return sum(mean * n for mean, n in present) / sum(n for _, n in present) if present else np.nan


class TestAgainstLoops:
    @pytest.mark.parametrize("choice", CHOICES)
    @pytest.mark.parametrize("seed", [0, 1])
    def test_every_variant(self, choice: EvaluationSettings, seed: int) -> None:
        panel, factors = market(seed)
        rows = factor_variants(factors, panel, settings=choice, **NAMES)
        n_found = dict.fromkeys(variants_of(choice), 0)
        for _, name, values in factors:
            plain = Plain(panel, values, choice)
            for variant in variants_of(choice):
                got = rows_of(rows, name, variant)
                returns, turnover = plain.variant(variant)
                np.testing.assert_allclose(got["variant_return"], returns, atol=1e-14, err_msg=f"{name} {variant}")
                np.testing.assert_allclose(got["variant_turnover"], turnover, atol=1e-14, err_msg=f"{name} {variant}")
                assert (got["reason"].isna() == got["variant_return"].notna()).all()
                n_found[variant] += int(got["variant_return"].notna().sum())
        assert min(n_found.values()) > 20, n_found

    def test_equal_is_what_the_other_tables_say(self) -> None:
        panel, factors = market(2)
        full = with_fields(panel, dollar_volume=np.ones(panel.shape))
        choice = EvaluationSettings(n_quantiles=4, execution_lag=2)
        rows = factor_variants(factors, panel, settings=choice, **NAMES)
        quantiles = evaluate_factors(factors, full, settings=choice, **NAMES).quantiles.to_pandas()
        trading = evidence_by_date(factors, full, settings=choice, **NAMES).trading.to_pandas()
        for _, name, _ in factors:
            got = rows_of(rows, name, "equal")
            own = quantiles[quantiles["factor_name"] == name].pivot_table(
                index="date", columns="quantile", values="quantile_return", dropna=False
            )
            np.testing.assert_allclose(got["variant_return"], own[4] - own[1], atol=1e-14)
            other = trading.loc[trading["factor_name"] == name, "turnover"]
            np.testing.assert_allclose(got["variant_turnover"], other, atol=1e-14)


def pieces(panel: Panel, factors: Factors, choice: EvaluationSettings, edges: list[int]) -> pa.Table:
    """Evaluate each piece with its history and, as the store gives it, without the tickers that it has no row of."""
    made = []
    for start, stop in pairwise(edges):
        first = max(0, start - history_sessions(choice))
        part = panel.rows(first, stop)
        there = np.isfinite(part["close"]).any(axis=0) | part.in_universe.any(axis=0)
        fields = {name: np.ascontiguousarray(values[:, there]) for name, values in part.fields.items()}
        if len(part.dates):
            fields["returns"][0] = np.nan  # of the first session read, the close before it is not there
        held = Panel(
            part.dates,
            tuple(np.array(part.tickers)[there].tolist()),
            fields,
            np.ascontiguousarray(part.in_universe[:, there]),
        )
        own = [(family, name, values[first:stop][:, there]) for family, name, values in factors]
        made.append(factor_variants(own, held, settings=choice, start_row=start - first, **NAMES))
    return pa.concat_tables(made).combine_chunks()


class TestProperties:
    @FEW
    @given(
        seed=st.integers(0, 10_000),
        choice=st.sampled_from(CHOICES),
        cuts=st.lists(st.integers(0, 50), max_size=5).map(sorted),
    )
    def test_any_partitioning_gives_the_same_bits(self, seed: int, choice: EvaluationSettings, cuts: list[int]) -> None:
        panel, factors = market(seed)
        whole = factor_variants(factors, panel, settings=choice, **NAMES)
        assert whole.equals(pieces(panel, factors, choice, [0, *cuts, 50]))

    @pytest.mark.parametrize("n_sessions", [1, 21])
    def test_by_day_and_month(self, n_sessions: int) -> None:
        panel, factors = market(5)
        choice = CHOICES[0]
        whole = factor_variants(factors, panel, settings=choice, **NAMES)
        assert whole.equals(pieces(panel, factors, choice, [*range(0, 50, n_sessions), 50]))

    @FEW
    @given(seed=st.integers(0, 10_000), stop=st.integers(0, 50), choice=st.sampled_from(CHOICES))
    def test_truncating_the_data_changes_nothing_before(self, seed: int, stop: int, choice: EvaluationSettings) -> None:
        panel, factors = market(seed)
        whole = factor_variants(factors, panel, settings=choice, **NAMES)
        before = [(family, name, values[:stop]) for family, name, values in factors]
        cut = factor_variants(before, panel.rows(0, stop), settings=choice, **NAMES)
        assert whole.slice(0, cut.num_rows).equals(cut)

    def test_the_history_is_no_longer_than_it_must_be(self) -> None:
        assert history_sessions(EvaluationSettings(horizons=(), execution_lag=0)) == 1
        assert history_sessions(EvaluationSettings(horizons=(5, 20), execution_lag=3)) == 23
        panel, factors = market(5)
        choice = CHOICES[0]
        whole = factor_variants(factors, panel, settings=choice, **NAMES)
        for history, is_enough in ((history_sessions(choice), True), (history_sessions(choice) - 1, False)):
            part = panel.rows(30 - history, 50)
            own = [(family, name, values[30 - history :]) for family, name, values in factors]
            rows = factor_variants(own, part, settings=choice, start_row=history, **NAMES)
            assert whole.slice(whole.num_rows - rows.num_rows).equals(rows) == is_enough

    @pytest.mark.parametrize("field", ["market_cap", "sector"])
    @pytest.mark.parametrize("is_there", [True, False])
    def test_what_is_unknown_is_null_and_changes_nothing_else(self, field: str, is_there: bool) -> None:
        panel, factors = market(3)
        choice = CHOICES[0]
        whole = factor_variants(factors[:1], panel, settings=choice, **NAMES)
        without = {name: values for name, values in panel.fields.items() if name != field}
        if is_there:
            without[field] = np.full(panel.shape, np.nan)
        unknown = Panel(panel.dates, panel.tickers, without, panel.in_universe)
        rows = factor_variants(factors[:1], unknown, settings=choice, **NAMES)
        lost, why = (BY_CAP, CAP_UNKNOWN) if field == "market_cap" else (("sector_neutral",), SECTOR_UNKNOWN)
        for row in bits(rows, *lost):
            assert row["variant_return"] is row["variant_turnover"] is None
        late = [row["reason"] for row in bits(rows, *lost)][20 * len(lost) :]
        assert set(late) == {why}
        kept = set(variants_of(choice)) - set(lost)
        assert bits(rows, *kept) == bits(whole, *kept)

    def test_one_name_without_a_capitalisation_is_left_out(self) -> None:
        panel, factors = market(4)
        cap = np.where(np.isfinite(panel["market_cap"]), panel["market_cap"], np.nan).copy()
        cap[:, :3] = np.nan
        factor = factors[0][2].copy()
        factor[:, :3] = np.nan
        choice = EvaluationSettings(n_quantiles=2, horizons=())
        some = with_fields(panel, market_cap=cap)
        by_value = [
            rows_of(factor_variants([("a", "b", f)], some, settings=choice, **NAMES), "b", "size_neutral")
            for f in (factor, np.where(np.arange(30) < 3, 9.0, factor))
        ]
        pd.testing.assert_frame_equal(*by_value)
        assert by_value[0]["variant_return"].notna().any()

    def test_neither_half_alone_is_neutral_to_size(self) -> None:
        panel, factors = market(6)
        cap = np.where(np.arange(30) < 15, 1e9, 1e12) * np.ones(panel.shape) + np.arange(30)
        values = np.where(np.arange(30) < 15, np.nan, np.nan_to_num(factors[0][2]))
        members = np.ones(panel.shape, dtype=bool)
        large = Panel(panel.dates, panel.tickers, {**panel.fields, "market_cap": cap}, members)
        rows = rows_of(factor_variants([("a", "b", values)], large, settings=CHOICES[0], **NAMES), "b", "size_neutral")
        assert rows["variant_return"].isna().all()
        assert rows["reason"][10] == "fewer than 3 names ranked, or one value, in a half by market capitalisation"

    def test_the_reason_is_the_first_that_holds(self) -> None:
        panel, _ = market(6)
        cap = np.full(panel.shape, np.nan)
        cap[5, 12:18] = 1e9  # of names in the middle quantile alone
        values = np.tile(np.arange(30.0), (50, 1))
        values[6] = np.nan
        members = np.ones(panel.shape, dtype=bool)
        some = Panel(panel.dates, panel.tickers, {**panel.fields, "market_cap": cap}, members)
        rows = rows_of(factor_variants([("a", "b", values)], some, settings=CHOICES[0], **NAMES), "b", "value")
        outside = "market capitalisation unknown of every name of the highest or lowest quantile"
        assert rows["reason"][6:10].tolist() == [CAP_UNKNOWN, outside, "no factor value", CAP_UNKNOWN]

    def test_capitalisations_that_are_all_the_same(self) -> None:
        panel, factors = market(6)
        flat = with_fields(panel, market_cap=np.ones(panel.shape))
        rows = factor_variants(factors[:1], flat, settings=CHOICES[0], **NAMES)
        assert rows_of(rows, "smooth", "size_neutral")["reason"][10] == (
            "the universe cannot be halved by market capitalisation"
        )
        assert rows_of(rows, "smooth", "large_breakpoints")["variant_return"].isna().all()
        for variant in ("value", "capped_value"):  # the same as equal weights
            np.testing.assert_allclose(
                rows_of(rows, "smooth", variant)["variant_return"],
                rows_of(rows, "smooth", "equal")["variant_return"],
                atol=1e-15,
            )

    def test_every_setting_changes_its_numbers(self) -> None:
        panel, factors = market(7)

        def made(**choice: object) -> dict[str, list[object]]:
            rows = factor_variants(
                factors[:1], panel, settings=EvaluationSettings.model_validate({"horizons": (1, 3), **choice}), **NAMES
            )
            return {
                variant: [(row["variant_return"], row["variant_turnover"]) for row in bits(rows, variant)]
                for variant in rows["variant"].unique().to_pylist()
            }

        usual = made()
        for change in ({"n_quantiles": 2}, {"execution_lag": 2}):
            other = made(**change)
            assert all(other[variant] != usual[variant] for variant in usual), change
        longer = made(horizons=(1, 4))
        assert set(longer) ^ set(usual) == {"held_3", "held_4"}
        assert all(longer[variant] == usual[variant] for variant in set(usual) - {"held_3"})
        assert made(n_groups=2, horizon=5, weighting="cap") == usual

    def test_the_largest_weighs_less_where_it_is_capped(self) -> None:
        panel, _ = market(8)
        members = np.ones(panel.shape, dtype=bool)
        cap = np.ones(panel.shape)
        cap[:, 29] = 1e6
        returns = np.zeros(panel.shape)
        returns[:, 29] = 0.01
        big = Panel(panel.dates, panel.tickers, {"returns": returns, "market_cap": cap}, members)
        values = np.tile(np.arange(30.0), (50, 1))
        rows = factor_variants([("a", "b", values)], big, settings=CHOICES[0], **NAMES)
        assert rows_of(rows, "b", "value")["variant_return"][10] == pytest.approx(0.01, rel=1e-4)
        assert rows_of(rows, "b", "capped_value")["variant_return"][10] == pytest.approx(0.001)
        assert rows_of(rows, "b", "equal")["variant_return"][10] == pytest.approx(0.001)

    def test_rows_are_sorted_by_their_keys(self) -> None:
        panel, factors = market(4)
        rows = factor_variants(factors[::-1], panel, settings=CHOICES[0], **NAMES)
        assert rows.equals(rows.sort_by([(key, "ascending") for key in table("factor_variants").key]))
        assert rows.schema == table("factor_variants").schema
        assert rows.num_rows == 50 * 3 * len(variants_of(CHOICES[0]))

    def test_a_holding_is_listed_once_and_none_for_one_session(self) -> None:
        held = [name for name in variants_of(EvaluationSettings(horizons=(1, 5, 5))) if name.startswith("held")]
        assert held == ["held_5"]

    @pytest.mark.parametrize("values", [np.nan, np.inf, 3.0])
    def test_a_factor_without_an_order_has_no_numbers(self, values: float) -> None:
        panel, _ = market(6)
        rows = factor_variants([("other", "flat", np.full(panel.shape, values))], panel, settings=CHOICES[0], **NAMES)
        assert rows["variant_return"].null_count == rows["variant_turnover"].null_count == rows.num_rows
        assert rows["reason"].null_count == 0

    def test_one_ticker_no_ticker_no_dates_and_no_factors(self) -> None:
        panel, factors = random_market(7, n_tickers=6)
        one = Panel(
            panel.dates,
            panel.tickers[:1],
            {name: np.ascontiguousarray(values[:, :1]) for name, values in panel.fields.items()},
            np.ascontiguousarray(panel.in_universe[:, :1]),
        )
        rows = factor_variants([("a", "b", factors[0][2][:, :1])], one, settings=CHOICES[0], **NAMES)
        assert rows["variant_return"].null_count == rows.num_rows > 0
        none = Panel(panel.dates, (), {"returns": np.zeros((120, 0))}, np.zeros((120, 0), dtype=bool))
        rows = factor_variants([("a", "b", np.zeros((120, 0)))], none, settings=CHOICES[0], **NAMES)
        assert rows["reason"].null_count == 0 < rows.num_rows
        assert factor_variants([], panel, settings=CHOICES[0], **NAMES).num_rows == 0
        nothing = [(family, name, values[:0]) for family, name, values in factors]
        assert factor_variants(nothing, panel.rows(0, 0), settings=CHOICES[0], **NAMES).num_rows == 0
        assert factor_variants(factors, panel, settings=CHOICES[0], start_row=120, **NAMES).num_rows == 0


class TestErrors:
    def test_another_shape(self) -> None:
        panel, factors = market(0)
        with pytest.raises(MisalignedError, match="has shape"):
            factor_variants([("a", "b", factors[0][2][1:])], panel, settings=CHOICES[0], **NAMES)

    def test_twice(self) -> None:
        panel, factors = market(0)
        with pytest.raises(EvaluationError, match="given twice"):
            factor_variants([factors[0], factors[0]], panel, settings=CHOICES[0], **NAMES)

    def test_a_start_outside(self) -> None:
        panel, factors = market(0)
        with pytest.raises(MisalignedError, match="start_row wants a row"):
            factor_variants(factors, panel, settings=CHOICES[0], start_row=51, **NAMES)
