"""The table factor_spanning against statsmodels, and on the real files of known factors."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.market_return import market_return
from factor_assets.evaluation.spanning_evidence import KNOWN, MARKET, WITH_CHOSEN, factor_spanning, resolve_factors
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.panel.panel import Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.sources.known_factors import KnownFactors, read_known_factors
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
CHOSEN = EvaluationSettings(neutralised_on=("smooth", "style/tied"))


def evidence(seed: int) -> tuple[Panel, pa.Table]:
    panel, factors = random_market(seed)
    return panel, evaluate_factors(factors, panel, settings=EvaluationSettings(), **NAMES).timeseries


def known_factors(panel: Panel, *, seed: int = 9) -> KnownFactors:
    """Return two columns on most of the panel's sessions, and on days that are none."""
    random = np.random.default_rng(seed)
    dates = np.concatenate([panel.dates[:1] - 3, panel.dates[np.arange(len(panel.dates)) % 7 != 2]])
    returns = {name: 0.01 * random.normal(size=len(dates)) for name in ("Mkt-RF", "SMB")}
    returns["SMB"][20:25] = np.nan
    return KnownFactors(dates=dates, returns=returns)


def spanning(
    timeseries: pa.Table,
    panel: Panel,
    *,
    settings: EvaluationSettings = CHOSEN,
    known: KnownFactors | None = None,
) -> pa.Table:
    return factor_spanning(timeseries, panel, settings=settings, known_factors=known, **NAMES)


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_every_coefficient_of_every_benchmark(self, seed: int) -> None:
        panel, timeseries = evidence(seed)
        known = known_factors(panel)
        rows = spanning(timeseries, panel, known=known).to_pylist()
        series = factor_returns(timeseries, panel.dates)
        market = {"market": market_return(panel)}
        smooth, tied = {"style/smooth": series["style", "smooth"]}, {"style/tied": series["style", "tied"]}
        of_file = dict.fromkeys(known.returns)
        for name, values in known.returns.items():
            at = dict(zip(known.dates.tolist(), values, strict=True))
            of_file[name] = np.array([at.get(day, np.nan) for day in panel.dates.tolist()])
        benchmarks = {
            (factor, benchmark): regressors
            for factor, chosen in (("smooth", tied), ("tied", smooth), ("sparse", smooth | tied))
            for benchmark, regressors in ((MARKET, market), (WITH_CHOSEN, market | chosen), (KNOWN, of_file))
        }
        assert len(rows) == sum(1 + len(regressors) for regressors in benchmarks.values())
        tested = 0
        for (factor, benchmark), regressors in benchmarks.items():
            y = series["other" if factor == "sparse" else "style", factor]
            x = sm.add_constant(np.column_stack(list(regressors.values())), has_constant="add")
            both = np.isfinite(x).all(axis=1) & np.isfinite(y)
            stored = {
                row["coefficient"]: row for row in rows if (row["factor_name"], row["benchmark"]) == (factor, benchmark)
            }
            assert set(stored) == {"alpha", *regressors}
            for row in stored.values():
                assert row["n_sessions"] == both.sum()
                if both.any():
                    days = panel.dates[both].tolist()
                    assert (row["start_date"], row["end_date"]) == (days[0], days[-1])
            if both.sum() < 30:
                assert {row["reason"] for row in stored.values()} == {f"{both.sum()} observations of at least 30"}
                assert all(row["loading"] is row["loading_tstat"] is None for row in stored.values())
                continue
            hac = {"maxlags": int(4 * (both.sum() / 100) ** (2 / 9)), "use_correction": True}
            fit = sm.OLS(y[both], x[both]).fit(cov_type="HAC", cov_kwds=hac, use_t=True)
            for i, name in enumerate(("alpha", *regressors)):
                row = stored[name]
                got = [row[f"loading{end}"] for end in ("", "_tstat", "_pvalue")] + [row["spanning_rsquared"]]
                wanted = [fit.params[i], fit.tvalues[i], fit.pvalues[i], fit.rsquared]
                np.testing.assert_allclose(got, wanted, rtol=1e-9)
                assert row["reason"] is None
                tested += 1
        assert tested > 12


