"""Alpha360 against Qlib's definitions, written again with pandas for one ticker at a time."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from factor_assets.expressions import lookback
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.libraries.alpha360 import LIBRARY
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.strategies import same_bits
from factor_assets_tests.factors.market import panel_of, raw_market

SERIES = ("CLOSE", "OPEN", "HIGH", "LOW", "VWAP", "VOLUME")
EXPRESSIONS = {name: factor.expression for name, factor in LIBRARY.factors.items()}


def _panel() -> Panel:
    """The small market, with fields missing on their own and sessions without trading."""
    panel = panel_of(raw_market())
    fields = {name: values.copy() for name, values in panel.fields.items()}
    fields["volume"][210:213, 8] = np.nan
    fields["volume"][100:103, 13] = 0.0
    fields["open"][215, 10] = np.nan
    fields["close"][240:244, 12] = np.nan
    return replace(panel, fields=fields)


PANEL = _panel()


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    return dict(evaluate(EXPRESSIONS, PANEL))


class TestAgainstQlib:
    @pytest.mark.parametrize("name", SERIES)
    def test_values(self, name, ours):
        """Shifted series over today's; as the library says, nothing where Qlib divides by a volume of 0 and 1e-12."""
        for j in range(PANEL.shape[1]):
            rows = {k: pd.Series(v[:, j]) for k, v in PANEL.fields.items()}
            series = {k: rows[k.lower()] for k in SERIES if k != "VWAP"}
            series["VWAP"] = (rows["high"] + rows["low"] + rows["close"]) / 3
            for lag in range(60):
                today = rows["close"] if name != "VOLUME" else (rows["volume"] + 1e-12).where(rows["volume"] != 0)
                expected = series[name].shift(lag) / today
                np.testing.assert_allclose(ours[f"{name}{lag}"][:, j], expected, rtol=1e-12)

    def test_sessions_without_trading_occur(self):
        assert (PANEL["volume"] == 0).sum() == 6


class TestProperties:
    def test_names_and_order(self):
        assert list(EXPRESSIONS) == [f"{name}{lag}" for name in SERIES for lag in reversed(range(60))]

    def test_declarations(self):
        for name, factor in LIBRARY.factors.items():
            assert factor.description.endswith("."), name
            assert (factor.sign, factor.unit) == (0, ""), name
            assert ("Typical price" in factor.description) == name.startswith("VWAP")
            assert lookback(factor.expression) == int(name.lstrip("CLOSEPNHIGWVAUM"))
        assert LIBRARY.factors["CLOSE1"].description == "Close 1 session ago over today's close."
        assert LIBRARY.factors["VOLUME0"].description == "Volume of the session over today's volume."

    @pytest.mark.parametrize("t", [0, 100, 260])
    def test_causality(self, t, ours):
        """Garbage after t changes no bit up to t."""
        rng = np.random.default_rng(1)
        fields = {k: np.concatenate([v[: t + 1], rng.normal(9, 9, v[t + 1 :].shape)]) for k, v in PANEL.fields.items()}
        for name, values in evaluate(EXPRESSIONS, replace(PANEL, fields=fields)):
            assert same_bits(values[: t + 1], ours[name][: t + 1]), name

    def test_a_slice_with_its_lookback_has_the_same_bits(self, ours):
        for name, values in evaluate(EXPRESSIONS, PANEL.rows(191, 300), start=59):
            assert same_bits(values, ours[name][250:300]), name
