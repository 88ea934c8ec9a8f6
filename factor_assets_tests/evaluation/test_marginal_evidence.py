"""The marginal rank IC of every horizon: against the function of one horizon, its properties, its errors."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.ic_decay import forward_rankings
from factor_assets.evaluation.marginal_evidence import (
    MarginalEvidence,
    marginal_evidence,
    neutralising_factors,
)
from factor_assets.evaluation.marginal_ic import marginal_rank_ic
from factor_assets.evaluation.named_factors import resolve_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

CHOICE = EvaluationSettings()
HORIZONS = (1, 5)
HOLDOUT = date(2020, 5, 20)
PANEL, FACTORS = random_market(4, n_dates=200)
OWN, OTHER = FACTORS[0][2], FACTORS[1][2]
LABELS = [("style", "smooth"), ("style", "tied"), ("other", "sparse"), ("other", "tied")]


def found(
    values: Array = OWN,
    others: dict[tuple[str, str], Array] | None = None,
    panel: Panel = PANEL,
    choice: EvaluationSettings = CHOICE,
    **options: Any,
) -> dict[int, MarginalEvidence]:
    given = {("style", "tied"): OTHER} if others is None else others
    forward = forward_rankings(panel["close"], horizons=HORIZONS)
    return marginal_evidence(values, given, forward, panel, settings=choice, **options)


def correlations(*pairs: tuple[tuple[str, str], tuple[str, str], float | None]) -> pa.Table:
    schema = table("factor_correlations").schema
    rows = [
        dict.fromkeys(schema.names)
        | {"factor_type": one[0], "factor_name": one[1], "other_type": other[0], "other_name": other[1]}
        | {"rank_correlation": value}
        for pair in pairs
        for one, other, value in (pair, (pair[1], pair[0], pair[2]))
    ]
    return pa.Table.from_pylist(rows, schema=schema)


class TestAgainstMarginalRankIc:
    @pytest.mark.parametrize("lag", [0, 3])
    def test_every_horizon(self, lag: int) -> None:
        others = {("style", "tied"): OTHER, ("own", "more"): np.random.default_rng(0).normal(size=PANEL.shape)}
        forward = forward_rankings(PANEL["close"], horizons=HORIZONS)
        rows = found(others=others, choice=CHOICE.model_copy(update={"execution_lag": lag}))
        for horizon, row in rows.items():
            one = marginal_rank_ic(
                OWN,
                list(others.values()),
                forward[horizon],
                delay=lag + horizon,
                horizon=horizon,
                among=PANEL.in_universe,
            )
            assert row == ("style/tied,own/more", float(one.mean.estimate.value), float(one.mean.estimate.tstat), "")
        assert rows[1].rank_ic != rows[5].rank_ic


class TestProperties:
    def test_the_settings_name_them_or_the_closest_is_taken_never_the_factor_itself(self) -> None:
        close = correlations((LABELS[0], LABELS[1], -0.9), (LABELS[0], LABELS[2], 0.5), (LABELS[1], LABELS[2], None))
        assert neutralising_factors(LABELS, close, settings=CHOICE) == {
            LABELS[0]: (LABELS[1],),
            LABELS[1]: (LABELS[0],),
            LABELS[2]: (LABELS[0],),
            LABELS[3]: (),
        }
        named = CHOICE.model_copy(update={"neutralised_on": ("smooth", "other/tied", "style/smooth")})
        assert neutralising_factors(LABELS, close, settings=named) == {
            LABELS[0]: (LABELS[3],),
            LABELS[1]: (LABELS[0], LABELS[3]),
            LABELS[2]: (LABELS[0], LABELS[3]),
            LABELS[3]: (LABELS[0],),
        }

    def test_a_closest_one_that_is_no_longer_evaluated_is_none(self) -> None:
        close = correlations((LABELS[0], ("gone", "gone"), 0.9))
        assert neutralising_factors(LABELS[:1], close, settings=CHOICE) == {LABELS[0]: ()}

    def test_sessions_of_the_holdout_take_no_part_unless_asked_for(self) -> None:
        choice = CHOICE.model_copy(update={"holdout_start": HOLDOUT})
        n = int(np.searchsorted(PANEL.dates, np.datetime64(HOLDOUT)))
        cut = found(OWN[:n], {("style", "tied"): OTHER[:n]}, PANEL.rows(0, n))
        assert found(choice=choice) == cut
        assert found(choice=choice, include_holdout=True) == found() != cut

    def test_without_others_or_with_too_few_sessions_there_is_none_with_the_reason(self) -> None:
        for row in found(others={}).values():
            assert np.isnan([row.rank_ic, row.tstat]).all()
            assert row.reason == "no other factor to neutralise on"
        for row in found(np.full(PANEL.shape, np.nan)).values():
            assert row.neutralised_on == "style/tied"
            assert row.reason == "0 sessions have a marginal rank IC: too few, or all the same"
        itself = found(others={("style", "copy"): OWN})
        assert all(np.isnan(row.rank_ic) and row.reason for row in itself.values())

    def test_who_is_no_member_takes_no_part(self) -> None:
        strange = np.where(PANEL.in_universe, OWN, np.random.default_rng(1).normal(size=PANEL.shape))
        assert found(strange) == found()


class TestErrors:
    def test_unknown_and_ambiguous_names(self) -> None:
        with pytest.raises(EvaluationError, match="has 'smoth', which is not evaluated; did you mean 'smooth'"):
            resolve_factors(["smoth"], LABELS)
        with pytest.raises(
            EvaluationError, match="has 'style/smoth', which is not evaluated; did you mean 'style/smooth'"
        ):
            resolve_factors(["style/smoth"], LABELS)
        with pytest.raises(EvaluationError, match="has 'tied', which several families have; say "):
            resolve_factors(["tied"], LABELS)

    def test_shapes(self) -> None:
        with pytest.raises(MisalignedError, match=r"panel's shape \(200, 24\), got \(200, 23\)"):
            found(others={("style", "tied"): OTHER[:, 1:]})
