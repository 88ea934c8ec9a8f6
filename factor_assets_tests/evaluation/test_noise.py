"""Pure noise, tried a thousand times in twenty sittings, through every table from the values to the gate.

What does not belong here: the corrections on numbers alone (`test_multiple_testing.py`), a gate's own reasons
(`test_promotion.py`).
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.evaluation.evidence import factor_evidence, rank_ic_tstats
from factor_assets.evaluation.evidence_by_date import evidence_by_date
from factor_assets.evaluation.promotion import Promotion, promote
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.evaluation.trials import family_size, trial
from factor_assets.settings import EvaluationSettings, PromotionSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

N_SITTINGS, N_EACH, NOMINAL = 20, 50, 0.05
CHOICE = EvaluationSettings(horizons=(1,))
NAMES = {"universe": "test", "source": "random"}
# Noise turns over every session; it shall not be refused for that alone.
GATE = PromotionSettings(max_pvalue=NOMINAL, max_turnover=2.0)
Tables = dict[str, pa.Table]


@pytest.fixture(scope="module")
def sittings() -> list[Tables]:
    """What `factor_evidence` reads, of fifty factors a sitting."""
    panel, _ = random_market(1, n_dates=250, n_tickers=30)
    random = np.random.default_rng(3)
    given = []
    for sitting in range(N_SITTINGS):
        factors = [("own", f"noise_{sitting}_{i}", random.normal(size=panel.shape)) for i in range(N_EACH)]
        returns = evaluate_factors(factors, panel, settings=CHOICE, **NAMES)
        by_date = evidence_by_date(factors, panel, settings=CHOICE, **NAMES)
        # The quantiles' own test of monotonicity is a bootstrap, which no correction and no gate reads.
        given.append({**returns._asdict(), **by_date._asdict(), "quantiles": returns.quantiles.slice(0, 0)})
    return given


@pytest.fixture(scope="module")
def n_trials(sittings: list[Tables]) -> int:
    """Size of the family, by a ledger that every evaluation wrote a row to, some of them twice."""
    rows = []
    for given in sittings:
        days = given["timeseries"]["date"]
        rows += [
            trial(
                factor_name=name,
                factor_type=family,
                formula=f"{name}()",
                code_version=name,
                settings=CHOICE,
                **NAMES,
                start_date=days[0].as_py(),
                end_date=days[-1].as_py(),
                statistic=statistic,
                tried_at=datetime(2022, 1, 3, tzinfo=UTC),
                tried_by="notebook",
            )
            for (family, name), statistic in rank_ic_tstats(given["information"], settings=CHOICE).items()
        ]
    return family_size(pa.concat_tables([*rows, *rows[:100]]), universe="test", source="random")


def judged(given: Tables, n_trials: int | None) -> pa.Table:
    return factor_evidence(**given, settings=CHOICE, n_trials=n_trials, **NAMES)


def decided(rows: pa.Table) -> Promotion:
    """Ask the gate, the sign chosen after the fact: what a hopeful researcher would do."""
    signs = {("own", row["factor_name"]): 1 if row["mean_rank_ic"] > 0 else -1 for row in rows.to_pylist()}
    nothing = table("factor_correlations").schema.empty_table()
    return promote(rows, nothing, signs, settings=GATE, horizon=1)


@pytest.fixture(scope="module")
def corrected(sittings: list[Tables], n_trials: int) -> pa.Table:
    return pa.concat_tables(judged(given, n_trials) for given in sittings)


class TestAgainstTheNominalRate:
    def test_the_ledger_counts_each_of_the_thousand_once(self, n_trials: int) -> None:
        assert n_trials == 1000

    def test_uncorrected_dozens_look_significant(self, corrected: pa.Table) -> None:
        rows = corrected.to_pandas()
        assert len(rows) == 1000
        assert 24 <= np.sum(rows["rank_ic_pvalue"] < NOMINAL) <= 80
        sharpe = rows["probabilistic_sharpe_ratio"]
        assert np.sum((sharpe > 0.95) | (sharpe < 0.05)) > 48, "of either sign, 100 on average"

    @pytest.mark.parametrize("column", ["bonferroni_pvalue", "holm_pvalue", "fdr_pvalue", "fdr_any_pvalue"])
    def test_corrected_by_the_ledger_at_most_the_nominal_rate_is(self, corrected: pa.Table, column: str) -> None:
        found = corrected.to_pandas()[column] < NOMINAL
        assert found.mean() <= NOMINAL
        assert not found.any(), "under noise alone every find is false, in one family of twenty"

    def test_no_deflated_sharpe_ratio_is_believed(self, corrected: pa.Table) -> None:
        assert (corrected.to_pandas()["deflated_sharpe_ratio"] < 0.95).all()

    def test_the_best_alone_would_be_a_find_to_who_does_not_know_of_the_others(
        self, sittings: list[Tables], corrected: pa.Table
    ) -> None:
        best = corrected.to_pandas().nsmallest(1, "rank_ic_pvalue")["factor_name"].item()
        given = sittings[int(best.split("_")[1])]
        one = {kind: rows.filter(pc.field("factor_name") == best) for kind, rows in given.items()}
        (naive,), (known,) = judged(one, None).to_pylist(), judged(one, 1000).to_pylist()
        assert naive["n_trials"] == 1
        assert naive["holm_pvalue"] == naive["rank_ic_pvalue"] < NOMINAL / 10
        assert known["holm_pvalue"] == pytest.approx(min(1.0, 1000 * naive["rank_ic_pvalue"]))

    def test_the_gate_refuses_each_of_them_with_the_reason(self, corrected: pa.Table) -> None:
        decision = decided(corrected)
        rows = decision.rows.to_pandas()
        assert not rows["promoted"].any()
        assert rows["reasons"].str.match(r"holm_pvalue [\d.e-]+ above 0\.05").all()
        assert rows["reasons"].str.contains(r"deflated_sharpe_ratio [\d.e-]+ below 0\.95").mean() > 0.95
        assert len(decision.refused["holm_pvalue"]) == 1000
        assert (rows["n_trials"] == 1000).all()
