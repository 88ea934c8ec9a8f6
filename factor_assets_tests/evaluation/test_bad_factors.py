"""What a bad factor or a bad panel gives through the tables: a clear error, or nulls with the reason and the count.

What does not belong here: the same mistakes on the command line (`test_bad_input.py`), or in a single definition.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.errors import EvaluationError, MisalignedError, PanelError
from factor_assets.evaluation.evidence import factor_evidence
from factor_assets.evaluation.evidence_by_date import EvidenceByDate, evidence_by_date
from factor_assets.evaluation.timeseries import FactorEvidence, evaluate_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.panel.prices import clean_prices
from factor_assets.settings import EvaluationSettings
from factor_assets_tests.evaluation.markets import random_market
from factor_assets_tests.panel.price_rows import DAYS, SESSIONS, history, series

CHOICE = EvaluationSettings(n_groups=5, n_quantiles=5, horizons=(1, 5))
NAMES = {"universe": "test", "source": "random"}
MEASURES = {
    "timeseries": ("factor_value", "high_portfolio_return", "low_portfolio_return", "turnover", "rank_ic", "n_high"),
    "quantiles": ("quantile_return",),
    "information": ("ic", "rank_ic"),
    "trading": ("rank_autocorrelation", "turnover", "capacity"),
}


class Judged(NamedTuple):
    """Rows of every table about the only factor."""

    returns: FactorEvidence
    by_date: EvidenceByDate
    evidence: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        """Return what `factor_evidence` reads, by its argument."""
        return {**self.returns._asdict(), **self.by_date._asdict()}


def market(n_dates: int = 60, n_tickers: int = 24) -> Panel:
    """The first dates and tickers of a random market, all of them members."""
    panel = random_market(0, n_dates=60, n_tickers=24)[0].rows(0, n_dates)
    return replace(
        panel,
        tickers=panel.tickers[:n_tickers],
        fields={name: np.ascontiguousarray(values[:, :n_tickers]) for name, values in panel.fields.items()},
        in_universe=np.ones((n_dates, n_tickers), dtype=bool),
    )


def noise(panel: Panel) -> Array:
    values: Array = np.random.default_rng(0).normal(size=panel.shape)
    return values


def judge(values: Array, panel: Panel, choice: EvaluationSettings = CHOICE) -> Judged:
    factors = [("own", "bad", values)]
    returns = evaluate_factors(factors, panel, settings=choice, **NAMES)
    by_date = evidence_by_date(factors, panel, settings=choice, **NAMES)
    tables = {**returns._asdict(), **by_date._asdict()}
    return Judged(returns, by_date, factor_evidence(**tables, settings=choice, **NAMES))


def flat(number: float) -> Callable[[Panel], Array]:
    return lambda panel: np.full(panel.shape, number)


BAD = {
    "one ticker": (market(n_tickers=1), noise, "fewer than 5 names ranked", 1),
    "a constant": (market(), flat(3.0), "all ranked names have the same factor value", 24),
    "all missing": (market(), flat(np.nan), "no factor value on the previous session", 0),
    "all infinite": (market(), flat(np.inf), "no factor value on the previous session", 0),
    "all minus infinite": (market(), flat(-np.inf), "no factor value on the previous session", 0),
    "fewer names than quantiles": (market(n_tickers=4), noise, "fewer than 5 names ranked", 4),
}


class TestProperties:
    @pytest.mark.parametrize("bad", BAD)
    def test_every_session_is_null_with_the_reason_and_the_count(self, bad: str) -> None:
        panel, values, reason, n_ranked = BAD[bad]
        judged = judge(values(panel), panel)
        n_dates = len(panel.dates)
        for name, rows in judged.tables().items():
            assert rows.num_rows == n_dates * {"quantiles": 5, "information": 2}.get(name, 1), name
            for column in MEASURES[name]:
                assert rows[column].null_count == rows.num_rows, column
        rows = judged.returns.timeseries
        assert rows["reason"].to_pylist() == ["first session", *[reason] * (n_dates - 1)]
        assert rows["n_ranked"].to_pylist() == [None, *[n_ranked] * (n_dates - 1)]
        pairs = judged.by_date.information["n_pairs"].drop_null().to_pylist()
        assert len(pairs) == 2 * n_dates - 2 - 6, "known once the returns of one and of five sessions are complete"
        assert all(count <= n_ranked for count in pairs)

    @pytest.mark.parametrize("bad", BAD)
    def test_the_judgement_is_null_with_every_reason(self, bad: str) -> None:
        panel, values, *_ = BAD[bad]
        rows = judge(values(panel), panel).evidence
        told = ("mean_coverage", "horizon", "n_sessions", "n_trials")
        for row in rows.to_pylist():
            numbers = {name for name, value in row.items() if isinstance(value, int | float) and name not in told}
            assert numbers == {"has_holdout"}
            assert row["n_sessions"] == 0
            assert "no session has a rank IC" in row["reason"]
            assert "no session has a turnover" in row["reason"]
            assert "no Sharpe ratio: 0 sessions" in row["reason"]
        assert "at least 10 sessions with a return in every quantile, got 0 of 60" in rows["reason"][0].as_py()

    def test_of_one_date_only_what_that_date_shows_is_known(self) -> None:
        panel = market(n_dates=1)
        judged = judge(noise(panel), panel)
        assert judged.returns.timeseries["reason"].to_pylist() == ["first session"]
        for name, rows in judged.tables().items():
            for column in {*MEASURES[name], "n_ranked", "n_pairs", "coverage"} & {*rows.column_names} - {"capacity"}:
                assert rows[column].null_count == rows.num_rows, column
        assert judged.by_date.trading["capacity"][0].as_py() > 0.0, "the traded value of that date is known"
        row = judged.evidence.to_pylist()[0]
        known = {name for name, value in row.items() if isinstance(value, float)}
        assert known == {"median_capacity"}
        assert row["n_sessions"] == 0
        assert "got 0 of 1; no session has a coverage" in row["reason"]

    def test_fewer_names_than_quantiles_may_be_enough_for_the_portfolios(self) -> None:
        panel = market(n_tickers=4)
        judged = judge(noise(panel), panel, CHOICE.model_copy(update={"n_groups": 2}))
        assert judged.returns.timeseries["factor_value"].null_count < 30
        assert judged.returns.quantiles["quantile_return"].null_count == judged.returns.quantiles.num_rows
        row = judged.evidence.to_pylist()[0]
        assert row["session_sharpe_ratio"] is not None
        assert row["mean_rank_ic"] is row["monotonicity_pvalue"] is row["mean_turnover"] is None

    @pytest.mark.parametrize("number", [np.inf, -np.inf])
    def test_an_infinite_value_is_a_missing_one_to_the_bit(self, number: float) -> None:
        panel = market()
        some = noise(panel) > 0.8
        infinite, missing = (judge(np.where(some, bad, noise(panel)), panel) for bad in (number, np.nan))
        for name, rows in infinite.tables().items():
            assert rows.equals(missing.tables()[name]), name
        assert infinite.evidence.equals(missing.evidence)
        assert infinite.evidence["mean_rank_ic_tstat"].null_count == 0

    @pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 0.0, -5.0])
    def test_an_impossible_price_is_a_missing_one_to_the_bit(self, number: float) -> None:
        def judged(price: float | None) -> Judged:
            closes = {f"T{i}": [10.0 + i + (i * d) % 7 for d in range(len(DAYS))] for i in range(12)}
            rows = [row for ticker, prices in closes.items() for row in series(ticker, prices)]
            rows[37] |= dict.fromkeys(("open", "high", "low", "close"), price)
            cleaned = clean_prices(history(rows), sessions=SESSIONS, has_events=True).prices
            panel = Panel.from_tables(prices=cleaned, universe=cleaned.select(["date", "ticker"]), sessions=SESSIONS)
            return judge(noise(panel), panel)

        impossible, missing = judged(number), judged(None)
        for name, rows in impossible.tables().items():
            assert rows.equals(missing.tables()[name]), name
        assert impossible.evidence.equals(missing.evidence)
        assert impossible.by_date.information["rank_ic"].null_count < 14

    def test_an_infinite_close_of_a_panel_is_a_missing_one(self) -> None:
        panel, closes = market(), []
        for number in (np.inf, np.nan):
            close = panel["close"].copy()
            close[20, 3] = number
            closes.append(judge(noise(panel), replace(panel, fields={**panel.fields, "close": close})))
        assert closes[0].by_date.information.equals(closes[1].by_date.information)


Change = Callable[[pa.Table], pa.Table]


class TestErrors:
    def both(self, factors: list[tuple[str, str, Array]], panel: Panel, error: type[Exception], match: str) -> None:
        for function in (evaluate_factors, evidence_by_date):
            with pytest.raises(error, match=match):
                function(factors, panel, settings=CHOICE, **NAMES)

    @pytest.mark.parametrize("shape", [(59, 24), (61, 24), (60, 23), (24, 60), (60,)])
    def test_a_factor_of_another_calendar_or_other_tickers(self, shape: tuple[int, ...]) -> None:
        match = r"Factor 'bad' has shape \(.*\), the panel has 60 dates x 24 tickers"
        self.both([("own", "bad", np.ones(shape))], market(), MisalignedError, match)

    def test_a_factor_twice(self) -> None:
        panel = market()
        one = ("own", "bad", noise(panel))
        self.both([one, one], panel, EvaluationError, "Factor 'bad' of family 'own' is given twice; give each factor")

    def test_dates_that_repeat_or_go_back(self) -> None:
        panel = market()
        for dates in (panel.dates[::-1], np.repeat(panel.dates[:30], 2)):
            with pytest.raises(MisalignedError, match="strictly increasing dates"):
                replace(panel, dates=dates)
        with pytest.raises(MisalignedError, match="sorted, distinct tickers"):
            replace(panel, tickers=("T000", *panel.tickers[:-1]))

    def cleaned(self) -> pa.Table:
        return clean_prices(history(series("A", [10.0, 11.0, 12.0])), sessions=SESSIONS, has_events=True).prices

    def test_rows_twice(self) -> None:
        prices = self.cleaned()
        members = prices.select(["date", "ticker"])
        with pytest.raises(PanelError, match=f"A has more than one row on {DAYS[1]}; a panel wants one row a ticker"):
            Panel.from_tables(
                prices=pa.concat_tables([prices, prices.slice(1, 1)]), universe=members, sessions=SESSIONS
            )

    def test_rows_of_another_calendar(self) -> None:
        prices = self.cleaned()
        later = pa.array([day + timedelta(days=3) for day in prices["date"].to_pylist()], pa.date32())
        strange = prices.set_column(prices.column_names.index("date"), "date", later)
        with pytest.raises(PanelError, match="2 rows are on dates that are not sessions of the panel, such as 2024-01"):
            Panel.from_tables(prices=strange, universe=strange.select(["date", "ticker"]), sessions=SESSIONS)

    def judged_with(self, **changes: Change) -> pa.Table:
        panel = market()
        tables = judge(noise(panel), panel).tables()
        given: dict[str, Any] = {name: changes.get(name, lambda rows: rows)(rows) for name, rows in tables.items()}
        return factor_evidence(**given, settings=CHOICE, **NAMES)

    @pytest.mark.parametrize(
        "name",
        [
            "quantiles",
            *("timeseries", "information", "trading"),
        ],
    )
    def test_evidence_of_rows_that_are_there_twice(self, name: str) -> None:
        with pytest.raises(EvaluationError, match=f"materialise factor_{name} again"):
            self.judged_with(**{name: lambda rows: pa.concat_tables([rows, rows])})

    def test_evidence_of_a_quantile_that_is_missing(self) -> None:
        with pytest.raises(EvaluationError, match="wants the quantiles 1 to 5 on every session of own/bad"):
            self.judged_with(quantiles=lambda rows: rows.filter(pc.field("quantile") != 3))

    def test_evidence_of_no_row_is_no_row(self) -> None:
        nothing = dict.fromkeys(MEASURES, lambda rows: rows.slice(0, 0))
        assert self.judged_with(**nothing).num_rows == 0
