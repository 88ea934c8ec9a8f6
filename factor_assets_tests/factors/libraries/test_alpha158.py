"""Alpha158 against Qlib's definitions, written again with pandas for one ticker at a time."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from factor_assets.expressions import lookback
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.libraries.alpha158 import LIBRARY
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.strategies import same_bits
from factor_assets_tests.factors.market import panel_of, raw_market

WINDOWS = (5, 10, 20, 30, 60)
BARS = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2")
PRICES = ("OPEN0", "HIGH0", "LOW0", "VWAP0")
KINDS = (
    *("ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX", "MIN", "QTLU", "QTLD", "RANK", "RSV", "IMAX", "IMIN", "IMXD"),
    *("CORR", "CORD", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD", "VMA", "VSTD", "WVMA", "VSUMP", "VSUMN", "VSUMD"),
)
EXPRESSIONS = {name: factor.expression for name, factor in LIBRARY.factors.items()}


def _panel() -> Panel:
    """The small market, with fields missing on their own and sessions without range, moves or trading."""
    panel = panel_of(raw_market())
    fields = {name: values.copy() for name, values in panel.fields.items()}
    fields["volume"][210:213, 8] = np.nan
    fields["volume"][220:300, 9] = 12_345.0
    fields["open"][215, 10] = np.nan
    fields["high"][[216, 230], 11] = np.nan
    fields["close"][240:244, 12] = np.nan
    fields["volume"][100:170, 13] = 0.0
    for name in ("open", "high", "low", "close"):
        fields[name][150:230, 0] = fields["close"][150, 0]
    fields["close"][250:330, 7] = np.round(fields["close"][250:330, 7])
    fields["returns"] = np.full(panel.shape, np.nan)
    return replace(panel, fields=fields)


PANEL = _panel()


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    return dict(evaluate(EXPRESSIONS, PANEL))


class Windows:
    """The last n values of a series at every row, shape (n_dates, n), with what two-pass formulas need of them.

    pandas' own rolling variance and correlation are updated from row to row and are off by up to 1e-7 where a window
    is nearly constant; these are not.
    """

    def __init__(self, x: pd.Series, n: int) -> None:
        padded = np.concatenate([np.full(n - 1, np.nan), x.to_numpy()])
        self.seen = np.lib.stride_tricks.sliding_window_view(padded, n)
        self.time = np.arange(1.0, n + 1) * np.ones_like(self.seen)

    def moments(self, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Count, and sums of squares and products about the mean, of the sessions that both have."""
        both = np.isfinite(self.seen) & np.isfinite(other)
        count = both.sum(axis=1).astype(float)
        x, y = (np.where(both, v, 0.0) for v in (self.seen, other))
        x_mean, y_mean = (v.sum(axis=1, keepdims=True) / count[:, None] for v in (x, y))
        x, y = (np.where(both, v - m, 0.0) for v, m in ((x, x_mean), (y, y_mean)))
        xx = np.where(_is_constant(self.seen, both), 0.0, (x * x).sum(axis=1))
        yy = np.where(_is_constant(other, both), 0.0, (y * y).sum(axis=1))
        return count, xx, yy, (x * y).sum(axis=1)

    def std(self) -> np.ndarray:
        count, xx, _, _ = self.moments(self.seen)
        return np.where(count > 1, np.sqrt(xx / (count - 1)), np.nan)

    def slope(self) -> np.ndarray:
        count, _, tt, xt = self.moments(self.time)
        return np.where(count > 1, xt / tt, np.nan)

    def rsquare(self) -> np.ndarray:
        _, xx, tt, xt = self.moments(self.time)
        return np.where(np.isclose(self.std(), 0, atol=2e-5), np.nan, xt**2 / (xx * tt))

    def residual(self) -> np.ndarray:
        there = np.isfinite(self.seen)
        time = np.where(there, self.time, np.nan)
        distance = self.seen[:, -1] - _mean(self.seen) - self.slope() * (self.time[:, -1] - _mean(time))
        return np.where(there.sum(axis=1) > 1, distance, np.nan)


def _mean(x: np.ndarray) -> np.ndarray:
    return np.nansum(x, axis=1) / np.isfinite(x).sum(axis=1)


