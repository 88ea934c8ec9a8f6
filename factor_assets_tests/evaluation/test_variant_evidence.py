"""The summary of the variants against statsmodels and pandas; the holdout, the reasons and what is refused."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.variant_evidence import variant_evidence
from factor_assets.evaluation.variants import CAP_UNKNOWN, factor_variants, variants_of
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

NAMES = {"universe": "test", "source": "random"}
CHOICE = EvaluationSettings(n_quantiles=3, horizons=(1, 4))
HOLDOUT = date(2020, 3, 1)


def variants(seed: int = 0) -> pa.Table:
    """Rows of a random market without sectors, 2020-01-01 to 2020-04-29."""
    panel, factors = random_market(seed)
    return factor_variants(factors, panel, settings=CHOICE, **NAMES)


def made_of(returns: list[float | None], *, turnover: float | None = 0.1, why: str = "some reason") -> pa.Table:
    """One variant with the given returns."""
    rows = [
        {
            "factor_name": "f",
            "factor_type": "a",
            "date": np.datetime64("2020-01-01") + day,
            "variant": "equal",
            "variant_return": value,
            "variant_turnover": turnover,
            "reason": why if value is None else None,
            **NAMES,
        }
        for day, value in enumerate(returns)
    ]
    return pa.Table.from_pylist(
        [row | {"date": row["date"].astype(object)} for row in rows], table("factor_variants").schema
    )


class TestAgainstStatsmodelsAndPandas:
    @pytest.mark.parametrize("holdout", [None, HOLDOUT])
    def test_every_column(self, holdout: date | None) -> None:
        rows = variants()
        settings = CHOICE.model_copy(update={"holdout_start": holdout})
        got = variant_evidence(rows, settings=settings, **NAMES).to_pylist()
        frame = rows.to_pandas()
        frame = frame[frame["date"] < (holdout or date.max)]
        assert len(got) == 3 * len(variants_of(CHOICE))
        n_tested = 0
        for row in got:
            own = frame[(frame["factor_name"] == row["factor_name"]) & (frame["variant"] == row["variant"])]
            own = own.set_index("date")
            returns = own["variant_return"].dropna()
            assert row["n_sessions"] == len(returns)
            if len(returns) < 10:
                continue
            n_tested += 1
            lags = int(4 * (len(returns) / 100) ** (2 / 9))
            fit = sm.OLS(returns.to_numpy(), np.ones(len(returns))).fit(
                cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
            )
            wealth = (1 + returns).cumprod()
            expected = {
                "mean_variant_return": returns.mean(),
                "variant_return_tstat": fit.tvalues[0],
                "variant_volatility": returns.std(ddof=1),
                "variant_sharpe_ratio": returns.mean() / returns.std(ddof=1),
                "variant_max_drawdown": (wealth / wealth.cummax() - 1).min(),
                "mean_variant_turnover": own["variant_turnover"].mean(),
            }
            assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-10)
            assert (row["start_date"], row["end_date"]) == (returns.index[0], returns.index[-1])
            assert row["variant_max_drawdown"] <= 0
            assert row["reason"] is None
        assert n_tested >= 15


class TestProperties:
    def test_the_holdout_is_never_looked_at(self) -> None:
        rows = variants()
        settings = CHOICE.model_copy(update={"holdout_start": HOLDOUT})
        days = rows["date"].to_pandas()
        other = rows.to_pandas()
        other.loc[days >= HOLDOUT, ["variant_return", "variant_turnover"]] = 9.0
        changed = pa.Table.from_pandas(other, rows.schema, preserve_index=False)
        got = variant_evidence(rows, settings=settings, **NAMES)
        assert got.equals(variant_evidence(changed, settings=settings, **NAMES))
        assert max(filter(None, got["end_date"].to_pylist())) < HOLDOUT
        assert not got.equals(variant_evidence(rows, settings=CHOICE, **NAMES))

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        rows = variants()
        shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(rows.num_rows)))
        got = variant_evidence(rows, settings=CHOICE, **NAMES)
        assert got.equals(variant_evidence(shuffled, settings=CHOICE, **NAMES))
        chunked = pa.concat_tables([rows.slice(0, 100), rows.slice(100)])
        assert got.equals(variant_evidence(chunked, settings=CHOICE, **NAMES))
        assert got.equals(got.sort_by([(key, "ascending") for key in table("variant_evidence").key]))
        assert got.schema == table("variant_evidence").schema

    def test_what_was_never_earned_says_why(self) -> None:
        panel, factors = random_market(0)
        fields = {**panel.fields, "market_cap": np.full(panel.shape, np.nan)}
        unknown = type(panel)(panel.dates, panel.tickers, fields, panel.in_universe)
        rows = factor_variants(factors[:1], unknown, settings=CHOICE, **NAMES)
        got = {row["variant"]: row for row in variant_evidence(rows, settings=CHOICE, **NAMES).to_pylist()}
        assert got["equal"]["reason"] is None
        assert got["value"]["reason"] == f"no session has a return: {CAP_UNKNOWN}; no session has a turnover"
        assert got["value"]["n_sessions"] == 0
        assert got["sector_neutral"]["reason"].startswith("no session has a return: sector unknown")
        for name in ("start_date", "end_date", "mean_variant_return", "variant_volatility", "variant_max_drawdown"):
            assert got["value"][name] is None

    @pytest.mark.parametrize(("returns", "volatility"), [([0.01, None], None), ([0.01] * 40, 0.0)])
    def test_too_few_returns_or_all_the_same(self, returns: list[float | None], volatility: float | None) -> None:
        (row,) = variant_evidence(made_of(returns), settings=CHOICE, **NAMES).to_pylist()
        n = sum(value is not None for value in returns)
        assert row["reason"] == f"{n} sessions have a return: too few, or all the same"
        assert row["variant_return_tstat"] is row["variant_sharpe_ratio"] is None
        assert row["variant_volatility"] == volatility
        assert row["mean_variant_return"] == pytest.approx(0.01)

    def test_a_return_without_turnover(self) -> None:
        returns = np.random.default_rng(0).normal(size=40) / 100
        (row,) = variant_evidence(made_of(returns.tolist(), turnover=None), settings=CHOICE, **NAMES).to_pylist()
        assert row["mean_variant_turnover"] is None
        assert row["reason"] == "no session has a turnover"

    def test_no_rows(self) -> None:
        nothing = table("factor_variants").schema.empty_table()
        assert variant_evidence(nothing, settings=CHOICE, **NAMES).equals(
            table("variant_evidence").schema.empty_table()
        )


class TestErrors:
    def test_another_universe_or_source(self) -> None:
        rows = made_of([0.01, 0.02])
        for other in ({"universe": "x", "source": "random"}, {"universe": "test", "source": "x"}):
            with pytest.raises(EvaluationError, match="materialise factor_variants again"):
                variant_evidence(rows, settings=CHOICE, **other)

    def test_a_session_twice(self) -> None:
        rows = made_of([0.01, 0.02])
        with pytest.raises(EvaluationError, match="every row of factor_variants once, but 1 of 3 are there again"):
            variant_evidence(pa.concat_tables([rows, rows.slice(1)]), settings=CHOICE, **NAMES)

    def test_no_session_before_the_holdout(self) -> None:
        settings = CHOICE.model_copy(update={"holdout_start": date(2020, 1, 1)})
        with pytest.raises(EvaluationError, match="variants of a/f wants sessions before the holdout"):
            variant_evidence(made_of([0.01, 0.02]), settings=settings, **NAMES)
