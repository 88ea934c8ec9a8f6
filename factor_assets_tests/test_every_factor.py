"""What must hold for every declared factor and every column of every library: a new one needs no new test."""

import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from factor_assets.calendar import Dates
from factor_assets.expressions import Call
from factor_assets.expressions.engine import evaluate
from factor_assets.expressions.expression import walk
from factor_assets.expressions.units import is_scale_free, unit
from factor_assets.factors.registry import RegisteredFactor, all_factors, all_libraries
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.sliding import sliding
from factor_assets_tests.expressions.strategies import same_bits
from factor_assets_tests.factors.market import FUNDAMENTALS, LONG, N_TICKERS, SESSIONS, panel_of, raw_market

EVERY = [*all_factors().values(), *(f for library in all_libraries().values() for f in library.factors.values())]
SHORT_LOOKBACK = len(SESSIONS) - 40
PRICES = ("open", "high", "low", "close", "dividend")

every_factor = pytest.mark.parametrize("factor", EVERY, ids=[f"{f.family}/{f.name}" for f in EVERY])


def days_for(factor: RegisteredFactor) -> Dates:
    return SESSIONS if factor.lookback < SHORT_LOOKBACK else LONG


def event_row(days: Dates) -> int:
    """A row after every lookback."""
    return len(days) - 40


def value(factor: RegisteredFactor, panel: Panel, *, start: int = 0) -> np.ndarray:
    return dict(evaluate({factor.name: factor.expression}, panel, start=start))[factor.name]


@cache
def panel(kind: str, n_days: int, start: int = 0, stop: int | None = None) -> Panel:
    """The market, or a variation of it."""
    days = {len(SESSIONS): SESSIONS, len(LONG): LONG}[n_days]
    raw = raw_market(days=days)
    event = event_row(days)
    if kind in ("no event", "split"):
        raw["dividend"][event, 0] = raw["split"][event, 0] = np.nan
    if kind == "split":
        raw["split"][event, 0] = 4.0
        for name in PRICES:
            raw[name][event:, 0] /= 4.0
        for name in ("volume", "shares_outstanding", "shares_filed"):
            raw[name][event:, 0] *= 4.0
    if kind == "dividend":
        raw["dividend"][event, 0] = 1.0
    if kind == "other currency":
        for name in (*PRICES, *FUNDAMENTALS):
            raw[name] = raw[name] * 8.0  # a power of two: only units change, no rounding
    whole = panel_of(raw, start=start, stop=stop, days=days)
    if kind.startswith("garbage after "):
        return _garbled(whole, int(kind.rpartition(" ")[2]))
    return _shuffled(whole) if kind == "shuffled" else whole


def _garbled(whole: Panel, t: int) -> Panel:
    rng = np.random.default_rng(1)
    after = (len(whole.dates) - t - 1, N_TICKERS)
    return Panel(
        dates=whole.dates,
        tickers=whole.tickers,
        fields={k: np.concatenate([v[: t + 1], rng.normal(9, 9, after)]) for k, v in whole.fields.items()},
        in_universe=np.concatenate([whole.in_universe[: t + 1], rng.random(after) < 0.5]),
        first_row=whole.first_row,
    )


ORDER = np.random.default_rng(3).permutation(N_TICKERS)


def _shuffled(whole: Panel) -> Panel:
    return Panel(
        dates=whole.dates,
        tickers=whole.tickers,
        fields={k: np.ascontiguousarray(v[:, ORDER]) for k, v in whole.fields.items()},
        in_universe=np.ascontiguousarray(whole.in_universe[:, ORDER]),
        first_row=whole.first_row,
    )


def assert_agree(ours: np.ndarray, theirs: np.ndarray, *, rtol: float, atol: float, share: float = 1.0) -> None:
    """Assert that at least a share of the cells agrees; where ranks tie but for a rounding, some cannot."""
    scale = np.nanmedian(np.abs(theirs)) if np.isfinite(theirs).any() else 1.0
    close = np.isclose(ours, theirs, rtol=rtol, atol=atol * max(scale, 1e-6), equal_nan=True)
    assert close.mean() >= share, f"{(~close).sum()} of {close.size} cells differ, such as {np.argwhere(~close)[:3]}"


