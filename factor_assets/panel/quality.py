"""Quality checks of delivered prices: what is wrong with the rows, how often, and where.

Pure functions over rows; `defs/` turns a `Finding` into an asset check. What does not belong here: repairing anything
(`prices.py` says what is kept).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import session_positions
from factor_assets.panel.prices import PRICES, Array, CleanPrices, CleanRows, Indices, inside
from factor_assets.storage.slice import EVERYTHING, Slice

Severity = Literal["warning", "error"]

JUMP_RATIO = 1.4
"""A session's growth beyond this or below its inverse is a jump: +40% or -28.6%, the same distance in logarithms."""

REVERSAL_LEFT = 0.25
"""A jump is reversed if the two sessions together moved at most this share of the jump, in logarithms."""

MISMATCH = 1e-3
"""Tolerance between the vendor's adjusted return and ours, a fraction."""

STALE_SESSIONS, STALE_UNTRADED_SESSIONS = 10, 5
"""Sessions of one unchanged close that are suspicious: in any case, and where nothing was traded meanwhile."""

ERROR_SHARE = 0.01
"""A finding on more than this share of the rows is an error instead of a warning."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    severity
        How bad it is; meaningless where `n` is 0.
    n
        Rows (for missing_sessions: sessions) that violate the rule.
    n_rows
        Rows that were looked at.
    examples
        The first violations by date and ticker, or the largest where there is a size.
    """

    check: str
    severity: Severity
    n: int
    n_rows: int
    examples: list[dict[str, Any]]
    description: str

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return self.n == 0


CHECKS: Mapping[str, str] = {
    "duplicate_rows": "One delivery holds the same row of a ticker and date more than once.",
    "conflicting_rows": "One delivery holds different rows of a ticker and date; the last one is used.",
    "off_session_rows": "Rows on days on which the exchange does not trade; they are not used.",
    "unreadable_cells": "Cells of the delivered row could not be read as what they should be.",
    "null_values": "Open, high, low, close or volume is missing.",
    "invalid_prices": "A price is zero, negative or infinite, or volume is negative; it is treated as missing.",
    "invalid_events": "A split is not positive or a dividend is negative; it is treated as absent.",
    "price_order": "High is below open, low or close, or low is above one of them.",
    "zero_volume": "A price without a share traded.",
    "jumps": "Total return above 40% or below -28.6% since the row before, which dividends and splits do not explain.",
    "reversals": "A jump that the next row takes back: usually one wrong price.",
    "adjustment_mismatch": "The vendor's adjusted close implies a return that differs from ours by more than 0.1%.",
    "stale_prices": "The close did not change for 10 sessions, or for 5 without a share traded.",
    "missing_sessions": "Sessions without a row between a ticker's first and last row.",
}
"""Check -> what a violation is, in the order of the findings."""


def inspect(history: pa.Table, clean: CleanPrices, *, part: Slice = EVERYTHING, n_examples: int = 10) -> list[Finding]:
    """Run every check and return one finding each, in the order of `CHECKS`, also where nothing was found.

    Checks of single cells look at every delivered row of the slice; checks of returns, staleness and gaps look at the
    rows that were kept, and know what came before the slice. A finding is a warning; it is an error if it concerns
    more than 1% of the rows or if a delivery contradicts itself.

    Parameters
    ----------
    history, clean
        The rows of the table `price_history` and what `clean_prices` made of exactly these.
    part
        The slice to report on. A gap belongs to the slice with the row that ends it.
    n_examples
        Examples a finding holds at most.
    """
    rows = clean.rows
    wanted = inside(history, part)
    report = partial(_finding, history=history, wanted=wanted, n_examples=n_examples)
    invalid = np.unique(np.concatenate([rows.treated["invalid_price"], rows.treated["invalid_volume"]]))
    events = np.unique(np.concatenate([rows.treated["invalid_split"], rows.treated["invalid_dividend"]]))
    prices_and_volume = (*PRICES, "volume")
    total_return = _total_returns(rows)
    jumped = _jumps(total_return)
    back = _reversals(rows, total_return, jumped)
    vendor_return = _vendor_returns(rows, history)
    mismatch = np.flatnonzero(np.abs(vendor_return - total_return) > MISMATCH)
    mismatch = mismatch[np.argsort(-np.abs(vendor_return - total_return)[mismatch], kind="stable")]
    return [
        report("duplicate_rows", rows.dropped["repeated"]),
        report("conflicting_rows", rows.dropped["conflicting"], show=prices_and_volume),
        report("off_session_rows", rows.dropped["off_session"], show=("close",)),
        report("unreadable_cells", _positions(history["issue"].is_valid()), show=("issue",)),
        report("null_values", _null_values(history), show=prices_and_volume),
        report("invalid_prices", invalid, show=prices_and_volume),
        report("invalid_events", events, show=("dividend", "split")),
        report("price_order", _price_order(history), show=PRICES),
        report("zero_volume", _positions(pc.equal(history["volume"], 0.0)), show=("close",)),
        report("jumps", rows.row[jumped], show=("close",), by_size=True, total_return=total_return[jumped]),
        report("reversals", rows.row[back], show=("close",), by_size=True, total_return=total_return[back]),
        report(
            "adjustment_mismatch",
            rows.row[mismatch],
            show=("close", "adjusted_close", "dividend", "split"),
            by_size=True,
            total_return=total_return[mismatch],
            vendor_return=vendor_return[mismatch],
        ),
        report("stale_prices", rows.row[_stale(rows)], show=("close", "volume")),
        _missing_sessions(rows, wanted=wanted, n_examples=n_examples),
    ]


