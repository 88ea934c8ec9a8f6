"""A second implementation of classic factors, from their publications' definitions, in numpy and pandas.

Each definition gets the history of one ticker up to a session and returns that session's value; nothing is rolled.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from factor_assets_tests.factors.long_market import N_TICKERS, market_return, panel


@dataclass(frozen=True)
class History:
    """Everything up to row t of ticker j; `x(name)` is its series, `last(name, n)` the last n sessions."""

    t: int
    j: int

    def x(self, name: str) -> np.ndarray:
        if name == "market":
            return market_return()[: self.t + 1]
        return panel()[name][: self.t + 1, self.j]

    def last(self, name: str, n: int) -> np.ndarray:
        return self.x(name)[-n:]

    def series(self, name: str) -> pd.Series:
        return pd.Series(self.x(name))


def complete(*columns: np.ndarray, least: int) -> list[np.ndarray] | None:
    """The sessions on which every column has a value, or nothing if there are fewer than `least`."""
    rows = np.isfinite(np.stack(columns)).all(axis=0)
    return [c[rows] for c in columns] if rows.sum() >= least else None


def regress(y: np.ndarray, *on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (constant first) and residuals of least squares."""
    design = np.column_stack([np.ones(len(y)), *on])
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    return coefficients, y - design @ coefficients


def mean_of(values: np.ndarray, least: int) -> float:
    values = values[np.isfinite(values)]
    return values.mean() if len(values) >= least else np.nan


def residual_reward(h: History, n: int, lag: int) -> float:
    if complete(h.last("returns", 756), h.last("market", 756), least=504) is None:
        return np.nan
    (a, b), _ = regress(*complete(h.last("returns", 756), h.last("market", 756), least=504))
    residuals = (h.x("returns") - a - b * h.x("market"))[-n - lag : len(h.x("returns")) - lag]
    residuals = residuals[np.isfinite(residuals)]
    return residuals.mean() / residuals.std(ddof=1) if len(residuals) >= 3 * n // 4 else np.nan


def information_discreteness(h: History) -> float:
    price, r = h.x("close"), h.x("returns")[-252:-21]
    r = r[np.isfinite(r)]
    if len(r) < 180:
        return np.nan
    return np.sign(price[-22] / price[-253] - 1) * ((r < 0).mean() - (r > 0).mean())


def momentum_consistency(h: History) -> float:
    month_ends = h.x("close")[-253::21]
    assert len(month_ends) == 13
    changes = np.diff(month_ends)[:-1]
    return np.nan if np.isnan(changes).any() else (changes > 0).mean()


def days_since_high(h: History) -> float:
    return 251 - np.nanargmax(h.last("split_close", 252))


def industry_momentum(h: History) -> float:
    price = panel()["close"]
    peers = [k for k in range(N_TICKERS) if k % 2 == h.j % 2 and panel().in_universe[h.t, k]]
    if not panel().in_universe[h.t, h.j]:
        return np.nan
    return np.nanmean(price[h.t, peers] / price[h.t - 126, peers] - 1)


def season(h: History, years: range) -> float:
    price, t = h.x("close"), h.t
    return np.mean([price[t - 252 * k + 21] / price[t - 252 * k] - 1 for k in years])


def off_season(h: History, years: range) -> float:
    price, t = np.log(h.x("close")), h.t
    return np.mean([(price[t - 252 * (k - 1)] - price[t - 252 * k + 21]) / 11 for k in years])


def idiosyncratic_volatility(h: History, n: int, least: int) -> float:
    pair = complete(h.last("returns", n), h.last("market", n), least=least)
    if pair is None:
        return np.nan
    return np.sqrt((regress(*pair)[1] ** 2).sum() / (len(pair[0]) - 1))


def downside_beta(h: History) -> float:
    r, m = complete(h.last("returns", 252), h.last("market", 252), least=60)
    return regress(r[m < 0], m[m < 0])[0][1] if (m < 0).sum() >= 60 else np.nan


def with_lag(h: History, n: int) -> list[np.ndarray]:
    return complete(h.last("returns", n), h.last("market", n), h.x("market")[-n - 1 : -1], least=120)


def dimson(h: History) -> float:
    return regress(*with_lag(h, 252))[0][1:].sum()


