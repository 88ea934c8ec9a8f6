"""The verdict's counts and probabilities against the binomial and normal laws."""

import pyarrow as pa
import pytest
from scipy import stats

from factor_assets.evaluation.verdict import verdict
from factor_assets.tables import TABLES


def summary(*tstats: float | None, names: list[str] | None = None) -> pa.Table:
    schema = TABLES["factor_summary"].schema
    rows = []
    for i, t in enumerate(tstats):
        row = dict.fromkeys(schema.names)
        row |= {"factor_name": names[i] if names else f"f{i}", "factor_type": f"T{i}", "factor_return_tstat": t}
        row |= {"sharpe_ratio": -0.5, "annualized_return": -0.031}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in schema]))


class TestAgainstScipy:
    def test_probability_of_as_many_by_chance(self) -> None:
        reading = verdict(summary(2.5, -2.2, *([0.1] * 18))).reading
        probability = stats.binom.sf(1, 20, 0.05)
        assert f"2 or more would stand out with probability {probability:.1%}." in reading[0]

    def test_bar_of_many_tries(self) -> None:
        reading = verdict(summary(2.5, 3.9, -3.5, *([0.1] * 17))).reading
        bar = stats.norm.isf(0.05 / 2 / 20)
        assert reading[1] == f"Clearing the bar for 20 tries (|t| above {bar:.2f}, Bonferroni): f1, f2."


class TestProperties:
    @pytest.mark.parametrize(
        ("tstats", "headline"),
        [
            ((), "No factor has been evaluated yet."),
            ((None, None), "2 factors, none with a return that can be tested."),
            ((-5.0, None), "The one factor tried earned a mean return that differs from zero (|t| above 1.96)."),
            ((1.96,), "The one factor tried did not earn a mean return that differs from zero (|t| above 1.96)."),
        ],
    )
    def test_headline_of_few(self, tstats: tuple[float | None, ...], headline: str) -> None:
        assert verdict(summary(*tstats)).headline == headline

    @pytest.mark.parametrize(
        ("tstats", "found", "expected"),
        [((1.96, 0.0), "None of the 2", "0.1"), ((-1.97, float("nan"), *([0.0] * 19)), "1 of the 20", "1")],
    )
    def test_headline_counts(self, tstats: tuple[float, ...], found: str, expected: str) -> None:
        assert verdict(summary(*tstats)).headline == (
            f"{found} factors tried earned a mean return that differs from zero (|t| above 1.96);"
            f" chance alone would give {expected}."
        )

    def test_strongest_by_absolute_t(self) -> None:
        assert "Strongest: f1, t \u22123.00, \u22123.1% a year, Sharpe ratio \u22120.50." in (
            verdict(summary(2.0, -3.0)).reading
        )

    def test_same_name_in_two_types_is_told_apart(self) -> None:
        assert any("T1/x, t 3.00" in line for line in verdict(summary(2.0, 3.0, names=["x", "x"])).reading)

    def test_factors_without_a_number_are_not_counted_as_tried(self) -> None:
        assert "1 factor without a t-statistic: not counted as tried." in verdict(summary(2.0, None)).reading
