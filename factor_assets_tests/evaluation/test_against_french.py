"""Our factors of real prices against those that Kenneth French publishes: market, momentum, reversal, betas; no size.

The companies are those that were large in April 2021, the published factors are of all listed ones, and ours rebalance
every session at equal weights where his rebalance at value weights: the correlations are those of relatives, not of
copies. What does not belong here: errors of the data (`panel/test_quality.py`), the definitions (`test_timeseries.py`).
"""

from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from factor_assets.calendar import sessions
from factor_assets.evaluation.evidence import factor_evidence
from factor_assets.evaluation.evidence_by_date import evidence_by_date
from factor_assets.evaluation.promotion import promote
from factor_assets.evaluation.regressions import NeweyWestRegressions, factor_details, regress_newey_west
from factor_assets.evaluation.spanning import SpanningRegressions, spanning_regressions
from factor_assets.evaluation.timeseries import FactorEvidence, evaluate_factors
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import factor
from factor_assets.panel.panel import Array, Panel
from factor_assets.panel.prices import clean_prices
from factor_assets.settings import EvaluationSettings, PromotionSettings
from factor_assets.tables import table
from factor_assets_tests.panel.price_rows import real_history

CHOICE = EvaluationSettings()
NAMES = {"universe": "large in 2021", "source": "files"}
FACTORS = ("ret_12_1", "ret_1_0", "size", "dollar_volume_20d")
FILES = {
    "ff3_daily": ("mkt_rf", "smb", "hml", "rf"),
    "mom_daily": ("mom",),
    "st_reversal_daily": ("st_rev",),
}


class Real(NamedTuple):
    """Prices, factor values, the evidence of the default settings, and what French publishes for the same sessions."""

    panel: Panel
    values: list[tuple[str, str, Array]]
    evidence: FactorEvidence
    french: dict[str, Array]

    def market(self) -> Array:
        """Return the mean return of all names, shape (n_dates,), NaN on the first date."""
        returns = self.panel["returns"]
        mean = np.full(len(returns), np.nan)
        mean[1:] = np.nanmean(returns[1:], axis=1)
        return mean

    def factor_return(self, name: str) -> Array:
        """Return what `factor_timeseries` says, shape (n_dates,)."""
        rows = self.evidence.timeseries
        found: Array = rows.filter(pc.field("factor_name") == name)["factor_value"].to_numpy()
        return found

    def excess(self) -> Array:
        """Return the names' returns above the riskless rate, shape (n_dates, n_tickers)."""
        excess: Array = self.panel["returns"] - self.french["rf"][:, None]
        return excess


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Real:
    days = sessions("XNYS", date(2010, 1, 4), date(2021, 4, 21))
    rows = real_history(shared_data / "prices" / "us_large_daily_2010_2021.parquet")
    prices = clean_prices(rows, sessions=days).prices
    members = prices.select(["date", "ticker"])
    panel = Panel.from_tables(prices=prices, universe=members, sessions=days)
    families = {name: factor(name) for name in FACTORS}
    found = evaluate({name: one.expression for name, one in families.items()}, panel)
    values = [(families[name].family, name, array) for name, array in found]
    french = {}
    for file, columns in FILES.items():
        published = pq.read_table(shared_data / "factors" / f"{file}.parquet").to_pandas().set_index("date")
        published.index = published.index.to_numpy().astype("datetime64[D]")
        french |= {name: published[name].reindex(days).to_numpy() for name in columns}
    return Real(panel, values, evaluate_factors(values, panel, settings=CHOICE, **NAMES), french)


@pytest.fixture(scope="module")
def betas(real: Real) -> NeweyWestRegressions:
    return regress_newey_west(real.excess(), real.french["mkt_rf"][None])


@pytest.fixture(scope="module")
def spanned(real: Real) -> SpanningRegressions:
    factors = {name: real.french[name] for name in ("mkt_rf", "smb", "hml", "mom")}
    return spanning_regressions({"ret_12_1": real.factor_return("ret_12_1")}, factors)


def correlation(one: Array, other: Array) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    assert both.sum() > 1400, "a correlation over a handful of sessions shows nothing"
    return float(np.corrcoef(one[both], other[both])[0, 1])