def price_delay(h: History) -> float:
    r, now, before = with_lag(h, 252)
    total = ((r - r.mean()) ** 2).sum()
    restricted, full = (1 - (regress(r, *on)[1] ** 2).sum() / total for on in ((now,), (now, before)))
    return 1 - restricted / full


def scholes_williams(h: History) -> float:
    n = 252
    r, m = h.series("returns"), h.series("market")
    slopes = 0.0
    for y, x in ((r, m.shift(1)), (r, m), (r.shift(1), m)):
        slopes += regress(*complete(y.to_numpy()[-n:], x.to_numpy()[-n:], least=120))[0][1]
    autocorrelation = np.corrcoef(*complete(m.to_numpy()[-n:], m.shift(1).to_numpy()[-n:], least=120))[0, 1]
    return slopes / (1 + 2 * autocorrelation)


def frazzini_pedersen(h: History) -> float:
    price, m = np.log(h.x("close")), np.log1p(h.x("market"))
    level = np.concatenate([[0.0], np.cumsum(m[1:])])
    three = complete((price[3:] - price[:-3])[-1260:], (level[3:] - level[:-3])[-1260:], least=750)
    own = complete(np.log1p(h.last("returns", 252)), least=120)
    if three is None or own is None:
        return np.nan
    series = np.corrcoef(*three)[0, 1] * own[0].std(ddof=1) / m[-252:].std(ddof=1)
    return 0.6 * series + 0.4 * 1


def yang_zhang(h: History) -> float:
    o, u, d, c = (np.log(h.last(k, 22)) for k in ("open", "high", "low", "close"))
    night, day = (o[1:] - c[:-1]), (c - o)[1:]
    within = ((u - o) * (u - c) + (d - o) * (d - c))[1:]
    counts = [np.isfinite(x).sum() for x in (night, day, within)]
    if min(counts) < 15:
        return np.nan
    k = 0.34 / (1.34 + 22 / 20)
    return np.sqrt(np.nanvar(night, ddof=1) + k * np.nanvar(day, ddof=1) + (1 - k) * np.nanmean(within))


def coskewness(h: History) -> float:
    r, m = complete(h.last("returns", 252), h.last("market", 252), least=120)
    e, m = regress(r, m)[1], m - m.mean()
    n = len(e) - 1
    return ((e * m**2).sum() / n) / (np.sqrt((e**2).sum() / n) * (m**2).sum() / n)


def idiosyncratic_skewness(h: History) -> float:
    residuals = []
    for t in range(h.t - 251, h.t + 1):
        now = History(t, h.j)
        pair = complete(now.last("returns", 252), now.last("market", 252), least=120)
        if pair is not None and np.isfinite(now.x("returns")[-1]):
            residuals.append(regress(*pair)[1][-1])
    return pd.Series(residuals).skew() if len(residuals) >= 120 else np.nan


def max5(h: History) -> float:
    return np.sort(h.last("returns", 21))[-5:].mean() if np.isfinite(h.last("returns", 21)).all() else np.nan


def down_to_up(h: History) -> float:
    e = (h.x("returns") - h.x("market"))[-126:]
    e = e[np.isfinite(e)]
    return np.log((e[e < 0] ** 2).mean() / (e[e > 0] ** 2).mean())


def jump_statistic(h: History) -> float:
    r = np.diff(np.log(h.last("close", 17)))
    return r[-1] / np.sqrt((np.abs(r[1:-1]) * np.abs(r[:-2])).sum() / 14)


def max_drawdown(h: History) -> float:
    price = h.series("close")
    falls = [1 - price[s] / price[s - 251 : s].max() for s in range(h.t - 251, h.t + 1)]
    return np.nanmax(falls)


def corwin_schultz(h: History) -> float:
    spreads = []
    for t in range(h.t - 20, h.t + 1):
        (h0, h1), (l0, l1), c0 = (
            *(panel()[k][t - 1 : t + 1, h.j] for k in ("high", "low")),
            panel()["close"][t - 1, h.j],
        )
        if l1 > c0:
            h1, l1 = h1 - (l1 - c0), c0
        elif h1 < c0:
            h1, l1 = c0, l1 + (c0 - h1)
        beta = np.log(h0 / l0) ** 2 + np.log(h1 / l1) ** 2
        gamma = np.log(max(h0, h1) / min(l0, l1)) ** 2
        k = 3 - 2 * np.sqrt(2)
        alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
        spreads.append(np.maximum(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)), 0))
    return mean_of(np.array(spreads), 12)