class TestAgainstRealFactors:
    def test_a_known_factor_is_spanned_by_its_own_file(self, shared_data: Path) -> None:
        path = shared_data / "factors" / "ff3_daily.parquet"
        rows = pq.read_table(path).to_pandas().tail(1500)
        momentum = pq.read_table(shared_data / "factors" / "mom_daily.parquet").to_pandas().set_index("date")["mom"]
        dates = rows["date"].to_numpy().astype("datetime64[D]")
        panel = Panel(
            dates=dates,
            tickers=("MKT",),
            fields={"returns": (rows["mkt_rf"] + rows["rf"]).to_numpy()[:, None].copy()},
            in_universe=np.ones((len(dates), 1), dtype=bool),
        )
        names = {"hml": rows["hml"].to_numpy(), "mom": momentum.reindex(rows["date"]).to_numpy()}
        timeseries = pa.concat_tables(
            pa.table(
                {
                    "factor_type": ["real"] * len(dates),
                    "factor_name": [name] * len(dates),
                    "date": pa.array(dates, pa.date32()),
                    "factor_value": pa.array(values, from_pandas=True),
                    **{column: [text] * len(dates) for column, text in NAMES.items()},
                }
            )
            for name, values in names.items()
        )
        known = read_known_factors(path)
        got = spanning(timeseries, panel, settings=EvaluationSettings(), known=known)
        alphas = {
            (row["factor_name"], row["benchmark"]): row
            for row in got.filter(pc.field("coefficient") == "alpha").to_pylist()
        }
        assert alphas["hml", KNOWN]["reason"] == "no residuals: the benchmark spans it"
        assert alphas["hml", KNOWN]["spanning_rsquared"] == 1.0
        assert alphas["mom", KNOWN]["loading_tstat"] is not None
        assert 0.0 < alphas["mom", KNOWN]["spanning_rsquared"] < 0.6
        assert alphas["mom", MARKET]["n_sessions"] <= len(dates) - 1


class TestProperties:
    def test_sorted_by_key_and_typed_as_declared(self) -> None:
        panel, timeseries = evidence(0)
        rows = spanning(timeseries, panel, known=known_factors(panel))
        declared = table("factor_spanning")
        assert rows.schema.equals(declared.schema)
        assert rows.sort_by([(key, "ascending") for key in declared.key]).equals(rows)
        assert set(rows["universe"].to_pylist()) | set(rows["source"].to_pylist()) == {"test", "random"}

    def test_a_benchmark_that_nobody_asked_for_is_not_there(self) -> None:
        panel, timeseries = evidence(0)
        usual = spanning(timeseries, panel, settings=EvaluationSettings())
        assert set(usual["benchmark"].to_pylist()) == {MARKET}
        assert set(spanning(timeseries, panel)["benchmark"].to_pylist()) == {MARKET, WITH_CHOSEN}
        with_file = spanning(timeseries, panel, settings=EvaluationSettings(), known=known_factors(panel))
        assert set(with_file["benchmark"].to_pylist()) == {MARKET, KNOWN}

    def test_the_holdout_is_not_looked_at(self) -> None:
        panel, timeseries = evidence(1)
        held = CHOSEN.model_copy(update={"holdout_start": panel.dates[100].item()})
        got = spanning(timeseries, panel, settings=held, known=known_factors(panel))
        assert got.equals(spanning(timeseries, panel.rows(0, 100), known=known_factors(panel)))
        assert not got.equals(spanning(timeseries, panel, known=known_factors(panel)))

    def test_fewer_observations_wanted_give_more_regressions(self) -> None:
        panel, timeseries = evidence(0)
        nulls = [
            spanning(timeseries, panel, settings=EvaluationSettings(min_observations=n))["loading"].null_count
            for n in (5, 118)
        ]
        assert nulls[0] < nulls[1]

    def test_no_factor_gives_no_row(self) -> None:
        panel, timeseries = evidence(0)
        assert spanning(timeseries.slice(0, 0), panel).equals(table("factor_spanning").schema.empty_table())

    def test_a_file_of_other_dates_says_so(self) -> None:
        panel, timeseries = evidence(0)
        known = known_factors(panel)
        old = KnownFactors(dates=known.dates - 5000, returns=known.returns)
        rows = spanning(timeseries, panel, known=old).filter(pc.field("benchmark") == KNOWN).to_pylist()
        assert {row["reason"] for row in rows} == {"0 observations of at least 30"}
        assert {row["start_date"] for row in rows} == {None}

    def test_names_are_resolved_once(self) -> None:
        known = [("a", "x"), ("b", "x"), ("b", "y")]
        assert resolve_factors(["y", "a/x", "b/y"], known) == [("b", "y"), ("a", "x")]


class TestErrors:
    def test_messages(self) -> None:
        panel, timeseries = evidence(0)
        with pytest.raises(MisalignedError, match="factor_spanning wants a panel with at least one session, got none"):
            spanning(timeseries, panel.rows(0, 0))
        held = EvaluationSettings(holdout_start=date(2020, 1, 1))
        with pytest.raises(EvaluationError, match=r"factor_spanning wants sessions before the holdout.*2020-01-01"):
            spanning(timeseries, panel, settings=held)
        with pytest.raises(EvaluationError, match=r"neutralised_on has 'smoth', which is not.*did you mean 'smooth'"):
            spanning(timeseries, panel, settings=EvaluationSettings(neutralised_on=("smoth",)))
        with pytest.raises(EvaluationError, match=r"has 'style/smoth', which is not.*did you mean 'style/smooth'"):
            spanning(timeseries, panel, settings=EvaluationSettings(neutralised_on=("style/smoth",)))
        with pytest.raises(EvaluationError, match="has 'x', which several families have; say a/x or b/x"):
            resolve_factors(["x"], [("a", "x"), ("b", "x")])
        known = KnownFactors(dates=panel.dates, returns={"alpha": np.zeros(len(panel.dates))})
        with pytest.raises(EvaluationError, match=r"has a column 'alpha', .* give the column another name"):
            spanning(timeseries, panel, known=known)