class TestAgainstFrench:
    def test_the_equal_weighted_market_is_his_market(self, real: Real) -> None:
        published = real.french["mkt_rf"] + real.french["rf"]
        assert correlation(real.market(), published) == pytest.approx(0.9755, abs=5e-4)
        slope, _ = np.polyfit(published[1:], real.market()[1:], 1)
        assert slope == pytest.approx(1.03, abs=0.02), "equal weights are a little more risky"

    def test_twelve_month_momentum_is_his_momentum(self, real: Real) -> None:
        momentum = real.factor_return("ret_12_1")
        assert np.isfinite(momentum).sum() == len(momentum) - 253
        assert correlation(momentum, real.french["mom"]) == pytest.approx(0.9294, abs=5e-4)

    def test_momentum_is_spanned_by_his_factors(self, spanned: SpanningRegressions) -> None:
        at = {name: i for i, name in enumerate(spanned.coefficients)}
        assert spanned.rsquared[0] > 0.86
        assert abs(spanned.newey_west.tstat[0, at["alpha"]]) < 2.0, "nothing is left to earn"
        assert 0.7 < spanned.newey_west.value[0, at["mom"]] < 1.1
        assert spanned.newey_west.tstat[0, at["mom"]] > 30.0

    def test_the_last_month_turned_round_is_his_reversal(self, real: Real) -> None:
        losers_less_winners = -real.factor_return("ret_1_0")
        assert correlation(losers_less_winners, real.french["st_rev"]) == pytest.approx(0.8709, abs=5e-4)

    @pytest.mark.parametrize(("name", "own"), [("ret_12_1", "mom"), ("ret_1_0", "st_rev"), ("market", "mkt_rf")])
    def test_each_is_nearest_to_its_own(self, real: Real, name: str, own: str) -> None:
        ours = real.market() if name == "market" else real.factor_return(name)
        near = {
            other: abs(correlation(ours, real.french[other])) for other in ("mkt_rf", "smb", "hml", "mom", "st_rev")
        }
        assert max(near, key=lambda other: near[other]) == own
        assert sorted(near.values())[-2] < 0.7

    def test_betas_of_the_hundred_most_traded_names_are_plausible(
        self, real: Real, betas: NeweyWestRegressions
    ) -> None:
        traded = np.argsort(-np.nanmedian(real.panel["dollar_volume"], axis=0))[:100]
        beta = betas.beta.value[0]
        assert ((beta[traded] > 0.3) & (beta[traded] < 2.2)).all()
        assert np.median(beta[traded]) == pytest.approx(1.05, abs=0.03)
        assert (betas.beta.pvalue[0, traded] < 1e-10).all()
        of = dict(zip(real.panel.tickers, beta, strict=True))
        assert all(0.4 < of[name] < 0.75 for name in ("KO", "PG", "JNJ", "WMT", "MCD", "DUK", "SO"))
        assert all(1.0 < of[name] < 1.1 for name in ("AAPL", "MSFT"))
        assert all(1.15 < of[name] < 1.6 for name in ("JPM", "BAC", "C", "GS", "NVDA", "CAT", "BA"))

    def test_the_table_of_details_has_these_betas(self, real: Real, betas: NeweyWestRegressions) -> None:
        own = dict.fromkeys(table("factor_timeseries").column_names)
        own |= {"factor_type": "published", "factor_name": "market", **NAMES}
        days, market = real.panel.dates.tolist(), real.french["mkt_rf"].tolist()
        rows = [own | {"date": day, "factor_value": value} for day, value in zip(days, market, strict=True)]
        published = pa.Table.from_pylist(rows, schema=table("factor_timeseries").schema)
        details = factor_details(published, real.panel, settings=CHOICE, **NAMES)
        assert details["ticker"].to_pylist() == list(real.panel.tickers)
        # the riskless rate hardly moves: returns above it have the betas of returns
        np.testing.assert_allclose(details["beta"].to_numpy(), betas.beta.value[0], atol=2e-3)

    def test_betas_on_our_market_average_one_and_rank_as_on_his(self, real: Real, betas: NeweyWestRegressions) -> None:
        ours = regress_newey_west(real.panel["returns"], real.market()[None])
        assert np.mean(ours.beta.value[0]) == pytest.approx(1.0, abs=0.01)
        assert np.corrcoef(ours.beta.value[0], betas.beta.value[0])[0, 1] > 0.97


class TestProperties:
    def test_a_day_too_late_is_noticed(self, real: Real) -> None:
        market, published = real.market(), real.french["mkt_rf"] + real.french["rf"]
        for shift in (-1, 1):
            assert abs(correlation(np.roll(market, shift)[2:-2], published[2:-2])) < 0.25

    def test_without_shares_outstanding_there_is_no_size(self, real: Real) -> None:
        assert not np.isfinite(real.panel["shares_outstanding"]).any(), "the files have none"
        assert factor("size").inputs == ("market_cap",), "and nothing else stands in for them"
        size = real.evidence.timeseries.filter(pc.field("factor_name") == "size")
        assert size["factor_value"].null_count == size.num_rows == len(real.panel.dates)
        reasons = set(size["reason"].to_pylist())
        assert reasons == {"first session", "no factor value on the previous session"}
        assert pc.max(size["coverage"]).as_py() == 0.0

    def test_a_judgement_of_size_is_null_and_says_why_and_the_gate_refuses_it(self, real: Real) -> None:
        only = [one for one in real.values if one[1] == "size"]
        by_date = evidence_by_date(only, real.panel, settings=CHOICE, **NAMES)
        returns = evaluate_factors(only, real.panel, settings=CHOICE, **NAMES)
        judged = factor_evidence(
            returns.timeseries, by_date.information, by_date.trading, returns.quantiles, settings=CHOICE, **NAMES
        )
        row = judged.to_pylist()[0]
        assert row["mean_coverage"] == 0.0
        assert row["mean_rank_ic"] is row["session_sharpe_ratio"] is row["holm_pvalue"] is None
        assert "no session has a rank IC" in row["reason"]
        decided = promote(
            judged,
            table("factor_correlations").schema.empty_table(),
            {("size", "size"): -1},
            settings=PromotionSettings(),
            horizon=1,
        )
        (refused,) = decided.rows.to_pylist()
        assert not refused["promoted"]
        assert refused["reasons"].startswith("mean_coverage 0 below 0.5; holm_pvalue unknown: no session has a rank IC")

    def test_traded_value_is_not_size(self, real: Real) -> None:
        # What is traded most is no more than related to what is largest: it must not be sold as his SMB.
        little_less_much_traded = -real.factor_return("dollar_volume_20d")
        assert correlation(little_less_much_traded, real.french["smb"]) == pytest.approx(0.344, abs=5e-3)

    def test_weights_by_capitalisation_are_refused_for_the_same_reason(self, real: Real) -> None:
        some = real.panel.rows(300, 330)
        values = [(family, name, array[300:330]) for family, name, array in real.values if name == "ret_12_1"]
        rows = evaluate_factors(values, some, settings=EvaluationSettings(weighting="cap"), **NAMES).timeseries
        assert rows["factor_value"].null_count == rows.num_rows
        assert set(rows["reason"].to_pylist()[1:]) == {"no market cap in a portfolio on the previous session"}