def _is_constant(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    return np.where(there, x, -np.inf).max(axis=1) == np.where(there, x, np.inf).min(axis=1)


def corr(x: pd.Series, y: pd.Series, n: int) -> np.ndarray:
    x, y = (v.replace([np.inf, -np.inf], np.nan) for v in (x, y))
    xs, ys = Windows(x, n), Windows(y, n)
    count, xx, yy, xy = xs.moments(ys.seen)
    near_constant = np.isclose(xs.std(), 0, atol=2e-5) | np.isclose(ys.std(), 0, atol=2e-5)
    return np.where(near_constant | (count < 2) | (xx * yy == 0), np.nan, xy / np.sqrt(xx * yy))


def qlib(rows: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """The 158 columns as Qlib writes them, of one ticker from its listing on."""
    o, h, l, c, v = (rows[name] for name in ("open", "high", "low", "close", "volume"))
    ref, v_ref = c.shift(1), v.shift(1)
    top, bottom, span = np.maximum(o, c), np.minimum(o, c), h - l + 1e-12
    columns = {
        "KMID": (c - o) / o,
        "KLEN": (h - l) / o,
        "KMID2": (c - o) / span,
        "KUP": (h - top) / o,
        "KUP2": (h - top) / span,
        "KLOW": (bottom - l) / o,
        "KLOW2": (bottom - l) / span,
        "KSFT": (2 * c - h - l) / o,
        "KSFT2": (2 * c - h - l) / span,
        "OPEN0": o / c,
        "HIGH0": h / c,
        "LOW0": l / c,
        "VWAP0": (h + l + c) / 3 / c,
    }
    rose, fell, up, down, moved = c > ref, c < ref, np.maximum(c - ref, 0), np.maximum(ref - c, 0), (c - ref).abs()
    more, less, changed = np.maximum(v - v_ref, 0), np.maximum(v_ref - v, 0), (v - v_ref).abs()
    weighted = (c / ref - 1).abs() * v
    with np.errstate(divide="ignore"):
        log_volume, log_change = np.log(v + 1), np.log(v / v_ref + 1)
    for n in WINDOWS:

        def roll(x: pd.Series, n: int = n) -> "pd.core.window.Rolling":
            return x.rolling(n, min_periods=1)

        highest, lowest, closes = roll(h).max(), roll(l).min(), Windows(c, n)
        place_high = roll(h).apply(lambda x: x.argmax() + 1, raw=True)
        place_low = roll(l).apply(lambda x: x.argmin() + 1, raw=True)
        columns |= {
            f"ROC{n}": c.shift(n) / c,
            f"MA{n}": roll(c).mean() / c,
            f"STD{n}": closes.std() / c,
            f"BETA{n}": closes.slope() / c,
            f"RSQR{n}": pd.Series(closes.rsquare(), c.index),
            f"RESI{n}": closes.residual() / c,
            f"MAX{n}": highest / c,
            f"MIN{n}": lowest / c,
            f"QTLU{n}": roll(c).quantile(0.8) / c,
            f"QTLD{n}": roll(c).quantile(0.2) / c,
            f"RANK{n}": roll(c).rank(pct=True),
            f"RSV{n}": (c - lowest) / (highest - lowest + 1e-12),
            f"IMAX{n}": place_high / n,
            f"IMIN{n}": place_low / n,
            f"IMXD{n}": (place_high - place_low) / n,
            f"CORR{n}": pd.Series(corr(c, log_volume, n), c.index),
            f"CORD{n}": pd.Series(corr(c / ref, log_change, n), c.index),
            f"CNTP{n}": roll(rose).mean(),
            f"CNTN{n}": roll(fell).mean(),
            f"CNTD{n}": roll(rose).mean() - roll(fell).mean(),
            f"SUMP{n}": roll(up).sum() / (roll(moved).sum() + 1e-12),
            f"SUMN{n}": roll(down).sum() / (roll(moved).sum() + 1e-12),
            f"SUMD{n}": (roll(up).sum() - roll(down).sum()) / (roll(moved).sum() + 1e-12),
            f"VMA{n}": roll(v).mean() / (v + 1e-12),
            f"VSTD{n}": Windows(v, n).std() / (v + 1e-12),
            f"WVMA{n}": Windows(weighted, n).std() / (roll(weighted).mean() + 1e-12),
            f"VSUMP{n}": roll(more).sum() / (roll(changed).sum() + 1e-12),
            f"VSUMN{n}": roll(less).sum() / (roll(changed).sum() + 1e-12),
            f"VSUMD{n}": (roll(more).sum() - roll(less).sum()) / (roll(changed).sum() + 1e-12),
        }
    return columns


def stated(rows: Mapping[str, pd.Series]) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Column -> (where the library's description says that we depart from Qlib, what is there instead)."""
    h, l, c, v = (rows[name] for name in ("high", "low", "close", "volume"))
    nothing = pd.Series(np.nan, c.index)
    departures = dict.fromkeys(("KMID2", "KUP2", "KLOW2", "KSFT2"), (h == l, nothing))
    weighted = (c / c.shift(1) - 1).abs() * v
    known = (c.notna() & c.shift(1).notna()).astype(float).replace(0.0, np.nan)
    for n in WINDOWS:

        def most(x: pd.Series, n: int = n) -> pd.Series:
            return x.rolling(n, min_periods=1).max()

        def place(x: pd.Series, n: int = n) -> pd.Series:
            """Place of the largest known value among n sessions, the oldest of equal ones."""
            values = Windows(x, n).seen
            largest = np.where(np.isnan(values), -np.inf, values).argmax(axis=1) + 1.0
            return pd.Series(np.where(np.isfinite(values).any(axis=1), largest, np.nan), x.index)

        def share(condition: pd.Series, n: int = n) -> pd.Series:
            return (condition * known).rolling(n, min_periods=1).mean()

        high_place, low_place = place(h), place(-l)
        rose, fell = share(c > c.shift(1)), share(c < c.shift(1))
        without_range = most(h) == -most(-l)
        unmoved, unchanged = most((c - c.shift(1)).abs()) == 0, most((v - v.shift(1)).abs()) == 0
        some_missing = known.rolling(n, min_periods=0).count() < n
        missing_high, missing_low = (x.rolling(n, min_periods=0).count() < n for x in (h, l))
        departures |= {
            f"RSQR{n}": (c.rolling(n, min_periods=1).count() < 3, nothing),
            f"RSV{n}": (without_range, nothing),
            f"IMAX{n}": (missing_high, high_place / n),
            f"IMIN{n}": (missing_low, low_place / n),
            f"IMXD{n}": (missing_high | missing_low, (high_place - low_place) / n),
            f"CNTP{n}": (some_missing, rose),
            f"CNTN{n}": (some_missing, fell),
            f"CNTD{n}": (some_missing, rose - fell),
            f"WVMA{n}": (most(weighted) == 0, nothing),
            **{f"{name}{n}": (unmoved, nothing) for name in ("SUMP", "SUMN", "SUMD")},
            **{f"{name}{n}": (v == 0, nothing) for name in ("VMA", "VSTD")},
            **{f"{name}{n}": (unchanged, nothing) for name in ("VSUMP", "VSUMN", "VSUMD")},
        }
    return departures


@pytest.fixture(scope="module")
def theirs() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Column -> Qlib's values, with ours where we say that we depart; and column -> where that is.

    A ticker's rows before its listing are NaN.
    """
    expected = {name: np.full(PANEL.shape, np.nan) for name in EXPRESSIONS}
    departs: dict[str, np.ndarray] = {}
    for j in range(PANEL.shape[1]):
        listed = int(np.isfinite(PANEL["close"][:, j]).argmax())
        rows = {name: pd.Series(values[listed:, j]) for name, values in PANEL.fields.items()}
        with np.errstate(invalid="ignore", divide="ignore"):
            columns, departures = qlib(rows), stated(rows)
        for name, values in columns.items():
            expected[name][listed:, j] = values
        for name, (where, instead) in departures.items():
            departs.setdefault(name, np.zeros(PANEL.shape, dtype=bool))[listed:, j] = where
            expected[name][listed:, j] = columns[name].where(~where, instead)
    return expected, departs


class TestAgainstQlib:
    @pytest.mark.parametrize("name", [*BARS, *PRICES])
    def test_bars_and_prices(self, name, ours, theirs):
        np.testing.assert_allclose(ours[name], theirs[0][name], rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("n", WINDOWS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_windows(self, kind, n, ours, theirs):
        np.testing.assert_allclose(ours[f"{kind}{n}"], theirs[0][f"{kind}{n}"], rtol=1e-9, atol=1e-12)

    def test_departures_are_few_and_occur(self, theirs):
        """Each departure is exercised, and none hides the comparison."""
        for name, where in theirs[1].items():
            assert 0 < where.mean() < 0.4, name


class TestProperties:
    def test_names_and_order(self):
        assert list(EXPRESSIONS) == [*BARS, *PRICES, *(f"{kind}{n}" for kind in KINDS for n in WINDOWS)]
        assert len(EXPRESSIONS) == 158

    def test_declarations(self):
        for name, factor in LIBRARY.factors.items():
            assert factor.description.endswith("."), name
            assert "{" not in factor.description, name
            assert (factor.sign, factor.unit) == (0, ""), name
        assert "typical price" in LIBRARY.factors["VWAP0"].description.lower()
        assert max(lookback(e) for e in EXPRESSIONS.values()) == 60

    def test_values_exist(self, ours):
        for name, values in ours.items():
            assert not np.isinf(values).any(), name
            assert np.isfinite(values[-1]).sum() >= 12, name

    @pytest.mark.parametrize("factor", [7.3, 1e-6])
    def test_prices_in_another_currency(self, factor, ours):
        """Also in one in which Qlib's 1e-12 and its 2e-5 for a constant series would count."""
        prices = {name: PANEL[name] * factor for name in ("open", "high", "low", "close")}
        for name, values in evaluate(EXPRESSIONS, replace(PANEL, fields={**PANEL.fields, **prices})):
            np.testing.assert_allclose(values, ours[name], rtol=1e-9, atol=1e-12, err_msg=name)

    @pytest.mark.parametrize("t", [0, 100, 260])
    def test_causality(self, t, ours):
        """Garbage after t changes no bit up to t."""
        rng = np.random.default_rng(1)
        fields = {k: np.concatenate([v[: t + 1], rng.normal(9, 9, v[t + 1 :].shape)]) for k, v in PANEL.fields.items()}
        for name, values in evaluate(EXPRESSIONS, replace(PANEL, fields=fields)):
            assert same_bits(values[: t + 1], ours[name][: t + 1]), name

    def test_a_slice_with_its_lookback_has_the_same_bits(self, ours):
        for name, values in evaluate(EXPRESSIONS, PANEL.rows(190, 300), start=60):
            assert same_bits(values, ours[name][250:300]), name
