"""The classic factors against their publications' definitions, written out a second time."""

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest

from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import all_factors
from factor_assets_tests.factors.classic_definitions import DEFINITIONS, History
from factor_assets_tests.factors.long_market import N_TICKERS, panel

ROWS = (1300, 1351, 1419)
FAMILIES = {
    "liquidity",
    "momentum",
    "reversal",
    "seasonality",
    "size",
    "tail_risk",
    "technical",
    "trend_indicators",
    "volatility",
    "volume_indicators",
}
POSITIVE = {
    "amihud_20d",
    "amihud_252d",
    "zero_volume_days_252d",
    "abnormal_volume_50d",
    "ret_12_1",
    "ret_9_1",
    "ret_6_1",
    "ret_3_1",
    "ret_12_7",
    "momentum_change",
    "sharpe_momentum_12_1",
    "residual_momentum_12_1",
    "momentum_consistency",
    "industry_momentum_6m",
    "time_series_momentum_12m",
    "high_52w",
    "moving_average_distance_21_200",
    "season_1y",
    "season_2_5y",
    "season_1_5y",
    "off_season_1y",
    "same_weekday_12w",
    "downside_beta_252d",
    "price_delay_252d",
}
NEGATIVE = {
    "dollar_volume_20d",
    "turnover_20d",
    "turnover_variation_252d",
    "dollar_volume_variation_252d",
    "volume_trend_252d",
    "days_since_high_52w",
    "reversal_5d",
    "ret_1_0",
    "industry_adjusted_reversal_21d",
    "residual_reversal_21d",
    "ret_36_13",
    "ret_60_13",
    "off_season_2_5y",
    "size",
    "industry_relative_size",
    "log_price",
    "share_issuance_1y",
    "composite_issuance_5y",
    "skew_60d",
    "idio_skew_252d",
    "coskewness_252d",
    "max5_return_21d",
    "value_at_risk_252d",
    "volatility_20d",
    "volatility_252d",
    "idio_vol_21d",
    "idio_vol_252d",
    "beta_252d",
    "max_return_20d",
    "beta_frazzini_pedersen",
    "market_correlation_252d",
    "vol_of_vol_252d",
}


@cache
def values() -> dict[str, np.ndarray]:
    of_prices = {name: f.expression for name, f in all_factors().items() if not f.document_tables}
    return dict(evaluate(of_prices, panel()))


class TestAgainstPublication:
    @pytest.mark.parametrize("name", DEFINITIONS)
    def test_values(self, name):
        ours = values()[name][list(ROWS)]
        theirs = np.array([[DEFINITIONS[name](History(t, j)) for j in range(N_TICKERS)] for t in ROWS])
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        assert np.isfinite(ours).sum() >= 15


class TestProperties:
    def test_signs(self):
        """Written down a second time, from the publications."""
        signs = {name: factor.factor.sign for name, factor in all_factors().items() if factor.family in FAMILIES}
        assert set(signs) >= POSITIVE | NEGATIVE
        wanted = {**dict.fromkeys(signs, 0), **dict.fromkeys(POSITIVE, 1), **dict.fromkeys(NEGATIVE, -1)}
        assert signs == wanted

    def test_families(self):
        families = Counter(factor.family for factor in all_factors().values())
        assert set(families) >= FAMILIES
        assert sum(families[family] for family in FAMILIES) >= 100

    @pytest.mark.parametrize("name", all_factors())
    def test_declaration(self, name):
        factor = all_factors()[name].factor
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert re.fullmatch(r"[A-Z][^()]* \(\d{4}, .+\)", factor.cite)
        assert re.fullmatch(r"(10\.\d{4,9}/\S+)?", factor.doi)
        assert re.fullmatch(r"[A-Z].+\.", factor.description)
        assert all_factors()[name].lookback < 1300

    def test_every_factor_has_values_and_none_is_infinite(self):
        for name, computed in values().items():
            assert np.isfinite(computed[-1]).sum() >= 5, name
            assert not np.isinf(computed).any(), name

    def test_bounded_indicators(self):
        bounds = {
            "rsi_wilder_14": (0, 100),
            "stochastic_k_14": (0, 100),
            "stochastic_d_14_3": (0, 100),
            "williams_r_14": (-100, 0),
            "ultimate_oscillator_7_14_28": (0, 100),
            "adx_14": (0, 100),
            "directional_balance_14": (-100, 100),
            "aroon_oscillator_25": (-100, 100),
            "money_flow_index_14": (0, 100),
            "chaikin_money_flow_20": (-1, 1),
            "on_balance_volume_20d": (-1, 1),
            "price_volume_correlation_20d": (-1, 1),
            "high_52w": (0, 1),
            "days_since_high_52w": (0, 251),
            "abnormal_volume_50d": (0, 1),
            "momentum_consistency": (0, 1),
            "zero_return_days_252d": (0, 1),
            "max_drawdown_252d": (0, 1),
            "price_delay_252d": (0, 1),
        }
        for name, (low, high) in bounds.items():
            computed = values()[name][np.isfinite(values()[name])]
            assert low - 1e-9 <= computed.min() < computed.max() <= high + 1e-9, name
