"""What must hold for every declared factor; a new one is tested without a new test."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import RegisteredFactor, all_factors
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.pandas_wide import pandas_wide
from factor_assets_tests.expressions.strategies import same_bits
from factor_assets_tests.factors.market import N_TICKERS, SESSIONS, panel_of, raw_market

PANEL = panel_of(raw_market())
N_DATES = len(SESSIONS)
EVENT = 330  # a row after every lookback

every_factor = pytest.mark.parametrize("factor", all_factors().values(), ids=list(all_factors()))


def value(factor: RegisteredFactor, panel: Panel, *, start: int = 0) -> np.ndarray:
    return dict(evaluate({factor.name: factor.expression}, panel, start=start))[factor.name]


@every_factor
class TestAgainstPandas:
    def test_values(self, factor):
        frames = {name: pd.DataFrame(values.copy()) for name, values in PANEL.fields.items()}
        theirs = pandas_wide(factor.expression, frames, pd.DataFrame(PANEL.in_universe)).to_numpy()
        ours = value(factor, PANEL)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        assert np.isfinite(ours[-1]).sum() >= 6


@every_factor
class TestProperties:
    def test_declaration(self, factor):
        assert re.search(r"\(\d{4}, .+\)$", factor.factor.cite)
        assert factor.factor.doi == "" or factor.factor.doi.startswith("10.")
        assert factor.factor.description.endswith(".")
        assert factor.lookback < EVENT

    def test_causality(self, factor):
        """Garbage after t changes no bit up to t."""
        rng = np.random.default_rng(1)
        for t in (10, 260, EVENT):
            fields = {
                k: np.concatenate([v[: t + 1], rng.normal(9, 9, v[t + 1 :].shape)]) for k, v in PANEL.fields.items()
            }
            inside = np.concatenate([PANEL.in_universe[: t + 1], rng.random((N_DATES - t - 1, N_TICKERS)) < 0.5])
            garbled = Panel(
                dates=PANEL.dates,
                tickers=PANEL.tickers,
                fields=fields,
                in_universe=inside,
                first_row=PANEL.first_row,
            )
            assert same_bits(value(factor, PANEL)[: t + 1], value(factor, garbled)[: t + 1])

    def test_partitions_in_any_order_have_the_same_bits(self, factor):
        """Each month from the stored rows of its lookback alone, and some single sessions."""
        raw, whole, before = raw_market(), value(factor, PANEL), factor.lookback
        rng = np.random.default_rng(2)
        edges = np.flatnonzero(np.diff(SESSIONS.astype("datetime64[M]").astype(int))) + 1
        parts = list(pairwise(edges)) + [(t, t + 1) for t in rng.integers(260, N_DATES, 3)]
        parts = [p for p in parts if p[0] >= before]
        rng.shuffle(parts)
        for start, stop in parts[:6]:
            panel = panel_of(raw, start=start - before, stop=stop)
            assert same_bits(whole[start:stop], value(factor, panel, start=before))

    def test_a_later_split_and_dividend_change_no_earlier_value(self, factor):
        """And none after it either, unless the factor counts shares or money."""
        raw = raw_market()
        split = {k: v.copy() for k, v in raw.items()}
        split["dividend"][EVENT, 0] = np.nan
        split["split"][EVENT, 0] = 4.0
        for name in ("open", "high", "low", "close", "dividend"):
            split[name][EVENT:, 0] /= 4.0
        for name in ("volume", "shares_outstanding"):
            split[name][EVENT:, 0] *= 4.0
        raw["dividend"][EVENT, 0] = raw["split"][EVENT, 0] = np.nan
        plain, other = value(factor, panel_of(raw)), value(factor, panel_of(split))
        assert same_bits(plain[:EVENT], other[:EVENT])
        if "shares" not in factor.factor.unit:
            np.testing.assert_allclose(other, plain, rtol=1e-10, atol=1e-13)
        paid = {k: v.copy() for k, v in raw.items()}
        paid["dividend"][EVENT, 0] = 1.0
        assert same_bits(plain[:EVENT], value(factor, panel_of(paid))[:EVENT])

    def test_unit_says_whether_prices_in_another_currency_change_it(self, factor):
        raw = raw_market()
        for name in ("open", "high", "low", "close", "dividend"):
            raw[name] = raw[name] * 7.3
        ours, theirs = value(factor, PANEL), value(factor, panel_of(raw))
        if "currency" in factor.factor.unit:
            assert not np.allclose(ours, theirs, rtol=0.05, equal_nan=True)
        else:
            np.testing.assert_allclose(theirs, ours, rtol=1e-12, atol=1e-12)

    def test_tickers_in_another_order(self, factor):
        order = np.random.default_rng(3).permutation(N_TICKERS)
        shuffled = Panel(
            dates=PANEL.dates,
            tickers=PANEL.tickers,
            fields={k: np.ascontiguousarray(v[:, order]) for k, v in PANEL.fields.items()},
            in_universe=np.ascontiguousarray(PANEL.in_universe[:, order]),
            first_row=PANEL.first_row,
        )
        ours, theirs = value(factor, PANEL)[:, order], value(factor, shuffled)
        if factor.is_cross_sectional:  # sums over tickers round in another order
            np.testing.assert_allclose(theirs, ours, rtol=1e-11, atol=1e-13)
        else:
            assert same_bits(theirs, ours)