def abdi_ranaldo(h: History) -> float:
    c, eta = np.log(h.last("close", 22)), (np.log(h.last("high", 22)) + np.log(h.last("low", 22))) / 2
    return np.sqrt(max(4 * mean_of((c[:-1] - eta[:-1]) * (c[:-1] - eta[1:]), 12), 0))


def pastor_stambaugh(h: History) -> float:
    r, m, traded = h.last("returns", 22), h.last("market", 22), h.last("dollar_volume", 22) / 1e6
    columns = complete((r - m)[1:], r[:-1], (np.sign(r - m) * traded)[:-1], least=15)
    return np.nan if columns is None else regress(*columns)[0][2]


def zero_volume_days(h: History) -> float:
    traded, shares = complete(h.last("raw_volume", 252), h.last("shares_outstanding", 252), least=200)
    scale = 252 / len(traded)
    return scale * (traded == 0).sum() + 1 / (scale * (traded / shares).sum()) / 11000


def smoothed(values: pd.Series, periods: float) -> pd.Series:
    return values.ewm(alpha=1 / periods, adjust=True, min_periods=1).mean()


def directional_movements(h: History) -> tuple[pd.Series, pd.Series]:
    up, down = h.series("high").diff(), -h.series("low").diff()
    true_range = pd.concat(
        [
            h.series("high") - h.series("low"),
            (h.series("high") - h.series("close").shift()).abs(),
            (h.series("low") - h.series("close").shift()).abs(),
        ],
        axis=1,
    ).max(axis=1, skipna=False)
    known = up.notna() & down.notna()
    plus = up.where((up > down) & (up > 0), 0.0).where(known)
    minus = down.where((down > up) & (down > 0), 0.0).where(known)
    return tuple(100 * smoothed(x, 14) / smoothed(true_range, 14) for x in (plus, minus))


def adx(h: History) -> float:
    plus, minus = directional_movements(h)
    return smoothed(100 * (plus - minus).abs() / (plus + minus), 14).iloc[-1]


def macd(h: History) -> float:
    price = h.series("close")
    line = price.ewm(span=12).mean() - price.ewm(span=26).mean()
    return ((line - line.ewm(span=9).mean()) / price).iloc[-1]


def trix(h: History) -> float:
    price = h.series("close")
    for _ in range(3):
        price = price.ewm(span=15).mean()
    return 100 * (price.iloc[-1] / price.iloc[-2] - 1)


def aroon(h: History) -> float:
    high, low = h.last("high", 26), h.last("low", 26)
    if np.isnan(high).any():
        return np.nan
    since_high, since_low = 25 - int(np.argmax(high)), 25 - int(np.argmin(low))
    return 100 * (25 - since_high) / 25 - 100 * (25 - since_low) / 25


def ultimate(h: History) -> float:
    c0, high, low, c = h.x("close")[:-1], h.x("high")[1:], h.x("low")[1:], h.x("close")[1:]
    pressure, true_range = c - np.minimum(low, c0), np.maximum(high, c0) - np.minimum(low, c0)
    a7, a14, a28 = (pressure[-n:].sum() / true_range[-n:].sum() for n in (7, 14, 28))
    return 100 * (4 * a7 + 2 * a14 + a28) / 7


def money_flow_index(h: History) -> float:
    typical = (h.last("high", 15) + h.last("low", 15) + h.last("close", 15)) / 3
    raw = (h.last("raw_high", 15) + h.last("raw_low", 15) + h.last("raw_close", 15)) / 3
    flow, change = (raw * h.last("raw_volume", 15))[1:], np.diff(typical)
    if np.isnan(change).any():
        return np.nan
    return 100 - 100 / (1 + flow[change > 0].sum() / flow[change < 0].sum())


def cci(h: History) -> float:
    typical = (h.last("high", 20) + h.last("low", 20) + h.last("close", 20)) / 3
    return (typical[-1] - typical.mean()) / (0.015 * np.abs(typical - typical.mean()).mean())


