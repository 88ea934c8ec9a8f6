"""The gate: each refusal with its number, the greedy choice among similar factors, and noise that was tried often."""

from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.multiple_testing import adjusted_pvalues
from factor_assets.evaluation.newey_west import newey_west_mean
from factor_assets.evaluation.promotion import GATES, Promotion, promote
from factor_assets.evaluation.ranking import rank
from factor_assets.evaluation.sharpe import deflated_sharpe_ratio, probabilistic_sharpe_ratio
from factor_assets.evaluation.trials import family_size, trial
from factor_assets.panel.panel import Array
from factor_assets.settings import EvaluationSettings, PromotionSettings
from factor_assets.storage.rows import conform
from factor_assets.tables import TABLES

GOOD: dict[str, Any] = {
    "factor_type": "own",
    "horizon": 1,
    "test_date": date(2021, 12, 31),
    "has_holdout": False,
    "mean_rank_ic": 0.03,
    "holm_pvalue": 0.01,
    "n_trials": 40,
    "deflated_sharpe_ratio": 0.97,
    "probabilistic_sharpe_ratio": 0.99,
    "mean_turnover": 0.2,
    "mean_coverage": 0.9,
    "median_capacity": 5e6,
    "universe": "djia30",
    "source": "files",
}
"""A row of evidence that passes."""

SETTINGS = PromotionSettings(min_capacity=1e6)


def evidence(**factors: dict[str, Any]) -> pa.Table:
    """Return rows of factor_evidence: name -> what differs from a good one."""
    columns = TABLES["factor_evidence"].column_names
    rows = [dict.fromkeys(columns) | GOOD | {"factor_name": name} | changes for name, changes in factors.items()]
    return pa.Table.from_pylist(rows, schema=TABLES["factor_evidence"].schema)


