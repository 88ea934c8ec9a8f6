"""Style portfolios against a loop over names in plain Python."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from factor_assets.calendar import sessions
from factor_assets.evaluation.style_portfolios import FIELDS, HISTORY_SESSIONS, style_returns
from factor_assets.panel.panel import Panel

DAYS = sessions("XNYS", date(2017, 9, 1), date(2019, 12, 31))
N = 40


def market(seed: int = 0, *, days: np.ndarray = DAYS) -> Panel:
    rng = np.random.default_rng(seed)
    shape = (len(days), N)
    quarter = np.arange(len(days)) // 63
    returns = rng.normal(0.0004, 0.02, shape)
    returns[rng.random(shape) < 0.01] = np.nan
    fields: dict[str, np.ndarray] = {
        "returns": returns,
        "raw_close": np.full(shape, 10.0),
        "market_cap": np.exp(rng.normal(20, 1.5, N)) * np.cumprod(1 + np.nan_to_num(returns), axis=0),
    }
    for name in FIELDS:
        if name not in fields:
            each = rng.lognormal(18, 0.8, (quarter[-1] + 1, N))
            each[rng.random(each.shape) < 0.1] = np.nan
            fields[name] = each[quarter]
    fields["book_equity"] *= fields["market_cap"][:1] / 1e8  # so that size says nothing about book to market
    fields["book_equity"][:, 3] *= -1
    fields["market_cap"][100:120, 5] = np.nan
    inside = np.ones(shape, dtype=bool)
    inside[300:, 6] = inside[:250, 7] = False
    return Panel(dates=days, tickers=tuple(f"T{j:02d}" for j in range(N)), fields=fields, in_universe=inside)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return market()


def by_name(rows: Any) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["portfolio"], []).append(row["portfolio_return"])
    return found


def naive_hml(panel: Panel) -> list[float | None]:
    """HML by loops over sessions and names."""
    days, cap, back, out = panel.dates, panel["market_cap"], panel["book_equity"], []
    month = [int(str(d)[5:7]) + 12 * int(str(d)[:4]) for d in days]
    last = [i for i in range(len(days) - 1) if month[i] != month[i + 1]]
    for t in range(len(days)):
        formations = [i for i in last if month[i] % 12 == 6 and month[i] < month[t] <= month[i] + 12]
        if not formations:
            out.append(None)
            continue
        june = formations[0]
        decembers = [i for i in last if month[i] % 12 == 0 and i < june]
        eligible = [j for j in range(N) if panel.in_universe[june, j] and cap[june, j] > 0]
        median = np.median([cap[june, j] for j in eligible])
        value = {j: back[june, j] / cap[decembers[-1], j] for j in eligible if back[june, j] > 0} if decembers else {}
        value = {j: v for j, v in value.items() if np.isfinite(v)}
        if not value:
            out.append(None)
            continue
        low, high = np.percentile(list(value.values()), (30, 70))
        legs = {}
        for size in (0, 1):
            for side in ("low", "high"):
                inside = [j for j, v in value.items() if (v <= low if side == "low" else v > high)]
                names = [j for j in inside if (cap[june, j] > median) == bool(size)]
                names = [j for j in names if np.isfinite(panel["returns"][t, j]) and np.isfinite(cap[t - 1, j])]
                total = sum(cap[t - 1, j] for j in names)
                earned = sum(cap[t - 1, j] * panel["returns"][t, j] for j in names)
                legs[size, side] = earned / total if names else None
        if None in legs.values():
            out.append(None)
        else:
            out.append((legs[0, "high"] + legs[1, "high"]) / 2 - (legs[0, "low"] + legs[1, "low"]) / 2)
    return out


class TestAgainstALoop:
    def test_hml(self, panel: Panel) -> None:
        ours = by_name(style_returns(panel, universe="all", source="test"))["HML"]
        theirs = naive_hml(panel)
        assert [v is None for v in ours] == [v is None for v in theirs]
        known = [i for i, v in enumerate(theirs) if v is not None]
        assert len(known) > 300
        np.testing.assert_allclose([ours[i] for i in known], [theirs[i] for i in known], rtol=1e-12, atol=1e-15)

    def test_the_market_is_weighted_by_the_capitalisation_of_the_session_before(self, panel: Panel) -> None:
        ours = by_name(style_returns(panel, universe="all", source="test"))["MKT"]
        t = 200
        weight = np.where(panel.in_universe[t - 1], panel["market_cap"][t - 1], np.nan)
        held = np.isfinite(weight * panel["returns"][t])
        expected = np.average(panel["returns"][t, held], weights=weight[held])
        assert ours[0] is None
        np.testing.assert_allclose(ours[t], expected, rtol=1e-12)

    def test_the_five_are_made_of_their_portfolios(self, panel: Panel) -> None:
        rows = by_name(style_returns(panel, universe="all", source="test"))
        t = len(DAYS) - 1
        sides = ("low", "middle", "high")
        at = {name: values[t] for name, values in rows.items()}
        names = ("be_me", "operating_profitability", "at_gr1")
        smb = np.mean([sum(at[f"{n} small {s}"] - at[f"{n} big {s}"] for s in sides) / 3 for n in names])
        np.testing.assert_allclose(at["SMB"], smb, rtol=1e-10)
        spread = (at["at_gr1 small low"] + at["at_gr1 big low"] - at["at_gr1 small high"] - at["at_gr1 big high"]) / 2
        np.testing.assert_allclose(at["CMA"], spread, rtol=1e-10)


class TestProperties:
    def test_a_cut_of_the_dates_has_the_same_bits(self, panel: Panel) -> None:
        whole = style_returns(panel, universe="all", source="test")
        per_day = whole.num_rows // len(DAYS)
        for start in (HISTORY_SESSIONS, 480, len(DAYS) - 5):
            part = panel.rows(start - HISTORY_SESSIONS, len(DAYS))
            cut = style_returns(part, universe="all", source="test", start_row=HISTORY_SESSIONS)
            assert cut.equals(whole.slice(start * per_day))

    def test_later_sessions_change_nothing(self, panel: Panel) -> None:
        whole = style_returns(panel, universe="all", source="test")
        per_day = whole.num_rows // len(DAYS)
        for stop in (210, 260, 500):
            assert style_returns(panel.rows(0, stop), universe="all", source="test").equals(
                whole.slice(0, stop * per_day)
            )

    def test_tickers_that_have_nothing_change_no_bit(self, panel: Panel) -> None:
        def more(values: np.ndarray, filler: float | bool) -> np.ndarray:
            return np.insert(values, [0, 7, 7, 20], filler, axis=1)

        wider = Panel(
            dates=panel.dates,
            tickers=tuple(f"T{j:02d}" for j in range(N + 4)),
            fields={name: more(values, np.nan) for name, values in panel.fields.items()},
            in_universe=more(panel.in_universe, filler=False),
        )
        ours = style_returns(panel, universe="all", source="test")
        assert style_returns(wider, universe="all", source="test").equals(ours)

    def test_without_fundamentals_only_the_market_is_known(self) -> None:
        panel = market(1)
        fields = {k: v if k in {"returns", "market_cap", "raw_close"} else v * np.nan for k, v in panel.fields.items()}
        bare = Panel(dates=panel.dates, tickers=panel.tickers, fields=fields, in_universe=panel.in_universe)
        rows = by_name(style_returns(bare, universe="all", source="test"))
        assert all(v is None for name, values in rows.items() if name != "MKT" for v in values)
        assert rows["MKT"][-1] is not None