def chaikin_money_flow(h: History) -> float:
    high, low, c, v = (h.last(k, 20) for k in ("raw_high", "raw_low", "raw_close", "volume"))
    multiplier = ((c - low) - (high - c)) / (high - low)
    there = np.isfinite(multiplier)
    return (multiplier * v)[there].sum() / v[there].sum() if there.sum() >= 15 else np.nan


def trend_slope(h: History) -> float:
    y, time = np.log(h.last("close", 90)), np.arange(90.0)
    if np.isnan(y).any():
        return np.nan
    per_session = np.polyfit(time, y, 1)[0]
    return (np.exp(252 * per_session) - 1) * np.corrcoef(time, y)[0, 1] ** 2


def composite_issuance(h: History) -> float:
    growth = h.x("market_cap")[-1] / h.x("market_cap")[-1261]
    paid = h.x("returns")[-1260:]
    total = h.x("close")[-1] / h.x("close")[-1261] if np.isnan(paid).any() else np.prod(1 + paid)
    return np.log(growth) - np.log(total)


def share_issuance(h: History) -> float:
    """Growth of the shares that a holder of one share at the start would count."""
    splits = h.x("split_close") / h.x("raw_close")
    adjusted = h.x("shares_outstanding") / splits
    return np.log(adjusted[-1] / adjusted[-253])


def nonlinear_size(h: History) -> float:
    members = panel().in_universe[h.t]
    caps = np.log(np.where(members, panel()["market_cap"][h.t], np.nan))
    there = np.isfinite(caps)
    standard = (caps[there] - caps[there].mean()) / caps[there].std(ddof=1)
    out = np.full(N_TICKERS, np.nan)
    out[there] = regress(standard**3, caps[there])[1]
    return out[h.j]


DEFINITIONS = {
    "residual_momentum_12_1": lambda h: residual_reward(h, 231, 21),
    "residual_reversal_21d": lambda h: residual_reward(h, 21, 0),
    "information_discreteness": information_discreteness,
    "momentum_consistency": momentum_consistency,
    "days_since_high_52w": days_since_high,
    "industry_momentum_6m": industry_momentum,
    "season_1y": lambda h: season(h, range(1, 2)),
    "season_2_5y": lambda h: season(h, range(2, 6)),
    "off_season_1y": lambda h: off_season(h, range(1, 2)),
    "off_season_2_5y": lambda h: off_season(h, range(2, 6)),
    "same_weekday_12w": lambda h: np.mean([h.x("returns")[h.t + 1 - 5 * k] for k in range(1, 13)]),
    "idio_vol_21d": lambda h: idiosyncratic_volatility(h, 21, 15),
    "idio_vol_252d": lambda h: idiosyncratic_volatility(h, 252, 200),
    "downside_beta_252d": downside_beta,
    "beta_dimson_252d": dimson,
    "beta_scholes_williams_252d": scholes_williams,
    "beta_frazzini_pedersen": frazzini_pedersen,
    "price_delay_252d": price_delay,
    "yang_zhang_21d": yang_zhang,
    "coskewness_252d": coskewness,
    "idio_skew_252d": idiosyncratic_skewness,
    "max5_return_21d": max5,
    "down_to_up_volatility_126d": down_to_up,
    "jump_statistic_16d": jump_statistic,
    "max_drawdown_252d": max_drawdown,
    "corwin_schultz_21d": corwin_schultz,
    "abdi_ranaldo_21d": abdi_ranaldo,
    "pastor_stambaugh_21d": pastor_stambaugh,
    "zero_volume_days_252d": zero_volume_days,
    "adx_14": adx,
    "macd_12_26_9": macd,
    "trix_15": trix,
    "aroon_oscillator_25": aroon,
    "ultimate_oscillator_7_14_28": ultimate,
    "money_flow_index_14": money_flow_index,
    "cci_20": cci,
    "chaikin_money_flow_20": chaikin_money_flow,
    "trend_slope_90d": trend_slope,
    "composite_issuance_5y": composite_issuance,
    "share_issuance_1y": share_issuance,
    "nonlinear_size": nonlinear_size,
}
