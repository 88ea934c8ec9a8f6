"""The currency-volume features against their definitions in pandas, for one ticker at a time."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from factor_assets.calendar import sessions
from factor_assets.expressions import lookback
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.libraries.currency_volume import LIBRARY
from factor_assets.panel.panel import Panel, derived_fields
from factor_assets_tests.expressions.strategies import same_bits

SESSIONS = sessions("XNYS", date(2014, 1, 2), date(2018, 6, 29))
HORIZONS = (5, 10, 22, 44, 66, 126, 252, 504, 756)
SHORTER = {10: (5,), 22: (5,), 44: (5, 22), 66: (5, 22), 126: (22, 66), 252: (22, 66), 504: (66, 252), 756: (66, 252)}
EXPRESSIONS = {name: factor.expression for name, factor in LIBRARY.factors.items()}


def _panel() -> Panel:
    """Five tickers over four years: one whole, a late listing, a gap, halts without volume, splits and dividends."""
    rng = np.random.default_rng(0)
    shape = (len(SESSIONS), 5)
    close = 30 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0))
    volume = np.round(rng.lognormal(11, 1, shape))
    close[:400, 1] = volume[:400, 1] = np.nan
    close[300:304, 2] = volume[300:304, 2] = np.nan
    volume[500:540, 3] = 0.0
    split = np.where(rng.random(shape) < 0.002, 2.0, 1.0)
    raw = {
        **dict.fromkeys(("open", "high", "low", "close"), close),
        "volume": volume,
        "split_factor": np.cumprod(split, axis=0),
        "total_return_factor": np.cumprod(split * np.where(rng.random(shape) < 0.01, 1.005, 1.0), axis=0),
        "shares_outstanding": np.full(shape, 1e7),
    }
    return Panel(
        dates=SESSIONS,
        tickers=tuple("ABCDE"),
        fields=derived_fields(raw),
        in_universe=np.ones(shape, dtype=bool),
        first_row=77,
    )


PANEL = _panel()


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    return dict(evaluate(EXPRESSIONS, PANEL))


class TestAgainstPandas:
    def test_values(self, ours):
        for j, ticker in enumerate(PANEL.tickers):
            adjusted = pd.Series(PANEL["close"][:, j])
            traded = pd.Series(PANEL["raw_close"][:, j] * PANEL["raw_volume"][:, j])
            sums = {n: traded.rolling(n).sum() for n in HORIZONS}
            expected = {"log_return": np.log(adjusted / adjusted.shift(1)), "currency_volume": traded}
            expected |= {f"currency_volume_{n}": sums[n] for n in HORIZONS}
            for long, shorter in SHORTER.items():
                for short in shorter:
                    change = sums[short] - sums[long]
                    # the mean of the last sessions is 0 where none had volume, and 0 / 0 is no number
                    ratio = (sums[short] / short) / (sums[long] / long).where(sums[long] > 1.0)
                    expected |= {f"absolute_change_{long}_{short}": change, f"relative_change_{long}_{short}": ratio}
            assert set(expected) == set(ours)
            for name, values in expected.items():
                atol = 1e-6 if LIBRARY.factors[name].unit == "currency" else 1e-12
                np.testing.assert_allclose(ours[name][:, j], values, rtol=1e-9, atol=atol, err_msg=f"{name} {ticker}")

    def test_every_column_has_values(self, ours):
        for name, values in ours.items():
            assert np.isfinite(values[-1]).sum() >= 3, name


class TestProperties:
    def test_39_columns(self):
        assert len(EXPRESSIONS) == 39
        assert list(EXPRESSIONS)[:3] == ["log_return", "currency_volume", "currency_volume_5"]

    def test_declarations(self):
        for name, factor in LIBRARY.factors.items():
            assert factor.description.endswith("."), name
            assert factor.sign == 0, name
            scales = name.startswith(("currency_volume", "absolute_change"))
            assert factor.unit == ("currency" if scales else ""), name
        assert lookback(EXPRESSIONS["relative_change_756_66"]) == 755

    def test_a_missing_session_leaves_no_sum_until_it_is_past(self, ours):
        assert np.isnan(ours["currency_volume_22"][303:325, 2]).all()
        assert np.isfinite(ours["currency_volume_22"][325, 2])

    def test_sessions_without_volume_are_zeros(self, ours):
        assert (ours["currency_volume_10"][520:540, 3] == 0).all()
        assert ours["relative_change_66_5"][520, 3] == 0
        assert np.isnan(ours["relative_change_10_5"][520:540, 3]).all()

    @pytest.mark.parametrize("t", [0, 400, 900])
    def test_causality(self, t, ours):
        """Garbage after t changes no bit up to t."""
        rng = np.random.default_rng(1)
        fields = {k: np.concatenate([v[: t + 1], rng.normal(9, 9, v[t + 1 :].shape)]) for k, v in PANEL.fields.items()}
        for name, values in evaluate(EXPRESSIONS, replace(PANEL, fields=fields)):
            assert same_bits(values[: t + 1], ours[name][: t + 1]), name

    def test_a_slice_with_its_lookback_has_the_same_bits(self, ours):
        for name, values in evaluate(EXPRESSIONS, PANEL.rows(200, 1000), start=755):
            assert same_bits(values, ours[name][955:1000]), name
