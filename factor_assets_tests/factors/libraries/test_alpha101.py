"""The 101 Formulaic Alphas against the formulas as published, read by a second implementation."""

import functools

import numpy as np
import pytest

from factor_assets.expressions import lookback, parse
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.libraries.alpha101 import LIBRARY
from factor_assets.factors.libraries.alpha101_terms import CURRENCY
from factor_assets.panel.panel import Panel, derived_fields
from factor_assets_tests.factors.libraries.alpha101_oracle import Oracle, as_python
from factor_assets_tests.factors.libraries.alpha101_paper import FORMULAS

N_DATES, N_TICKERS = 420, 16


def market(*, currency: float = 1, shares: float = 1) -> Panel:
    """Prices with a gap, late and early listings, a frozen price, days without trading, members that change, sectors.

    `currency` and `shares` are how many new units make an old one.
    """
    rng = np.random.default_rng(11)
    shape = (N_DATES, N_TICKERS)
    common = rng.normal(0.0003, 0.01, (N_DATES, 1))
    start = np.where(np.arange(N_TICKERS) < 14, rng.uniform(20, 22, N_TICKERS), 0.7)
    own = np.cumsum(rng.normal(0, 0.005, shape), axis=0) + rng.normal(0, 0.02, shape)
    close = start * np.exp(np.cumsum(common, axis=0) + own)
    close[100:130, 5] = close[100, 5]
    low, high = close * np.exp(-rng.exponential(0.01, shape)), close * np.exp(rng.exponential(0.01, shape))
    low[110:112, 5] = high[110:112, 5] = close[110:112, 5]
    volume = np.round(rng.lognormal(12, 1, shape))
    volume[60:62, 3] = 0
    raw = {
        "open": low + (high - low) * rng.random(shape),
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "shares_outstanding": np.where(np.arange(N_TICKERS) < 9, 1e7, np.nan) * np.ones(shape),
        "total_return_factor": np.cumprod(np.where(rng.random(shape) < 0.01, 1.005, 1), axis=0),
        "split_factor": np.ones(shape),
    }
    for name in ("open", "high", "low", "close"):
        raw[name] *= currency / shares
    for name in ("volume", "shares_outstanding"):
        raw[name] *= shares
    for values in raw.values():
        values[:60, 1] = np.nan
        values[380:, 2] = np.nan
        values[70:73, 4] = np.nan
    inside = np.ones(shape, dtype=bool)
    inside[:150, 7] = inside[330:350, 8] = False
    sector = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, np.nan, 0, 1, 2, 0]) * np.ones(shape)
    sector[200:, 3] = 2
    return Panel(
        dates=np.datetime64("2020-01-01") + np.arange(N_DATES),
        tickers=tuple(f"T{j:02d}" for j in range(N_TICKERS)),
        fields=derived_fields(raw) | {"sector": np.where(inside, sector, np.nan)},
        in_universe=inside,
        first_row=777,
    )


@functools.cache
def library(*, currency: float = 1, shares: float = 1) -> dict[str, np.ndarray]:
    wanted = {name: factor.expression for name, factor in LIBRARY.factors.items()}
    return dict(evaluate(wanted, market(currency=currency, shares=shares)))


@functools.cache
def oracle() -> Oracle:
    return Oracle(market())


def unchanged(x: np.ndarray, y: np.ndarray) -> bool:
    return np.allclose(x, y, rtol=1e-9, atol=1e-12, equal_nan=True)


class TestAgainstThePublication:
    @pytest.mark.parametrize("number", range(1, 102))
    def test_values(self, number):
        ours, published = library()[f"alpha_{number:03d}"], oracle().compute(number, FORMULAS[number])
        np.testing.assert_allclose(ours, published, rtol=1e-8, atol=1e-12)

    def test_every_formula_was_read(self):
        assert list(FORMULAS) == list(range(1, 102))

    def test_notation(self):
        assert as_python("((a < 0) ? (b^2) : ((c || d) ? 1 : -e))") == "((b**2) if (a < 0) else (1 if (c | d) else -e))"


class TestProperties:
    def test_names_are_the_publications_numbers(self):
        assert list(LIBRARY.factors) == [f"alpha_{number:03d}" for number in range(1, 102)]

    @pytest.mark.parametrize("name", LIBRARY.factors)
    def test_has_values_once_history_suffices(self, name):
        expression = LIBRARY.factors[name].expression
        values = library()[name][lookback(expression) :]
        finite = values[np.isfinite(values)]
        assert finite.size > 0.25 * values.size
        assert len(np.unique(finite)) > 1

    @pytest.mark.parametrize("name", LIBRARY.factors)
    def test_prints_as_text_that_reads_back(self, name):
        expression = LIBRARY.factors[name].expression
        assert parse(str(expression)) == expression

    def test_at_most_a_year_of_history(self):
        assert max(lookback(factor.expression) for factor in LIBRARY.factors.values()) == 251

    @pytest.mark.parametrize("name", LIBRARY.factors)
    def test_the_unit_says_what_depends_on_the_currency_and_on_the_share(self, name):
        unit = LIBRARY.factors[name].unit
        # powers of two, so that no rounding puts equal values in another order
        ours, currency, shares = library()[name], library(currency=8)[name], library(shares=8)[name]
        assert unchanged(ours, currency) is ("currency" not in unit)
        assert unchanged(ours, shares) is ("currency" not in unit and "shares" not in unit)
        if unit == CURRENCY:
            assert unchanged(8 * ours, currency)

    @pytest.mark.parametrize("name", LIBRARY.factors)
    def test_departures_are_stated(self, name):
        factor, formula = LIBRARY.factors[name], FORMULAS[int(name[-3:])]
        assert ("typical price" in factor.description) is ("vwap" in formula)
        assert ("Groups are sectors" in factor.description) is ("IndClass" in formula)
        assert ("need one value" in factor.description) is (int(name[-3:]) in Oracle.sparse)
        assert f"Alpha#{int(name[-3:])})" in factor.cite