@every_factor
class TestAgainstWholeWindows:
    def test_values(self, factor):
        """Every part of the formula from the engine's own operands: a tie that hangs on a rounding stays one."""
        market = panel("plain", len(days_for(factor)))
        part = market.rows(max(0, len(market.dates) - factor.lookback - 25), len(market.dates))
        nodes = {str(node): node for node in walk(factor.expression) if isinstance(node, Call)}
        ours = {nodes[name]: values for name, values in evaluate(nodes, part)}
        for node, values in ours.items():
            assert_agree(values, sliding(node, ours, part.fields, part.in_universe), rtol=1e-10, atol=1e-10, share=0.99)
        assert np.isfinite(value(factor, market)).sum() >= 6


@every_factor
class TestProperties:
    def test_declaration(self, factor):
        assert re.search(r"\(.*\d{4}.*\)", factor.factor.cite)
        assert factor.factor.doi == "" or factor.factor.doi.startswith("10.")
        assert factor.factor.description.endswith(".")
        assert factor.lookback < event_row(LONG)

    def test_causality(self, factor):
        """Garbage after t changes no bit up to t."""
        n_days = len(days_for(factor))
        whole = value(factor, panel("plain", n_days))
        for t in (10, n_days - 100, n_days - 40):
            garbled = value(factor, panel(f"garbage after {t}", n_days))
            assert same_bits(whole[: t + 1], garbled[: t + 1])

    def test_partitions_in_any_order_have_the_same_bits(self, factor):
        """Some months and single sessions, each from the stored rows of its lookback alone."""
        days, before = days_for(factor), factor.lookback
        whole = value(factor, panel("plain", len(days)))
        edges = np.flatnonzero(np.diff(days.astype("datetime64[M]").astype(int))) + 1
        parts = [p for p in pairwise(edges) if p[0] >= before]
        rng = np.random.default_rng(2)
        last = len(days) - 1
        for start, stop in [parts[-1], parts[len(parts) // 2], (last, last + 1), (last - 7, last - 6)]:
            # read from rows that begin exactly there, or cut from the whole: the same rows, made once
            part = panel("plain", len(days)).rows(start - before, stop)
            assert same_bits(whole[start:stop], value(factor, part, start=before))
        start, stop = parts[rng.integers(len(parts))]
        part = panel("plain", len(days), start=(start - before) // 50 * 50, stop=stop)
        assert same_bits(whole[start:stop], value(factor, part, start=len(part.dates) - (stop - start)))

    def test_a_later_split_and_dividend_change_no_earlier_value(self, factor):
        """And a split none after it either, unless the factor counts shares."""
        days = days_for(factor)
        event = event_row(days)
        whole, split = value(factor, panel("no event", len(days))), value(factor, panel("split", len(days)))
        assert same_bits(whole[:event], split[:event])
        if is_scale_free(factor.expression):
            assert_agree(split, whole, rtol=1e-8, atol=1e-9, share=0.998)
        paid, plain = value(factor, panel("dividend", len(days))), value(factor, panel("plain", len(days)))
        assert same_bits(plain[:event], paid[:event])

    def test_another_currency_changes_no_scale_free_factor(self, factor):
        n_days = len(days_for(factor))
        ours, theirs = value(factor, panel("plain", n_days)), value(factor, panel("other currency", n_days))
        if is_scale_free(factor.expression):
            assert_agree(theirs, ours, rtol=1e-8, atol=1e-9, share=0.998)
        elif "currency" in (unit(factor.expression) or ""):
            assert "currency" in factor.factor.unit
            assert not np.allclose(ours, theirs, rtol=0.01, equal_nan=True)

    def test_tickers_in_another_order(self, factor):
        n_days = len(days_for(factor))
        ours, theirs = value(factor, panel("plain", n_days))[:, ORDER], value(factor, panel("shuffled", n_days))
        if factor.is_cross_sectional:  # sums over tickers round in another order
            assert_agree(theirs, ours, rtol=1e-8, atol=1e-9, share=0.998)
        else:
            assert same_bits(theirs, ours)