def _finding(
    check: str,
    found: Indices,
    *,
    history: pa.Table,
    wanted: npt.NDArray[np.bool_],
    n_examples: int,
    show: tuple[str, ...] = (),
    by_size: bool = False,
    **computed: Array,
) -> Finding:
    """Describe the delivered rows `found` by the columns `show` and the numbers `computed`, which are aligned to them.

    `by_size`: the rows come largest first and stay so; otherwise they are sorted by date and ticker.
    """
    kept = np.flatnonzero(wanted[found])
    found = found[kept]
    if by_size:
        chosen = np.arange(len(found))[:n_examples]
    else:
        keys = history.select(["date", "ticker"]).take(pa.array(found))
        chosen = pc.sort_indices(keys, [("date", "ascending"), ("ticker", "ascending")]).to_numpy()[:n_examples]
    examples = history.select(["ticker", "date", *show]).take(pa.array(found[chosen])).to_pylist()
    for position, example in zip(kept[chosen], examples, strict=True):
        example.update({name: round(float(numbers[position]), 6) for name, numbers in computed.items()})
    return _judged(check, len(found), int(wanted.sum()), examples)


def _judged(check: str, n: int, n_rows: int, examples: list[dict[str, Any]]) -> Finding:
    # A delivery that contradicts itself is wrong however seldom; anything else may be real.
    error = n > 0 and (check == "conflicting_rows" or n > ERROR_SHARE * n_rows)
    return Finding(
        check=check,
        severity="error" if error else "warning",
        n=n,
        n_rows=n_rows,
        examples=examples,
        description=CHECKS[check],
    )


def _positions(mask: pa.ChunkedArray) -> Indices:
    return np.flatnonzero(mask.fill_null(False).to_numpy())


def _null_values(history: pa.Table) -> Indices:
    missing = np.zeros(history.num_rows, dtype=bool)
    for name in (*PRICES, "volume"):
        missing |= np.isnan(history[name].to_numpy())
    return np.flatnonzero(missing)


def _price_order(history: pa.Table) -> Indices:
    opened, high, low, close = (history[name].to_numpy() for name in PRICES)
    # A comparison with NaN is false: a missing price violates nothing here.
    return np.flatnonzero((high < opened) | (high < close) | (low > opened) | (low > close) | (high < low))


def _total_returns(rows: CleanRows) -> Array:
    """Total return since the ticker's row before; NaN on its first row and where a close is missing."""
    close = rows.values["close"] * rows.total_return_factor
    return _ratios(close, rows.first) - 1.0


def _vendor_returns(rows: CleanRows, history: pa.Table) -> Array:
    """Like `_total_returns`, from the vendor's adjusted close; NaN also where two deliveries meet."""
    adjusted = np.where(rows.values["adjusted_close"] > 0, rows.values["adjusted_close"], np.nan)
    fetched = history["fetched_at"].to_numpy().astype(np.int64)[rows.row]
    vintage_break = rows.first.copy()
    vintage_break[1:] |= fetched[1:] != fetched[:-1]
    return _ratios(adjusted, vintage_break) - 1.0


def _ratios(level: Array, first: npt.NDArray[np.bool_]) -> Array:
    ratio = np.full(len(level), np.nan)
    np.divide(level[1:], level[:-1], out=ratio[1:])
    ratio[first] = np.nan
    return ratio


def _jumps(total_return: Array) -> Indices:
    """Largest first. Dividends and splits are in the total return, so what is left is unexplained by them."""
    size = np.abs(np.log1p(total_return))
    found = np.flatnonzero(size > np.log(JUMP_RATIO))
    return found[np.argsort(-size[found], kind="stable")]


def _reversals(rows: CleanRows, total_return: Array, jumped: Indices) -> Indices:
    after = jumped + 1
    followed = after < len(rows.row)
    jumped, after = jumped[followed], after[followed]
    back = np.log1p(total_return[after])  # NaN on another ticker's first row
    jump = np.log1p(total_return[jumped])
    found: Indices = jumped[np.abs(jump + back) <= REVERSAL_LEFT * np.abs(jump)]
    return found


def _stale(rows: CleanRows) -> Indices:
    """Rows that complete or continue a run of one close, as long as the thresholds say."""
    close, volume = rows.values["close"], rows.values["volume"]
    unchanged = np.zeros(len(close), dtype=bool)
    unchanged[1:] = (close[1:] == close[:-1]) & ~rows.first[1:]
    return np.flatnonzero(
        (_run_length(unchanged) + 1 >= STALE_SESSIONS)
        | (_run_length(unchanged & ~(volume > 0)) >= STALE_UNTRADED_SESSIONS)
    )


def _run_length(mask: npt.NDArray[np.bool_]) -> Indices:
    """Count the true values up to each row, since the last false one."""
    position = np.arange(1, len(mask) + 1)
    last_false: Indices = np.maximum.accumulate(np.where(mask, 0, position))
    return position - last_false


def _missing_sessions(rows: CleanRows, *, wanted: npt.NDArray[np.bool_], n_examples: int) -> Finding:
    at = session_positions(rows.date, rows.sessions)
    skipped = np.zeros(len(at), dtype=np.int64)
    skipped[1:] = at[1:] - at[:-1] - 1
    skipped[rows.first | ~wanted[rows.row]] = 0
    gaps = np.flatnonzero(skipped)
    longest = gaps[np.argsort(-skipped[gaps], kind="stable")][:n_examples]
    examples = [
        {
            "ticker": rows.tickers[rows.code[gap]],
            "date": rows.sessions[at[gap - 1] + 1].item(),
            "last_missing": rows.sessions[at[gap] - 1].item(),
            "n_sessions": int(skipped[gap]),
        }
        for gap in longest
    ]
    return _judged("missing_sessions", int(skipped.sum()), int(wanted.sum()), examples)
