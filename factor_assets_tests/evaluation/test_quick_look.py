"""A look at one factor says what the assets say of it, and what a plain loop says."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.quick_look import QuickLook, quick_look
from factor_assets.evaluation.summary import factor_summary
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL, TearSheetContext
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation import plain
from factor_assets_tests.evaluation.markets import random_market

PANEL, ((_, _, VALUES), *_) = random_market(5)
SETTINGS = EvaluationSettings(n_quantiles=4, horizon=2)


def look(
    values: Array = VALUES,
    panel: Panel = PANEL,
    *,
    settings: EvaluationSettings = SETTINGS,
    synthetic: bool = False,
    membership: Any = "dated",
    notes: tuple[str, ...] = (),
    **options: Any,
) -> QuickLook:
    context = TearSheetContext(
        source="test",
        synthetic=synthetic,
        universe="all",
        membership=membership,
        first_date=date(2020, 1, 1),
        last_date=date(2020, 4, 29),
        notes=notes,
    )
    return quick_look(
        values,
        panel,
        name="mine",
        family="own",
        formula="a < b",
        lookback=3,
        settings=settings,
        context=context,
        **options,
    )


def frame(values: Array) -> pd.DataFrame:
    return pd.DataFrame(values, index=PANEL.dates, columns=PANEL.tickers)


def plain_series(horizon: int) -> pd.DataFrame:
    return plain.timeseries(
        frame(VALUES), frame(PANEL["returns"]), frame(PANEL["close"]), frame(PANEL.in_universe), horizon=horizon
    )


class TestAgainstPlainLoops:
    def test_rank_ic_by_horizon(self) -> None:
        for found in look().decay:
            ic = plain_series(found.horizon)["rank_ic"]
            apart = ic[[(PANEL.first_row + d) % found.horizon == 0 for d in range(len(ic))]].dropna()
            assert found.n_sessions == ic.count()
            assert found.mean == pytest.approx(ic.mean(), rel=1e-12)
            assert found.icir == pytest.approx(ic.mean() / ic.std(), rel=1e-12)
            assert found.tstat == pytest.approx(apart.mean() / apart.std() * len(apart) ** 0.5, rel=1e-12)

    def test_rank_autocorrelation(self) -> None:
        ranked = frame(VALUES).where(frame(PANEL.in_universe))
        pairs = [plain.rank_ic(ranked.iloc[d - 1], ranked.iloc[d], min_tickers=10) for d in range(1, len(ranked))]
        assert look().rank_autocorrelation == pytest.approx(np.nanmean(pairs), rel=1e-12)

    def test_coverage_turnover_and_spread(self) -> None:
        series, found = plain_series(2), look()
        assert found.coverage == pytest.approx(series["coverage"].mean(), rel=1e-12)
        assert found.turnover == pytest.approx(series["turnover"].mean(), rel=1e-12)
        assert found.return_tstat == pytest.approx(
            series["factor"].mean() / series["factor"].std() * series["factor"].count() ** 0.5, rel=1e-10
        )
        quantiles = found.evidence.quantiles.to_pandas().pivot_table(
            index="date", columns="quantile", values="quantile_return", dropna=False
        )
        assert found.quantile_returns == pytest.approx(tuple(quantiles.mean()), rel=1e-12)
        spread = quantiles[4] - quantiles[1]
        assert found.spread == pytest.approx(spread.mean(), rel=1e-12)
        apart = spread[[(PANEL.first_row + d) % 2 == 0 for d in range(len(spread))]].dropna()
        assert found.spread_tstat == pytest.approx(apart.mean() / apart.std() * len(apart) ** 0.5, rel=1e-12)

    def test_the_numbers_are_those_of_the_assets(self) -> None:
        settings = EvaluationSettings()
        found = look(settings=settings)
        evidence = evaluate_factors([("own", "mine", VALUES)], PANEL, settings=settings, universe="all", source="test")
        (stored,) = factor_summary(
            evidence.timeseries,
            table("factor_details").schema.empty_table(),
            descriptions={},
            settings=settings,
            universe="all",
            membership="dated",
            source="test",
        ).to_pylist()
        assert found.evidence.timeseries.equals(evidence.timeseries)
        assert found.evidence.quantiles.equals(evidence.quantiles)
        assert (found.rank_ic.mean, found.rank_ic.tstat) == (stored["mean_rank_ic"], stored["rank_ic_tstat"])
        assert (found.annualized_return, found.sharpe_ratio, found.return_tstat, found.coverage, found.turnover) == (
            stored["annualized_return"],
            stored["sharpe_ratio"],
            stored["factor_return_tstat"],
            stored["mean_coverage"],
            stored["mean_turnover"],
        )


class TestProperties:
    def test_the_settings_horizon_is_always_among_the_decay(self) -> None:
        assert [ic.horizon for ic in look().decay] == [1, 2, 3, 5, 10, 20]
        found = look(horizons=(7,))
        assert [ic.horizon for ic in found.decay] == [2, 7]
        assert found.rank_ic == found.decay[0]

    def test_the_lag_is_that_of_the_settings(self) -> None:
        later = look(settings=SETTINGS.model_copy(update={"execution_lag": 4}))
        assert later.rank_ic.mean != look().rank_ic.mean
        assert "return over 2 sessions from 4 sessions later" in later.facts["rank IC"]

    def test_opposite_values_have_the_opposite_rank_ic(self) -> None:
        found, opposite = look(), look(-VALUES)
        assert [ic.mean for ic in opposite.decay] == pytest.approx([-ic.mean for ic in found.decay], rel=1e-12)
        assert opposite.rank_autocorrelation == pytest.approx(found.rank_autocorrelation, rel=1e-12)

    def test_a_factor_that_knows_the_return_sees_it(self) -> None:
        close = PANEL["close"]
        future = np.full(close.shape, np.nan)
        future[:-3] = close[3:] / close[1:-2] - 1
        found = look(future)
        assert found.rank_ic.mean > 0.99
        assert list(found.quantile_returns) == sorted(found.quantile_returns)
        assert found.spread == pytest.approx(found.quantile_returns[-1] - found.quantile_returns[0], rel=1e-9)

    def test_all_that_is_missing_is_a_dash(self) -> None:
        found = look(np.full(PANEL.shape, np.nan))
        assert found.coverage == 0.0
        assert np.isnan([found.rank_ic.mean, found.spread, found.turnover, found.annualized_return]).all()
        assert "No session has 10 members with a value and a later return" in " ".join(found.notes)
        told = repr(found)
        assert "nan" not in told
        assert "rank IC        -, t -, ICIR -;" in told

    def test_what_must_be_known_is_told_first_and_everywhere(self) -> None:
        found = look(synthetic=True, notes=("Built in memory.",))
        assert SYNTHETIC_LABEL in found.notes[0]
        for told in (repr(found), found._repr_html_(), found.tear_sheet()):
            assert SYNTHETIC_LABEL in told
            assert "Built in memory." in told
        assert not [note for note in look(settings=EvaluationSettings()).notes if note]
        assert "The members are not those of each date" in look(membership="today_only").notes[0]
        assert look().notes == ("t is over sessions 2 apart, for nearer returns overlap.",)

    def test_a_notebook_shows_it_with_its_signs_escaped(self) -> None:
        shown = look()._repr_html_()
        assert "<code>a &lt; b</code>" in shown
        assert f"<td>{look().rank_ic.mean:+.4f}</td>" in shown
        assert "mine: a < b" in repr(look())

    def test_the_page_has_the_one_factor(self) -> None:
        page = look().tear_sheet()
        assert '<h1 id="factor-name">mine</h1>' in page
        assert "a &lt; b" in page
        assert "href" not in page, "a page that stands alone leads nowhere"
        assert f"Mean rank IC {look().rank_ic.mean:+.4f} over 2 sessions".replace("-", "\u2212") in page
        assert "a look tests nothing against the trials" in page


class TestErrors:
    def test_no_session(self) -> None:
        with pytest.raises(EvaluationError, match="wants at least one session, got none; widen the dates"):
            look(VALUES[:0], PANEL.rows(0, 0))

    def test_shapes(self) -> None:
        with pytest.raises(MisalignedError, match="'mine' has shape"):
            look(VALUES[:, 1:])

    def test_horizon(self) -> None:
        with pytest.raises(EvaluationError, match="horizon of at least 1 session, got 0"):
            look(horizons=(0,))