def correlations(*pairs: tuple[str, str, float | None]) -> pa.Table:
    schema = TABLES["factor_correlations"].schema
    rows = [
        dict.fromkeys(schema.names)
        | {"factor_type": "own", "factor_name": one, "other_type": "own", "other_name": other}
        | {"rank_correlation": value}
        for one, other, value in pairs
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def decide(rows: pa.Table, *pairs: tuple[str, str, float | None], **options: Any) -> Promotion:
    signs = options.pop("signs", dict.fromkeys(((r["factor_type"], r["factor_name"]) for r in rows.to_pylist()), 1))
    settings = options.pop("settings", SETTINGS)
    return promote(rows, correlations(*pairs), signs, settings=settings, horizon=options.pop("horizon", 1))


def reasons(decided: Promotion) -> dict[str, str]:
    return {row["factor_name"]: row["reasons"] for row in decided.rows.to_pylist()}


def promoted(decided: Promotion) -> list[str]:
    return [row["factor_name"] for row in decided.rows.to_pylist() if row["promoted"]]


N_NOISE, N_DATES, N_TICKERS = 1000, 250, 30


@cache
def noise() -> tuple[Array, Array]:
    """Mean rank IC and its p-value of factors that are nothing but noise, each of shape (N_NOISE,)."""
    random = np.random.default_rng(20)
    returns = rank(random.normal(0.0, 0.02, (N_DATES, N_TICKERS)))
    ics = [rank_ic(rank(random.normal(size=(N_DATES, N_TICKERS))), returns, delay=1) for _ in range(N_NOISE)]
    mean = newey_west_mean(np.column_stack(ics)).estimate
    return mean.value, mean.pvalue


class TestAgainstNoise:
    """A factor of pure noise, tried a thousand times."""

    def ledger(self, n_trials: int) -> pa.Table:
        return pa.concat_tables(
            trial(
                factor_name=f"noise_{i}",
                factor_type="own",
                formula=f"noise({i})",
                code_version=f"{i:x}",
                settings=EvaluationSettings(),
                universe="djia30",
                source="files",
                start_date=date(2021, 1, 4),
                end_date=date(2021, 12, 31),
                statistic=None,
                tried_at=datetime(2022, 1, 3, tzinfo=UTC),
                tried_by="notebook",
            )
            for i in range(n_trials)
        )

    def test_dozens_look_significant_and_after_the_correction_at_most_the_nominal_rate_is(self) -> None:
        _, pvalue = noise()
        assert 24 <= np.sum(pvalue < 0.05) <= 100
        n_trials = family_size(self.ledger(N_NOISE), universe="djia30")
        assert n_trials == N_NOISE
        for method in ("bonferroni", "holm", "benjamini_hochberg", "benjamini_yekutieli"):
            found = adjusted_pvalues(pvalue, method=method, family_size=n_trials) < 0.05
            assert np.mean(found) <= 0.05
            assert not found.any(), "under noise alone every find is false, in one family of twenty"

    def test_in_families_of_fifty_one_of_twenty_has_a_find(self) -> None:
        _, pvalue = noise()
        families = pvalue.reshape(20, 50)
        naive = [np.any(family < 0.05) for family in families]
        corrected = [np.any(adjusted_pvalues(f, method="holm", family_size=50) < 0.05) for f in families]
        assert np.mean(naive) > 0.8
        assert np.mean(corrected) <= 0.15, "nominal 0.05; three of twenty is within chance"

    def test_the_gate_refuses_the_best_of_them_by_the_ledger_and_would_not_without(self) -> None:
        mean, pvalue = noise()
        best = int(np.argmin(pvalue))
        for n_trials, passes in ((1, True), (N_NOISE, False)):
            m = family_size(self.ledger(n_trials), universe="djia30")
            holm = adjusted_pvalues(pvalue[[best]], method="holm", family_size=m).item()
            shown = {"mean_rank_ic": abs(mean[best]), "holm_pvalue": holm, "n_trials": m}
            decided = decide(evidence(best=shown))
            assert bool(promoted(decided)) is passes
            if not passes:
                assert reasons(decided) == {"best": f"holm_pvalue {holm:.3g} above 0.05"}

    def test_the_gate_refuses_all_of_them_with_the_reason(self) -> None:
        mean, pvalue = noise()
        holm = adjusted_pvalues(pvalue, method="holm", family_size=family_size(self.ledger(N_NOISE), universe="djia30"))
        rows = evidence(
            **{
                f"noise_{i}": {"mean_rank_ic": abs(mean[i]), "holm_pvalue": holm[i], "n_trials": N_NOISE}
                for i in range(N_NOISE)
            }
        )
        decided = decide(rows)
        assert not promoted(decided)
        assert all(why.startswith("holm_pvalue ") and why.endswith(" above 0.05") for why in reasons(decided).values())
        assert {gate: len(names) for gate, names in decided.refused.items()} == dict.fromkeys(GATES, 0) | {
            "holm_pvalue": N_NOISE
        }


class TestAgainstTheDeflatedSharpeRatio:
    @pytest.mark.parametrize("ratio", [-0.12, -0.03, 0.02])
    def test_of_a_factor_published_with_a_minus_it_is_of_low_less_high(self, ratio: float) -> None:
        known = {"n_observations": 1250, "kurtosis": 7.0}
        trials = {"n_trials": 40, "trials_variance": 0.0009}
        shown = {
            "probabilistic_sharpe_ratio": probabilistic_sharpe_ratio(ratio, skewness=0.8, **known),
            "deflated_sharpe_ratio": deflated_sharpe_ratio(ratio, skewness=0.8, **known, **trials),
        }
        turned = deflated_sharpe_ratio(-ratio, skewness=-0.8, **known, **trials)
        decided = decide(evidence(it={"mean_rank_ic": -0.03, **shown}), signs={("own", "it"): -1})
        assert decided.rows["deflated_sharpe_ratio"][0].as_py() == pytest.approx(turned, rel=1e-9)
        assert bool(promoted(decided)) is (turned >= 0.95) is (ratio == -0.12)

    @pytest.mark.parametrize(
        ("above_zero", "deflated", "told"),
        [
            (None, 0.5, "deflated_sharpe_ratio unknown: the evidence has no such number"),
            (0.5, None, "deflated_sharpe_ratio unknown: the evidence has no such number"),
            (0.0, 0.0, "deflated_sharpe_ratio unknown: the evidence has no such number"),
            (1.0, 0.5, "deflated_sharpe_ratio 0 below 0.95"),
        ],
    )
    def test_what_leaves_no_number_refuses(self, above_zero: float | None, deflated: float | None, told: str) -> None:
        shown = {"probabilistic_sharpe_ratio": above_zero, "deflated_sharpe_ratio": deflated, "mean_rank_ic": -0.03}
        assert reasons(decide(evidence(it=shown), signs={("own", "it"): -1})) == {"it": told}


class TestProperties:
    def test_a_good_factor_is_promoted_with_its_numbers(self) -> None:
        rows = evidence(good={"closest_factor": "size", "closest_correlation": 0.9})
        decided = decide(rows)
        assert conform(TABLES["promoted_factors"], decided.rows).equals(decided.rows)
        (row,) = decided.rows.to_pylist()
        assert (row["promoted"], row["reasons"]) == (True, "")
        (shown,) = rows.to_pylist()
        assert {name: row[name] for name in row if name in shown} == {
            name: shown[name] for name in row if name in shown
        }
        assert decided.refused == {gate: {} for gate in GATES}

    @pytest.mark.parametrize(
        ("gate", "changes", "reason"),
        [
            (
                "holdout",
                {"has_holdout": True},
                "has_holdout: the evidence looked at it; make factor_evidence again without the holdout",
            ),
            ("coverage", {"mean_coverage": 0.42}, "mean_coverage 0.42 below 0.5"),
            ("holm_pvalue", {"holm_pvalue": 0.31}, "holm_pvalue 0.31 above 0.05"),
            ("holm_pvalue", {"holm_pvalue": 0.05000001}, "holm_pvalue 0.05000001 above 0.05"),
            ("deflated_sharpe_ratio", {"deflated_sharpe_ratio": 0.61}, "deflated_sharpe_ratio 0.61 below 0.95"),
            ("turnover", {"mean_turnover": 0.723}, "mean_turnover 0.723 above 0.5"),
            ("capacity", {"median_capacity": 123_456.0}, "median_capacity 1.23e+05 below 1e+06"),
            ("sign", {"mean_rank_ic": -0.0123}, "mean_rank_ic -0.0123 against the published sign +"),
            ("sign", {"mean_rank_ic": 0.0}, "mean_rank_ic +0 against the published sign +"),
            ("coverage", {"mean_coverage": None, "reason": "no member"}, "mean_coverage unknown: no member"),
            ("holm_pvalue", {"holm_pvalue": None}, "holm_pvalue unknown: the evidence has no such number"),
            ("holm_pvalue", {"holm_pvalue": float("nan")}, "holm_pvalue unknown: the evidence has no such number"),
            (
                "deflated_sharpe_ratio",
                {"deflated_sharpe_ratio": None, "reason": "one session"},
                "deflated_sharpe_ratio unknown: one session",
            ),
            ("turnover", {"mean_turnover": None, "reason": "why"}, "mean_turnover unknown: why"),
            ("capacity", {"median_capacity": None, "reason": "no volume"}, "median_capacity unknown: no volume"),
            ("sign", {"mean_rank_ic": None, "reason": "why"}, "mean_rank_ic unknown: why"),
        ],
    )
    def test_each_gate_refuses_with_number_and_threshold(self, gate: str, changes: dict[str, Any], reason: str) -> None:
        decided = decide(evidence(it=changes))
        assert not promoted(decided)
        assert reasons(decided) == {"it": reason}
        assert decided.refused[gate] == {"own/it": reason}

    @pytest.mark.parametrize(
        ("setting", "loose", "changes"),
        [
            ("min_coverage", 0.4, {"mean_coverage": 0.42}),
            ("max_pvalue", 0.31, {"holm_pvalue": 0.31}),
            ("min_deflated_sharpe_ratio", 0.61, {"deflated_sharpe_ratio": 0.61}),
            ("max_turnover", 0.9, {"mean_turnover": 0.723}),
            ("min_capacity", 0.0, {"median_capacity": 123_456.0}),
            ("sign_as_published", False, {"mean_rank_ic": -0.0123}),
        ],
    )
    def test_each_threshold_is_the_setting_s_and_includes_itself(
        self, setting: str, loose: Any, changes: dict[str, Any]
    ) -> None:
        settings = PromotionSettings.model_validate(SETTINGS.model_dump() | {setting: loose})
        assert promoted(decide(evidence(it=changes), settings=settings)) == ["it"]

    def test_every_reason_is_told_in_the_order_of_the_gates(self) -> None:
        bad = {
            "has_holdout": True,
            "mean_turnover": 0.9,
            "mean_coverage": 0.1,
            "holm_pvalue": 1.0,
            "mean_rank_ic": -0.01,
        }
        assert next(iter(GATES)) == "holdout"
        assert reasons(decide(evidence(it=bad)))["it"] == (
            "has_holdout: the evidence looked at it; make factor_evidence again without the holdout;"
            " mean_coverage 0.1 below 0.5; holm_pvalue 1 above 0.05; mean_turnover 0.9 above 0.5;"
            " mean_rank_ic -0.01 against the published sign +"
        )

    def test_a_sign_is_only_asked_for_where_one_is_published(self) -> None:
        fell = {"mean_rank_ic": -0.02, "probabilistic_sharpe_ratio": 1e-4, "deflated_sharpe_ratio": 1e-6}
        rows = evidence(up={}, down=fell, free={"mean_rank_ic": -0.02}, undeclared={})
        signs = {("own", "up"): -1, ("own", "down"): -1, ("own", "free"): 0}
        pairs = [(a, b, 0.0) for a, b in (("down", "free"), ("down", "up"), ("free", "up"))]
        decided = decide(rows, *pairs, signs=signs)
        assert promoted(decided) == ["down", "free"]
        assert reasons(decided)["up"].endswith("mean_rank_ic +0.03 against the published sign -")
        assert reasons(decided)["undeclared"] == "published sign unknown: the factor is not declared here"

    def test_of_similar_factors_the_one_with_the_best_deflated_sharpe_ratio_is_taken(self) -> None:
        rows = evidence(a={}, b={"deflated_sharpe_ratio": 0.99}, c={"deflated_sharpe_ratio": 0.98})
        pairs = [("a", "b", 0.1), ("c", "b", -0.83), ("a", "c", 0.95)]
        decided = decide(rows, *pairs)
        assert promoted(decided) == ["a", "b"], "c was refused, so that a is not held against it"
        assert reasons(decided)["c"] == "rank_correlation -0.83 with own/b above 0.7"
        assert decided.refused["correlation"] == {"own/c": "rank_correlation -0.83 with own/b above 0.7"}
        swapped = [(other, one, value) for one, other, value in pairs]
        assert decide(rows, *swapped, *pairs).rows.equals(decided.rows)
        loose = PromotionSettings(max_correlation=0.9)
        assert promoted(decide(rows, *pairs, settings=loose)) == ["b", "c"]

    def test_the_nearest_of_several_is_told(self) -> None:
        rows = evidence(a={}, b={"deflated_sharpe_ratio": 0.99}, c={"deflated_sharpe_ratio": 0.98})
        decided = decide(rows, ("b", "c", 0.0), ("a", "b", 0.8), ("a", "c", 0.9))
        assert reasons(decided)["a"] == "rank_correlation 0.9 with own/c above 0.7"

    def test_refused_factors_are_nobody_s_rival_and_need_no_correlation(self) -> None:
        rows = evidence(a={}, b={"deflated_sharpe_ratio": 0.99, "mean_coverage": 0.0})
        assert promoted(decide(rows)) == ["a"]

    @pytest.mark.parametrize("pairs", [[], [("a", "b", None)]])
    def test_an_unknown_correlation_refuses(self, pairs: list[tuple[str, str, float | None]]) -> None:
        decided = decide(evidence(a={}, b={}), *pairs)
        assert promoted(decided) == ["a"]
        assert reasons(decided)["b"] == ("rank_correlation with own/a unknown: factor_correlations has no such number")

    def test_ties_go_to_the_lower_p_value_and_then_the_name_whatever_the_order(self) -> None:
        rows = evidence(d={}, c={}, b={"holm_pvalue": 0.02}, a={"holm_pvalue": 0.001})
        pairs = [(one, other, 1.0 if {one, other} != {"a", "c"} else 0.0) for one in "abcd" for other in "abcd"]
        random = np.random.default_rng(0)
        decisions = [decide(rows.take(random.permutation(4)), *pairs) for _ in range(8)]
        assert promoted(decisions[0]) == ["a", "c"]
        assert all(one.rows.equals(other.rows) for one, other in pairwise(decisions))

    def test_only_the_horizon_asked_for_counts(self) -> None:
        rows = pa.concat_tables([evidence(it={"horizon": 1}), evidence(it={"horizon": 5, "holm_pvalue": 1.0})])
        assert promoted(decide(rows)) == ["it"]
        assert promoted(decide(rows, horizon=5)) == []

    def test_no_evidence_promotes_nothing(self) -> None:
        decided = decide(TABLES["factor_evidence"].schema.empty_table())
        assert decided.rows.equals(TABLES["promoted_factors"].schema.empty_table())


class TestErrors:
    def test_no_evidence_at_the_horizon(self) -> None:
        with pytest.raises(
            EvaluationError, match=r"is of horizons 1, but promotion is decided at 3 .*evaluation.horiz"
        ):
            decide(evidence(it={}), horizon=3)

    def test_two_rows_of_one_factor(self) -> None:
        with pytest.raises(EvaluationError, match="two rows of own/it at a horizon of 1 sessions; wanted one"):
            decide(pa.concat_tables([evidence(it={}), evidence(it={})]))
